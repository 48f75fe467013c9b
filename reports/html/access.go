package html

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

const (
	// accessShown is how many different matrices are drawn, and accessSide how many rows, panels and columns of one.
	accessShown = 12
	accessSide  = 40
)

// Measures of the drawing, in units of its view box.
const (
	accessLabel  = 262
	accessCell   = 66
	accessLetter = 8 // of a heading
	accessRow    = 28
	accessHeader = 30
	accessLine   = 14 // of a heading, after its first
)

// accessMap is the access matrix as a heat map: a panel for each target, in it a row for each caller and a column for each
// operation.
type accessMap struct {
	Pod         string // in which it was tried, where there are several
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

// accessPlace is where a matrix was tried: in a Pod on a target.
type accessPlace struct{ pod, target string }

// accessMaps draws the matrix of every Pod and target. Most targets have the same one, which is drawn once.
func accessMaps(outcomes []reports.Result) []accessMap {
	matrices := map[accessPlace][]reports.Access{}
	var order []accessPlace
	for _, outcome := range outcomes {
		for _, evidence := range outcome.Evidence {
			if len(evidence.Access) == 0 {
				continue
			}
			at := accessPlace{evidence.Where, outcome.Target}
			if _, found := matrices[at]; !found {
				order = append(order, at)
			}
			matrices[at] = append(matrices[at], evidence.Access...)
		}
	}
	shared := map[string][]string{} // a matrix in words to the targets that have it
	var maps []accessMap
	var keys []string
	for _, at := range order {
		cells := distinctCells(matrices[at])
		key := at.pod + fmt.Sprint(cells)
		if shared[key] == nil && len(maps) < accessShown {
			drawn := drawAccess(cells)
			if order[0].pod != order[len(order)-1].pod {
				drawn.Pod = sentence(at.pod)
			}
			maps = append(maps, drawn)
			keys = append(keys, key)
		}
		shared[key] = append(shared[key], at.target)
	}
	if reports.SeveralTargets(outcomes) {
		for i := range maps {
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
	headings, width, header := accessHeadings(operations)
	drawn := accessMap{Width: accessLabel + len(operations)*width, Rules: accessRules(cells)}
	for _, target := range targets {
		panel := accessPanel{Target: sentence(target), Height: header + len(callers)*accessRow, Columns: headings}
		for i, caller := range callers {
			panel.Rows = append(panel.Rows, accessText{accessLabel - 12, header + i*accessRow + accessRow/2 + 4,
				legible.Shorten(legible.Line(caller), 38)})
		}
		wrong := 0
		for _, cell := range cells {
			row, column := slices.Index(callers, cell.Caller), slices.Index(operations, cell.Operation)
			if cell.Target != target || row < 0 || column < 0 {
				continue
			}
			box := newAccessBox(cell, accessLabel+column*width, header+row*accessRow, width)
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

// accessHeadings are the names of operations over their columns, long ones in two lines, with the width of a column and the height of
// the head.
func accessHeadings(operations []string) (headings []accessText, width, height int) {
	const longest = 11 // letters in a line
	width, height = accessCell, accessHeader
	lines := make([][]string, len(operations))
	for i, operation := range operations {
		lines[i] = []string{legible.Line(operation)}
		if at := strings.LastIndexByte(lines[i][0][:min(longest, len(lines[i][0]))], '_'); len(lines[i][0]) > longest && at >= 0 {
			lines[i] = []string{lines[i][0][:at+1], lines[i][0][at+1:]}
			height = accessHeader + accessLine
		}
		for j, line := range lines[i] {
			lines[i][j] = legible.Shorten(line, longest)
			width = max(width, accessLetter*utf8.RuneCountInString(lines[i][j]))
		}
	}
	for i := range lines {
		for j, line := range lines[i] {
			headings = append(headings, accessText{accessLabel + i*width + width/2, height - 10 - (len(lines[i])-1-j)*accessLine, line})
		}
	}
	return headings, width, height
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

func newAccessBox(cell reports.Access, x, y, width int) accessBox {
	const gap = 2
	box := accessBox{
		X: x + gap, Y: y + gap, Width: width - 2*gap, Height: accessRow - 2*gap,
		TextX: x + width/2, TextY: y + accessRow/2 + 4,
		Kind: "other", Text: legible.Shorten(legible.Line(cell.Observed), 8),
		Wrong: cell.Observed != cell.Want, Narrowed: cell.Narrowed != "",
		Rule: sentence(fmt.Sprintf("%s, %s, %s: %s. %s", cell.Caller, cell.Operation, cell.Target, cell.Observed, accessReason(cell))),
	}
	switch cell.Observed {
	case reports.Allowed:
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
