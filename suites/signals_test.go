package suites

import (
	"slices"
	"strings"
	"testing"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/suites/access"
)

func TestJudgeWorkersAreReplaced(t *testing.T) {
	before := recorded(t)
	after := changed(before, func(each *process.Process) {
		if slices.Equal(each.Arguments, []string{nginxWorker}) {
			each.PID += 100
		}
	})
	judging := func(before, after process.Snapshot) func(suite.Judge) {
		return func(judge suite.Judge) { judgeWorkersAreReplaced(judge, before, after) }
	}
	expectVerdict(t, reports.Conformant, judging(before, after))
	// nginx may be slow.
	expectVerdict(t, reports.Inconclusive, judging(before, before))
	expectVerdict(t, reports.Inconclusive, judging(before, without(after, nginxWorker)))
	// The whole server was restarted instead of reloaded.
	expectVerdict(t, reports.Nonconformant, judging(before, changed(after, func(each *process.Process) {
		if slices.Equal(each.Arguments, []string{nginxMaster}) {
			each.PID += 100
		}
	})))
	// A worker that still drains keeps its pid under another title.
	old := before.With(nginxWorker)[0]
	draining := with(after, process.Process{PID: old.PID, Arguments: []string{"nginx: worker process is shutting down"}})
	expectVerdict(t, reports.Inconclusive, judging(before, draining))
}

func TestSignalClaims(t *testing.T) {
	cells := func() []reports.Access {
		var all []reports.Access
		for _, claim := range signalClaims {
			all = append(all, reports.Access{Caller: claim.caller, Target: claim.target, Operation: "signal", Observed: claim.want})
		}
		return all
	}
	judging := func(cells []reports.Access) func(suite.Judge) {
		return func(judge suite.Judge) { judgeClaims(judge, access.Matrix{Cells: cells}, signalClaims) }
	}
	expectVerdict(t, reports.Conformant, judging(cells()))
	for i := range signalClaims {
		for _, observed := range []string{"EPERM", access.Allowed, "failed: 1 sh: no such process"} {
			if wrong := cells(); wrong[i].Observed != observed {
				wrong[i].Observed = observed
				want := reports.Nonconformant
				if !access.Decided(observed) {
					want = reports.Inconclusive
				}
				expectVerdict(t, want, judging(wrong))
			}
		}
	}
}

func TestDescribeDamage(t *testing.T) {
	before := recorded(t)
	if damage := describeDamage(before, before); damage != "" {
		t.Errorf("the same processes are damaged: %s", damage)
	}
	first := func(change func(*process.Process)) process.Snapshot {
		return changed(before, func(each *process.Process) {
			if each.PID == 1 {
				change(each)
			}
		})
	}
	for name, after := range map[string]process.Snapshot{
		"gone":     without(before, "/pause"),
		"another":  first(func(each *process.Process) { each.StartTime++ }),
		"stopped":  first(func(each *process.Process) { each.State = "T" }),
		"zombie":   first(func(each *process.Process) { each.State = "Z" }),
		"no nginx": without(before, nginxMaster),
	} {
		if describeDamage(before, after) == "" {
			t.Errorf("%s: no damage is seen", name)
		}
	}
}

func TestSurvivedCommandSendsWhatPauseDoesNotHandle(t *testing.T) {
	list, _, _ := strings.Cut(strings.TrimPrefix(survivedCommand(), "for number in "), ";")
	numbers := strings.Fields(list)
	for _, number := range []string{"1", "3", "9", "10", "12", "14", "18", "19", "20", "28", "31", "34", "64"} {
		if !slices.Contains(numbers, number) {
			t.Errorf("signal %s is not sent", number)
		}
	}
	for _, number := range []string{"0", "2", "15", "17", "32", "33", "65"} {
		if slices.Contains(numbers, number) {
			t.Errorf("signal %s is sent", number)
		}
	}
	if len(numbers) != 59 {
		t.Errorf("%d signals are sent, want 59", len(numbers))
	}
	// A process that STOP has stopped would go on with CONT.
	if slices.Index(numbers, "18") > slices.Index(numbers, "19") {
		t.Error("CONT is sent after STOP")
	}
}

func TestRefusedAmongNamesSignals(t *testing.T) {
	err := refusedAmong("sh: can't kill pid 1: Operation not permitted\nsh: can't kill pid 1: Operation not permitted\n9 64\n")
	const want = `signals 9, 64 to process 1 were refused: "sh: can't kill pid 1: Operation not permitted"`
	if err.Error() != want || suite.KindOf(err) != reports.Precondition {
		t.Errorf("the error is %q (%s), want %q", err, suite.KindOf(err), want)
	}
}

func TestSignallable(t *testing.T) {
	if err := signallable(recorded(t)); err != nil {
		t.Errorf("a Pod's pause may be signalled: %v", err)
	}
	// On a node without isolation process 1 may be the node's own init.
	for _, snapshot := range []process.Snapshot{{}, alone("/sbin/init"), alone()} {
		if signallable(snapshot) == nil {
			t.Errorf("process 1 of %v must not be signalled", snapshot.Processes)
		}
	}
}

func TestJudgeNewSandbox(t *testing.T) {
	before := recorded(t)
	after := changed(before, func(each *process.Process) { each.StartTime += 1000 })
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeNewSandbox(judge, before, after) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeNewSandbox(judge, before, before) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeNewSandbox(judge, before, without(after, nginxMaster)) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) {
		judgeNewSandbox(judge, before, changed(after, func(each *process.Process) {
			if slices.Equal(each.Arguments, []string{"sh"}) {
				each.StartTime -= 1000 // it survived its namespace
			}
		}))
	})
}
