package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"sharedpid.example/fixtures/faults"
	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/helpers/workspace"
	"sharedpid.example/reports"
	"sharedpid.example/reports/directory"
)

// Where the faults go by default: their reports in the checkout, and their cluster beside the one of a run.
const (
	faultReports     = "reports/out/faults"
	faultClusterName = "sharedpid-faults"
)

func faultsCommand() *cobra.Command {
	var options options
	command := &cobra.Command{
		Use:   "faults",
		Short: "Prove that the suite notices faulty runtimes",
		Long: `Checks the traits under OCI runtimes that have one deliberate defect each, on a cluster of its own. Each must turn
exactly the traits that it breaks, and the healthy one none.

Exit codes: 0 all exact, 1 some not exact, 2 bad input or set-up, 3 interrupted.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if options.cluster.ClusterName == "" {
				options.cluster.ClusterName = faultClusterName
			}
			if err := options.resolve(command); err != nil {
				return err
			}
			selected, err := faults.Select(options.faults)
			if err != nil {
				return fmt.Errorf("--fault: %w", err)
			}
			return runFaults(command, options, selected)
		},
	}
	flags := command.Flags()
	options.addSelection(flags)
	flags.Lookup("profile").DefValue, options.profile = string(suite.Core), string(suite.Core)
	flags.StringArrayVar(&options.faults, "fault", []string{"all"}, "`name` of a fault, or all (repeatable)")
	options.addCluster(flags)
	options.addCreation(flags)
	options.addRunning(flags, faultReports)
	return command
}

// runFaults checks the traits under the healthy runtime and under each fault, on one cluster.
func runFaults(command *cobra.Command, options options, selected []faults.Fault) error {
	ctx, stderr := command.Context(), command.ErrOrStderr()
	printer := progress.NewPrinter(stderr)
	root, err := workspace.Root()
	if err != nil {
		return err
	}
	cache, err := workspace.Cache()
	if err != nil {
		return err
	}
	if options.cluster.Handlers, err = faults.Build(ctx, root, filepath.Join(cache, "faults"), selected); err != nil {
		return err
	}
	options.runtimeClasses = options.cluster.Handlers.Names()
	asked := options.suiteOptions(printer)
	path := options.reports(faultReports)
	recorder, err := directory.Open(path, asked.Run)
	if err != nil {
		return err
	}
	var mutex sync.Mutex
	noEffect := map[string]string{} // by fault: why it had none
	// The reports of a thousand results cost more than checking them, so they are written at the end.
	run, err := checkOn(ctx, options, asked, printer, func(cluster *provision.Cluster, asked *suite.Options) {
		asked.Checked = func(ctx context.Context, target reports.Target, suffix, namespace string) {
			at := slices.IndexFunc(selected, func(fault faults.Fault) bool { return fault.Name == target.RuntimeClass })
			if at < 0 {
				return // the healthy runtime has nothing to prove
			}
			if _, err := cluster.Output(ctx, target.Node, selected[at].ProofCommand(namespace, suffix)...); err != nil {
				mutex.Lock()
				defer mutex.Unlock()
				noEffect[target.RuntimeClass] = err.Error()
			}
		}
	})
	if written := recorder.Close(run); written != nil {
		return fmt.Errorf("the reports in %s are not those of this run: %w", path, written)
	}
	for _, phase := range run.Phases {
		printer.Printf("%s: %.1f s", phase.Name, phase.Seconds)
	}
	if err != nil && len(run.Results) > 0 {
		fmt.Fprintln(stderr, "error:", err)
		return exit(run.ExitCode())
	}
	if err != nil {
		return err
	}
	var traits []string
	for _, trait := range options.selected {
		traits = append(traits, trait.ID)
	}
	outcomes := []faults.Outcome{faults.OutcomeOf(faults.Without(), "", traits, run.Results)}
	for _, fault := range selected {
		outcomes = append(outcomes, faults.OutcomeOf(fault, noEffect[fault.Name], traits, run.Results))
	}
	return tellOutcomes(stderr, path, outcomes, traits)
}

// tellOutcomes prints the outcomes and leaves them in the report directory. Its error has exit code 1 when one is not exact.
func tellOutcomes(to io.Writer, path string, outcomes []faults.Outcome, traits []string) error {
	encoded, err := faults.EncodeOutcomes(outcomes)
	if err != nil {
		return err
	}
	table := faults.Table(outcomes, traits)
	for name, content := range map[string][]byte{"faults.md": []byte(table), "faults.json": encoded} {
		if err := os.WriteFile(filepath.Join(path, name), content, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprint(to, table)
	exact := true
	for _, outcome := range outcomes {
		for _, surprise := range outcome.Surprises() {
			fmt.Fprintf(to, "%s: %s\n", outcome.Fault, surprise)
			exact = false
		}
	}
	if !exact {
		return exit(1)
	}
	return nil
}
