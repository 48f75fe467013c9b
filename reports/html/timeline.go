package html

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

const (
	// timelineRows is how many results have a row of their own; of more, each target has one.
	timelineRows = 80
	// timelineTargets is how many targets have one.
	timelineTargets = 200
)

// Measures of the drawing, in units of its view box.
const (
	timelineWidth = 1120
	timelineLabel = 312
	timelineStep  = 22
	timelineBar   = 14
	timelineHead  = 28
)

// timeline shows when what was done, as bars.
type timeline struct {
	Width, Height, Head int
	Description         string
	Ticks               []timelineTick
	Rows                []timelineRow
	Left                int // targets without a row
}

type timelineTick struct {
	X    string
	Text string
}

// timelineRow is a row with its bars.
type timelineRow struct {
	Label, All string
	X, Y       int // of the label
	Bars       []timelineMark
}

// timelineMark is one bar, or all bars of one verdict in a row. Verdict is empty for a phase of the run.
type timelineMark struct {
	Path, Title string
	Verdict     reports.Verdict
}

// newTimeline draws the phases and the results of a run, nil when there is nothing that took time.
func newTimeline(run reports.Run, outcomes []reports.Result) *timeline {
	length := max(run.Seconds, 0)
	for _, phase := range run.Phases {
		length = max(length, phase.Start.Sub(run.Start).Seconds()+phase.Seconds)
	}
	ran := slices.DeleteFunc(slices.Clone(outcomes), func(outcome reports.Result) bool { return outcome.Start.IsZero() })
	if length == 0 || math.IsInf(length, 0) || math.IsNaN(length) || len(ran)+len(run.Phases) == 0 {
		return nil
	}
	drawn := &timeline{Width: timelineWidth, Head: timelineHead}
	drawn.Description = fmt.Sprintf("%d phases and %d results of a run of %s. The length of each is in the list of traits.",
		len(run.Phases), len(ran), legible.Duration(length))
	drawn.drawTicks(length)
	for _, phase := range run.Phases {
		row := drawn.addRow(phase.Name)
		after := phase.Start.Sub(run.Start)
		row.Bars = append(row.Bars, timelineMark{Path: timelineBox(after, phase.Seconds, length, row.Y),
			Title: timelineTitle(phase.Name, after, phase.Seconds)})
	}
	slices.SortStableFunc(ran, func(a, b reports.Result) int { return a.Start.Compare(b.Start) })
	if len(ran) > timelineRows {
		drawn.drawTargets(run, ran, length)
	} else {
		several := reports.SeveralTargets(outcomes)
		for _, outcome := range ran {
			label := outcome.Trait
			if several {
				label += " on " + outcome.Target
			}
			row := drawn.addRow(label)
			after := outcome.Start.Sub(run.Start)
			row.Bars = append(row.Bars, timelineMark{
				Path: timelineBox(after, outcome.Seconds, length, row.Y), Verdict: outcome.Verdict,
				Title: timelineTitle(label, after, outcome.Seconds) + ", " + string(outcome.Verdict),
			})
		}
	}
	drawn.Height = timelineHead + len(drawn.Rows)*timelineStep + 6
	return drawn
}

// drawTargets gives each target a row for all its results.
func (drawn *timeline) drawTargets(run reports.Run, ran []reports.Result, length float64) {
	places := map[string]int{}
	for i, target := range reports.TargetColumns(run.Targets, ran) {
		places[target] = i
	}
	slices.SortStableFunc(ran, func(a, b reports.Result) int { return places[a.Target] - places[b.Target] })
	for start := 0; start < len(ran); {
		end := start + 1
		for end < len(ran) && ran[end].Target == ran[start].Target {
			end++
		}
		if len(drawn.Rows) >= timelineTargets+len(run.Phases) {
			drawn.Left++
		} else {
			row := drawn.addRow(ran[start].Target)
			paths := map[reports.Verdict]string{}
			for _, outcome := range ran[start:end] {
				paths[outcome.Verdict] += timelineBox(outcome.Start.Sub(run.Start), outcome.Seconds, length, row.Y)
			}
			count := reports.CountVerdicts(ran[start:end])
			for _, verdict := range slices.Backward(reports.VerdictsByAttention()) {
				if paths[verdict] != "" {
					row.Bars = append(row.Bars, timelineMark{paths[verdict],
						fmt.Sprintf("%s: %d %s", sentence(ran[start].Target), count[verdict], verdict), verdict})
				}
			}
		}
		start = end
	}
}

func (drawn *timeline) addRow(label string) *timelineRow {
	y := timelineHead + len(drawn.Rows)*timelineStep
	drawn.Rows = append(drawn.Rows, timelineRow{Label: legible.Shorten(legible.Line(label), 40),
		All: sentence(label), X: timelineLabel - 12, Y: y})
	return &drawn.Rows[len(drawn.Rows)-1]
}

// timelineBox is the path of a bar.
func timelineBox(after time.Duration, took, length float64, y int) string {
	const room = timelineWidth - timelineLabel
	start := min(max(after.Seconds(), 0), length)
	end := min(max(start+max(took, 0), start), length)
	width := coordinate(max(room*(end-start)/length, 2))
	return fmt.Sprintf("M%s %dh%sv%dh-%sz", coordinate(timelineLabel+room*start/length), y+(timelineStep-timelineBar)/2,
		width, timelineBar, width)
}

func timelineTitle(name string, after time.Duration, took float64) string {
	return fmt.Sprintf("%s: %s, after %s", sentence(name), legible.Duration(took), legible.Duration(after.Seconds()))
}

// drawTicks marks round numbers of seconds, about eight of them.
func (drawn *timeline) drawTicks(length float64) {
	step := math.Pow(10, math.Floor(math.Log10(length/8)))
	for _, factor := range []float64{2, 2.5, 2} { // 1, 2, 5, 10
		if length/step > 8 {
			step *= factor
		}
	}
	const room = timelineWidth - timelineLabel
	for i := 0; float64(i)*step <= length && i < 20; i++ {
		at := float64(i) * step
		drawn.Ticks = append(drawn.Ticks, timelineTick{coordinate(timelineLabel + room*at/length), strconv.FormatFloat(at, 'g', 4, 64) + " s"})
	}
}

// coordinate is a number of the drawing with no more digits than an eye sees.
func coordinate(value float64) string { return strconv.FormatFloat(value, 'f', 1, 64) }
