package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sharedpid.example/reports/internal/legible"
)

// Outcomes returns a row for everything that a report must mention, sorted by trait and target: every result as it
// stands beside the list of known deviations, and every planned trait without a result as NotRun. What the gate and
// all forms of a report say rests on these rows. The run is not changed.
func (run Run) Outcomes() []Result {
	outcomes := make([]Result, 0, len(run.Results)+len(run.Plan))
	for _, result := range run.Results {
		outcomes = append(outcomes, result.besideList())
	}
	reason := "the run ended before this was looked at"
	if run.Running {
		reason = "the run has not come to this"
	}
	for _, planned := range run.NotRun() {
		outcomes = append(outcomes, Result{Trait: planned.Trait, Target: planned.Target, Verdict: NotRun, Reason: reason})
	}
	sortResults(outcomes)
	return outcomes
}

// besideList returns the result as a report shows it. Only here do verdicts become KnownDeviation and Resolved.
func (result Result) besideList() Result {
	switch result.Verdict {
	case Conformant, Nonconformant, Unsupported:
		result.Kind = "" // only what is inconclusive has one
	case Inconclusive:
	default:
		// A word that nobody knows must not pass for success anywhere.
		result.Reason = strings.TrimSpace(fmt.Sprintf("the verdict %q is unknown. %s", result.Verdict, result.Reason))
		result.Verdict = Inconclusive
	}
	switch {
	case result.IsKnownDeviation():
		result.Verdict = KnownDeviation
		result.Reason = fmt.Sprintf("%s (%s); observed: %s", result.KnownDeviation.Reason, result.KnownDeviation.Link, result.Reason)
	case result.IsResolved():
		result.Verdict = Resolved
		result.Reason = "conformant, although a deviation is known: " + result.KnownDeviation.Reason
		result.NextStep = "take the entry out of the list of known deviations, or narrow its versions"
	}
	return result
}

// NotRun lists what was planned and has no result, each once, in the plan's order.
func (run Run) NotRun() []Planned {
	done := make(map[Planned]bool, len(run.Plan))
	for _, result := range run.Results {
		done[result.Planned()] = true
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

// Complete returns the run as it is written: of the present schema version, concluded, results in their stable order,
// and empty lists as lists, so that readers of the JSON need not tell null from empty. The run given is not changed.
func (run Run) Complete() Run {
	run.SchemaVersion = SchemaVersion
	run.Conclude()
	run.Targets = append([]Target{}, run.Targets...)
	run.Plan = append([]Planned{}, run.Plan...)
	run.Results = append([]Result{}, run.Results...)
	for i := range run.Results {
		run.Results[i].Evidence = append([]Evidence{}, run.Results[i].Evidence...)
	}
	sortResults(run.Results)
	return run
}

// FindTarget returns the target with the id, false when the run does not describe it.
func (run Run) FindTarget(id string) (Target, bool) {
	for _, target := range run.Targets {
		if target.ID == id {
			return target, true
		}
	}
	return Target{}, false
}

// Planned names the trait and the target of the result.
func (result Result) Planned() Planned { return Planned{Trait: result.Trait, Target: result.Target} }

// IsKnownDeviation tells whether the result is a deviation that was recorded beforehand.
func (result Result) IsKnownDeviation() bool {
	return result.KnownDeviation != nil && result.Verdict == Nonconformant
}

// IsResolved tells whether a deviation that was recorded beforehand was not seen.
func (result Result) IsResolved() bool {
	return result.KnownDeviation != nil && result.Verdict == Conformant
}

// NeedsAttention tells whether an outcome is one that somebody has to look at: all but conformant, unsupported and
// known deviations.
func (result Result) NeedsAttention() bool {
	return result.Verdict != Conformant && result.Verdict != Unsupported && result.Verdict != KnownDeviation
}

// VerdictText is the verdict in words, with the kind of one that is inconclusive: "inconclusive (out of time)".
func (result Result) VerdictText() string {
	if result.Verdict != Inconclusive || result.Kind == "" {
		return string(result.Verdict)
	}
	return fmt.Sprintf("%s (%s)", result.Verdict, legible.Line(string(result.Kind)))
}

func sortResults(results []Result) {
	slices.SortStableFunc(results, func(a, b Result) int {
		return cmp.Or(cmp.Compare(a.Trait, b.Trait), cmp.Compare(a.Target, b.Target))
	})
}

var verdictsByAttention = []Verdict{Nonconformant, Resolved, Inconclusive, NotRun, KnownDeviation, Unsupported, Conformant}

// VerdictsByAttention returns all verdicts of outcomes, the one that needs somebody's attention most first.
func VerdictsByAttention() []Verdict { return slices.Clone(verdictsByAttention) }

// Attention is the place of the verdict among VerdictsByAttention: the lower, the more attention it needs.
func (verdict Verdict) Attention() int { return slices.Index(verdictsByAttention, verdict) }

// ByAttention returns the outcomes sorted so that those that need somebody's attention most come first, in the same
// order otherwise.
func ByAttention(outcomes []Result) []Result {
	sorted := slices.Clone(outcomes)
	slices.SortStableFunc(sorted, func(a, b Result) int { return a.Verdict.Attention() - b.Verdict.Attention() })
	return sorted
}

// Counts is how many outcomes have each verdict.
type Counts map[Verdict]int

// CountVerdicts counts outcomes by verdict.
func CountVerdicts(outcomes []Result) Counts {
	count := Counts{}
	for _, outcome := range outcomes {
		count[outcome.Verdict]++
	}
	return count
}

// String says how many there are of each verdict, those that need attention most first, without zeros.
func (count Counts) String() string {
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

// SeveralTargets tells whether naming the target of each outcome tells a reader anything.
func SeveralTargets(outcomes []Result) bool {
	return slices.ContainsFunc(outcomes, func(outcome Result) bool { return outcome.Target != outcomes[0].Target })
}
