package suites

import (
	"maps"
	"slices"
	"testing"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/process"
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
	judge := func(snapshot process.Snapshot) func(gomega.Gomega) {
		return func(g gomega.Gomega) { judgePauseIsFirst(g, snapshot, "sh") }
	}
	expectVerdict(t, reports.Conformant, judge(shared))
	expectVerdict(t, reports.Nonconformant, judge(without(shared, "/pause")))
	expectVerdict(t, reports.Nonconformant, judge(without(shared, "sh")))
	expectVerdict(t, reports.Nonconformant, judge(changed(shared, func(each *process.Process) {
		if each.PID == 1 {
			each.Arguments = []string{"sh"}
		}
	})))
	// pause is there, but the container lives in another namespace.
	expectVerdict(t, reports.Nonconformant, judge(changed(shared, func(each *process.Process) {
		if each.PID == 1 {
			each.Namespace = "pid:[1]"
		}
	})))
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeStartProcessIsFirst(g, alone("sh"), "sh") })
	expectVerdict(t, reports.Inconclusive, func(g gomega.Gomega) { judgeStartProcessIsFirst(g, shared, "sh") })
}

func TestJudgeOnlyPIDsShared(t *testing.T) {
	one := map[string]string{"mnt": "mnt:[1]", "net": "net:[3]", "ipc": "ipc:[4]", "uts": "uts:[5]"}
	other := maps.Clone(one)
	judge := func(g gomega.Gomega) { judgeOnlyPIDsShared(g, one, other) }
	expectVerdict(t, reports.Nonconformant, judge)
	other["mnt"] = "mnt:[2]"
	expectVerdict(t, reports.Conformant, judge)
	for _, kind := range []string{"net", "ipc", "uts"} {
		other[kind] = "another"
		expectVerdict(t, reports.Nonconformant, judge)
		other[kind] = one[kind]
	}
}

func TestJudgePodsApart(t *testing.T) {
	article, other := recorded(t), with(alone(tracerSleep...), process.Process{PID: 3, Arguments: ownerSleep})
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgePodsApart(g, article, other, true) })
	foreign := process.Process{PID: 90, Arguments: ownerSleep}
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgePodsApart(g, with(article, foreign), other, true) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) {
		judgePodsApart(g, article, with(other, process.Process{PID: 90, Arguments: []string{nginxMaster}}), true)
	})
	// Neither sees the other, since neither sees anything.
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgePodsApart(g, process.Snapshot{}, other, true) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgePodsApart(g, article, process.Snapshot{}, true) })
	same := changed(other, func(each *process.Process) { each.Namespace = article.Processes[0].Namespace })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgePodsApart(g, article, same, true) })
	// Of two kernels each may have a namespace of that number.
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgePodsApart(g, article, same, false) })
}

func TestJudgeIsolated(t *testing.T) {
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeIsolated(g, alone("sh"), "sh") })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeIsolated(g, recorded(t), "sh") })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) {
		judgeIsolated(g, with(alone("sh"), process.Process{PID: 90, Arguments: []string{nginxMaster}}), "sh")
	})
}

func TestJudgeParentless(t *testing.T) {
	shared := recorded(t)
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeParentless(g, shared, alone("sh")) })
	adopted := changed(shared, func(each *process.Process) {
		if slices.Equal(each.Arguments, []string{"sh"}) {
			each.PPID = 1
		}
	})
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeParentless(g, adopted, alone("sh")) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeParentless(g, without(shared, "sh"), alone("sh")) })
	expectVerdict(t, reports.Inconclusive, func(g gomega.Gomega) { judgeParentless(g, shared, shared) })
}

func TestJudgePair(t *testing.T) {
	one, other := process.Process{PID: 8, Arguments: []string{"sleep", "1000140"}}, process.Process{PID: 9, Arguments: []string{"sleep", "1000141"}}
	shared := with(without(recorded(t), "sh"), one, other)
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgePair(g, "a node", shared) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgePair(g, "a node", without(shared, one.Arguments...)) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgePair(g, "a node", alone(other.Arguments...)) })
}
