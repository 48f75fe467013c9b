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

Exit codes: 0 nothing got worse, 1 something did, 2 there is nothing to compare.`,
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
			if difference.Worse() {
				return exit(1)
			}
			return nil
		},
	}
	command.Flags().BoolVar(&markdown, "markdown", false, "write Markdown, for the page of a CI job")
	return command
}
