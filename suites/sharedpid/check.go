package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

func checkCommand() *cobra.Command {
	var options options
	command := &cobra.Command{
		Use:   "check",
		Short: "Say in seconds what would keep a run from deciding its traits on a cluster that exists",
		Long: `Asks a cluster that exists for everything that a run with the same flags takes: rights, nodes and their room, and by dry
runs whether the API takes the Pods as they are. No Pod is created, and nothing is left behind.

Exit codes: 0 nothing is in the way, 2 bad input or a run would not begin, 3 some traits would stay undecided.`,
		Example: `  sharedpid check --kubeconfig FILE --profile core
  sharedpid check --kubeconfig FILE --profile core --namespace NAME`,
		Args: takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.resolve(command); err != nil {
				return err
			}
			if !options.cluster.Existing() {
				return errors.New("there is nothing to check beforehand for a cluster that is created; " +
					"name one that exists with --kubeconfig or --context")
			}
			return unlessInterrupted(command, runCheck(command, options))
		},
	}
	flags := command.Flags()
	options.addSelection(flags)
	options.addExisting(flags)
	options.addPace(flags)
	return command
}

func runCheck(command *cobra.Command, options options) error {
	ctx := command.Context()
	printer := progress.NewPrinter(command.ErrOrStderr())
	cluster, err := provision.Obtain(ctx, options.cluster, printer)
	if err != nil {
		return err
	}
	asked := options.suiteOptions(printer)
	asked.Configuration, asked.Run.Cluster = cluster.Configuration, cluster.Description
	asked.Images = func(node corev1.Node) (map[string]string, error) { return cluster.Images(options.images.sources, node) }
	run, obstacles, err := suite.Preflight(ctx, asked)
	if err != nil {
		return err
	}
	writeObstacles(command.OutOrStdout(), run, len(asked.Traits), obstacles)
	if len(obstacles) > 0 {
		return exit(exitUndecided)
	}
	return nil
}

// writeObstacles says what is in the way of a run, and what a person does about it.
func writeObstacles(to io.Writer, run reports.Run, traits int, obstacles []suite.Obstacle) {
	fmt.Fprintf(to, "%d traits on %d targets, Kubernetes %s\n", traits, len(run.Targets), run.Cluster.KubernetesVersion)
	if run.Permission.Answer != "" {
		fmt.Fprintf(to, "may Pods share here: %s\n", run.PermissionText())
	}
	for _, obstacle := range obstacles {
		fmt.Fprintf(to, "obstacle: %s\n", obstacle.What)
		if obstacle.NextStep != "" {
			fmt.Fprintf(to, "    next step: %s\n", obstacle.NextStep)
		}
		if len(obstacle.Traits) > 0 {
			fmt.Fprintf(to, "    traits: %s\n", strings.Join(obstacle.Traits, ", "))
		}
	}
	switch len(obstacles) {
	case 0:
		fmt.Fprintln(to, "nothing is in the way")
	case 1:
		fmt.Fprintln(to, "1 obstacle")
	default:
		fmt.Fprintf(to, "%d obstacles\n", len(obstacles))
	}
}
