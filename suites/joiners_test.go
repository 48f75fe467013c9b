package suites

import (
	"testing"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

func TestJudgeInitContainer(t *testing.T) {
	after := recorded(t)
	first, _ := after.PID(1)
	if first.StartTime != 1915858 {
		t.Fatalf("process 1 was recorded with another start time than 1915858: %d", first.StartTime)
	}
	shared, unshared := place{startTime: "1915858", first: "/pause"}, place{startTime: "5", first: "sh -c look"}
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeInitContainer(g, shared, unshared, after) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeInitContainer(g, unshared, unshared, after) })
	// A pause, but of another sandbox.
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) {
		judgeInitContainer(g, place{startTime: "5", first: "/pause"}, unshared, after)
	})
	expectVerdict(t, reports.Inconclusive, func(g gomega.Gomega) { judgeInitContainer(g, shared, shared, after) })
}

func TestJudgeDebuggers(t *testing.T) {
	judge := func(untargeted, targeted process.Snapshot) func(gomega.Gomega) {
		return func(g gomega.Gomega) {
			judgeDebuggers(g, []string{"sleep", "1000130"}, untargeted, targeted)
		}
	}
	own, target := alone("sleep", "1000130"), alone(ownerSleep...)
	expectVerdict(t, reports.Conformant, judge(own, target))
	// k3s#3381: the target is ignored without a word.
	expectVerdict(t, reports.Nonconformant, judge(own, alone("sleep", "1000131")))
	expectVerdict(t, reports.Nonconformant, judge(own, with(target, process.Process{PID: 9, Arguments: visitorSleep})))
	expectVerdict(t, reports.Inconclusive, judge(recorded(t), target))
}
