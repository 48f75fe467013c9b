package reports

import "slices"

// largestGrid is how many targets a grid of traits by targets has room for on a terminal.
const largestGrid = 6

// FitsGrid tells whether outcomes make a grid that fits a terminal: there are several targets, and not too many.
func FitsGrid(outcomes []Result) bool {
	count := len(TargetColumns(nil, outcomes))
	return count > 1 && count <= largestGrid
}

// GridRow is how one trait came out on each target, empty where it was not planned.
type GridRow struct {
	Trait    string
	Verdicts []Verdict
}

// Grid returns traits by targets. The outcomes are sorted by trait, and the targets are those of TargetColumns. Of several
// outcomes of one trait on one target the one that needs attention most is shown.
func Grid(outcomes []Result, targets []string) []GridRow {
	columns := make(map[string]int, len(targets))
	for i, target := range targets {
		columns[target] = i
	}
	var rows []GridRow
	for _, outcome := range outcomes {
		if len(rows) == 0 || rows[len(rows)-1].Trait != outcome.Trait {
			rows = append(rows, GridRow{outcome.Trait, make([]Verdict, len(targets))})
		}
		cell := &rows[len(rows)-1].Verdicts[columns[outcome.Target]]
		if *cell == "" || outcome.Verdict.Attention() < cell.Attention() {
			*cell = outcome.Verdict
		}
	}
	return rows
}

// TargetColumns returns the targets of outcomes, each once: in the order of the known ones, and then those that are not known.
func TargetColumns(known []Target, outcomes []Result) []string {
	order := make(map[string]int, len(known))
	for i, target := range known {
		order[target.ID] = i - len(known) // below 0, which is what the others have
	}
	var targets []string
	seen := map[string]bool{}
	for _, outcome := range outcomes {
		if !seen[outcome.Target] {
			seen[outcome.Target] = true
			targets = append(targets, outcome.Target)
		}
	}
	slices.SortStableFunc(targets, func(a, b string) int { return order[a] - order[b] })
	return targets
}
