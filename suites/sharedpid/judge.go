package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/reports/directory"
	"sharedpid.example/reports/terminal"
	"sharedpid.example/suites"
)

// readRuns reads runs from their report directories or JSON forms, with what only a journal holds of one that was killed.
func readRuns(paths []string) ([]reports.Run, error) {
	var runs []reports.Run
	for _, path := range paths {
		run, err := directory.Restore(path)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, nil
}

func judgeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "judge RUN",
		Short: "Judge the looks of a run again, without a cluster",
		Long: `Checks the traits of a run once more from what it looked at, which run.json keeps, and says where the verdict
is another one: after a change to a check, or to judge a report that came from elsewhere. The run is given by its report
directory or its run.json.

Exit codes: those of run for the verdict that it comes to; 2 when the file cannot be judged.`,
		Args: takes("RUN"),
		RunE: func(command *cobra.Command, arguments []string) error {
			runs, err := readRuns(arguments)
			if err != nil {
				return err
			}
			run := runs[0]
			judged, err := suite.JudgeAgain(run, suites.Traits())
			if err != nil {
				return fmt.Errorf("%s: %w", arguments[0], err)
			}
			if err := terminal.Render(command.OutOrStdout(), judged, terminal.Colour(os.Stdout)); err != nil {
				return err
			}
			for i, result := range judged.Results {
				if before := run.Results[i]; before.Verdict != result.Verdict {
					fmt.Fprintf(command.OutOrStdout(), "%s on %s was %s: %s\n", result.Trait, result.Target, before.Verdict, before.Reason)
				}
			}
			return exitWith(judged.ExitCode())
		},
	}
}
