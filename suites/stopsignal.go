package suites

import (
	"context"
	"fmt"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/suite"
)

var (
	stopSignalFixture = suite.Fixture{
		Name: "stop-signal", Objects: manifest("stop-signal.yaml"), Newer: []string{stopSignalDropped},
	}
	stopSignalUnsharedFixture = suite.Fixture{
		Name: "stop-signal-unshared", Objects: manifest("stop-signal.yaml"), Unshared: true, Newer: []string{stopSignalDropped},
		Change: withGracePeriod(2), // is waited out
	}
)

// The start processes of the manifest stop-signal.yaml. Neither has a handler for any signal.
var (
	signalled    = suite.Process{Container: "stopped", Arguments: []string{"sleep", "1000315"}}
	notSignalled = suite.Process{Container: "neighbour", Arguments: []string{"sleep", "1000316"}}
)

const (
	stopSignalDropped = "lifecycle.stopSignal of container stopped was sent as SIGUSR1 and is unset"
	signalledExitCode = 138 // 128 and SIGUSR1
)

var stopSignalTrait = suite.Trait{
	ID: "lifecycle/stop-signal-of-container",
	Statement: "When a container or its Pod is stopped, its start process MUST get the stop signal that the container names instead of TERM, " +
		"and its siblings MUST NOT get it.",
	Profile:  suite.Full,
	Sources:  []string{"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/4960-container-stop-signals", pidPage, criSource},
	Fixtures: []suite.Fixture{stopSignalFixture, stopSignalUnsharedFixture},
	Destroys: []suite.Fixture{stopSignalFixture, stopSignalUnsharedFixture},
	Slow:     true,
	Causes: []suite.Cause{
		{
			Control:  true,
			Cause:    "the control's start process is not process 1, or the runtime does not send the stop signal",
			NextStep: "look at the control's evidence",
		},
		{
			Words:    "ended with",
			Cause:    "the runtime reports the stop signal of the container and sends another one, or the start process is process 1",
			NextStep: "look at the runtime's log of StopContainer, and at /proc/1/cmdline of the container",
		},
		{
			Cause:    "the runtime sends the stop signal to every process of the namespace",
			NextStep: "look at how the runtime's kill finds the container's processes",
		},
	},
	Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
		if err := known(ctx, session, stopSignalFixture, "stop signals of containers"); err != nil {
			return err
		}
		seen := returned{}
		var err error
		if seen.before, err = session.Await(ctx, stopSignalFixture, notSignalled.Container, "processes before the stop",
			signalled, notSignalled); err != nil {
			return err
		}
		status, err := session.Status(ctx, stopSignalFixture)
		if err != nil {
			return err
		}
		if err := signalTaken(status); err != nil {
			return err
		}
		seen.last = status
		if err := stopByProbe(ctx, session, stopSignalFixture, &seen, signalled.Container, notSignalled.Container, signalled.Arguments); err != nil {
			return err
		}
		judgeStopped(judge, seen)
		shared, err := terminated(ctx, session, stopSignalFixture, signalled)
		if err != nil {
			return err
		}
		judgeSignalled(judge, shared.exitCode, "on the deletion of its Pod")
		unshared, err := terminated(ctx, session, stopSignalUnsharedFixture, signalled)
		if err != nil {
			return suite.ControlFailed(err)
		}
		return judgeIgnored(judge, unshared, "SIGUSR1", signalledExitCode)
	},
}

// signalTaken returns why the stop signal cannot be tried where the API keeps it: the kubelet or the runtime does not take it. A runtime that
// does reports it, and the kubelet has that in the container's status.
func signalTaken(status *corev1.Pod) error {
	told := pod.Container(status, signalled.Container).StopSignal
	switch {
	case told == nil:
		return &suite.Unsupported{Reason: "the API keeps the stop signal of a container, and its status tells of none: the node's kubelet or its " +
			"runtime does not know them"}
	case *told != corev1.SIGUSR1:
		return &suite.Unsupported{Reason: fmt.Sprintf("the runtime does not take the stop signal of a container: it was to be %s, and is %s by the "+
			"container's status", corev1.SIGUSR1, *told)}
	}
	return nil
}

// judgeStopped judges a container that the kubelet stopped alone.
func judgeStopped(judge suite.Judge, seen returned) {
	judgeReturn(judge, signalled.Container, seen, signalled.Arguments, notSignalled.Arguments)
	ended := pod.Container(seen.last, signalled.Container).LastTerminationState.Terminated
	judge.Precondition.Expect(ended).NotTo(gomega.BeNil(), "how the stopped container ended is not told")
	judge.Precondition.Expect(ended.Reason).NotTo(gomega.Equal(reasonOOMKilled), "the stopped container ran out of memory")
	judgeSignalled(judge, ended.ExitCode, "when its container was stopped")
}

func judgeSignalled(judge suite.Judge, exitCode int32, when string) {
	judge.Claim.Expect(exitCode).To(gomega.BeEquivalentTo(signalledExitCode),
		"the start process ended with %d %s, must end with %d (SIGUSR1)", exitCode, when, signalledExitCode)
}
