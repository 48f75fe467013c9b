package html

import (
	"fmt"
	"slices"
	"strings"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

const (
	// accessAllowed is what a cell of the access matrix holds where nothing refuses.
	accessAllowed = "allowed"
	// accessShown is how many different matrices are drawn, and accessSide how many rows, panels and columns of one.
	accessShown = 12
	accessSide  = 40
)

// Measures of the drawing, in units of its view box.
const (
	accessLabel  = 262
	accessCell   = 66
	accessRow    = 28
	accessHeader = 30
)

// accessMap is the access matrix as a heat map: a panel for each target, in it a row for each caller and a column for each
// operation.
type accessMap struct {
	Targets     string // whose it is: those that have the same one share it
	Width       int
	Panels      []accessPanel
	Wrong, Less int // cells that differ from the rules, and cells that more than the rules decides
	Rules       []accessRule
}

// accessPanel is what every caller may do to one target.
type accessPanel struct {
	Target, Description string
	Height              int
	Columns             []accessText
	Rows                []accessText
	Cells               []accessBox
}

// accessText is a word at its place.
type accessText struct {
	X, Y int
	Text string
}

// accessBox is one cell at its place.
type accessBox struct {
	X, Y, TextX, TextY, Width, Height int
	Kind                              string // of the outcome, for its colour
	Text, Rule                        string
	Wrong, Narrowed                   bool
}

// accessRule is what one caller may do to one target, operations with one outcome and one rule together.
type accessRule struct {
	Caller, Target, Operations, Observed, Rule string
	Wrong                                      bool
}

// accessMaps draws the matrix of every target. Most targets have the same one, which is drawn once.
func accessMaps(outcomes []reports.Result) []accessMap {
	matrices := map[string][]reports.Access{}
	var order []string
	for _, outcome := range outcomes {
		for _, evidence := range outcome.Evidence {
			if len(evidence.Access) == 0 {
				continue
			}
			if _, found := matrices[outcome.Target]; !found {
				order = append(order, outcome.Target)
			}
			matrices[outcome.Target] = append(matrices[outcome.Target], evidence.Access...)
		}
	}
	shared := map[string][]string{} // a matrix in words to the targets that have it
	var maps []accessMap
	var keys []string
	for _, target := range order {
		cells := distinctCells(matrices[target])
		key := fmt.Sprint(cells)
		if shared[key] == nil && len(maps) < accessShown {
			maps = append(maps, drawAccess(cells))
			keys = append(keys, key)
		}
		shared[key] = append(shared[key], target)
	}
	for i := range maps {
		if len(order) > 1 || reports.SeveralTargets(outcomes) {
			maps[i].Targets = legible.List(shared[keys[i]], 6)
		}
	}
	slices.SortStableFunc(maps, func(a, b accessMap) int { return b.Wrong - a.Wrong })
	return maps
}

// distinctCells keeps each cell once: several traits rest on parts of one matrix. A cell that differs from the rules goes first.
func distinctCells(cells []reports.Access) []reports.Access {
	type place struct{ caller, target, operation string }
	taken := map[place]int{}
	var distinct []reports.Access
	for _, cell := range cells {
		at := place{cell.Caller, cell.Target, cell.Operation}
		if i, found := taken[at]; !found {
			taken[at] = len(distinct)
			distinct = append(distinct, cell)
		} else if cell.Observed != cell.Want && distinct[i].Observed == distinct[i].Want {
			distinct[i] = cell
		}
	}
	return distinct
}

func drawAccess(cells []reports.Access) accessMap {
	callers := firsts(cells, func(cell reports.Access) string { return cell.Caller })
	targets := firsts(cells, func(cell reports.Access) string { return cell.Target })
	operations := firsts(cells, func(cell reports.Access) string { return cell.Operation })
	drawn := accessMap{Width: accessLabel + len(operations)*accessCell, Rules: accessRules(cells)}
	for _, target := range targets {
		panel := accessPanel{Target: sentence(target), Height: accessHeader + len(callers)*accessRow}
		for i, operation := range operations {
			panel.Columns = append(panel.Columns, accessText{accessLabel + i*accessCell + accessCell/2, accessHeader - 10,
				legible.Shorten(legible.Line(operation), 9)})
		}
		for i, caller := range callers {
			panel.Rows = append(panel.Rows, accessText{accessLabel - 12, accessHeader + i*accessRow + accessRow/2 + 4,
				legible.Shorten(legible.Line(caller), 38)})
		}
		wrong := 0
		for _, cell := range cells {
			row, column := slices.Index(callers, cell.Caller), slices.Index(operations, cell.Operation)
			if cell.Target != target || row < 0 || column < 0 {
				continue
			}
			box := newAccessBox(cell, accessLabel+column*accessCell, accessHeader+row*accessRow)
			if box.Wrong {
				wrong++
			}
			if box.Narrowed {
				drawn.Less++
			}
			panel.Cells = append(panel.Cells, box)
		}
		drawn.Wrong += wrong
		panel.Description = fmt.Sprintf("What %d callers may do to %s; %d of %d cells differ from the rules. "+
			"The table of rules below says the same in words.",
			len(callers), panel.Target, wrong, len(panel.Cells))
		drawn.Panels = append(drawn.Panels, panel)
	}
	return drawn
}

// firsts are the distinct values in their order, as many as are drawn.
func firsts(cells []reports.Access, value func(reports.Access) string) []string {
	var values []string
	for _, cell := range cells {
		if each := value(cell); len(values) < accessSide && !slices.Contains(values, each) {
			values = append(values, each)
		}
	}
	return values
}

func newAccessBox(cell reports.Access, x, y int) accessBox {
	const gap = 2
	box := accessBox{
		X: x + gap, Y: y + gap, Width: accessCell - 2*gap, Height: accessRow - 2*gap,
		TextX: x + accessCell/2, TextY: y + accessRow/2 + 4,
		Kind: "other", Text: legible.Shorten(legible.Line(cell.Observed), 8),
		Wrong: cell.Observed != cell.Want, Narrowed: cell.Narrowed != "",
		Rule: sentence(fmt.Sprintf("%s, %s, %s: %s. %s", cell.Caller, cell.Operation, cell.Target, cell.Observed, accessReason(cell))),
	}
	switch cell.Observed {
	case accessAllowed:
		box.Kind = "allowed"
	case "EACCES", "EPERM", "ENOENT", "EROFS":
		box.Kind = strings.ToLower(cell.Observed)
	}
	return box
}

// accessReason is the rule of a cell, and what differs from it.
func accessReason(cell reports.Access) string {
	reason := "The rule: " + cell.Rule + "."
	if cell.Observed != cell.Want {
		reason = fmt.Sprintf("Wanted was %s. %s", cell.Want, reason)
	}
	if cell.Narrowed != "" {
		reason += " Narrowed by " + cell.Narrowed + "."
	}
	return reason
}

// accessRules puts the matrix into words.
func accessRules(cells []reports.Access) []accessRule {
	type outcome struct{ caller, target, observed, reason string }
	places := map[outcome]int{}
	var rules []accessRule
	for _, cell := range cells {
		key := outcome{cell.Caller, cell.Target, cell.Observed, accessReason(cell)}
		at, found := places[key]
		if !found {
			if len(rules) == accessSide*accessSide {
				continue
			}
			at = len(rules)
			places[key] = at
			rules = append(rules, accessRule{
				Caller: sentence(cell.Caller), Target: sentence(cell.Target), Observed: sentence(cell.Observed),
				Rule: sentence(key.reason), Wrong: cell.Observed != cell.Want,
			})
		} else {
			rules[at].Operations += ", "
		}
		rules[at].Operations += sentence(cell.Operation)
	}
	return rules
}
