package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
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
// A run is conformant only when its whole plan was looked at, nothing was left open, and at least
// one planned trait was seen to hold: a run that observed nothing is no success.
//
// A list of expected deviations changes what is asked for: where it has an entry, the run must see that deviation. One
// that it sees is no failure and counts as observed. One that has vanished makes the run nonconformant, as a new
// one does: it is not as the list says. What is inconclusive or unsupported says nothing about the list.
func (run *Run) Conclude() {
	outcomes := run.besideList()
	count := countVerdicts(outcomes)
	switch {
	case count[Nonconformant]+count[Vanished] > 0:
		run.Verdict = Nonconformant
		var reasons []string
		if count[Nonconformant] > 0 {
			reasons = append(reasons, fmt.Sprintf("%d of %d nonconformant: %s",
				count[Nonconformant], len(outcomes), listTraits(outcomes, Nonconformant)))
		}
		if count[Vanished] > 0 {
			reasons = append(reasons, fmt.Sprintf("%d of %d conformant although a deviation is expected: %s",
				count[Vanished], len(outcomes), listTraits(outcomes, Vanished)))
		}
		run.Reason = strings.Join(reasons, "; ")
		if run.SetupError != "" {
			run.Reason += "; the run ended early: " + oneLine(run.SetupError)
		}
	case run.SetupError != "":
		run.Verdict, run.Reason = Inconclusive, "the run ended early: "+oneLine(run.SetupError)
	case len(run.Plan) == 0:
		run.Verdict, run.Reason = Inconclusive, "nothing was planned, so nothing was decided"
	case count[Inconclusive]+count[NotRun] > 0:
		run.Verdict = Inconclusive
		run.Reason = fmt.Sprintf("%d of %d undecided: %s",
			count[Inconclusive]+count[NotRun], len(outcomes), listTraits(outcomes, Inconclusive, NotRun))
	case !run.plannedObserved():
		run.Verdict, run.Reason = Inconclusive, "nothing that was planned could be observed: "+countText(count)
	default:
		run.Verdict = Conformant
		run.Reason = fmt.Sprintf("%d of %d conformant", count[Conformant], len(outcomes))
		if count[Expected] > 0 {
			run.Reason += fmt.Sprintf(", %d deviating as expected", count[Expected])
		}
		if count[Unsupported] > 0 {
			run.Reason += fmt.Sprintf(", %d unsupported", count[Unsupported])
		}
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

// NotRun lists what was planned and has no result, each once, in the plan's order.
func (run Run) NotRun() []Planned {
	done := make(map[Planned]bool, len(run.Plan))
	for _, result := range run.Results {
		done[result.planned()] = true
	}
	var missing []Planned
	for _, planned := range run.Plan {
		if !done[planned] {
			done[planned] = true
			missing = append(missing, planned)
		}
	}
	return missing
}

func (result Result) planned() Planned {
	return Planned{Trait: result.Trait, Subject: result.Subject}
}

// AsExpected tells whether the result is a deviation that was recorded beforehand.
func (result Result) AsExpected() bool {
	return result.Deviation != nil && result.Verdict == Nonconformant
}

// HasVanished tells whether a deviation that was recorded beforehand was not seen.
func (result Result) HasVanished() bool {
	return result.Deviation != nil && result.Verdict == Conformant
}

// plannedObserved tells whether anything that was planned was seen to be as it is to be.
func (run Run) plannedObserved() bool {
	planned := make(map[Planned]bool, len(run.Plan))
	for _, each := range run.Plan {
		planned[each] = true
	}
	return slices.ContainsFunc(run.Results, func(result Result) bool {
		return (result.Verdict == Conformant || result.AsExpected()) && planned[result.planned()]
	})
}

// outcomes returns a row for everything that a report must mention, sorted by trait and subject:
// every result, and every planned trait without one as NotRun.
func (run Run) outcomes() []Result {
	outcomes := make([]Result, 0, len(run.Results)+len(run.Plan))
	for _, result := range run.Results {
		switch result.Verdict {
		case Conformant, Nonconformant, Inconclusive, Unsupported:
		default:
			// A word that nobody knows must not pass for success anywhere.
			result.Reason = strings.TrimSpace(fmt.Sprintf("the verdict %q is unknown. %s", result.Verdict, result.Reason))
			result.Verdict = Inconclusive
		}
		outcomes = append(outcomes, result)
	}
	for _, planned := range run.NotRun() {
		outcomes = append(outcomes, Result{
			Trait: planned.Trait, Subject: planned.Subject,
			Verdict: NotRun, Reason: "the run ended before this was looked at",
		})
	}
	sortResults(outcomes)
	return outcomes
}

// besideList returns the outcomes as they stand beside the list of expected deviations: what the gate goes by.
func (run Run) besideList() []Result {
	outcomes := run.outcomes()
	for i := range outcomes {
		switch outcome := &outcomes[i]; {
		case outcome.AsExpected():
			outcome.Verdict = Expected
			outcome.Reason = fmt.Sprintf("%s (%s); observed: %s", outcome.Deviation.Reason, outcome.Deviation.Link, outcome.Reason)
		case outcome.HasVanished():
			outcome.Verdict = Vanished
			outcome.Reason = "conformant, although a deviation is expected: " + outcome.Deviation.Reason
			outcome.Observed = "the trait as stated"
			outcome.NextStep = "take the entry out of the list of expected deviations, or narrow its versions"
		}
	}
	return outcomes
}

func sortResults(results []Result) {
	slices.SortStableFunc(results, func(a, b Result) int {
		return cmp.Or(cmp.Compare(a.Trait, b.Trait), cmp.Compare(a.Subject, b.Subject))
	})
}

// failed reports whether an outcome needs somebody's attention.
func (result Result) failed() bool {
	return result.Verdict != Conformant && result.Verdict != Unsupported && result.Verdict != Expected
}

// verdictsByAttention are all verdicts, the one that needs somebody's attention most first.
var verdictsByAttention = []Verdict{Nonconformant, Vanished, Inconclusive, NotRun, Expected, Unsupported, Conformant}

// attention is the place of a verdict among them.
func attention(verdict Verdict) int { return slices.Index(verdictsByAttention, verdict) }

func countVerdicts(outcomes []Result) map[Verdict]int {
	count := make(map[Verdict]int)
	for _, outcome := range outcomes {
		count[outcome.Verdict]++
	}
	return count
}

// countText says how many there are of each verdict, the ones that matter most first, without zeros.
func countText(count map[Verdict]int) string {
	var parts []string
	for _, verdict := range verdictsByAttention {
		if count[verdict] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[verdict], verdict))
		}
	}
	if len(parts) == 0 {
		return "no result"
	}
	return strings.Join(parts, ", ")
}

// listTraits names the first few traits with one of the verdicts, each once however many subjects it failed on.
func listTraits(outcomes []Result, verdicts ...Verdict) string {
	const shown = 3
	var traits []string
	for _, outcome := range outcomes {
		if slices.Contains(verdicts, outcome.Verdict) && !slices.Contains(traits, outcome.Trait) {
			traits = append(traits, outcome.Trait)
		}
	}
	if len(traits) <= shown {
		return strings.Join(traits, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(traits[:shown], ", "), len(traits)-shown)
}

// severalSubjects reports whether naming the subject of each outcome tells a reader anything.
func severalSubjects(outcomes []Result) bool {
	return slices.ContainsFunc(outcomes, func(outcome Result) bool { return outcome.Subject != outcomes[0].Subject })
}
