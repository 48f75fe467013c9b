package pod

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sharedpid.example/reports"
)

// Patience is how long what the kubelet tries again may fail before a wait for it ends. Zero ends it at the first failure.
type Patience struct {
	ImagePull time.Duration // of an image; the kubelet pulls again after 10 seconds, then after twice as long each time
	Start     time.Duration // of a container; the kubelet starts it again after 10 seconds
}

// startFailure is a container that does not come up.
type startFailure struct {
	container string
	again     retried
	since     time.Time
	err       error
}

// retried is what the kubelet does again after a failure.
type retried int

const (
	retriesNothing retried = iota // no retry can help
	retriesPull
	retriesStart
)

// startErrors are the kubelet's reasons for which a container does not run, and what it tries again.
var startErrors = map[string]retried{
	"InvalidImageName": retriesNothing, "ErrImageNeverPull": retriesNothing, "CreateContainerConfigError": retriesNothing,
	"ErrImagePull": retriesPull, "ImagePullBackOff": retriesPull, "RegistryUnavailable": retriesPull, "ImageInspectError": retriesPull,
	"SignatureValidationFailed": retriesPull,
	"CreateContainerError":      retriesStart, "RunContainerError": retriesStart, "StartError": retriesStart,
}

// startFailures returns which of the Pod's containers do not come up, given which did not before. A container that fails
// remains one until it runs or ends well: between two tries the kubelet reports other reasons.
func startFailures(before []startFailure, pod *corev1.Pod, now time.Time) []startFailure {
	var failures []startFailure
	for _, status := range statuses(pod) {
		ended := status.State.Terminated
		if status.State.Running != nil || ended != nil && ended.ExitCode == 0 {
			continue
		}
		failure := startFailure{container: status.Name, since: now}
		index := slices.IndexFunc(before, func(each startFailure) bool { return each.container == status.Name })
		again, err := startError(status)
		switch {
		case err == nil && index < 0:
			continue
		case err == nil:
			failure = before[index]
		case index >= 0 && before[index].again == again:
			failure.since = before[index].since
			fallthrough
		default:
			failure.again, failure.err = again, err
		}
		failures = append(failures, failure)
	}
	return failures
}

// startError says why a container does not come up, nil when its status does not tell of a failure.
func startError(status corev1.ContainerStatus) (retried, error) {
	var reason, message string
	switch state, last := status.State, status.LastTerminationState.Terminated; {
	case state.Waiting != nil && state.Waiting.Reason == "CrashLoopBackOff" && last != nil:
		reason, message = last.Reason, last.Message
	case state.Waiting != nil:
		reason, message = state.Waiting.Reason, state.Waiting.Message
	case state.Terminated != nil:
		reason, message = state.Terminated.Reason, state.Terminated.Message
	}
	again, known := startErrors[reason]
	if !known {
		return 0, nil
	}
	if again == retriesNothing && (strings.Contains(message, "error reading from server") || strings.Contains(message, "code = Unavailable")) {
		again = retriesStart // the runtime has ended: the kubelet asks it again
	}
	return again, fmt.Errorf("container %s of image %s: %s: %s", status.Name, status.Image, reason, message)
}

// exhausted returns a failure that has lasted longer than the patience with it as an error. While none has, it returns how long
// it takes until one will have, 0 when nothing fails.
func (patience Patience) exhausted(failures []startFailure, now time.Time) (time.Duration, error) {
	var left time.Duration
	for _, failure := range failures {
		lasts := map[retried]time.Duration{retriesPull: patience.ImagePull, retriesStart: patience.Start}[failure.again]
		remaining := lasts - now.Sub(failure.since)
		if remaining <= 0 {
			return 0, kinded{reports.NotStarted, failure.err}
		}
		if left == 0 || remaining < left {
			left = remaining
		}
	}
	return left, nil
}

// Disruption says why a Pod is ended by somebody else than the suite, an eviction or a preemption, empty when it is not.
func Disruption(pod *corev1.Pod) string {
	if pod == nil {
		return ""
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.DisruptionTarget && condition.Status == corev1.ConditionTrue {
			return fmt.Sprintf("the Pod is evicted: %s: %s", condition.Reason, condition.Message)
		}
	}
	return ""
}

// cannotComeUp says why the Pod cannot run any more, or in which time its containers will have failed to start for too long.
func (pod *Pod) cannotComeUp(state state) (time.Duration, error) {
	current := state.current
	switch {
	case current == nil && state.seen:
		return 0, kinded{reports.Lost, errors.New("the Pod is gone")}
	case current != nil && current.Status.Phase == corev1.PodFailed && current.DeletionTimestamp == nil:
		why := strings.TrimSpace("the Pod failed: " + current.Status.Reason + " " + current.Status.Message)
		return 0, kinded{reports.NotStarted, errors.New(why)}
	}
	return pod.watch.patience.exhausted(state.failures, time.Now())
}

// noRuntime tells whether no retry can bring a sandbox up: the node has no such runtime handler, in containerd's and
// CRI-O's words.
func noRuntime(sandbox error) bool {
	return sandbox != nil &&
		(strings.Contains(sandbox.Error(), "no runtime for") || strings.Contains(sandbox.Error(), "failed to find runtime handler"))
}
