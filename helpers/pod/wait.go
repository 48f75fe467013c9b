package pod

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sharedpid.example/reports"
)

// Wait waits until done is satisfied with the Pod. It asks done at each change of the Pod, with nil once the Pod is gone. It
// fails when limit is over, and earlier when waiting is of no use: the Pod cannot come up (see Patience), has failed or is gone, or its
// node is not ready. The error says what was waited for, why it did not come, and the last state seen.
func (pod *Pod) Wait(ctx context.Context, what string, limit time.Duration, done func(*corev1.Pod) bool) error {
	return pod.wait(ctx, what, limit, done, pod.cannotComeUp)
}

// WaitTolerant is Wait after a container or the sandbox was ended on purpose: until limit is over, containers may then fail to
// start in a sandbox that the kubelet does not know to be gone, and the Pod may fail or go.
func (pod *Pod) WaitTolerant(ctx context.Context, what string, limit time.Duration, done func(*corev1.Pod) bool) error {
	return pod.wait(ctx, what, limit, done, nil)
}

// WaitRunning is Wait until the named containers run. It also fails at once when the Pod is being deleted and they do not run.
func (pod *Pod) WaitRunning(ctx context.Context, limit time.Duration, containers ...string) error {
	what := "containers " + strings.Join(containers, ", ") + " to run"
	return pod.waitUp(ctx, what, limit, func(status *corev1.Pod) bool {
		for _, name := range containers {
			if Container(status, name).State.Running == nil {
				return false
			}
		}
		return status != nil
	})
}

// waitUp is Wait for what does not come any more once the Pod is being deleted.
func (pod *Pod) waitUp(ctx context.Context, what string, limit time.Duration, done func(*corev1.Pod) bool) error {
	return pod.wait(ctx, what, limit, done, func(state state) (time.Duration, error) {
		if state.current != nil && state.current.DeletionTimestamp != nil {
			return 0, kinded{reports.Lost, errors.New("the Pod is being deleted")}
		}
		return pod.cannotComeUp(state)
	})
}

// hopeless says why waiting for a Pod in this state is of no use, or in which time it must be asked again although nothing
// changes: 0 for not at all.
type hopeless func(state) (again time.Duration, err error)

// wait is Wait with what ends it early. Without it nothing does but a node that is lost, a runtime that a node does not have, and an
// eviction.
func (pod *Pod) wait(
	ctx context.Context, what string, limit time.Duration, done func(*corev1.Pod) bool, hopeless hopeless,
) error {
	limited, cancel := context.WithTimeoutCause(ctx, limit, notWithin(limit))
	defer cancel()
	nodes := time.NewTicker(nodeInterval) // a node that is lost changes no Pod
	defer nodes.Stop()
	for {
		state := pod.watch.state(pod.Name)
		if state.seen && done(state.current) {
			return nil
		}
		again, err := pod.endsEarly(state, hopeless)
		if err == nil {
			if err = pod.next(limited, state, again, nodes.C); err == nil {
				continue
			}
			if limited.Err() != nil {
				if state, err = pod.outOfTime(ctx, limited, done, hopeless); err == nil {
					return nil
				}
			}
		}
		failure := pod.failed(ctx, "waiting for "+what, err)
		failure.LastSeen = Describe(state.current)
		return failure
	}
}

// endsEarly is hopeless, which may be nil, with what ends every wait.
func (pod *Pod) endsEarly(state state, hopeless hopeless) (time.Duration, error) {
	if sandbox := state.sandbox(); noRuntime(sandbox) {
		return 0, kinded{reports.NotStarted, sandbox}
	}
	if evicted := Disruption(state.last); evicted != "" {
		return 0, kinded{reports.Lost, errors.New(evicted)}
	}
	if hopeless == nil {
		return 0, nil
	}
	return hopeless(state)
}

// next returns when there is reason to look at the Pod again, with an error when its node is lost or the time is over.
func (pod *Pod) next(limited context.Context, state state, again time.Duration, nodes <-chan time.Time) error {
	var patience <-chan time.Time
	if again > 0 {
		timer := time.NewTimer(again)
		defer timer.Stop()
		patience = timer.C
	}
	select {
	case <-state.changed:
	case <-patience:
	case <-nodes:
		return pod.watch.nodeError(limited, state.current)
	case <-limited.Done():
		return context.Cause(limited)
	}
	return nil
}

// lastQuestions is how long the questions at the end of a wait may take together.
const lastQuestions = 2 * time.Second

// outOfTime returns the state at the end of a wait's time, and why what was waited for did not come; no error when it came in the
// end, or when only the watch did not see it.
func (pod *Pod) outOfTime(
	ctx, limited context.Context, done func(*corev1.Pod) bool, hopeless hopeless,
) (state, error) {
	state := pod.watch.state(pod.Name)
	if state.seen && done(state.current) {
		return state, nil
	}
	if _, err := pod.endsEarly(state, hopeless); err != nil {
		return state, err
	}
	over := context.Cause(limited)
	if errors.Is(ctx.Err(), context.Canceled) {
		return state, kinded{reports.Interrupted, over}
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastQuestions)
	defer cancel()
	if failure := pod.watch.failure(); failure != nil {
		status, err := pod.client.CoreV1().Pods(pod.Namespace).Get(late, pod.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			state.current = nil
		case err != nil:
			return state, kinded{reports.Lost, fmt.Errorf("%w: %w", over, failure)}
		default:
			state.current, state.seen = status, true
		}
		if state.seen && done(state.current) {
			return state, nil
		}
	}
	if lost := pod.watch.nodeError(late, state.current); lost != nil {
		return state, lost
	}
	kind, why := reports.NotStarted, state.sandbox()
	if why == nil && len(state.failures) > 0 {
		why = state.failures[0].err
	}
	if hopeless == nil || why == nil {
		kind = reports.OutOfTime
	}
	if why != nil {
		over = fmt.Errorf("%w: %w", over, why)
	}
	return state, kinded{kind, over}
}

// serviceAccountInterval is the pause between two looks for a service account.
const serviceAccountInterval = 250 * time.Millisecond

// WaitServiceAccount waits until the namespace has its service account "default": before, the API refuses Pods in a
// namespace that was just made. It fails when limit is over, or when the service account may not be read.
func (client *Client) WaitServiceAccount(ctx context.Context, namespace string, limit time.Duration) error {
	limited, cancel := context.WithTimeoutCause(ctx, limit, notWithin(limit))
	defer cancel()
	err := wait.PollUntilContextCancel(limited, serviceAccountInterval, true, func(polling context.Context) (bool, error) {
		_, err := Retry(polling, func(asking context.Context) (*corev1.ServiceAccount, error) {
			return client.CoreV1().ServiceAccounts(namespace).Get(asking, "default", metav1.GetOptions{})
		})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = notWithin(limit)
	}
	if err != nil {
		return fmt.Errorf("waiting for service account default of namespace %s: %w", namespace, err)
	}
	return nil
}
