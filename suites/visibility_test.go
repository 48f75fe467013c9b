package suites

import (
	"slices"
	"testing"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func TestJudgeNginxVisibility(t *testing.T) {
	shared := recorded(t)
	hidden := without(without(shared, nginxMaster), nginxWorker)
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeNginxIsVisible(judge, shared) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeNginxIsVisible(judge, hidden) })
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeNginxIsNotVisible(judge, hidden) })
	// A control that fails proves nothing, for or against the Pod that shares.
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeNginxIsNotVisible(judge, shared) })
	// Nor does an empty list: the control must at least see itself.
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeNginxIsNotVisible(judge, process.Snapshot{}) })
}

func TestJudgeMutual(t *testing.T) {
	shared := recorded(t)
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeMutual(judge, shared, shared) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeMutual(judge, without(shared, "sh"), shared) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeMutual(judge, shared, without(shared, nginxMaster)) })
	for name, change := range map[string]func(*process.Process){
		"other pids":      func(each *process.Process) { each.PID += 100 },
		"other processes": func(each *process.Process) { each.StartTime++ },
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeMutual(judge, shared, changed(shared, change)) })
		})
	}
}

func TestJudgeArgumentsArePublic(t *testing.T) {
	seen := with(alone(visitorSleep...), process.Process{PID: 3, Arguments: ownerSleep})
	seen = changed(seen, func(each *process.Process) {
		if each.PID == seen.Self {
			each.UID = 1000
		}
	})
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeArgumentsArePublic(judge, seen) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeArgumentsArePublic(judge, without(seen, ownerSleep...)) })
	// A look as root, or at a process of the same uid, shows nothing about other uids.
	for _, uid := range []int{0, 1000} {
		expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) {
			judgeArgumentsArePublic(judge, changed(seen, func(each *process.Process) { each.UID = uid }))
		})
	}
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeOwnerIsNotVisible(judge, alone(visitorSleep...), visitorSleep) })
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeOwnerIsNotVisible(judge, seen, visitorSleep) })
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeOwnerIsNotVisible(judge, process.Snapshot{}, visitorSleep) })
}

func TestJudgeCanaryIsRead(t *testing.T) {
	expectVerdict(t, reports.Conformant,
		func(judge suite.Judge) { judgeCanaryIsRead(judge, suite.ExecResult{Output: "CANARY=" + canary + "\n"}) })
	for _, output := range []string{"", "CANARY=\n", "CANARY=another\n"} {
		expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeCanaryIsRead(judge, suite.ExecResult{Output: output}) })
	}
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeCanaryIsRead(judge, observedDenied) })
	// A pipe that lacks a program ends with the last one's exit code.
	expectVerdict(t, reports.Inconclusive,
		func(judge suite.Judge) {
			judgeCanaryIsRead(judge, suite.ExecResult{Output: "sh: tr: not found\n", ExitCode: 1})
		})
}

func TestJudgeCanaryIsThere(t *testing.T) {
	target := process.Process{PID: 3, StartTime: 950, Arguments: ownerSleep}
	after := with(alone(tracerSleep...), target)
	canaryInEnviron, executed := suite.ExecResult{Output: "CANARY=" + canary + "\n"}, suite.ExecResult{Output: canary + "\n"}
	missing := suite.ExecResult{ExitCode: 1}
	replaced := with(alone(tracerSleep...), process.Process{PID: 3, StartTime: 951, Arguments: ownerSleep})
	for name, test := range map[string]struct {
		environ, executed suite.ExecResult
		after             process.Snapshot
		want              reports.Verdict
	}{
		"the owner has it":                     {canaryInEnviron, executed, after, reports.Conformant},
		"an exec may not read its own sibling": {observedDenied, executed, after, reports.Conformant},
		"nor has the canary":                   {observedDenied, suite.ExecResult{Output: "\n"}, after, reports.Inconclusive},
		"the process was not given it":         {missing, executed, after, reports.Inconclusive},
		"the process is gone":                  {canaryInEnviron, executed, alone(tracerSleep...), reports.Inconclusive},
		"another process has its pid":          {canaryInEnviron, executed, replaced, reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, test.want, func(judge suite.Judge) {
				judgeCanaryIsThere(judge, test.environ, test.executed, target, test.after)
			})
		})
	}
}

func TestShowsExecuted(t *testing.T) {
	const pid = 7
	for want, arguments := range map[bool][][]string{
		true:  {executed, {"sh", "-c", "{ ( sleep 1000030 </dev/null & echo $!"}},
		false: {{"sleep", "1000031"}, {"sh", "-c", "look"}, nil},
	} {
		for _, each := range arguments {
			seen := process.Snapshot{Processes: []process.Process{{PID: pid, Arguments: each}}}
			if showsExecuted(seen, pid) != want || showsExecuted(seen, pid+1) {
				t.Errorf("%q is taken for the process: %t", each, !want)
			}
		}
	}
}

func TestLivedThrough(t *testing.T) {
	look := alone(visitorSleep...) // made at 999
	absent := &suite.Violation{Reason: "the process is not visible"}
	for name, test := range map[string]struct {
		own  process.Snapshot
		want reports.Verdict
	}{
		"it was there all the time": {with(alone(), process.Process{PID: 3, StartTime: 950, Arguments: ownerSleep}), reports.Nonconformant},
		"it was started since":      {with(alone(), process.Process{PID: 3, StartTime: 1000, Arguments: ownerSleep}), reports.Inconclusive},
		"it has ended":              {alone(), reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			outcome := suite.Conclude(func(suite.Judge) error { return livedThrough(look, test.own, absent) })
			if outcome.Verdict != test.want {
				t.Errorf("%s (%s), want %s", outcome.Verdict, outcome.Reason, test.want)
			}
		})
	}
}

func TestSnapshotHelpersLeaveTheOriginalAlone(t *testing.T) {
	shared := recorded(t)
	before := slices.Clone(shared.Processes)
	without(shared, "sh")
	if len(shared.Processes) != len(before) || shared.Processes[0].PID != before[0].PID {
		t.Error("a changed snapshot must be a copy")
	}
}
