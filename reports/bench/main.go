// Bench prints the length of each phase over several runs: minimum, median and maximum.
package main

import (
	"fmt"
	"os"
	"slices"
	"text/tabwriter"

	"sharedpid/reports"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: bench RUN.JSON...")
		os.Exit(2)
	}
	var names []string
	lengths := map[string][]float64{}
	for _, path := range os.Args[1:] {
		run, err := reports.Read(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(2)
		}
		for _, phase := range append(run.Phases, reports.Phase{Name: "whole run", Seconds: run.Seconds}) {
			if !slices.Contains(names, phase.Name) {
				names = append(names, phase.Name)
			}
			lengths[phase.Name] = append(lengths[phase.Name], phase.Seconds)
		}
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "phase\truns\tmin\tmedian\tmax")
	for _, name := range names {
		sorted := slices.Sorted(slices.Values(lengths[name]))
		fmt.Fprintf(table, "%s\t%d\t%.1f s\t%.1f s\t%.1f s\n", name, len(sorted), sorted[0], sorted[len(sorted)/2], sorted[len(sorted)-1])
	}
	table.Flush()
}
