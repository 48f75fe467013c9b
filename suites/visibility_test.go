package suites

import (
	"slices"
	"testing"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

func TestJudgeNginxVisibility(t *testing.T) {
	shared := recorded(t)
	hidden := without(without(shared, nginxMaster), nginxWorker)
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeNginxIsVisible(g, shared) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeNginxIsVisible(g, hidden) })
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeNginxIsNotVisible(g, hidden) })
	// A control that fails proves nothing, for or against the Pod that shares.
	expectVerdict(t, reports.Inconclusive, func(g gomega.Gomega) { judgeNginxIsNotVisible(g, shared) })
	// Nor does an empty list: the control must at least see itself.
	expectVerdict(t, reports.Inconclusive, func(g gomega.Gomega) { judgeNginxIsNotVisible(g, process.Snapshot{}) })
}

func TestJudgeMutual(t *testing.T) {
	shared := recorded(t)
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeMutual(g, shared, shared) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeMutual(g, without(shared, "sh"), shared) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeMutual(g, shared, without(shared, nginxMaster)) })
	for name, change := range map[string]func(*process.Process){
		"other pids":      func(each *process.Process) { each.PID += 100 },
		"other processes": func(each *process.Process) { each.StartTime++ },
	} {
		t.Run(name, func(t *testing.T) {
			expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeMutual(g, shared, changed(shared, change)) })
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
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeArgumentsArePublic(g, seen) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeArgumentsArePublic(g, without(seen, ownerSleep...)) })
	// A look as root, or at a process of the same uid, shows nothing about other uids.
	for _, uid := range []int{0, 1000} {
		expectVerdict(t, reports.Inconclusive, func(g gomega.Gomega) {
			judgeArgumentsArePublic(g, changed(seen, func(each *process.Process) { each.UID = uid }))
		})
	}
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeOwnerIsNotVisible(g, alone(visitorSleep...), visitorSleep) })
	expectVerdict(t, reports.Inconclusive, func(g gomega.Gomega) { judgeOwnerIsNotVisible(g, seen, visitorSleep) })
	expectVerdict(t, reports.Inconclusive, func(g gomega.Gomega) { judgeOwnerIsNotVisible(g, process.Snapshot{}, visitorSleep) })
}

func TestJudgeCanaryIsRead(t *testing.T) {
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeCanaryIsRead(g, pod.Observation{Output: "CANARY=" + canary + "\n"}) })
	for _, output := range []string{"", "CANARY=\n", "CANARY=another\n"} {
		expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeCanaryIsRead(g, pod.Observation{Output: output}) })
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
