// Package bench compares several runs that were asked for the same: the length of each phase, the requests, the memory, and
// whether the verdicts are the same.
package bench

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

// Statistics is what several runs have in common and what they do not.
type Statistics struct {
	Runs      int
	Measures  []Measure
	Differing []Disagreement  // empty when all runs came to the same verdicts
	Verdict   reports.Verdict // of the first run
	Reason    string          // of the first run
}

// Measure is the spread of one number over the runs that have it. Its name says its unit.
type Measure struct {
	Name             string
	Runs             int
	Min, Median, Max float64
}

// Disagreement is one trait on one target on which the runs do not agree.
type Disagreement struct {
	reports.Planned
	Verdicts []reports.Verdict // in the order of the runs
}

// Compare compares runs. No run, and runs that were asked for something else than the first, are a reports.InputError: their times and
// verdicts are not of one thing.
func Compare(runs ...reports.Run) (Statistics, error) {
	if len(runs) == 0 {
		return Statistics{}, reports.NewInputError("there is no run to compare: name at least one %s", reports.RunFile)
	}
	first := runs[0].Complete()
	for _, run := range runs[1:] {
		if asked(run) != asked(first) {
			return Statistics{}, reports.NewInputError(
				"the runs were asked for different things: %s (run %s), and %s (run %s); compare runs of one profile",
				asked(first), legible.Line(first.ID), asked(run), legible.Line(run.ID))
		}
	}
	return Statistics{
		Runs: len(runs), Measures: spread(runs), Differing: disagreements(runs), Verdict: first.Verdict, Reason: first.Reason,
	}, nil
}

// asked says what a run was asked for.
func asked(run reports.Run) string {
	words := "profile " + legible.Line(run.Profile)
	if narrowed := run.NarrowedText(); narrowed != "" {
		words += " narrowed by " + narrowed
	}
	return words
}

// Write writes the statistics as a table, and what the runs do not agree on. Its error is that of the writer.
func (statistics Statistics) Write(to io.Writer) error {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "measure\truns\tmin\tmedian\tmax")
	for _, each := range statistics.Measures {
		fmt.Fprintf(table, "%s\t%d\t%.1f\t%.1f\t%.1f\n", legible.Line(each.Name), each.Runs, each.Min, each.Median, each.Max)
	}
	table.Flush() // a strings.Builder does not fail
	if len(statistics.Differing) == 0 {
		fmt.Fprintf(&text, "\nthe verdicts of %d runs are the same: %s\n", statistics.Runs, statistics.Reason)
	} else {
		fmt.Fprintf(&text, "\nthe verdicts of %d runs differ:\n", statistics.Runs)
	}
	for _, each := range statistics.Differing {
		verdicts := make([]string, len(each.Verdicts))
		for i, verdict := range each.Verdicts {
			verdicts[i] = string(verdict)
		}
		fmt.Fprintf(&text, "  %s on %s: %s\n", legible.Line(each.Trait), legible.Line(each.Target), strings.Join(verdicts, ", "))
	}
	_, err := io.WriteString(to, text.String())
	return err
}

// measures are what is compared of each run, by name, in the order in which the run has them.
func measures(run reports.Run) (names []string, values map[string]float64) {
	values = map[string]float64{}
	add := func(name string, value float64) {
		names = append(names, name)
		values[name] += value
	}
	for _, phase := range run.Phases {
		add(phase.Name+", seconds", phase.Seconds)
	}
	add("whole run, seconds", run.Seconds)
	requests := 0
	for _, result := range run.Results {
		requests += result.Requests
	}
	add("requests of the traits", float64(requests))
	add("peak memory, MiB", float64(run.PeakMemoryBytes>>20))
	return names, values
}

func spread(runs []reports.Run) []Measure {
	var order []string
	all := map[string][]float64{}
	for _, run := range runs {
		names, values := measures(run)
		for _, name := range names {
			if !slices.Contains(order, name) {
				order = append(order, name)
			}
		}
		for name, value := range values {
			all[name] = append(all[name], value)
		}
	}
	var spread []Measure
	for _, name := range order {
		sorted := slices.Sorted(slices.Values(all[name]))
		last := len(sorted) - 1
		spread = append(spread, Measure{
			Name: name, Runs: len(sorted), Min: sorted[0], Median: (sorted[last/2] + sorted[(last+1)/2]) / 2, Max: sorted[last],
		})
	}
	return spread
}

// disagreements names every trait on every target that not all runs agree on. What was seen is compared: the list of known
// deviations is not asked.
func disagreements(runs []reports.Run) []Disagreement {
	verdicts := map[reports.Planned][]reports.Verdict{}
	of := func(planned reports.Planned) []reports.Verdict {
		if verdicts[planned] == nil {
			verdicts[planned] = slices.Repeat([]reports.Verdict{reports.NotRun}, len(runs))
		}
		return verdicts[planned]
	}
	for i, run := range runs {
		for _, planned := range run.Plan {
			of(planned)
		}
		for _, result := range run.Results {
			of(result.Planned())[i] = result.Verdict
		}
	}
	var differing []Disagreement
	for planned, each := range verdicts {
		if slices.ContainsFunc(each, func(verdict reports.Verdict) bool { return verdict != each[0] }) {
			differing = append(differing, Disagreement{planned, each})
		}
	}
	slices.SortFunc(differing, func(a, b Disagreement) int {
		return cmp.Or(cmp.Compare(a.Trait, b.Trait), cmp.Compare(a.Target, b.Target))
	})
	return differing
}
