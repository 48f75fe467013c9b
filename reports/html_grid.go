package reports

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

// newHTMLGrid is nil for a single subject: the list shows as much. Subjects stand in the run's order, results in that of the outcomes.
func newHTMLGrid(known []Subject, outcomes []Result, results []htmlResult) *htmlGrid {
	if !severalSubjects(outcomes) {
		return nil
	}
	columns := map[string]int{}
	subjects := subjectColumns(known, outcomes)
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
