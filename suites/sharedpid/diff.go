package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"sharedpid.example/reports/diff"
)

func diffCommand() *cobra.Command {
	var markdown bool
	command := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say what changed between two runs",
		Long: `Says what got worse, better or otherwise different between two runs, trait by target, and which versions changed. A run
is given by its report directory or its run.json.

What held and is no longer decided got worse. Whatever else the old run had decided must be decided by the new one
too: a new run of fewer traits, on fewer targets or that ended early ends with 3.

Exit codes: 0 nothing got worse, 1 something did, 2 there is nothing to compare, 3 nothing got worse, but not all that was
decided is decided again.`,
		Args: takes("OLD", "NEW"),
		RunE: func(command *cobra.Command, paths []string) error {
			runs, err := readRuns(paths)
			if err != nil {
				return err
			}
			difference, err := diff.Compare(runs[0], runs[1])
			if err != nil {
				return err
			}
			text := difference.Text()
			if markdown {
				text = difference.Markdown()
			}
			if _, err := fmt.Fprint(command.OutOrStdout(), text); err != nil {
				return err
			}
			switch {
			case difference.Worse():
				return exit(1)
			case difference.Undecided() > 0:
				return exit(exitUndecided)
			}
			return nil
		},
	}
	command.Flags().BoolVar(&markdown, "markdown", false, "write Markdown, for the page of a CI job")
	return command
}
