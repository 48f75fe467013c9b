// Bench compares several runs of the same selection: the length of each phase, the requests, the memory, and whether the
// verdicts are the same. It exits with 1 when they are not, and names what differs; otherwise as the runs did.
package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"sharedpid.example/reports"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: bench RUN.JSON...")
		os.Exit(2)
	}
	var runs []reports.Run
	for _, path := range os.Args[1:] {
		run, err := reports.Read(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(2)
		}
		runs = append(runs, run)
	}
	writeSpread(os.Stdout, runs)
	if differing := differingVerdicts(runs); len(differing) > 0 {
		fmt.Printf("\nthe verdicts of %d runs differ:\n%s\n", len(runs), strings.Join(differing, "\n"))
		os.Exit(1)
	}
	fmt.Printf("\nthe verdicts of %d runs are the same: %s\n", len(runs), runs[0].Reason)
	os.Exit(runs[0].ExitCode())
}

// measures are what is compared of each run, by name, in the order in which the first run has them.
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

func writeSpread(to io.Writer, runs []reports.Run) {
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
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "measure\truns\tmin\tmedian\tmax")
	for _, name := range order {
		sorted := slices.Sorted(slices.Values(all[name]))
		fmt.Fprintf(table, "%s\t%d\t%.1f\t%.1f\t%.1f\n", name, len(sorted), sorted[0], sorted[len(sorted)/2], sorted[len(sorted)-1])
	}
	table.Flush()
}

// differingVerdicts names every trait on every subject that not all runs agree on.
func differingVerdicts(runs []reports.Run) []string {
	verdicts := map[reports.Planned][]string{}
	for i, run := range runs {
		for _, planned := range run.Plan {
			if verdicts[planned] == nil {
				verdicts[planned] = slices.Repeat([]string{string(reports.NotRun)}, len(runs))
			}
		}
		for _, result := range run.Results {
			planned := reports.Planned{Trait: result.Trait, Subject: result.Subject}
			if verdicts[planned] == nil {
				verdicts[planned] = slices.Repeat([]string{string(reports.NotRun)}, len(runs))
			}
			verdicts[planned][i] = string(result.Verdict)
		}
	}
	var differing []string
	for planned, each := range verdicts {
		if distinct := slices.Compact(slices.Sorted(slices.Values(each))); len(distinct) > 1 {
			differing = append(differing, fmt.Sprintf("  %s on %s: %s", planned.Trait, planned.Subject, strings.Join(each, ", ")))
		}
	}
	slices.Sort(differing)
	return differing
}
