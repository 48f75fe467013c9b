package html

import (
	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

// gridTable is traits by targets.
type gridTable struct {
	Targets []string
	Rows    []gridRow
}

type gridRow struct {
	Trait string
	Cells []gridCell
}

// gridCell leads to a result; its verdict is empty where nothing was planned.
type gridCell struct {
	ID      string
	Verdict reports.Verdict
}

// newGrid is nil for a single target: the list shows as much. Targets stand in the run's order, results in that of the outcomes.
func newGrid(known []reports.Target, outcomes []reports.Result, results []shownResult) *gridTable {
	if !reports.SeveralTargets(outcomes) {
		return nil
	}
	columns := map[string]int{}
	targets := reports.TargetColumns(known, outcomes)
	grid := &gridTable{}
	for i, target := range targets {
		columns[target] = i
		grid.Targets = append(grid.Targets, legible.Line(target))
	}
	for i, outcome := range outcomes {
		if i == 0 || outcome.Trait != outcomes[i-1].Trait {
			grid.Rows = append(grid.Rows, gridRow{Trait: legible.Line(outcome.Trait), Cells: make([]gridCell, len(targets))})
		}
		cell := &grid.Rows[len(grid.Rows)-1].Cells[columns[outcome.Target]]
		if cell.Verdict == "" || outcome.Verdict.Attention() < cell.Verdict.Attention() {
			*cell = gridCell{results[i].ID, outcome.Verdict}
		}
	}
	return grid
}
