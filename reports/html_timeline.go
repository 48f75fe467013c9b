package reports

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

const (
	// timelineRows is how many results have a row of their own; of more, each subject has one.
	timelineRows = 80
	// timelineSubjects is how many subjects have one.
	timelineSubjects = 200
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
	Left                int // subjects without a row
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
	Verdict     Verdict
}

// newTimeline draws the phases and the results of a run, nil when there is nothing that took time.
func newTimeline(run Run, outcomes []Result) *timeline {
	length := max(run.Seconds, 0)
	for _, phase := range run.Phases {
		length = max(length, phase.Start.Sub(run.Start).Seconds()+phase.Seconds)
	}
	ran := slices.DeleteFunc(slices.Clone(outcomes), func(outcome Result) bool { return outcome.Start.IsZero() })
	if length == 0 || math.IsInf(length, 0) || math.IsNaN(length) || len(ran)+len(run.Phases) == 0 {
		return nil
	}
	drawn := &timeline{Width: timelineWidth, Head: timelineHead}
	drawn.Description = fmt.Sprintf("%d phases and %d results of a run of %s. The length of each is in the list of traits.", len(run.Phases), len(ran), readableSeconds(length))
	drawn.drawTicks(length)
	for _, phase := range run.Phases {
		row := drawn.addRow(phase.Name)
		after := phase.Start.Sub(run.Start)
		row.Bars = append(row.Bars, timelineMark{Path: timelineBox(after, phase.Seconds, length, row.Y), Title: timelineTitle(phase.Name, after, phase.Seconds)})
	}
	slices.SortStableFunc(ran, func(a, b Result) int { return a.Start.Compare(b.Start) })
	if len(ran) > timelineRows {
		drawn.drawSubjects(run, ran, length)
	} else {
		several := severalSubjects(outcomes)
		for _, outcome := range ran {
			label := outcome.Trait
			if several {
				label += " on " + outcome.Subject
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

// drawSubjects gives each subject a row for all its results.
func (drawn *timeline) drawSubjects(run Run, ran []Result, length float64) {
	places := map[string]int{}
	for i, subject := range subjectColumns(run.Subjects, ran) {
		places[subject] = i
	}
	slices.SortStableFunc(ran, func(a, b Result) int { return places[a.Subject] - places[b.Subject] })
	for start := 0; start < len(ran); {
		end := start + 1
		for end < len(ran) && ran[end].Subject == ran[start].Subject {
			end++
		}
		if len(drawn.Rows) >= timelineSubjects+len(run.Phases) {
			drawn.Left++
		} else {
			row := drawn.addRow(ran[start].Subject)
			paths := map[Verdict]string{}
			for _, outcome := range ran[start:end] {
				paths[outcome.Verdict] += timelineBox(outcome.Start.Sub(run.Start), outcome.Seconds, length, row.Y)
			}
			count := countVerdicts(ran[start:end])
			for _, verdict := range slices.Backward(verdictsByAttention) {
				if paths[verdict] != "" {
					row.Bars = append(row.Bars, timelineMark{paths[verdict], fmt.Sprintf("%s: %d %s", sentence(ran[start].Subject), count[verdict], verdict), verdict})
				}
			}
		}
		start = end
	}
}

func (drawn *timeline) addRow(label string) *timelineRow {
	y := timelineHead + len(drawn.Rows)*timelineStep
	drawn.Rows = append(drawn.Rows, timelineRow{Label: shorten(oneLine(label), 40), All: sentence(label), X: timelineLabel - 12, Y: y})
	return &drawn.Rows[len(drawn.Rows)-1]
}

// timelineBox is the path of a bar.
func timelineBox(after time.Duration, took, length float64, y int) string {
	const room = timelineWidth - timelineLabel
	start := min(max(after.Seconds(), 0), length)
	end := min(max(start+max(took, 0), start), length)
	width := coordinate(max(room*(end-start)/length, 2))
	return fmt.Sprintf("M%s %dh%sv%dh-%sz", coordinate(timelineLabel+room*start/length), y+(timelineStep-timelineBar)/2, width, timelineBar, width)
}

func timelineTitle(name string, after time.Duration, took float64) string {
	return fmt.Sprintf("%s: %s, after %s", sentence(name), readableSeconds(took), readableSeconds(after.Seconds()))
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
