package reports

import "slices"

// htmlGrid is traits by subjects.
type htmlGrid struct {
	Subjects []string
	Rows     []htmlGridRow
}

type htmlGridRow struct {
	Trait string
	Cells []htmlGridCell
}

// htmlGridCell leads to a result; its verdict is empty where nothing was planned.
type htmlGridCell struct {
	ID      string
	Verdict Verdict
}

// newHTMLGrid is nil for a single subject: the list shows as much. Results are in the order of the outcomes.
func newHTMLGrid(outcomes []Result, results []htmlResult) *htmlGrid {
	if !severalSubjects(outcomes) {
		return nil
	}
	columns := map[string]int{}
	var subjects []string
	for _, outcome := range outcomes {
		if _, found := columns[outcome.Subject]; !found {
			columns[outcome.Subject] = 0
			subjects = append(subjects, outcome.Subject)
		}
	}
	slices.Sort(subjects)
	grid := &htmlGrid{}
	for i, subject := range subjects {
		columns[subject] = i
		grid.Subjects = append(grid.Subjects, oneLine(subject))
	}
	for i, outcome := range outcomes {
		if i == 0 || outcome.Trait != outcomes[i-1].Trait {
			grid.Rows = append(grid.Rows, htmlGridRow{Trait: oneLine(outcome.Trait), Cells: make([]htmlGridCell, len(subjects))})
		}
		cell := &grid.Rows[len(grid.Rows)-1].Cells[columns[outcome.Subject]]
		if cell.Verdict == "" || attention(outcome.Verdict) < attention(cell.Verdict) {
			*cell = htmlGridCell{results[i].ID, outcome.Verdict}
		}
	}
	return grid
}
