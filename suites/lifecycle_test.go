package suites

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func restarts(counts map[string]int32) *corev1.Pod {
	var status corev1.Pod
	for name, count := range counts {
		status.Status.ContainerStatuses = append(status.Status.ContainerStatuses, corev1.ContainerStatus{Name: name, RestartCount: count})
	}
	return &status
}

func TestJudgeReturn(t *testing.T) {
	before := recorded(t)
	// nginx was killed and came back; the rest is as it was.
	after := changed(before, func(each *process.Process) {
		if slices.Contains([]string{nginxMaster, nginxWorker}, slices.Concat(each.Arguments, []string{""})[0]) {
			each.PID, each.StartTime = each.PID+100, each.StartTime+100
		}
	})
	once := restarts(map[string]int32{"nginx": 1, "shell": 0})
	judging := func(last *corev1.Pod, after process.Snapshot) func(suite.Judge) {
		return func(judge suite.Judge) {
			judgeReturn(judge, "nginx", returned{before: before, after: after, last: last}, []string{nginxMaster}, []string{"sh"})
		}
	}
	expectVerdict(t, reports.Conformant, judging(once, after))
	expectVerdict(t, reports.Nonconformant, judging(restarts(map[string]int32{"nginx": 0, "shell": 0}), after))
	expectVerdict(t, reports.Nonconformant, judging(restarts(map[string]int32{"nginx": 1, "shell": 1}), after))
	expectVerdict(t, reports.Nonconformant, judging(once, without(after, nginxMaster)))
	expectVerdict(t, reports.Nonconformant, judging(once, without(after, "sh")))
	// Another Pod's nginx appears meanwhile: which is which cannot be told.
	expectVerdict(t, reports.Inconclusive,
		judging(once, with(after, process.Process{PID: 900, StartTime: 9, Arguments: []string{nginxMaster}})))
	// The old one is still there and no new one came.
	expectVerdict(t, reports.Nonconformant, judging(once, before))
	expectVerdict(t, reports.Nonconformant, judging(once, changed(after, func(each *process.Process) {
		if each.PID == 1 {
			each.StartTime++ // a new sandbox
		}
	})))
}

func TestJudgeNothingLeft(t *testing.T) {
	before := recorded(t)
	judging := func(after process.Snapshot) func(suite.Judge) {
		return func(judge suite.Judge) { judgeNothingLeft(judge, before, after, []string{nginxWorker}) }
	}
	expectVerdict(t, reports.Conformant, judging(without(before, nginxWorker)))
	expectVerdict(t, reports.Nonconformant, judging(before))
	// Another process may have the pid of one that is gone.
	expectVerdict(t, reports.Conformant, judging(changed(before, func(each *process.Process) { each.StartTime += 100 })))
	// A zombie lives no more.
	expectVerdict(t, reports.Conformant, judging(changed(before, func(each *process.Process) { each.State = "Z" })))
	// What was never there cannot be left.
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeNothingLeft(judge, before, before, []string{"sleep", "1"}) })
}

func TestParseOrphan(t *testing.T) {
	for output, want := range map[string][2]string{
		"State:\tS (sleeping)\nPPid:\t1\n":                     {"1", ""},
		"State:\tR (running)\nPPid:\t17\nState:\tZ (zombie)\n": {"17", "Z"},
	} {
		if parent, left, err := parseOrphan(output); err != nil || parent != want[0] || left != want[1] {
			t.Errorf("%q: parent %q, left %q, %v; want %q", output, parent, left, err, want)
		}
	}
	for _, output := range []string{
		"",
		"State:\tS (sleeping)\n",
		"State:\tS\nPPid:\t1\nState:\tZ\nState:\tZ\n",
		"grep: /proc/7/status: No such file or directory\n",
	} {
		if parent, left, err := parseOrphan(output); err == nil {
			t.Errorf("%q was taken for parent %q, left %q", output, parent, left)
		}
	}
}

func TestJudgeOrphansAreReaped(t *testing.T) {
	for output, want := range map[string]reports.Verdict{
		"50 0\n": reports.Conformant, "50 1\n": reports.Nonconformant, "50 50\n": reports.Nonconformant,
		// The look sees no zombies even where they must be.
		"0 0\n": reports.Inconclusive, "49 0\n": reports.Inconclusive, "49 49\n": reports.Inconclusive,
		"": reports.Inconclusive, "50\n": reports.Inconclusive, "sh: can't fork\n50 0\n": reports.Inconclusive,
	} {
		outcome := suite.Conclude(func(judge suite.Judge) error { return judgeOrphansAreReaped(judge, output) })
		if outcome.Verdict != want {
			t.Errorf("%q is %s (%s), want %s", output, outcome.Verdict, outcome.Reason, want)
		}
	}
}

func TestJudgeSparedForMemory(t *testing.T) {
	for _, test := range []struct {
		first  int
		starts []int
		want   reports.Verdict
	}{
		{-998, []int{999, 1000}, reports.Conformant},
		{-998, []int{-997}, reports.Conformant},
		{0, []int{999}, reports.Conformant}, // a Pod that is not Guaranteed needs no lowered value
		{1000, []int{999}, reports.Nonconformant},
		{500, []int{999, 2}, reports.Nonconformant}, // one is lower
		{0, []int{-997, 999}, reports.Nonconformant},
		{-997, []int{-997}, reports.Nonconformant}, // values can be lowered
		{0, []int{0, 0}, reports.Unsupported},
		{200, []int{999, 200}, reports.Unsupported},
	} {
		expectVerdict(t, test.want, func(judge suite.Judge) { judgeSparedForMemory(judge, test.first, test.starts) })
	}
}
