package suites

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

var resizeFixture = suite.Fixture{Name: "resize", Objects: manifest("resize.yaml"), Newer: []string{resizePolicyDropped}}

// resizePolicyDropped is how an API changes a Pod that does not know resize policies.
const resizePolicyDropped = "resizePolicy of container resized was sent as [{cpu NotRequired} {memory RestartContainer}] and is []"

// resizedContainer is the one of the manifest resize.yaml that is resized.
const resizedContainer = "resized"

// What the containers of the manifest run, each container's start process first.
var (
	resizedProcesses = [][]string{{"sleep", "1000320"}, {"sleep", "1000321"}}
	besideProcesses  = [][]string{{"sleep", "1000322"}, {"sleep", "1000323"}}
)

var resizeTrait = suite.Trait{
	ID: "lifecycle/resize-restarts-one-container",
	Statement: "When a container is resized in place, process 1 and the processes of its siblings MUST stay the same, and its own as well " +
		"unless the kubelet restarts it: then that container alone MUST be restarted, in the same namespace.",
	Profile: suite.Full,
	Sources: []string{
		"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/1287-in-place-update-pod-resources",
		"https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/", kep,
	},
	Fixtures: []suite.Fixture{resizeFixture},
	Destroys: []suite.Fixture{resizeFixture},
	Slow:     true,
	Rights:   []suite.Right{{Resource: "pods/resize", Verbs: []string{"update"}, Why: "to change limits of a container while it runs"}},
	Causes: []suite.Cause{{
		Cause:    "the kubelet restarts the whole Pod for a resize, or the runtime ends other containers with the one that is restarted",
		NextStep: "look at the events of the Pod for Killing and SandboxChanged, and at the StopContainer calls in the runtime's log",
	}},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		if err := known(ctx, session, resizeFixture, "resize policies of containers"); err != nil {
			return err
		}
		all := append(processesOf(resizedContainer, resizedProcesses), processesOf("neighbour", besideProcesses)...)
		before, err := session.Await(ctx, resizeFixture, "neighbour", "processes before the resizes", all...)
		if err != nil {
			return err
		}
		first, err := session.Status(ctx, resizeFixture)
		if err != nil {
			return err
		}
		inPlace, again := returned{before: before}, restartedSince(first, resizedContainer)
		if err := resize(ctx, session, &inPlace, corev1.ResourceCPU, "600m", func(status *corev1.Pod) bool {
			return pod.Container(status, resizedContainer).State.Running != nil
		}, again); err != nil {
			return err
		}
		judgeResizedInPlace(judge, inPlace, again(inPlace.last))
		seen := returned{before: inPlace.after}
		again = restartedSince(inPlace.last, resizedContainer)
		if err := resize(ctx, session, &seen, corev1.ResourceMemory, "48Mi", again, again); err != nil {
			return err
		}
		judgeReturn(judge, resizedContainer, seen, resizedProcesses[0], besideProcesses...)
		judgeNothingLeft(judge, seen.before, seen.after, resizedProcesses...)
		return nil
	},
}

// resize changes a limit of the container, waits until the kubelet says that it holds and the Pod is as wanted, and looks from the neighbour;
// restarted tells whether the container was restarted since.
func resize(
	ctx context.Context, session *suite.Session, seen *returned, name corev1.ResourceName, limit string, wanted, restarted func(*corev1.Pod) bool,
) error {
	tried, err := session.Resize(ctx, resizeFixture, resizedContainer, name, limit)
	if err != nil {
		return err
	}
	if refusal := tried.Refusal; refusal != nil && apierrors.IsNotFound(refusal) && strings.Contains(refusal.Error(), "requested resource") {
		return &suite.Unsupported{Reason: "the API has no resize of Pods: " + refusal.Error()}
	}
	if tried.Refusal != nil {
		return suite.Undecided(reports.Refused, "%v", tried.Err())
	}
	last, reached, err := settled(ctx, session, resizeFixture, func(status *corev1.Pod) bool {
		return infeasible(status) || limitHolds(status, name, limit) && wanted(status)
	})
	if err != nil {
		return err
	}
	if infeasible(last) {
		return &suite.Unsupported{Reason: "the kubelet says that it cannot resize the container: " + resizeConditions(last)}
	}
	if !reached {
		return suite.Undecided(reports.OutOfTime, "the limit of %s is not %s, or the container was not restarted for it, within %s: %s",
			name, limit, session.Limits().Settling, resizeConditions(last))
	}
	seen.last = last
	return lookAfterReturn(
		ctx, session, resizeFixture, seen, restarted(last), resizedContainer, "neighbour", resizedProcesses...)
}

// limitHolds tells whether the kubelet says that the container has a limit, and not only that it is to have it.
func limitHolds(status *corev1.Pod, name corev1.ResourceName, limit string) bool {
	actual := pod.Container(status, resizedContainer).Resources
	if actual == nil {
		return false
	}
	quantity, found := actual.Limits[name]
	return found && quantity.Cmp(resource.MustParse(limit)) == 0
}

func infeasible(status *corev1.Pod) bool {
	return slices.ContainsFunc(status.Status.Conditions, func(each corev1.PodCondition) bool {
		return each.Type == corev1.PodResizePending && each.Reason == corev1.PodReasonInfeasible
	})
}

// resizeConditions is what the kubelet says of a resize.
func resizeConditions(status *corev1.Pod) string {
	words := []string{pod.Describe(status)}
	for _, each := range status.Status.Conditions {
		if each.Type == corev1.PodResizePending || each.Type == corev1.PodResizeInProgress {
			words = append(words, fmt.Sprintf("%s %s %s", each.Type, each.Reason, each.Message))
		}
	}
	return strings.Join(words, "; ")
}

// judgeResizedInPlace judges a resize that takes no restart. The API does not promise that there is none.
func judgeResizedInPlace(judge suite.Judge, seen returned, restarted bool) {
	if restarted {
		judgeReturn(judge, resizedContainer, seen, resizedProcesses[0], besideProcesses...)
		return
	}
	judge.Claim.Expect(seen.restarted).To(gomega.BeEmpty(), "container %s was restarted", seen.restarted)
	judgeSameNamespace(judge, seen.before, seen.after)
	judgeLiveOn(judge, seen.before, seen.after, slices.Concat(resizedProcesses, besideProcesses)...)
}
