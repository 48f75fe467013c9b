// Diff says what changed between two runs, trait by subject. It exits with 0 when nothing got worse, with 1 when something
// did, and with 2 when there is nothing to compare.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"sharedpid.example/reports"
)

const (
	exitNothingWorse = 0
	exitWorse        = 1
	exitBadInput     = 2
)

func main() { os.Exit(compare(os.Args[1:], os.Stdout, os.Stderr)) }

func compare(arguments []string, output, problems io.Writer) int {
	flags := flag.NewFlagSet("diff", flag.ContinueOnError)
	flags.SetOutput(problems)
	markdown := flags.Bool("markdown", false, "write Markdown for a CI system's page")
	flags.Usage = func() {
		fmt.Fprintln(problems, "usage: diff [-markdown] OLD/run.json NEW/run.json, or make diff OLD=OLD/run.json NEW=NEW/run.json")
	}
	if flags.Parse(arguments) != nil {
		return exitBadInput
	}
	if flags.NArg() != 2 {
		flags.Usage()
		return exitBadInput
	}
	var runs [2]reports.Run
	for i, path := range flags.Args() {
		var err error
		if runs[i], err = reports.Read(path); err != nil {
			fmt.Fprintln(problems, "diff:", err)
			return exitBadInput
		}
	}
	difference, err := reports.Compare(runs[0], runs[1])
	if err != nil {
		fmt.Fprintln(problems, "diff:", err)
		return exitBadInput
	}
	if *markdown {
		fmt.Fprint(output, difference.Markdown())
	} else {
		fmt.Fprint(output, difference.Text())
	}
	if difference.Count(reports.Worse) > 0 {
		return exitWorse
	}
	return exitNothingWorse
}
