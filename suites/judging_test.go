package suites

import (
	"os"
	"slices"
	"testing"

	"github.com/onsi/gomega"

	"sharedpid/helpers/pod"
	"sharedpid/helpers/process"
	"sharedpid/reports"
)

// recorded is a snapshot taken in the shell of the article's Pod.
func recorded(t *testing.T) process.Snapshot {
	t.Helper()
	output, err := os.ReadFile("../helpers/process/testdata/shared.snapshot")
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := process.Parse(string(output))
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// changed returns the snapshot with each process as change leaves it; a process whose pid becomes 0 is gone.
func changed(snapshot process.Snapshot, change func(*process.Process)) process.Snapshot {
	copied := process.Snapshot{Self: snapshot.Self, Processes: slices.Clone(snapshot.Processes)}
	for i := range copied.Processes {
		change(&copied.Processes[i])
	}
	copied.Processes = slices.DeleteFunc(copied.Processes, func(each process.Process) bool { return each.PID == 0 })
	return copied
}

func without(snapshot process.Snapshot, arguments ...string) process.Snapshot {
	return changed(snapshot, func(each *process.Process) {
		if slices.Equal(each.Arguments, arguments) {
			each.PID = 0
		}
	})
}

func expectVerdict(t *testing.T, want reports.Verdict, judge func(g gomega.Gomega)) {
	t.Helper()
	got, reason := verdict(func(g gomega.Gomega) error {
		judge(g)
		return nil
	})
	if got != want {
		t.Errorf("verdict is %s (%s), want %s", got, reason, want)
	}
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
}

func TestJudgeNginxVisibility(t *testing.T) {
	shared := recorded(t)
	alone := without(without(shared, nginxMaster), nginxWorker)
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeNginxIsVisible(g, shared) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeNginxIsVisible(g, alone) })
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeNginxIsNotVisible(g, alone) })
	// A control that fails proves nothing, for or against the Pod that shares.
	expectVerdict(t, reports.Inconclusive, func(g gomega.Gomega) { judgeNginxIsNotVisible(g, shared) })
	// Nor does an empty list: the control must at least see itself.
	expectVerdict(t, reports.Inconclusive, func(g gomega.Gomega) { judgeNginxIsNotVisible(g, process.Snapshot{}) })
}

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
	draining := after
	draining.Processes = append(slices.Clone(after.Processes), process.Process{PID: old.PID, Arguments: []string{"nginx: worker process is shutting down"}})
	expectVerdict(t, reports.Nonconformant, judge(before, draining))
}

func TestJudgeModesHold(t *testing.T) {
	readable := pod.Observation{Output: "canary-for-everyone"}
	private := pod.Observation{Output: "cat: can't open: Permission denied", ExitCode: 1}
	listing := pod.Observation{Output: "-rw-------    1 0        0   15 private\n"}
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeModesHold(g, readable, private, listing) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeModesHold(g, private, private, listing) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeModesHold(g, readable, readable, listing) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeModesHold(g, readable, private, private) })
}

func TestJudgeSameFile(t *testing.T) {
	own := pod.Observation{Output: "worker_processes 2;\n"}
	missing := pod.Observation{Output: "No such file or directory", ExitCode: 1}
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeSameFile(g, own, own, missing) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeSameFile(g, own, pod.Observation{Output: "other"}, missing) })
	// The reader sees its own file of that name: nothing went through /proc.
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeSameFile(g, own, own, own) })
	expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeSameFile(g, missing, own, missing) })
}

func TestJudgeRefusal(t *testing.T) {
	refused := refusal{exitCode: 1, restarts: 1, words: "Explicit --user argument required to run as user manager.", siblingRuns: true}
	expectVerdict(t, reports.Conformant, func(g gomega.Gomega) { judgeRefusal(g, refused) })
	for name, change := range map[string]func(*refusal){
		"boots":            func(seen *refusal) { seen.restarts, seen.exitCode = 0, -1 },
		"other exit code":  func(seen *refusal) { seen.exitCode = 255 },
		"unknown words":    func(seen *refusal) { seen.words = "Segmentation fault" },
		"sibling restarts": func(seen *refusal) { seen.siblingRestarts = 1 },
		"sibling is gone":  func(seen *refusal) { seen.siblingRuns = false },
	} {
		t.Run(name, func(t *testing.T) {
			seen := refused
			change(&seen)
			expectVerdict(t, reports.Nonconformant, func(g gomega.Gomega) { judgeRefusal(g, seen) })
		})
	}
}

func TestVerdictOfAnErrorAndOfAPanic(t *testing.T) {
	decided, reason := verdict(func(gomega.Gomega) error { return os.ErrDeadlineExceeded })
	if decided != reports.Inconclusive || reason != os.ErrDeadlineExceeded.Error() {
		t.Errorf("an error gives %s %q", decided, reason)
	}
	if decided, _ := verdict(func(gomega.Gomega) error { panic("a bug") }); decided != reports.Inconclusive {
		t.Errorf("a panic of the check gives %s", decided)
	}
}
