package suites

import (
	"testing"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// Observations as busybox prints them.
var (
	observedMissing  = pod.Observation{Output: "cat: can't open: No such file or directory", ExitCode: 1}
	observedDenied   = pod.Observation{Output: "cat: can't open: Permission denied", ExitCode: 1}
	observedReadOnly = pod.Observation{Output: "touch: Read-only file system", ExitCode: 1}
	observedNothing  = pod.Observation{}
)

func TestJudgeModesHold(t *testing.T) {
	readable := pod.Observation{Output: "canary-for-everyone"}
	listing := pod.Observation{Output: "-rw-------    1 0        0   15 private\n"}
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeModesHold(g, readable, observedDenied, listing) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeModesHold(g, observedDenied, observedDenied, listing) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeModesHold(g, readable, readable, listing) })
	// Absence is no denial.
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeModesHold(g, readable, observedMissing, listing) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeModesHold(g, readable, observedDenied, observedDenied) })
}

func TestJudgeSameFile(t *testing.T) {
	own := pod.Observation{Output: "worker_processes 2;\n"}
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeSameFile(g, own, own, observedMissing) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeSameFile(g, own, pod.Observation{Output: "other"}, observedMissing) })
	// The reader sees its own file of that name: nothing went through /proc.
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeSameFile(g, own, own, own) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeSameFile(g, observedMissing, own, observedMissing) })
}

func TestJudgeVolumes(t *testing.T) {
	read := func() []pod.Observation {
		return []pod.Observation{{Output: "canary-in-a-secret-volume"}, {Output: "canary in an emptyDir\n"}, observedMissing, observedMissing}
	}
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeVolumes(g, read()) })
	for i := range read() {
		for _, wrong := range []pod.Observation{observedDenied, observedNothing} {
			looked := read()
			looked[i] = wrong
			expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeVolumes(g, looked) })
		}
	}
}

func TestJudgeWrites(t *testing.T) {
	appeared := pod.Observation{Output: "written by a sibling\n"}
	judge := func(written, refused, before, after pod.Observation) func(gomega.Gomega) {
		return func(g gomega.Gomega) { judgeWrites(g, written, refused, before, after) }
	}
	expectVerdict(t, reports.Conformant, judge(observedNothing, observedReadOnly, observedMissing, appeared))
	expectVerdict(t, reports.Nonconformant, judge(observedDenied, observedReadOnly, observedMissing, appeared))
	// EACCES is another refusal than that of a read-only file system, and success is none.
	expectVerdict(t, reports.Nonconformant, judge(observedNothing, observedDenied, observedMissing, appeared))
	expectVerdict(t, reports.Nonconformant, judge(observedNothing, observedNothing, observedMissing, appeared))
	// The file was there before, so that nothing shows who wrote it.
	expectVerdict(t, reports.Nonconformant, judge(observedNothing, observedReadOnly, appeared, appeared))
	expectVerdict(t, reports.Nonconformant, judge(observedNothing, observedReadOnly, observedMissing, observedMissing))
}
