package suite

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"sharedpid.example/reports"
)

func kernel(version string) func(*corev1.Node) {
	return func(node *corev1.Node) { node.Status.NodeInfo.KernelVersion = version }
}

func identified(uid string) func(*corev1.Node) {
	return func(node *corev1.Node) { node.UID = types.UID(uid) }
}

// manyNewNodes are so many nodes, of which every seventh has another kernel.
func manyNewNodes(count int) []runtime.Object {
	var nodes []runtime.Object
	for i := range count {
		version := "6.1"
		if i%7 == 6 {
			version = "6.6"
		}
		nodes = append(nodes, newNode(fmt.Sprintf("node-%02d", i), kernel(version), label("zone", version)))
	}
	return nodes
}

// TestOfManyNodesOneOfEachKindIsLookedAt unless it is said otherwise.
func TestOfManyNodesOneOfEachKindIsLookedAt(t *testing.T) {
	zone, _ := labels.Parse("zone=6.6")
	nowhere, _ := labels.Parse("zone=none")
	all := func(count int) []string {
		var names []string
		for i := range count {
			names = append(names, fmt.Sprintf("node-%02d", i))
		}
		return names
	}
	for name, test := range map[string]struct {
		nodes     int
		selection nodeSelection
		targets   []string
		reason    string // of the last one that is left out
		problem   string
	}{
		"twenty":               {20, nodeSelection{}, all(20), "", ""},
		"more than twenty":     {21, nodeSelection{}, []string{"node-00", "node-06"}, "is like node node-06", ""},
		"all of many":          {21, nodeSelection{each: AllNodes}, all(21), "", ""},
		"one of each of few":   {8, nodeSelection{each: OneOfEachKind}, []string{"node-00", "node-06"}, "is like node node-00", ""},
		"named":                {21, nodeSelection{names: all(21)}, all(21), "", ""},
		"by labels":            {21, nodeSelection{labels: zone}, []string{"node-06", "node-13", "node-20"}, "is not selected", ""},
		"labels that none has": {3, nodeSelection{labels: nowhere}, nil, "", `none of the 3 nodes has the labels "zone=none"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				found, left, err := findTargets(t.Context(), newCluster(t, manyNewNodes(test.nodes)...).api, test.selection, noClass, time.Minute)
				if time.Since(start) != 0 || (err != nil) != (test.problem != "") || err != nil && !strings.Contains(err.Error(), test.problem) {
					t.Fatalf("%v after %s", err, time.Since(start))
				}
				var ids []string
				for _, target := range found {
					ids = append(ids, target.ID)
				}
				if !slices.Equal(ids, test.targets) {
					t.Errorf("targets are %q, want %q", ids, test.targets)
				}
				if err == nil && len(found)+len(left) != test.nodes {
					t.Errorf("%d are looked at and %d left out, of %d", len(found), len(left), test.nodes)
				}
				if test.reason != "" && left[len(left)-1].Reason != test.reason {
					t.Errorf("the last one %s, want %s", left[len(left)-1].Reason, test.reason)
				}
			})
		})
	}
}

// TestWhatIsOnManyNodesAtOnceIsBounded: nodes take turns, the Pods of one that is done go, and no trait runs out of time in a queue.
func TestWhatIsOnManyNodesAtOnceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, manyNewNodes(30)...)
		fixture := newFixture("pair", "one")
		var standing gauge
		cluster.Status = func(*corev1.Pod) {
			cluster.mutex.Lock()
			defer cluster.mutex.Unlock()
			standing.now = len(cluster.created) - strings.Count(strings.Join(cluster.events, "\n"), "gone ")
			standing.most = max(standing.most, standing.now)
		}
		run := cluster.mustRun(t, Options{
			Traits: []Trait{newTrait("group/a", runs(fixture, "one"), fixture)}, Sampling: AllNodes, Starting: 8, Parallel: 8, Execs: 8,
		})
		if count := reports.CountVerdicts(run.Outcomes()); count[reports.Conformant] != 30 {
			t.Errorf("%s", count)
		}
		const most = 4 * 2 // four nodes at once, of which one may be cleared while the next one begins
		if cluster.pending.most > 8 || standing.most > most {
			t.Errorf("%d Pods came up at once, and %d stood", cluster.pending.most, standing.most)
		}
		if lines := strings.Count(strings.Join(cluster.progress, "\n"), "group/a"); lines != 30 {
			t.Errorf("%d lines of progress", lines)
		}
	})
}

func TestManyNodesThatAreLeftOutTakeALineForEachReason(t *testing.T) {
	var left []reports.LeftOut
	for i := range 50 {
		left = append(left, reports.LeftOut{Name: fmt.Sprint(i), Reason: []string{"is cordoned", "is like node a"}[i%2]})
	}
	if lines := leftOutLines(left); len(lines) != 2 || lines[0] != "25 nodes are left out, each of which is cordoned" {
		t.Errorf("%q", lines)
	}
	if lines := leftOutLines(left[:3]); len(lines) != 3 || lines[0] != "0 is left out: it is cordoned" {
		t.Errorf("%q", lines)
	}
}
