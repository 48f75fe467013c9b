package suite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

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

func label(key, value string) func(*corev1.Node) {
	return func(node *corev1.Node) { node.Labels[key] = value }
}

// deleted is a node that somebody's finalizer keeps.
func deleted(node *corev1.Node) {
	node.DeletionTimestamp, node.Finalizers = &metav1.Time{Time: time.Now()}, []string{"example.com/drained"}
}

// scheduled is a RuntimeClass with nodes of its own.
func scheduled(name string, selector map[string]string, tolerations ...corev1.Toleration) nodev1.RuntimeClass {
	class := newRuntimeClass(name, "handler-of-"+name)
	class.Scheduling = &nodev1.Scheduling{NodeSelector: selector, Tolerations: tolerations}
	return *class
}

func cordoned(node *corev1.Node) { node.Spec.Unschedulable = true }

func system(name string) func(*corev1.Node) {
	return func(node *corev1.Node) { node.Labels[corev1.LabelOSStable] = name }
}

// noClass is the nodes' own runtime.
var noClass = []nodev1.RuntimeClass{{}}

// TestWhichTargetsARunLooksAt and why it leaves the others out.
func TestWhichTargetsARunLooksAt(t *testing.T) {
	nodes := []runtime.Object{
		newNode("cordoned", cordoned),
		newNode("cordoned-down", cordoned, condition(corev1.ConditionFalse)),
		newNode("deleted", deleted),
		newNode("good", label("kernel", "new")),
		newNode("lost", condition(corev1.ConditionUnknown), func(node *corev1.Node) { node.Status.Conditions[0].Message = "Kubelet stopped." }),
		newNode("preferred", taint("soft", corev1.TaintEffectPreferNoSchedule)),
		newNode("tainted", taint("dedicated", corev1.TaintEffectNoSchedule), label("kernel", "new")),
		newNode("windows", system("windows"), condition(corev1.ConditionFalse)),
		newNode("without-label", func(node *corev1.Node) { node.Labels = nil }),
	}
	for name, test := range map[string]struct {
		names   []string
		classes []nodev1.RuntimeClass
		targets []string
		left    []string
	}{
		"all": {nil, noClass, []string{"good", "preferred", "without-label"}, []string{
			"cordoned is cordoned", "cordoned-down is not ready", "deleted is being deleted", "lost is not ready: Kubelet stopped.",
			"tainted has the taint dedicated:NoSchedule", "windows runs windows",
		}},
		"named, one twice": {[]string{"tainted", "cordoned", "lost", "tainted"}, noClass, []string{"cordoned", "tainted"}, []string{
			"cordoned-down is not selected", "deleted is not selected", "good is not selected", "lost is not ready: Kubelet stopped.",
			"preferred is not selected", "windows is not selected", "without-label is not selected",
		}},
		"a class without scheduling": {
			[]string{"good", "tainted"}, []nodev1.RuntimeClass{*newRuntimeClass("any", "handler")}, []string{"good/any", "tainted/any"}, []string{
				"cordoned is not selected", "cordoned-down is not selected", "deleted is not selected", "lost is not selected",
				"preferred is not selected", "windows is not selected", "without-label is not selected",
			},
		},
		"classes with nodes of their own": {
			nil, []nodev1.RuntimeClass{
				scheduled("new", map[string]string{"kernel": "new"}),
				scheduled("nowhere", map[string]string{"z": "1", "a": "b"}),
				scheduled("dedicated", nil, corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists}),
			},
			[]string{"good/new", "good/dedicated", "preferred/dedicated", "tainted/dedicated", "without-label/dedicated"},
			[]string{
				"cordoned is cordoned", "cordoned-down is not ready", "deleted is being deleted",
				"good/nowhere is not among the nodes of RuntimeClass nowhere (scheduling.nodeSelector a=b,z=1)", "lost is not ready: Kubelet stopped.",
				"preferred/new is not among the nodes of RuntimeClass new (scheduling.nodeSelector kernel=new)",
				"preferred/nowhere is not among the nodes of RuntimeClass nowhere (scheduling.nodeSelector a=b,z=1)",
				"tainted/new has the taint dedicated:NoSchedule",
				"tainted/nowhere is not among the nodes of RuntimeClass nowhere (scheduling.nodeSelector a=b,z=1)",
				"windows runs windows",
				"without-label/new is not among the nodes of RuntimeClass new (scheduling.nodeSelector kernel=new)",
				"without-label/nowhere is not among the nodes of RuntimeClass nowhere (scheduling.nodeSelector a=b,z=1)",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				found, left, err := findTargets(t.Context(), newCluster(t, nodes...).api, nodeSelection{names: test.names}, test.classes, time.Minute)
				if err != nil || time.Since(start) != 0 {
					t.Errorf("%v after %s", err, time.Since(start))
				}
				var ids, reasons []string
				for _, target := range found {
					ids = append(ids, target.ID)
				}
				for _, each := range left {
					reasons = append(reasons, each.Name+" "+each.Reason)
				}
				expectEqual(t, "targets", ids, test.targets)
				expectEqual(t, "left out", reasons, test.left)
			})
		})
	}
}

// TestTolerationsOfAClassAreComparedAsTheSchedulerDoes by key, value and effect.
func TestTolerationsOfAClassAreComparedAsTheSchedulerDoes(t *testing.T) {
	node := newNode("a", func(node *corev1.Node) {
		node.Spec.Taints = []corev1.Taint{{Key: "dedicated", Value: "gpu", Effect: corev1.TaintEffectNoExecute}}
	})
	for name, test := range map[string]struct {
		toleration corev1.Toleration
		tolerates  bool
	}{
		"value":          {corev1.Toleration{Key: "dedicated", Value: "gpu"}, true},
		"another value":  {corev1.Toleration{Key: "dedicated", Value: "cpu"}, false},
		"effect":         {corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}, true},
		"another effect": {corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}, false},
		"everything":     {corev1.Toleration{Operator: corev1.TolerationOpExists}, true},
	} {
		class := scheduled("class", nil, test.toleration)
		if why, _ := targetOn(*node, class, false).unfit(class); (why == "") != test.tolerates {
			t.Errorf("%s: left out since it %q, want tolerated: %t", name, why, test.tolerates)
		}
	}
}

// TestANodeThatComesUpIsWaitedFor until the limit is over. It has told that it is not ready, or has a taint of that moment.
func TestANodeThatComesUpIsWaitedFor(t *testing.T) {
	for name, test := range map[string]struct {
		comesUp []func(*corev1.Node)
		names   []string
	}{
		"not ready":         {comesUp: []func(*corev1.Node){condition(corev1.ConditionFalse)}},
		"silent":            {comesUp: []func(*corev1.Node){func(node *corev1.Node) { node.Status.Conditions = nil }}},
		"not-ready taint":   {comesUp: []func(*corev1.Node){taint("node.kubernetes.io/not-ready", corev1.TaintEffectNoSchedule)}},
		"without a network": {comesUp: []func(*corev1.Node){taint("node.kubernetes.io/network-unavailable", corev1.TaintEffectNoSchedule)}},
		"unknown to the cloud": {
			comesUp: []func(*corev1.Node){taint("node.cloudprovider.kubernetes.io/uninitialized", corev1.TaintEffectNoSchedule)},
		},
		"named":              {[]func(*corev1.Node){condition(corev1.ConditionFalse)}, []string{"a", "b"}},
		"named and cordoned": {[]func(*corev1.Node){condition(corev1.ConditionFalse), cordoned}, []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t, newNode("a"), newNode("b", test.comesUp...))
				time.AfterFunc(50*time.Second, func() {
					_, _ = cluster.api.CoreV1().Nodes().Update(t.Context(), newNode("b"), metav1.UpdateOptions{})
				})
				start := time.Now()
				found, left, err := findTargets(t.Context(), cluster.api, nodeSelection{names: test.names}, noClass, 2*time.Minute)
				if err != nil || len(found) != 2 || len(left) != 0 || time.Since(start) > 51*time.Second {
					t.Errorf("%v: %d targets, %v left out after %s", err, len(found), left, time.Since(start))
				}
			})
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				cluster := newCluster(t, newNode("a"), newNode("b", test.comesUp...))
				found, left, err := findTargets(t.Context(), cluster.api, nodeSelection{names: test.names}, noClass, 2*time.Minute)
				if err != nil || len(found) != 1 || len(left) != 1 || time.Since(start) != 2*time.Minute {
					t.Errorf("%v: %d targets, %v left out after %s", err, len(found), left, time.Since(start))
				}
			})
		})
	}
}

// TestNoTargetIsAnError that names a node that was asked for.
func TestNoTargetIsAnError(t *testing.T) {
	nowhere := []nodev1.RuntimeClass{scheduled("nowhere", map[string]string{"a": "b"})}
	for name, test := range map[string]struct {
		nodes   []runtime.Object
		names   []string
		classes []nodev1.RuntimeClass
		words   string
	}{
		"no node":  {nil, nil, noClass, "the cluster has no node within 1m0s"},
		"cordoned": {[]runtime.Object{newNode("a", cordoned)}, nil, noClass, "no node takes Pods within 1m0s: a is cordoned"},
		"two": {
			[]runtime.Object{newNode("a", cordoned), newNode("b", cordoned)}, nil, noClass,
			"no node takes Pods within 1m0s: a is cordoned; 1 more are left out as well",
		},
		"named and not ready": {
			[]runtime.Object{newNode("a"), newNode("b", condition(corev1.ConditionFalse))}, []string{"b"}, noClass,
			"no node takes Pods within 1m0s: b is not ready",
		},
		"a class of no node": {
			[]runtime.Object{newNode("a"), newNode("b")}, []string{"b"}, nowhere,
			"no node takes Pods within 1m0s: b/nowhere is not among the nodes of RuntimeClass nowhere (scheduling.nodeSelector a=b)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				_, _, err := findTargets(t.Context(), newCluster(t, test.nodes...).api, nodeSelection{names: test.names}, test.classes, time.Minute)
				if err == nil || err.Error() != test.words {
					t.Errorf("error is %v, want %q", err, test.words)
				}
				if time.Since(start) != time.Minute {
					t.Errorf("it was waited for %s", time.Since(start))
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, _, err := findTargets(t.Context(), newCluster(t, newNode("a")).api, nodeSelection{names: []string{"a", "z"}}, noClass, time.Minute)
		expectError(t, err, `there is no node "z"`)
		if time.Since(start) != 0 {
			t.Error("a node that does not exist is waited for")
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("SIGTERM")) })
		_, _, err = findTargets(ctx, newCluster(t).api, nodeSelection{}, noClass, time.Minute)
		expectError(t, err, "SIGTERM")
	})
}

// TestPodsOfAClassHaveItsTolerations also where a controller makes them, and nothing is created for a class without nodes.
func TestPodsOfAClassHaveItsTolerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toleration := corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists}
		class := scheduled("sandboxed", map[string]string{"kernel": "new"}, toleration)
		cluster := newCluster(t, newNode("a"), newNode("b", taint("dedicated", corev1.TaintEffectNoSchedule), label("kernel", "new")), &class)
		fixture := newFixture("pair", "one")
		options := cluster.Options(Options{
			Traits: []Trait{newTrait("group/a", runs(fixture, "one"), fixture)}, RuntimeClasses: []string{"sandboxed"},
		})
		run, err := Run(t.Context(), options)
		if err != nil || len(run.Targets) != 1 || run.Targets[0].ID != "b/sandboxed" || len(run.LeftOut) != 1 ||
			run.LeftOut[0].Name != "a/sandboxed" || !run.Partial() || run.Results[0].Verdict != reports.Conformant {
			t.Fatalf("%v: %+v", err, run)
		}
		expectEqual(t, "tolerations", cluster.Asked("pair").Spec.Tolerations, []corev1.Toleration{toleration})
	})
	synctest.Test(t, func(t *testing.T) {
		class := scheduled("nowhere", map[string]string{"a": "b"})
		cluster := newCluster(t, newNode("a"), &class)
		run, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{newTrait("group/a", passes)}, RuntimeClasses: []string{"nowhere"}}))
		expectError(t, err, "RuntimeClass nowhere")
		if run.SetupError == "" || len(cluster.Events("create")) != 0 {
			t.Errorf("set-up error %q, %v", run.SetupError, cluster.Events("create"))
		}
	})
}

// TestWhatNodesAreCalledMakesNoNameInvalid: a node's name has up to 253 characters, a label's value up to 63.
func TestWhatNodesAreCalledMakesNoNameInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("a.", 126) + "a"
		cluster := newCluster(t, newNode(long), newNode("b"), newRuntimeClass("class", "handler"))
		fixture := newFixture("pair", "one")
		run := cluster.mustRun(t, Options{
			Traits: []Trait{newTrait("group/a", runs(fixture, "one"), fixture)}, RuntimeClasses: []string{"class"},
		})
		if problems := validation.IsDNS1123Subdomain(long); len(long) != 253 || len(problems) > 0 || run.Targets[0].ID != long+"/class" {
			t.Fatalf("%d characters, %v: %v", len(long), problems, run.Targets)
		}
		asked := cluster.Asked("pair-1")
		expectEqual(t, "nodes", []string{nodeOf(asked)}, []string{long})
		if problems := validation.IsDNS1123Label(asked.Name); len(problems) > 0 {
			t.Errorf("the Pod's name %q: %v", asked.Name, problems)
		}
		for key, value := range asked.Labels {
			if problems := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); len(problems) > 0 {
				t.Errorf("label %s=%s: %v", key, value, problems)
			}
		}
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
			run.LeftOut[0] != (reports.LeftOut{Name: "a", Reason: "is not selected"}) {
			t.Fatalf("%v: %+v", err, run)
		}
		tolerations := cluster.Asked("pair").Spec.Tolerations // with one target there is no suffix
		if len(tolerations) != 1 || tolerations[0].Operator != corev1.TolerationOpExists || tolerations[0].Key != "" {
			t.Errorf("tolerations are %+v", tolerations)
		}
	})
}

func TestTargetsHaveNamesOfTheirOwn(t *testing.T) {
	classes := func(names ...string) (all []nodev1.RuntimeClass) {
		for _, name := range names {
			all = append(all, *newRuntimeClass(name, "handler"))
		}
		return all
	}
	for _, test := range []struct {
		nodes   []runtime.Object
		classes []nodev1.RuntimeClass
		want    []string
	}{
		{[]runtime.Object{newNode("a")}, noClass, []string{"a "}},
		{[]runtime.Object{newNode("a")}, classes("crun"), []string{"a/crun "}},
		{[]runtime.Object{newNode("a"), newNode("b")}, noClass, []string{"a -1", "b -2"}},
		{[]runtime.Object{newNode("a"), newNode("b")}, classes("x", "y"), []string{"a/x -1", "a/y -2", "b/x -3", "b/y -4"}},
	} {
		found, _, err := findTargets(t.Context(), newCluster(t, test.nodes...).api, nodeSelection{}, test.classes, time.Minute)
		if err != nil {
			t.Error(err)
		}
		var got []string
		for _, target := range found {
			got = append(got, target.ID+" "+target.suffix)
		}
		expectEqual(t, "targets", got, test.want)
	}
	made := targetOn(*newNode("a"), *newRuntimeClass("x", "handler"), true)
	want := reports.Target{
		ID: "a/x", Node: "a", RuntimeClass: "x", RuntimeHandler: "handler", Runtime: "containerd://2.4.2", Kernel: "6.1", OSImage: "Linux",
	}
	if made.Target != want || made.node.Name != "a" || len(made.tolerations) != 1 {
		t.Errorf("target is %+v", made)
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
