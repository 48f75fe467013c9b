package reports

import "slices"

// largestGrid is how many subjects a grid of traits by subjects has room for.
const largestGrid = 6

// wantsGrid tells whether outcomes are shown as a grid: there are several subjects, and not too many.
func wantsGrid(outcomes []Result) bool {
	count := len(subjectColumns(nil, outcomes))
	return count > 1 && count <= largestGrid
}

// gridRow is how one trait came out on each subject, empty where it was not planned.
type gridRow struct {
	trait    string
	verdicts []Verdict
}

func grid(outcomes []Result, subjects []string) []gridRow {
	var rows []gridRow
	for _, outcome := range outcomes { // sorted by trait
		if len(rows) == 0 || rows[len(rows)-1].trait != outcome.Trait {
			rows = append(rows, gridRow{outcome.Trait, make([]Verdict, len(subjects))})
		}
		rows[len(rows)-1].verdicts[slices.Index(subjects, outcome.Subject)] = outcome.Verdict
	}
	return rows
}

// subjectColumns returns the subjects of outcomes, each once: in the run's order, and then those that it does not know.
func subjectColumns(known []Subject, outcomes []Result) []string {
	var subjects []string
	for _, outcome := range outcomes {
		if !slices.Contains(subjects, outcome.Subject) {
			subjects = append(subjects, outcome.Subject)
		}
	}
	order := func(id string) int {
		at := slices.IndexFunc(known, func(subject Subject) bool { return subject.ID == id })
		if at < 0 {
			return len(known)
		}
		return at
	}
	slices.SortStableFunc(subjects, func(a, b string) int { return order(a) - order(b) })
	return subjects
}
