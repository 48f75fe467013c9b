package suites

import (
	"testing"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// Observations as busybox prints them.
var (
	observedMissing  = suite.ExecResult{Output: "cat: can't open: No such file or directory", ExitCode: 1}
	observedDenied   = suite.ExecResult{Output: "cat: can't open: Permission denied", ExitCode: 1}
	observedReadOnly = suite.ExecResult{Output: "touch: Read-only file system", ExitCode: 1}
	observedNothing  = suite.ExecResult{}
	observedNotRun   = suite.ExecResult{Output: "sh: cat: not found", ExitCode: 127}
)

func TestJudgeModesHold(t *testing.T) {
	readable := suite.ExecResult{Output: "canary-for-everyone"}
	listing := suite.ExecResult{Output: "-rw-------    1 0        0   15 private\n"}
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeModesHold(judge, readable, observedDenied, listing) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeModesHold(judge, observedDenied, observedDenied, listing) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeModesHold(judge, readable, readable, listing) })
	// Absence is no denial.
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeModesHold(judge, readable, observedMissing, listing) })
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeModesHold(judge, readable, observedDenied, observedDenied) })
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeModesHold(judge, readable, observedNotRun, listing) })
}

func TestJudgeSameFile(t *testing.T) {
	own, other := suite.ExecResult{Output: "worker_processes 2;\n"}, suite.ExecResult{Output: "other"}
	judging := func(own, through, here suite.ExecResult, mounted bool) func(suite.Judge) {
		return func(judge suite.Judge) { judgeSameFile(judge, own, through, here, mounted) }
	}
	for _, mounted := range []bool{true, false} {
		expectVerdict(t, reports.Conformant, judging(own, own, observedMissing, mounted))
		expectVerdict(t, reports.Nonconformant, judging(own, other, observedMissing, mounted))
		expectVerdict(t, reports.Nonconformant, judging(own, observedDenied, observedMissing, mounted))
		// The reader's image has a file of that name: nothing shows what went through /proc.
		expectVerdict(t, reports.Inconclusive, judging(own, own, other, mounted))
		expectVerdict(t, reports.Inconclusive, judging(observedMissing, own, observedMissing, mounted))
	}
	// What is mounted into nginx alone is in the reader's file system too: they share it.
	expectVerdict(t, reports.Nonconformant, judging(own, own, own, true))
	expectVerdict(t, reports.Inconclusive, judging(own, own, own, false))
}

func TestJudgeVolumes(t *testing.T) {
	read := func() []suite.ExecResult {
		return []suite.ExecResult{{Output: "canary-in-a-secret-volume"}, {Output: "canary in an emptyDir\n"}, observedMissing, observedMissing}
	}
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeVolumes(judge, read()) })
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) {
		judgeVolumes(judge, []suite.ExecResult{observedNotRun, observedNotRun, observedNotRun, observedNotRun})
	})
	for i := range read() {
		for _, wrong := range []suite.ExecResult{observedDenied, observedNothing} {
			looked := read()
			looked[i] = wrong
			expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeVolumes(judge, looked) })
		}
	}
}

func TestJudgeWrites(t *testing.T) {
	appeared := suite.ExecResult{Output: "written by a sibling\n"}
	judging := func(written, refused, before, after suite.ExecResult) func(suite.Judge) {
		return func(judge suite.Judge) { judgeWrites(judge, written, refused, before, after) }
	}
	expectVerdict(t, reports.Conformant, judging(observedNothing, observedReadOnly, observedMissing, appeared))
	expectVerdict(t, reports.Nonconformant, judging(observedDenied, observedReadOnly, observedMissing, appeared))
	// EACCES is another refusal than that of a read-only file system, and success is none.
	expectVerdict(t, reports.Nonconformant, judging(observedNothing, observedDenied, observedMissing, appeared))
	expectVerdict(t, reports.Nonconformant, judging(observedNothing, observedNothing, observedMissing, appeared))
	// The file was there before, so that nothing shows who wrote it.
	expectVerdict(t, reports.Inconclusive, judging(observedNothing, observedReadOnly, appeared, appeared))
	expectVerdict(t, reports.Nonconformant, judging(observedNothing, observedReadOnly, observedMissing, observedMissing))
}
