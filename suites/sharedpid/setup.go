package main

import (
	"github.com/spf13/cobra"

	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision"
)

func setupCommand() *cobra.Command {
	var options options
	command := &cobra.Command{
		Use:   "setup",
		Short: "Provide what a run on a created cluster needs: a container engine, the node image, runtimes",
		Long: `Finds a container engine (docker, podman or nerdctl), or installs podman on Debian or Ubuntu as root, and provides
the node image: kind's own where a registry answers, otherwise one that is built from Go modules and Debian packages,
which takes about 15 minutes on 2 cores the first time.

Exit codes: 0 all is there, 2 bad input or something could not be provided, 3 interrupted.`,
		Args: takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.cluster.Validate(); err != nil {
				return err
			}
			return unlessInterrupted(command,
				provision.SetUp(command.Context(), options.cluster, progress.NewPrinter(command.ErrOrStderr())))
		},
	}
	options.addCreation(command.Flags())
	options.addRuntimes(command.Flags())
	return command
}
