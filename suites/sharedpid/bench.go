package main

import (
	"github.com/spf13/cobra"

	"sharedpid.example/reports/bench"
)

func benchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "bench RUN.json ...",
		Short: "Say how long the phases of several runs took: minimum, median, maximum",
		Long: `Says how long the phases of several runs took, what they cost, and whether they agree on every verdict.

Exit codes: 0 they agree, 1 they do not, 2 there is nothing to compare.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, paths []string) error {
			statistics, err := bench.Files(paths...)
			if err != nil {
				return err
			}
			if err := statistics.Write(command.OutOrStdout()); err != nil {
				return err
			}
			if len(statistics.Differing) > 0 {
				return exit(1)
			}
			return nil
		},
	}
}
