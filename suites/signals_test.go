package suites

import (
	"slices"
	"testing"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

func TestJudgeWorkersAreReplaced(t *testing.T) {
	before := recorded(t)
	after := changed(before, func(each *process.Process) {
		if slices.Equal(each.Arguments, []string{nginxWorker}) {
			each.PID += 100
		}
	})
	judge := func(before, after process.Snapshot) func(gomega.Gomega) {
		return func(g gomega.Gomega) { judgeWorkersAreReplaced(g, before, after) }
	}
	expectVerdict(t, reports.Conformant, judge(before, after))
	expectVerdict(t, reports.Nonconformant, judge(before, before))
	expectVerdict(t, reports.Nonconformant, judge(before, without(after, nginxWorker)))
	// The whole server was restarted instead of reloaded.
	expectVerdict(t, reports.Nonconformant, judge(before, changed(after, func(each *process.Process) {
		if slices.Equal(each.Arguments, []string{nginxMaster}) {
			each.PID += 100
		}
	})))
	// A worker that still drains keeps its pid under another title.
	old := before.With(nginxWorker)[0]
	draining := with(after, process.Process{PID: old.PID, Arguments: []string{"nginx: worker process is shutting down"}})
	expectVerdict(t, reports.Nonconformant, judge(before, draining))
}

func TestSignalClaims(t *testing.T) {
	cells := func() []reports.Access {
		var all []reports.Access
		for _, claim := range signalClaims {
			all = append(all, reports.Access{Caller: claim.caller, Target: claim.target, Operation: "signal", Observed: claim.want})
		}
		return all
	}
	judge := func(cells []reports.Access) func(gomega.Gomega) {
		return func(g gomega.Gomega) { judgeClaims(g, accessMatrix{cells: cells}, signalClaims) }
	}
	expectVerdict(t, reports.Conformant, judge(cells()))
	for i := range signalClaims {
		for _, observed := range []string{"EPERM", accessAllowed, "failed: 1 sh: no such process"} {
			if wrong := cells(); wrong[i].Observed != observed {
				wrong[i].Observed = observed
				expectVerdict(t, reports.Nonconformant, judge(wrong))
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
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeNewSandbox(g, before, after) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeNewSandbox(g, before, before) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeNewSandbox(g, before, without(after, nginxMaster)) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) {
		judgeNewSandbox(g, before, changed(after, func(each *process.Process) {
			if slices.Equal(each.Arguments, []string{"sh"}) {
				each.StartTime -= 1000 // it survived its namespace
			}
		}))
	})
}
