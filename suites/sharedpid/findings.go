package main

import (
	"github.com/spf13/cobra"

	"sharedpid.example/reports/findings"
)

func findingsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "findings RUN.json",
		Short: "Write the page about the runtimes of a run",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, paths []string) error {
			return findings.Write(paths[0], command.OutOrStdout())
		},
	}
}
