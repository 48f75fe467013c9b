package suites

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/reports"
)

func TestStopSignalsAreJudged(t *testing.T) {
	stopped := func(change func(ended *corev1.ContainerState)) func(*reports.Look) {
		return answerTo(t, "wait for the kubelet to act of stop-signal/", func(seen *waited) {
			statusOf(seen.Last, "stopped", func(status *corev1.ContainerStatus) { change(&status.LastTerminationState) })
		})
	}
	exits := func(exitCode int32) func(*corev1.ContainerState) {
		return func(ended *corev1.ContainerState) { ended.Terminated.ExitCode = exitCode }
	}
	deleted := func(fixture string, exitCode int32) func(*reports.Look) {
		return answerTo(t, "wait for the deleted Pod's container to end of "+fixture+"/", func(seen *waited) {
			statusOf(seen.Last, "stopped", func(status *corev1.ContainerStatus) { status.State.Terminated.ExitCode = exitCode })
		})
	}
	told := func(signal *corev1.Signal) func(*reports.Look) {
		return answerTo(t, "status stop-signal/", func(seen *corev1.Pod) {
			statusOf(seen, "stopped", func(status *corev1.ContainerStatus) { status.StopSignal = signal })
		})
	}
	judgeAlteredIn(t, withGates, stopSignalTrait.ID, map[string]altered{
		"as it was":               {func(*reports.Look) {}, reports.Conformant, ""},
		"an API without it":       {dropping(t, "stop-signal", stopSignalDropped), reports.Unsupported, ""},
		"a kubelet without it":    {told(nil), reports.Unsupported, ""},
		"a runtime without it":    {told(new(corev1.SIGTERM)), reports.Unsupported, ""},
		"TERM when it is stopped": {stopped(exits(143)), reports.Nonconformant, ""},
		"no signal when it stops": {stopped(exits(137)), reports.Nonconformant, ""},
		"out of memory": {
			stopped(func(ended *corev1.ContainerState) { ended.Terminated.Reason = "OOMKilled" }), reports.Inconclusive, reports.Precondition,
		},
		"how it ended is not told": {
			stopped(func(ended *corev1.ContainerState) { ended.Terminated = nil }), reports.Inconclusive, reports.Precondition,
		},
		"TERM when the Pod is gone": {deleted("stop-signal", 143), reports.Nonconformant, ""},
		"process 1 is not spared":   {deleted("stop-signal-unshared", signalledExitCode), reports.Unsupported, ""},
		"the control ends by TERM":  {deleted("stop-signal-unshared", 143), reports.Inconclusive, reports.Control},
		"the sibling is restarted": {answerTo(t, "wait for the kubelet to act of stop-signal/", func(seen *waited) {
			statusOf(seen.Last, "neighbour", restartedNow)
		}), reports.Nonconformant, ""},
	})
}
