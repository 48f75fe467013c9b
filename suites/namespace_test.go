package suites

import (
	"maps"
	"slices"
	"testing"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// alone is what a container sees that has a process namespace of its own: its start process, and the look.
func alone(arguments ...string) process.Snapshot {
	return process.Snapshot{Self: 7, Processes: []process.Process{
		{PID: 1, StartTime: 900, Arguments: arguments, Namespace: "pid:[9]"},
		{PID: 7, StartTime: 999, Arguments: []string{"sh", "-c", "look"}, Namespace: "pid:[9]"},
	}}
}

// with returns the snapshot with more processes.
func with(snapshot process.Snapshot, more ...process.Process) process.Snapshot {
	return process.Snapshot{Self: snapshot.Self, Processes: slices.Concat(snapshot.Processes, more)}
}

func TestJudgePauseIsFirst(t *testing.T) {
	shared := recorded(t)
	judging := func(snapshot process.Snapshot) func(suite.Judge) {
		return func(judge suite.Judge) { judgePauseIsFirst(judge, snapshot, "sh") }
	}
	expectVerdict(t, reports.Conformant, judging(shared))
	// What cannot be looked at accuses nobody.
	expectVerdict(t, reports.Inconclusive, judging(without(shared, "/pause")))
	expectVerdict(t, reports.Inconclusive, judging(without(shared, "sh")))
	expectVerdict(t, reports.Nonconformant, judging(changed(shared, func(each *process.Process) {
		if each.PID == 1 {
			each.Arguments = []string{"sh"}
		}
	})))
	// pause is there, but the container lives in another namespace.
	expectVerdict(t, reports.Nonconformant, judging(changed(shared, func(each *process.Process) {
		if each.PID == 1 {
			each.Namespace = "pid:[1]"
		}
	})))
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeStartProcessIsFirst(judge, alone("sh"), "sh") })
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeStartProcessIsFirst(judge, shared, "sh") })
}

func TestJudgeOnlyPIDsShared(t *testing.T) {
	one := map[string]string{"mnt": "mnt:[1]", "net": "net:[3]", "ipc": "ipc:[4]", "uts": "uts:[5]"}
	other := maps.Clone(one)
	judge := func(judge suite.Judge) { judgeOnlyPIDsShared(judge.Claim, one, other) }
	expectVerdict(t, reports.Nonconformant, judge)
	other["mnt"] = "mnt:[2]"
	expectVerdict(t, reports.Conformant, judge)
	for _, kind := range []string{"net", "ipc"} {
		other[kind] = "another"
		expectVerdict(t, reports.Nonconformant, judge)
		other[kind] = one[kind]
	}
}

func TestJudgePodsApart(t *testing.T) {
	pair, siblings := with(recorded(t), process.Process{PID: 8, Arguments: one.Arguments}),
		with(alone(tracerSleep...), process.Process{PID: 3, Arguments: ownerSleep})
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgePodsApart(judge, pair, siblings, true) })
	foreign := process.Process{PID: 90, Arguments: ownerSleep}
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgePodsApart(judge, with(pair, foreign), siblings, true) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) {
		judgePodsApart(judge, pair, with(siblings, process.Process{PID: 90, Arguments: one.Arguments}), true)
	})
	// Neither sees the other, since neither sees anything.
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgePodsApart(judge, process.Snapshot{}, siblings, true) })
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgePodsApart(judge, pair, process.Snapshot{}, true) })
	same := changed(siblings, func(each *process.Process) { each.Namespace = pair.Processes[0].Namespace })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgePodsApart(judge, pair, same, true) })
	// Of two kernels each may have a namespace of that number.
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgePodsApart(judge, pair, same, false) })
}

func TestJudgeIsolated(t *testing.T) {
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeIsolated(judge, alone("sh"), "sh") })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeIsolated(judge, recorded(t), "sh") })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) {
		judgeIsolated(judge, with(alone("sh"), process.Process{PID: 90, Arguments: []string{nginxMaster}}), "sh")
	})
}

func TestJudgeParentless(t *testing.T) {
	shared := recorded(t)
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeParentless(judge, shared, alone("sh")) })
	adopted := changed(shared, func(each *process.Process) {
		if slices.Equal(each.Arguments, []string{"sh"}) {
			each.PPID = 1
		}
	})
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeParentless(judge, adopted, alone("sh")) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeParentless(judge, without(shared, "sh"), alone("sh")) })
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeParentless(judge, shared, shared) })
}

func TestJudgePair(t *testing.T) {
	one, other := process.Process{
		PID:       8,
		Arguments: []string{"sleep", "1000140"},
	}, process.Process{PID: 9, Arguments: []string{"sleep", "1000141"}}
	shared := with(without(recorded(t), "sh"), one, other)
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgePair(judge, "a node", shared) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgePair(judge, "a node", without(shared, one.Arguments...)) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgePair(judge, "a node", alone(other.Arguments...)) })
}
