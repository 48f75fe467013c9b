package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	// reloadTrait is the trait whose evidence is the processes before and after SIGHUP.
	reloadTrait = "signals/hup-respawns-workers"
	// reloadsShown is how many subjects have their trees drawn. Those of conformant ones differ in pids and in little else, so
	// that one of them does.
	reloadsShown = 4
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

// htmlReload is a Pod's process tree before and after SIGHUP.
type htmlReload struct {
	Subject       string
	Before, After processTree
	Containers    []treeContainer
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

// htmlReloads draws what SIGHUP did to the Pod, on the subjects that need attention most.
func htmlReloads(outcomes []Result) []htmlReload {
	var reloads []htmlReload
	for _, outcome := range byAttention(outcomes) {
		if outcome.Trait != reloadTrait || len(reloads) == reloadsShown || len(reloads) > 0 && outcome.Verdict == Conformant {
			continue
		}
		var lists []Evidence
		for _, evidence := range outcome.Evidence {
			if len(evidence.Processes) > 0 {
				lists = append(lists, evidence)
			}
		}
		if len(lists) >= 2 {
			reloads = append(reloads, newHTMLReload(oneLine(outcome.Subject), lists[0], lists[len(lists)-1]))
		}
	}
	return reloads
}

func newHTMLReload(subject string, before, after Evidence) htmlReload {
	reload := htmlReload{Subject: subject}
	colours := map[string]int{"": 0, "pause": 1}
	for _, process := range slices.Concat(before.Processes, after.Processes) {
		owner := processOwner(process)
		if _, found := colours[owner]; !found {
			colours[owner] = 2 + (len(colours)-2)%(treeColours-2)
			reload.Containers = append(reload.Containers, treeContainer{owner, colours[owner]})
		}
	}
	reload.Before = drawProcesses(before, after, "ends", colours)
	reload.After = drawProcesses(after, before, "new", colours)
	return reload
}

// processOwner is the container of a process. The sandbox's own process is known by what it is.
func processOwner(process Process) string {
	if process.PID == 1 && slices.Equal(process.Arguments, []string{"/pause"}) {
		return "pause"
	}
	return oneLine(process.Container)
}

// drawProcesses draws one list, and marks the processes that the other list does not have.
func drawProcesses(evidence, other Evidence, mark string, colours map[string]int) processTree {
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
			All:   cmp.Or(sentence(strings.Join(process.Arguments, " ")), "no arguments, state "+oneLine(process.State)),
			Owner: strings.TrimPrefix(fmt.Sprintf("%s, uid %d", processOwner(process), process.UID), ", "),
		}
		box.Arguments = shorten(box.All, treeText-4*depth)
		if !slices.ContainsFunc(other.Processes, func(each Process) bool { return each.PID == process.PID }) {
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
func treeOrder(processes []Process) (ordered []Process, depths []int) {
	children := map[int][]Process{}
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
