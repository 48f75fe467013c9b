package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"sharedpid.example/fixtures/node"
	"sharedpid.example/reports"
	"sharedpid.example/reports/diff"
)

func TestUpgradeVersions(t *testing.T) {
	last, before := node.Versions{}, node.Versions{}
	for _, versions := range []struct {
		chosen *node.Versions
		from   int // the end
	}{{&last, 1}, {&before, 2}} {
		for _, part := range versions.chosen.Parts() {
			*part.Version = part.Known[len(part.Known)-versions.from]
		}
	}
	for name, test := range map[string]struct {
		to, from         node.Versions
		wantTo, wantFrom node.Versions
		words            string
	}{
		"nothing is given": {wantTo: last, wantFrom: before},
		"containerd alone": {
			from:   node.Versions{Kubernetes: last.Kubernetes, Runc: last.Runc},
			wantTo: last, wantFrom: node.Versions{Kubernetes: last.Kubernetes, Containerd: before.Containerd, Runc: last.Runc},
		},
		"to an older one": {
			to:     node.Versions{Containerd: "2.2.1"},
			wantTo: node.Versions{Kubernetes: last.Kubernetes, Containerd: "2.2.1", Runc: last.Runc}, wantFrom: node.Versions{
				Kubernetes: before.Kubernetes, Containerd: "1.7.31", Runc: before.Runc,
			},
		},
		"the other way":      {to: before, from: last, words: "goes the other way"},
		"nothing changes":    {from: last, words: "has the versions of the upgrade already"},
		"unknown before":     {from: node.Versions{Runc: "9"}, words: `--from-runc: version "9" is not known`},
		"unknown afterwards": {to: node.Versions{Kubernetes: "9"}, words: `--kubernetes: version "9" is not known`},
	} {
		t.Run(name, func(t *testing.T) {
			to, from, err := upgradeVersions(test.to, test.from)
			if test.words != "" {
				if err == nil || !strings.Contains(err.Error(), test.words) {
					t.Errorf("error is %v, want one with %q", err, test.words)
				}
				return
			}
			if err != nil || to != test.wantTo || from != test.wantFrom {
				t.Errorf("it goes from %v to %v, %v", from, to, err)
			}
		})
	}
}

func TestNotUpgraded(t *testing.T) {
	since := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	to := node.Versions{Kubernetes: "1.37.2", Containerd: "2.4.2"}
	for words, change := range map[string]func(*corev1.Node){
		"":                 func(*corev1.Node) {},
		"told nothing":     func(node *corev1.Node) { node.Status.Conditions[0].LastHeartbeatTime.Time = since.Add(-time.Second) },
		"PLEG":             func(node *corev1.Node) { node.Status.Conditions[0].Status = corev1.ConditionFalse },
		"kubelet is":       func(node *corev1.Node) { node.Status.NodeInfo.KubeletVersion = "v1.36.3" },
		"runtime is":       func(node *corev1.Node) { node.Status.NodeInfo.ContainerRuntimeVersion = "containerd://2.2.1" },
		"has no condition": func(node *corev1.Node) { node.Status.Conditions = nil },
	} {
		upgraded := &corev1.Node{Status: corev1.NodeStatus{
			NodeInfo: corev1.NodeSystemInfo{KubeletVersion: "v1.37.2", ContainerRuntimeVersion: "containerd://2.4.2+unknown"},
			Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.NewTime(since), Message: "PLEG is not healthy",
			}},
		}}
		change(upgraded)
		if said := notUpgraded(upgraded, since, to); !strings.Contains(said, words) || (said == "") != (words == "") {
			t.Errorf("it says %q, want %q", said, words)
		}
	}
}

func TestUpgradeCode(t *testing.T) {
	run := func(verdict reports.Verdict) reports.Run {
		return reports.Run{
			SchemaVersion: reports.SchemaVersion, Plan: []reports.Planned{{Trait: "a/b", Target: "n"}},
			Results: []reports.Result{{Trait: "a/b", Target: "n", Verdict: verdict}},
		}
	}
	good, bad, open := run(reports.Conformant), run(reports.Nonconformant), run(reports.Inconclusive)
	for name, test := range map[string]struct {
		before, during, after reports.Run
		want                  int
	}{
		"all is well":               {good, good, good, 0},
		"Pods were harmed":          {good, bad, good, 1},
		"new Pods are worse":        {good, good, bad, 1},
		"it was bad before":         {bad, good, good, 1},
		"Pods could not be seen":    {good, open, good, 3},
		"harmed, and cannot be met": {open, bad, open, 1},
		"it cannot be seen after":   {good, good, open, 1}, // what held and is not decided got worse
		"it was never seen":         {open, good, open, 3},
	} {
		difference, err := diff.Compare(test.before, test.after)
		if err != nil {
			t.Fatal(err)
		}
		if code := upgradeCode(difference, test.before, test.during, test.after); code != test.want {
			t.Errorf("%s: exit code %d, want %d", name, code, test.want)
		}
	}
}

func TestTwoNodesAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		controlPlane := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
			Name: "mine-control-plane", Labels: map[string]string{"node-role.kubernetes.io/control-plane": ""},
		}}
		client := fake.NewClientset(controlPlane)
		if _, _, err := twoNodes(t.Context(), client, time.Minute); err == nil || !strings.Contains(err.Error(), `["mine-control-plane"]`) {
			t.Errorf("error is %v", err)
		}
		time.AfterFunc(20*time.Second, func() {
			worker := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "mine-worker"}}
			if _, err := client.CoreV1().Nodes().Create(context.Background(), worker, metav1.CreateOptions{}); err != nil {
				t.Error(err)
			}
		})
		if all, worker, err := twoNodes(t.Context(), client, time.Minute); err != nil || len(all) != 2 || worker != "mine-worker" {
			t.Errorf("the nodes are %v, the worker is %s, %v", all, worker, err)
		}
	})
}
