package suite

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sharedpid.example/reports"
)

func condition(status corev1.ConditionStatus) func(*corev1.Node) {
	return func(node *corev1.Node) { node.Status.Conditions[0].Status = status }
}

func taint(key string, effect corev1.TaintEffect) func(*corev1.Node) {
	return func(node *corev1.Node) {
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: key, Effect: effect})
	}
}

func cordoned(node *corev1.Node) { node.Spec.Unschedulable = true }

func system(name string) func(*corev1.Node) {
	return func(node *corev1.Node) { node.Labels[corev1.LabelOSStable] = name }
}

// TestWhichNodesARunLooksAt and why it leaves the others out.
func TestWhichNodesARunLooksAt(t *testing.T) {
	nodes := []runtime.Object{
		newNode("cordoned", cordoned),
		newNode("cordoned-down", cordoned, condition(corev1.ConditionFalse)),
		newNode("good"),
		newNode("lost", condition(corev1.ConditionUnknown)),
		newNode("preferred", taint("soft", corev1.TaintEffectPreferNoSchedule)),
		newNode("tainted", taint("dedicated", corev1.TaintEffectNoSchedule)),
		newNode("windows", system("windows"), condition(corev1.ConditionFalse)),
		newNode("without-label", func(node *corev1.Node) { node.Labels = nil }),
	}
	for name, test := range map[string]struct {
		names []string
		ready []string
		left  []reports.LeftOut
	}{
		"all": {nil, []string{"good", "preferred", "without-label"}, []reports.LeftOut{
			{Name: "cordoned", Reason: "is cordoned"}, {Name: "cordoned-down", Reason: "is not ready"},
			{Name: "lost", Reason: "is not ready"},
			{Name: "tainted", Reason: "has the taint dedicated:NoSchedule"}, {Name: "windows", Reason: "runs windows"},
		}},
		"named": {[]string{"tainted", "cordoned", "lost"}, []string{"cordoned", "tainted"}, []reports.LeftOut{
			{Name: "cordoned-down", Reason: "not selected"}, {Name: "good", Reason: "not selected"}, {Name: "lost", Reason: "is not ready"},
			{Name: "preferred", Reason: "not selected"}, {Name: "windows", Reason: "not selected"},
			{Name: "without-label", Reason: "not selected"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ready, left, err := readyNodes(t.Context(), newCluster(t, nodes...).api, test.names, time.Minute)
				if err != nil || time.Since(start) != 0 {
					t.Errorf("%v after %s", err, time.Since(start))
				}
				var names []string
				for _, node := range ready {
					names = append(names, node.Name)
				}
				expectEqual(t, "ready", names, test.ready)
				expectEqual(t, "left out", left, test.left)
			})
		})
	}
}

// TestANodeThatComesUpIsWaitedFor until the limit is over. It has told that it is not ready, or has a taint of that moment.
func TestANodeThatComesUpIsWaitedFor(t *testing.T) {
	for name, comesUp := range map[string]func(*corev1.Node){
		"not ready": condition(corev1.ConditionFalse),
		"silent":    func(node *corev1.Node) { node.Status.Conditions = nil },
		"taint":     taint("node.kubernetes.io/not-ready", corev1.TaintEffectNoSchedule),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t, newNode("a"), newNode("b", comesUp))
				time.AfterFunc(50*time.Second, func() {
					_, _ = cluster.api.CoreV1().Nodes().Update(t.Context(), newNode("b"), metav1.UpdateOptions{})
				})
				start := time.Now()
				ready, left, err := readyNodes(t.Context(), cluster.api, nil, 2*time.Minute)
				if err != nil || len(ready) != 2 || len(left) != 0 || time.Since(start) > 51*time.Second {
					t.Errorf("%v: %d ready, %v left out after %s", err, len(ready), left, time.Since(start))
				}
			})
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ready, left, err := readyNodes(t.Context(), newCluster(t, newNode("a"), newNode("b", comesUp)).api, nil, 2*time.Minute)
				if err != nil || len(ready) != 1 || len(left) != 1 || time.Since(start) != 2*time.Minute {
					t.Errorf("%v: %d ready, %v left out after %s", err, len(ready), left, time.Since(start))
				}
			})
		})
	}
}

func TestNoNodeIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, err := readyNodes(t.Context(), newCluster(t).api, nil, time.Minute)
		expectError(t, err, "the cluster has no node within 1m0s")
		_, _, err = readyNodes(t.Context(), newCluster(t, newNode("a", cordoned)).api, nil, time.Minute)
		expectError(t, err, "no node takes Pods within 1m0s: a is cordoned")
		start := time.Now()
		_, _, err = readyNodes(t.Context(), newCluster(t, newNode("a")).api, []string{"a", "z"}, time.Minute)
		expectError(t, err, `there is no node "z"`)
		if time.Since(start) != 0 {
			t.Error("a node that does not exist is waited for")
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("SIGTERM")) })
		_, _, err = readyNodes(ctx, newCluster(t).api, nil, time.Minute)
		expectError(t, err, "SIGTERM")
	})
}

// TestNamedNodesAreTakenWithTheirTaints by the Pods of a run, and nodes that nobody named are not.
func TestNamedNodesAreTakenWithTheirTaints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"), newNode("b", taint("dedicated", corev1.TaintEffectNoExecute)))
		fixture := newFixture("pair", "one")
		traits := []Trait{newTrait("group/a", runs(fixture, "one"), fixture)}
		run, err := Run(t.Context(), cluster.Options(Options{Traits: traits, Nodes: []string{"b"}}))
		if err != nil || len(run.Targets) != 1 || run.Targets[0].ID != "b" ||
			run.LeftOut[0] != (reports.LeftOut{Name: "a", Reason: "not selected"}) {
			t.Fatalf("%v: %+v", err, run)
		}
		tolerations := cluster.Asked("pair").Spec.Tolerations // with one target there is no suffix
		if len(tolerations) != 1 || tolerations[0].Operator != corev1.TolerationOpExists || tolerations[0].Key != "" {
			t.Errorf("tolerations are %+v", tolerations)
		}
	})
}

func TestTargetsOf(t *testing.T) {
	nodes := []corev1.Node{
		*newNode("a", func(node *corev1.Node) { node.Status.Allocatable[corev1.ResourceCPU] = resource.MustParse("7") }), *newNode("b"),
	}
	for _, test := range []struct {
		nodes   []corev1.Node
		classes []string
		want    []string
	}{
		{nodes[:1], nil, []string{"a "}},
		{nodes[:1], []string{"crun"}, []string{"a/crun "}},
		{nodes, nil, []string{"a -1", "b -2"}},
		{nodes, []string{"x", "y"}, []string{"a/x -1", "a/y -2", "b/x -3", "b/y -4"}},
	} {
		var got []string
		for _, target := range targetsOf(test.nodes, test.classes, false) {
			got = append(got, target.ID+" "+target.suffix)
		}
		expectEqual(t, "targets", got, test.want)
	}
	first := targetsOf(nodes, []string{"x"}, true)[0]
	want := reports.Target{ID: "a/x", Node: "a", RuntimeClass: "x", Runtime: "containerd://2.4.2", Kernel: "6.1", OSImage: "Linux"}
	if first.Target != want || first.cores != 7 || !first.tolerated {
		t.Errorf("target is %+v", first)
	}
}

func TestCgroupVersion(t *testing.T) {
	for fileSystem, want := range map[string]string{"63677270": "v2", "1021994": "v1", "27e0eb": "v1", "": "", "ef53": ""} {
		if got := cgroupVersion(fileSystem); got != want {
			t.Errorf("version of %q is %q, want %q", fileSystem, got, want)
		}
	}
}

func TestNumbersDependOnTargetTraitAndName(t *testing.T) {
	seen := map[uint32]string{}
	for _, target := range []string{"a", "b"} {
		for _, by := range []string{"group/a", "group/b"} {
			for _, name := range []string{"x", "y"} {
				session := &Session{target: newTarget(target), by: by}
				number := session.Number(name, 1<<31)
				if number != session.Number(name, 1<<31) || seen[number] != "" || session.Number(name, 10) > 9 {
					t.Errorf("number of %s %s %s is %d, as that of %s", target, by, name, number, seen[number])
				}
				seen[number] = fmt.Sprint(target, by, name)
			}
		}
	}
}

func newTarget(id string) *target { return &target{Target: reports.Target{ID: id}} }
