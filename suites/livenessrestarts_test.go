package suites

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func TestJudgeLastRestart(t *testing.T) {
	first := numbered(2, append(append([][]string{}, stoppedProcesses...), neighbourProcesses...)...)
	second := later(first, stoppedProcesses...)
	third := later(second, stoppedProcesses...)
	once, twice := restarts(map[string]int32{"stopped": 1, "neighbour": 0}), restarts(map[string]int32{"stopped": 2, "neighbour": 0})
	old := first.With(stoppedProcesses[1]...)[0]
	newFirst := changed(third, func(each *process.Process) {
		if each.PID == 1 {
			each.StartTime++
		}
	})
	for name, test := range map[string]struct {
		after process.Snapshot // the second restart
		last  *corev1.Pod
		want  reports.Verdict
	}{
		"each start process is new":       {third, twice, reports.Conformant},
		"the second one is the first":     {second, twice, reports.Nonconformant},
		"one is left of the second run":   {with(third, second.With(stoppedProcesses[1]...)...), twice, reports.Nonconformant},
		"one is left of the first run":    {with(third, old), twice, reports.Nonconformant},
		"process 1 is new":                {newFirst, twice, reports.Nonconformant},
		"a process of the sibling is new": {later(third, neighbourProcesses[1]), twice, reports.Nonconformant},
		"the sibling was restarted":       {third, restarts(map[string]int32{"stopped": 2, "neighbour": 1}), reports.Nonconformant},
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, test.want, func(judge suite.Judge) {
				judgeLastRestart(judge, []returned{{before: first, after: second, last: once}, {before: second, after: test.after, last: test.last}})
			})
		})
	}
}

func TestRestartsInARowAreJudged(t *testing.T) {
	waits := func(number int, change func(*waited)) func(*reports.Look) {
		seen := 0
		return answerTo(t, "wait for the kubelet to act of unhealthy-container/", func(answer *waited) {
			if seen++; seen == number {
				change(answer)
			}
		})
	}
	late := func(seen *waited) { seen.Reached = false }
	judgeAltered(t, livenessTrait.ID, map[string]altered{
		"as it was": {func(*reports.Look) {}, reports.Conformant, ""},
		// The container ran again once, so that nothing tells a kubelet that waits longer from one that does not restart it.
		"the second restart is late": {waits(2, late), reports.Inconclusive, reports.OutOfTime},
		"the sibling is restarted": {waits(1, func(seen *waited) {
			statusOf(seen.Last, "neighbour", restartedNow)
		}), reports.Nonconformant, ""},
		"old processes are left": {lastAsFirst(t, livenessTrait.ID), reports.Nonconformant, ""},
		"a lost exec":            {unanswered("touch /stop", reports.Lost), reports.Conformant, ""},
	})
}
