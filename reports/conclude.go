package reports

import "fmt"

// Conclude sets the overall verdict and its reason: conformant only if every planned trait of every subject is
// conformant or unsupported, at least one was observed, and nothing kept the run from its plan.
func (run *Run) Conclude() {
	counts := run.Counts()
	switch {
	case counts[Nonconformant] > 0:
		run.Verdict, run.Reason = Nonconformant, fmt.Sprintf("%d of %d traits are not as they must be", counts[Nonconformant], len(run.Plan))
	case run.SetupError != "":
		run.Verdict, run.Reason = Inconclusive, run.SetupError
	case counts[NotRun] > 0:
		run.Verdict, run.Reason = Inconclusive, fmt.Sprintf("%d of %d planned traits were not run", counts[NotRun], len(run.Plan))
	case counts[Inconclusive] > 0:
		run.Verdict, run.Reason = Inconclusive, fmt.Sprintf("%d of %d traits could not be observed", counts[Inconclusive], len(run.Plan))
	case counts[Conformant] == 0:
		run.Verdict, run.Reason = Inconclusive, "nothing was observed"
	default:
		run.Verdict, run.Reason = Conformant, fmt.Sprintf("%d of %d traits are conformant, %d unsupported", counts[Conformant], len(run.Plan), counts[Unsupported])
	}
}

// ExitCode is the exit code of a run that was set up: 0 conformant, 1 nonconformant, 3 inconclusive.
func (run Run) ExitCode() int {
	switch run.Verdict {
	case Conformant:
		return 0
	case Nonconformant:
		return 1
	default:
		return 3
	}
}

// Counts returns how many planned traits have each verdict, NotRun included.
func (run Run) Counts() map[Verdict]int {
	counts := map[Verdict]int{NotRun: len(run.NotRun())}
	for _, result := range run.Results {
		counts[result.Verdict]++
	}
	return counts
}

// NotRun returns what was planned and has no result.
func (run Run) NotRun() []Planned {
	done := map[Planned]bool{}
	for _, result := range run.Results {
		done[Planned{Trait: result.Trait, Subject: result.Subject}] = true
	}
	var left []Planned
	for _, planned := range run.Plan {
		if !done[planned] {
			left = append(left, planned)
		}
	}
	return left
}
