package main

import (
	"github.com/spf13/cobra"

	"sharedpid.example/reports/findings"
)

func findingsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "findings RUN",
		Short: "Write the page about the runtimes of a run, given by its report directory or its run.json",
		Args:  takes("RUN"),
		RunE: func(command *cobra.Command, paths []string) error {
			runs, err := readRuns(paths)
			if err != nil {
				return err
			}
			page, err := findings.Render(runs[0])
			if err != nil {
				return err
			}
			_, err = command.OutOrStdout().Write(page)
			return err
		},
	}
}
