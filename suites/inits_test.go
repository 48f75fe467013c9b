package suites

import (
	"testing"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func TestJudgeRefusal(t *testing.T) {
	refused := refusal{exitCode: 1, restarts: 1, words: "Explicit --user argument required to run as user manager.", siblingRuns: true}
	expectVerdict(t, reports.Conformant, func(judge suite.Judge) { judgeRefusal(judge, refused) })
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
			want := reports.Nonconformant
			if name == "unknown words" {
				want = reports.Inconclusive // of a version that nobody has met, or of what starts it
			}
			expectVerdict(t, want, func(judge suite.Judge) { judgeRefusal(judge, seen) })
		})
	}
}
