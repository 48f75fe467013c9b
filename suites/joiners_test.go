package suites

import (
	"testing"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func TestJudgeInitContainer(t *testing.T) {
	after := recorded(t)
	first, _ := after.PID(1)
	if first.StartTime != 1915858 {
		t.Fatalf("process 1 was recorded with another start time than 1915858: %d", first.StartTime)
	}
	shared, unshared := place{startTime: "1915858", first: "/pause"}, place{startTime: "5", first: "sh -c look"}
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeInitContainer(judge, shared, unshared, after) })
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) { judgeInitContainer(judge, unshared, unshared, after) })
	// A pause, but of another sandbox.
	expectVerdict(t, reports.Nonconformant, func(judge suite.Judge) {
		judgeInitContainer(judge, place{startTime: "5", first: "/pause"}, unshared, after)
	})
	expectVerdict(t, reports.Inconclusive, func(judge suite.Judge) { judgeInitContainer(judge, shared, shared, after) })
}

func TestJudgeDebuggers(t *testing.T) {
	judging := func(untargeted, targeted process.Snapshot) func(suite.Judge) {
		return func(judge suite.Judge) {
			judgeDebuggers(judge, []string{"sleep", "1000130"}, untargeted, targeted)
		}
	}
	own, target := alone("sleep", "1000130"), alone(ownerSleep...)
	expectVerdict(t, reports.Conformant, judging(own, target))
	// k3s#3381: the target is ignored without a word.
	expectVerdict(t, reports.Nonconformant, judging(own, alone("sleep", "1000131")))
	expectVerdict(t, reports.Nonconformant, judging(own, with(target, process.Process{PID: 9, Arguments: visitorSleep})))
	expectVerdict(t, reports.Inconclusive, judging(recorded(t), target))
}
