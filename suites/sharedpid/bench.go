package main

import (
	"github.com/spf13/cobra"

	"sharedpid.example/reports/bench"
)

func benchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "bench RUN ...",
		Short: "Say how long the phases of several runs took: minimum, median, maximum",
		Long: `Says how long the phases of several runs took, what they cost, and whether they agree on every verdict. A run is given by
its report directory or its run.json.

Exit codes: 0 they agree, 1 they do not, 2 there is nothing to compare, or the runs were asked for
different things.`,
		Args: takes("RUN", "..."),
		RunE: func(command *cobra.Command, paths []string) error {
			runs, err := readRuns(paths)
			if err != nil {
				return err
			}
			statistics, err := bench.Compare(runs...)
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
