package suite

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"

	"sharedpid.example/reports"
)

// changeNode replaces a node after a time.
func (cluster *cluster) changeNode(after time.Duration, node *corev1.Node) {
	time.AfterFunc(after, func() {
		_, _ = cluster.api.CoreV1().Nodes().Update(context.Background(), node, metav1.UpdateOptions{})
	})
}

func silent(node *corev1.Node) {
	node.Status.Conditions[0].Status, node.Status.Conditions[0].Message = corev1.ConditionUnknown, "Kubelet stopped posting node status."
}

// neverOn returns what keeps the containers of one fixture from running on a node.
func neverOn(node, fixture string) func(*corev1.Pod) {
	return func(begun *corev1.Pod) {
		if nodeOf(begun) == node && strings.HasPrefix(begun.Name, fixture) {
			begun.Status.ContainerStatuses = nil
		}
	}
}

// TestANodeThatIsLostMidway keeps what was seen of it, makes the run partial, and is waited for by no further trait.
func TestANodeThatIsLostMidway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"), newNode("b"))
		cluster.Status = neverOn("b", "waits")
		cluster.changeNode(20*time.Second, newNode("b", silent))
		early, waits, late := newFixture("early", "one"), newFixture("waits", "one"), newFixture("late", "one")
		traits := []Trait{
			newTrait("group/a-early", runs(early, "one"), early), newTrait("group/b-waits", runs(waits, "one"), waits),
			newTrait("group/c-late", runs(late, "one"), late), newTrait("group/d-late", passes),
		}
		start := time.Now()
		run := cluster.mustRun(t, Options{Traits: traits, Parallel: 1})
		again, err := JudgeAgain(run, traits)
		if err != nil {
			t.Fatal(err)
		}
		for _, results := range [][]reports.Result{run.Results, again.Results} {
			for _, result := range results {
				switch {
				case result.Target == "a" || result.Trait == "group/a-early":
					expectVerdict(t, result, reports.Conformant, "", "")
				case result.Trait == "group/b-waits":
					expectVerdict(t, result, reports.Inconclusive, reports.Lost, "node b is not ready")
				default:
					expectVerdict(t, result, reports.Inconclusive, reports.Lost,
						"node b was lost before the trait began: it is not ready: Kubelet stopped posting node status.")
					if result.Diagnosis != "" || result.Seconds > 1 || !strings.Contains(result.Cause, "node was lost") {
						t.Errorf("after %g s with cause %q: %s", result.Seconds, result.Cause, result.Diagnosis)
					}
				}
			}
		}
		want := reports.LeftOut{Name: "b", Reason: "was lost midway: it is not ready: Kubelet stopped posting node status."}
		expectEqual(t, "left out", run.LeftOut, []reports.LeftOut{want})
		last := cluster.recorded.records[len(cluster.recorded.records)-1]
		if len(run.Results) != 8 || !run.Partial() || !last.Partial() || time.Since(start) > 25*time.Second {
			t.Errorf("%d results after %s, the last record has %v", len(run.Results), time.Since(start), last.LeftOut)
		}
	})
}

// TestANodeThatComesBackIsLookedAtAgain: what was lost meanwhile stays so, and the run is partial.
func TestANodeThatComesBackIsLookedAtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Status = neverOn("a", "waits")
		cluster.changeNode(10*time.Second, newNode("a", silent))
		cluster.changeNode(time.Minute, newNode("a"))
		waits := newFixture("waits", "one")
		results := cluster.mustRun(t, Options{Parallel: 2, Traits: []Trait{
			newTrait("group/a-long", after(90*time.Second)), newTrait("group/b-waits", runs(waits, "one"), waits),
			newTrait("group/c-meanwhile", passes), newTrait("group/d-long", after(time.Minute)),
		}})
		by := byTrait(results)
		expectVerdict(t, by["group/a-long"], reports.Conformant, "", "")
		expectVerdict(t, by["group/b-waits"], reports.Inconclusive, reports.Lost, "is not ready")
		expectVerdict(t, by["group/c-meanwhile"], reports.Inconclusive, reports.Lost, "before the trait began")
		if len(results.LeftOut) != 1 || results.LeftOut[0].Name != "a" {
			t.Errorf("left out are %v", results.LeftOut)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Status = neverOn("a", "waits")
		cluster.changeNode(10*time.Second, newNode("a", silent))
		cluster.changeNode(15*time.Second, newNode("a"))
		waits := newFixture("waits", "one")
		by := byTrait(cluster.mustRun(t, Options{Parallel: 1, Traits: []Trait{
			newTrait("group/a-waits", func(ctx context.Context, session *Session, _ Judge) error {
				err := session.Running(ctx, waits, "one")
				time.Sleep(10 * time.Second)
				return err
			}, waits),
			newTrait("group/b-afterwards", passes),
		}}))
		expectVerdict(t, by["group/a-waits"], reports.Inconclusive, reports.Lost, "is not ready")
		expectVerdict(t, by["group/b-afterwards"], reports.Conformant, "", "")
	})
}

// TestNobodyIsAccusedOfAnEviction: what was seen of a Pod that is evicted says nothing of the trait, and of another Pod it stands.
func TestNobodyIsAccusedOfAnEviction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		evicted, other := newFixture("evicted", "one"), newFixture("other", "one")
		accuses := func(fixture Fixture) func(context.Context, *Session, Judge) error {
			return func(ctx context.Context, session *Session, _ Judge) error {
				if err := session.Running(ctx, fixture, "one"); err != nil {
					return err
				}
				cluster.Change(session.run.namespace.name, "evicted", func(pod *corev1.Pod) {
					pod.Status.Conditions = []corev1.PodCondition{{
						Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "TerminationByKubelet", Message: "low on resource: memory",
					}}
				})
				synctest.Wait()
				return &Violation{"it ended with 137"}
			}
		}
		run := cluster.mustRun(t, Options{Parallel: 1, Traits: []Trait{
			newTrait("group/a-evicted", accuses(evicted), evicted), newTrait("group/b-other", accuses(other), other),
			newTrait("group/c-conformant", passes, evicted),
		}})
		by := byTrait(run)
		expectVerdict(t, by["group/a-evicted"], reports.Inconclusive, reports.Lost, "low on resource: memory")
		if result := by["group/a-evicted"]; !strings.Contains(result.Reason, "it ended with 137") || !strings.Contains(result.Cause, "evicted") {
			t.Errorf("the reason is %q, the cause %q", result.Reason, result.Cause)
		}
		expectVerdict(t, by["group/b-other"], reports.Nonconformant, "", "it ended with 137")
		expectVerdict(t, by["group/c-conformant"], reports.Conformant, "", "")
	})
}

// TestHowNodesAreLost by the end of a run, whatever its traits came to.
func TestHowNodesAreLost(t *testing.T) {
	another := func(node *corev1.Node) { node.UID = types.UID("another") }
	for name, test := range map[string]struct {
		now  *corev1.Node
		want string
	}{
		"not at all":    {newNode("b", cordoned, label("new", "label")), ""},
		"not ready":     {newNode("b", silent), "was lost midway: it is not ready: Kubelet stopped posting node status."},
		"without words": {newNode("b", condition(corev1.ConditionFalse)), "was lost midway: it is not ready"},
		"being deleted": {newNode("b", deleted), "was lost midway: it is being deleted"},
		"replaced":      {newNode("b", another), "was lost midway: it was deleted, and another node has its name"},
		"gone":          {nil, "was lost midway: it is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t, newNode("a"), newNode("b"), newRuntimeClass("x", "x"), newRuntimeClass("y", "y"))
				trait := newTrait("group/a", func(ctx context.Context, _ *Session, _ Judge) error {
					if test.now == nil {
						_ = cluster.api.CoreV1().Nodes().Delete(ctx, "b", metav1.DeleteOptions{})
						return nil
					}
					_, err := cluster.api.CoreV1().Nodes().Update(ctx, test.now, metav1.UpdateOptions{})
					return err
				})
				run := cluster.mustRun(t, Options{Traits: []Trait{trait}, RuntimeClasses: []string{"x", "y"}})
				var want []reports.LeftOut
				if test.want != "" {
					want = []reports.LeftOut{{Name: "b", Reason: test.want}}
				}
				expectEqual(t, "left out", run.LeftOut, want)
				if run.Results[0].Verdict != reports.Conformant || run.Partial() != (test.want != "") {
					t.Errorf("partial %t: %+v", run.Partial(), run.Results)
				}
			})
		})
	}
}

// TestNobodyKnowsOfANodeThatCannotBeAskedFor: traits begin, and it is not called lost.
func TestNobodyKnowsOfANodeThatCannotBeAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		run := cluster.mustRun(t, Options{Parallel: 1, Traits: []Trait{
			newTrait("group/a", func(context.Context, *Session, Judge) error {
				for _, verb := range []string{"get", "list"} {
					cluster.api.PrependReactor(verb, "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
						return true, nil, unavailable
					})
				}
				return unavailable
			}),
			newTrait("group/b", passes),
		}})
		results := byTrait(run)
		expectVerdict(t, results["group/a"], reports.Inconclusive, reports.Lost, "")
		expectVerdict(t, results["group/b"], reports.Conformant, "", "")
		expectEqual(t, "left out", run.LeftOut, nil)
	})
}
