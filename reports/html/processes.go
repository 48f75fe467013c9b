package html

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

const (
	// Titles of evidence that begin so, and that hold processes seen from one place, tell of one Pod before and after
	// something was done to it.
	beforeTitle = "processes before"
	afterTitle  = "processes after"
	// changesShown is how many such pairs are drawn.
	changesShown = 4
	// treeRows is how many processes a tree draws.
	treeRows = 40
	// treeColours is how many containers the stylesheet has colours for.
	treeColours = 8
)

// Measures of the drawing, in units of its view box.
const (
	treeWidth  = 460
	treeMargin = 12
	treeStep   = 52 // from one box to the next
	treeBox    = 44
	treeIndent = 28
	treeDepth  = 6 // deeper ones are drawn like this
	treeText   = 38
)

// processChange is the process tree of a Pod before and after something was done to it.
type processChange struct {
	ID, Trait, Target string // of the result that it was seen for
	Before, After     processTree
	Containers        []treeContainer
}

// treeContainer is a container with the number of its colour.
type treeContainer struct {
	Name   string
	Colour int
}

// processTree is a process list as a drawing: boxes from top to bottom, children further to the right.
type processTree struct {
	Title, Description string // the second one is for those who do not see the drawing
	Width, Height      int
	Boxes              []processBox
	Left               int // processes that are not drawn
}

// processBox is one process in the drawing.
type processBox struct {
	X, Y, Width           int
	Colour, PID           int
	Arguments, Owner, All string
	Mark                  string // "ends" or "new", empty for a process that stays
	Line                  string // the path that leads here from the parent, empty without one
}

// processChanges draws what was done to Pods, for the results that need attention most, and of those the documented ones first. Pods
// of conformant results of one trait differ in pids and in little else, so that one of them does. Results are in the
// order of the outcomes.
func processChanges(outcomes []reports.Result, results []shownResult) []processChange {
	order := make([]int, len(outcomes))
	for i := range order {
		order[i] = i
	}
	documented := func(outcome reports.Result) int {
		if outcome.Documented {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(outcomes[a].Verdict.Attention()-outcomes[b].Verdict.Attention(), documented(outcomes[a])-documented(outcomes[b]))
	})
	var changes []processChange
	drawn := map[string]bool{}
	for _, i := range order {
		outcome := outcomes[i]
		before, after, found := firstPair(outcome.Evidence)
		if !found || len(changes) == changesShown || drawn[outcome.Trait] && outcome.Verdict == reports.Conformant {
			continue
		}
		drawn[outcome.Trait] = true
		changes = append(changes, newProcessChange(results[i], before, after))
	}
	return changes
}

// firstPair returns the first process list that was seen before something was done, and the last one that was seen from the same place
// after that and before anything else was done. Where one look was repeated, its last answer counts.
func firstPair(all []reports.Evidence) (before, after reports.Evidence, found bool) {
	begun := map[string]reports.Evidence{} // by the place that it was seen from
	for _, evidence := range all {
		switch {
		case len(evidence.Processes) == 0:
		case strings.HasPrefix(evidence.Title, beforeTitle):
			if found && evidence.Where == before.Where {
				return before, after, true
			}
			begun[evidence.Where] = evidence
		case strings.HasPrefix(evidence.Title, afterTitle):
			if first, seen := begun[evidence.Where]; seen && (!found || evidence.Where == before.Where) {
				before, after, found = first, evidence, true
			}
		}
	}
	return before, after, found
}

func newProcessChange(result shownResult, before, after reports.Evidence) processChange {
	change := processChange{ID: result.ID, Trait: result.Trait, Target: result.Target}
	colours := map[string]int{"": 0, "pause": 1}
	for _, process := range slices.Concat(before.Processes, after.Processes) {
		owner := processOwner(process)
		if _, found := colours[owner]; !found {
			colours[owner] = 2 + (len(colours)-2)%(treeColours-2)
			change.Containers = append(change.Containers, treeContainer{owner, colours[owner]})
		}
	}
	change.Before = drawProcesses(before, after, "ends", colours)
	change.After = drawProcesses(after, before, "new", colours)
	return change
}

// processOwner is the container of a process, and "pause" for the sandbox's own.
func processOwner(process reports.Process) string { return legible.Line(process.Container) }

// drawProcesses draws one list, and marks the processes that the other list does not have.
func drawProcesses(evidence, other reports.Evidence, mark string, colours map[string]int) processTree {
	tree := processTree{Title: sentence(evidence.Title), Width: treeWidth}
	ordered, depths := treeOrder(evidence.Processes)
	if len(ordered) > treeRows {
		tree.Left = len(ordered) - treeRows
		ordered = ordered[:treeRows]
	}
	drawn := map[int]processBox{}
	var words []string
	for i, process := range ordered {
		depth := min(depths[i], treeDepth)
		box := processBox{
			X: treeMargin + depth*treeIndent, Y: treeMargin + i*treeStep, Width: treeWidth - 2*treeMargin - depth*treeIndent,
			PID: process.PID, Colour: colours[processOwner(process)],
			All:   cmp.Or(sentence(strings.Join(process.Arguments, " ")), "no arguments, state "+legible.Line(process.State)),
			Owner: strings.TrimPrefix(fmt.Sprintf("%s, uid %d", processOwner(process), process.UID), ", "),
		}
		box.Arguments = legible.Shorten(box.All, treeText-4*depth)
		if !slices.ContainsFunc(other.Processes, func(each reports.Process) bool { return each.PID == process.PID }) {
			box.Mark = mark
		}
		if parent, found := drawn[process.PPID]; found {
			x, y := parent.X+treeIndent/2, parent.Y+treeBox
			box.Line = fmt.Sprintf("M%d %dV%dH%d", x, y, box.Y+treeBox/2, box.X)
		}
		drawn[process.PID] = box
		tree.Boxes = append(tree.Boxes, box)
		words = append(words, strings.Join(slices.DeleteFunc([]string{
			fmt.Sprintf("%d %s", process.PID, box.All), box.Owner, fmt.Sprintf("child of %d", process.PPID), box.Mark,
		}, func(word string) bool { return word == "" }), ", "))
	}
	tree.Height = 2*treeMargin + len(tree.Boxes)*treeStep - (treeStep - treeBox)
	tree.Description = strings.Join(words, "; ")
	return tree
}

// treeOrder puts children behind their parents, and says how deep each process stands. Nothing that a list holds, not even a circle,
// makes it leave a process out or go on for ever.
func treeOrder(processes []reports.Process) (ordered []reports.Process, depths []int) {
	children := map[int][]reports.Process{}
	known := map[int]bool{}
	for _, process := range processes {
		known[process.PID] = true
	}
	for _, process := range processes {
		parent := process.PPID
		if !known[parent] || parent == process.PID {
			parent = 0
		}
		children[parent] = append(children[parent], process)
	}
	placed := map[int]bool{}
	var place func(parent, depth int)
	place = func(parent, depth int) {
		for _, process := range children[parent] {
			if !placed[process.PID] {
				placed[process.PID] = true
				ordered, depths = append(ordered, process), append(depths, depth)
				place(process.PID, depth+1)
			}
		}
	}
	place(0, 0)
	for _, process := range processes {
		if !placed[process.PID] {
			placed[process.PID] = true
			ordered, depths = append(ordered, process), append(depths, 0)
			place(process.PID, 1)
		}
	}
	return ordered, depths
}
