package reports

import (
	"fmt"
	"slices"
	"strings"

	"sharedpid.example/reports/internal/legible"
)

// Exit codes of a run that took place. Bad input and a set-up that could not begin have code 2,
// which is no verdict and so is not decided here.
const (
	exitConformant    = 0
	exitNonconformant = 1
	exitInconclusive  = 3
)

// Conclude sets Verdict and Reason from the plan and the results.
//
// One nonconformant result makes the run nonconformant, whatever else happened: it was observed.
// A run is conformant only when it has ended, its whole plan was looked at, nothing was left open, and at least
// one planned trait was seen to hold: a run that observed nothing is no success.
//
// The list of known deviations changes what is asked for: where it has an entry, the run must see that deviation. A
// deviation that it sees is no failure and counts as observed. A resolved one makes the run nonconformant, as a new
// one does: it is not as the list says. What is inconclusive or unsupported says nothing about the list.
func (run *Run) Conclude() {
	outcomes := run.Outcomes()
	count := CountVerdicts(outcomes)
	switch {
	case count[Nonconformant]+count[Resolved] > 0:
		run.Verdict = Nonconformant
		var reasons []string
		if count[Nonconformant] > 0 {
			reasons = append(reasons, fmt.Sprintf("%d of %d nonconformant: %s",
				count[Nonconformant], len(outcomes), listTraits(outcomes, Nonconformant)))
		}
		if count[Resolved] > 0 {
			reasons = append(reasons, fmt.Sprintf("%d of %d conformant although a deviation is known: %s",
				count[Resolved], len(outcomes), listTraits(outcomes, Resolved)))
		}
		if problem := run.Problem(); problem != "" {
			reasons = append(reasons, problem)
		}
		run.Reason = strings.Join(reasons, "; ")
	case run.Problem() != "":
		run.Verdict, run.Reason = Inconclusive, run.Problem()
	case count[Inconclusive]+count[NotRun] > 0:
		run.Verdict = Inconclusive
		run.Reason = fmt.Sprintf("%d of %d undecided: %s",
			count[Inconclusive]+count[NotRun], len(outcomes), listTraits(outcomes, Inconclusive, NotRun))
	case !run.plannedObserved():
		run.Verdict, run.Reason = Inconclusive, "nothing that was planned could be observed: "+count.String()
	default:
		run.Verdict = Conformant
		run.Reason = fmt.Sprintf("%d of %d conformant", count[Conformant], len(outcomes))
		if count[KnownDeviation] > 0 {
			run.Reason += fmt.Sprintf(", %d known to deviate", count[KnownDeviation])
		}
		if count[Unsupported] > 0 {
			run.Reason += fmt.Sprintf(", %d unsupported", count[Unsupported])
		}
	}
}

// Problem says in one line what is wrong with the run as a whole, whatever its results are: that it is under way, that
// it ended early, or that it had nothing to decide. It is empty when nothing is.
func (run Run) Problem() string {
	switch {
	case run.SetupError != "" && run.Running:
		return "the run is under way and will end early: " + legible.Line(run.SetupError)
	case run.SetupError != "":
		return "the run ended early: " + legible.Line(run.SetupError)
	case run.Running:
		total := len(run.Outcomes())
		return fmt.Sprintf("the run is under way and has not finished: %d of %d looked at", total-len(run.NotRun()), total)
	case len(run.Plan) == 0:
		return "nothing was planned, so nothing was decided"
	default:
		return ""
	}
}

// ExitCode is what a command that made this run exits with: 0 conformant, 1 nonconformant, 3 inconclusive.
// It concludes for itself, so that a Verdict nobody set cannot pass a gate.
func (run Run) ExitCode() int {
	run.Conclude()
	switch run.Verdict {
	case Conformant:
		return exitConformant
	case Nonconformant:
		return exitNonconformant
	default:
		return exitInconclusive
	}
}

// plannedObserved tells whether anything that was planned was seen to be as it is to be.
func (run Run) plannedObserved() bool {
	planned := make(map[Planned]bool, len(run.Plan))
	for _, each := range run.Plan {
		planned[each] = true
	}
	return slices.ContainsFunc(run.Results, func(result Result) bool {
		return (result.Verdict == Conformant || result.IsKnownDeviation()) && planned[result.Planned()]
	})
}

// listTraits names the first few traits with one of the verdicts, each once however many targets it failed on.
func listTraits(outcomes []Result, verdicts ...Verdict) string {
	const shown = 3
	var traits []string
	for _, outcome := range outcomes {
		if slices.Contains(verdicts, outcome.Verdict) && !slices.Contains(traits, outcome.Trait) {
			traits = append(traits, outcome.Trait)
		}
	}
	return legible.List(traits, shown)
}
