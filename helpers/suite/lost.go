package suite

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// lossOf says how a node is lost, empty when it is not. It is nil when it is gone.
func lossOf(node *corev1.Node) string {
	switch {
	case node == nil:
		return "it is gone"
	case node.DeletionTimestamp != nil:
		return "it is being deleted"
	}
	if ready := readiness(*node); ready.Status != corev1.ConditionTrue {
		return "it " + notReady(ready)
	}
	return ""
}

// doubt notes that something was not answered in a trait on a target: its node may be lost.
func (run *run) doubt(target *target, outcome Outcome) {
	if outcome.Kind != reports.Lost && outcome.Kind != reports.OutOfTime {
		return
	}
	run.mutex.Lock()
	defer run.mutex.Unlock()
	run.doubted[target.Node] = true
}

// lostNode returns an error when a trait need not begin since the target's node is lost. The API is asked on nodes in doubt only, each
// time: a node may come back.
func (run *run) lostNode(ctx context.Context, target *target) error {
	run.mutex.Lock()
	doubted := run.doubted[target.Node]
	run.mutex.Unlock()
	if !doubted {
		return nil
	}
	node, err := run.client.CoreV1().Nodes().Get(ctx, target.Node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		node = nil
	} else if err != nil {
		return nil // nobody knows
	}
	loss := lossOf(node)
	if loss == "" {
		return nil
	}
	run.mutex.Lock()
	defer run.mutex.Unlock()
	run.losses[target.Node] = loss
	return Undecided(reports.Lost, "node %s was lost before the trait began: %s", target.Node, loss)
}

// unlessEvicted returns the outcome of a trait on a target, which accuses nobody where a Pod of the trait's was evicted: what ended it
// was not what the trait is about.
func (run *run) unlessEvicted(trait Trait, target *target, outcome Outcome) Outcome {
	if outcome.Verdict != reports.Nonconformant {
		return outcome
	}
	for _, fixture := range trait.AllFixtures() {
		if evicted := run.namespace.evicted(fixture, target); evicted != "" {
			return Outcome{Verdict: reports.Inconclusive, Kind: reports.Lost, Reason: fmt.Sprintf("Pod %s: %s; before that was known: %s",
				fixture.Name+target.suffix, evicted, outcome.Reason)}
		}
	}
	return outcome
}

// evicted says why the Pod of a fixture on a target was evicted, empty when it was not.
func (namespace *namespace) evicted(fixture Fixture, target *target) string {
	namespace.mutex.Lock()
	asked := namespace.created[fixture.Name+target.suffix]
	namespace.mutex.Unlock()
	if asked == nil {
		return ""
	}
	select {
	case <-asked.done:
	default:
		return ""
	}
	if asked.pod == nil {
		return ""
	}
	return pod.Disruption(asked.pod.Last())
}

// noteLosses looks at the nodes of the targets once more, and adds those that were lost midway to what is left out.
func (run *run) noteLosses(ctx context.Context) {
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), run.options.Limits.Exec)
	defer cancel()
	// Without an answer there are the losses that traits met.
	nodes, err := run.client.CoreV1().Nodes().List(asking, metav1.ListOptions{})
	var lost []reports.LeftOut
	for i, target := range run.targets {
		if i > 0 && run.targets[i-1].Node == target.Node {
			continue // the targets of a node stand together
		}
		loss := run.losses[target.Node]
		if err == nil {
			loss = cmp.Or(lossSince(target.node, nodes.Items), loss)
		}
		if loss != "" {
			run.printf("    %s was lost midway: %s", target.Node, loss)
			lost = append(lost, reports.LeftOut{Name: target.Node, Reason: "was lost midway: " + loss})
		}
	}
	run.update(func(known *reports.Run) { known.LeftOut = slices.Concat(known.LeftOut, lost) })
}

// lossSince says how a node was lost since the run began, given the nodes of now.
func lossSince(before corev1.Node, nodes []corev1.Node) string {
	at := slices.IndexFunc(nodes, func(node corev1.Node) bool { return node.Name == before.Name })
	switch {
	case at < 0:
		return lossOf(nil)
	case nodes[at].UID != before.UID:
		return "it was deleted, and another node has its name"
	}
	return lossOf(&nodes[at])
}
