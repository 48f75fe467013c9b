package suites

import (
	"os"
	"slices"
	"testing"

	"sharedpid.example/helpers/process"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
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

func expectVerdict(t *testing.T, want reports.Verdict, judge func(suite.Judge)) {
	t.Helper()
	outcome := suite.Conclude(func(judging suite.Judge) error {
		judge(judging)
		return nil
	})
	if outcome.Verdict != want {
		t.Errorf("verdict is %s (%s), want %s", outcome.Verdict, outcome.Reason, want)
	}
}
