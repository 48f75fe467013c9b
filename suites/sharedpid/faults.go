package main

import (
	"context"
	"fmt"
	"io"
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
	"sharedpid.example/reports/junit"
)

// Where the faults go by default: their reports in the checkout, and their cluster beside the one of a run.
const (
	faultReports     = "reports/out/faults"
	faultClusterName = "sharedpid-faults"
)

// What the report directory of the faults holds beside the reports of their run.
const (
	faultTableFile    = "faults.md"
	faultOutcomesFile = "faults.json"
)

func faultsCommand() *cobra.Command {
	var options options
	command := &cobra.Command{
		Use:   "faults",
		Short: "Prove that the suite notices faulty runtimes",
		Long: `Checks the traits under OCI runtimes that have one deliberate defect each, on a cluster of its own. Each must turn
exactly the traits that it breaks, and the healthy one none.

Exit codes: 0 all exact, 1 a fault was not noticed or something else was blamed, 2 bad input or set-up, or the reports
could not be written, 3 interrupted or undecided.`,
		Args: takes(),
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
			return unlessInterrupted(command, runFaults(command, options, selected))
		},
	}
	flags := command.Flags()
	options.addSelection(flags)
	flags.Lookup("profile").DefValue, options.profile = string(suite.Core), string(suite.Core)
	flags.StringArrayVar(&options.faults, "fault", []string{"all"}, "`NAME` of a fault, or all (repeatable)")
	options.addCluster(flags)
	options.addCreation(flags)
	options.addRunning(flags, faultReports)
	return command
}

// giveRuntimes builds faulty runtimes, beside the healthy one, and gives the cluster their handlers. Each cluster has a folder of its own:
// its nodes mount it.
func (options *options) giveRuntimes(ctx context.Context, selected []faults.Fault) error {
	root, err := workspace.Root()
	if err != nil {
		return err
	}
	cache, err := workspace.Cache()
	if err != nil {
		return err
	}
	options.cluster.Handlers, err = faults.Build(ctx, root, filepath.Join(cache, "faults", options.cluster.ClusterName), selected)
	return err
}

// runFaults checks the traits under the healthy runtime and under each fault, on one cluster.
func runFaults(command *cobra.Command, options options, selected []faults.Fault) error {
	ctx, stderr := command.Context(), command.ErrOrStderr()
	printer := progress.NewPrinter(stderr)
	if err := options.giveRuntimes(ctx, selected); err != nil {
		return err
	}
	options.runtimeClasses = options.cluster.Handlers.Names()
	asked := options.suiteOptions(printer)
	path := options.reports(faultReports)
	recorder, err := directory.OpenWith(path, asked.Run, junit.Options{}, faultTableFile, faultOutcomesFile)
	if err != nil {
		return err
	}
	asked.Recorder = recorder
	var mutex sync.Mutex
	noEffect := map[string]string{} // by fault: why it had none
	run, err := checkOn(ctx, options, asked, printer, func(cluster *provision.Cluster, asked *suite.Options) error {
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
		return nil
	}, nil)
	var traits []string
	for _, trait := range options.selected {
		traits = append(traits, trait.ID)
	}
	outcomes := []faults.Outcome{faults.OutcomeOf(faults.Without(), "", traits, run.Results)}
	for _, fault := range selected {
		outcomes = append(outcomes, faults.OutcomeOf(fault, noEffect[fault.Name], traits, run.Results))
	}
	table := faults.Table(outcomes, traits)
	var further map[string][]byte
	if err == nil {
		encoded, unencoded := faults.EncodeOutcomes(outcomes)
		err, further = unencoded, map[string][]byte{faultTableFile: []byte(table), faultOutcomesFile: encoded}
	}
	if written := recorder.CloseWith(run, further); written != nil {
		return fmt.Errorf("the reports in %s are not those of this run: %w", path, written)
	}
	for _, phase := range run.Phases {
		printer.Printf("%s: %.1f s", phase.Name, phase.Seconds)
	}
	if err != nil {
		return err
	}
	fmt.Fprint(stderr, table)
	return tellSurprises(stderr, outcomes)
}

// tellSurprises prints why outcomes are not exact. Its error has exit code 1 when the suite missed a fault that had an effect, or blamed
// something, and 3 when it only could not decide.
func tellSurprises(to io.Writer, outcomes []faults.Outcome) error {
	code := 0
	for _, outcome := range outcomes {
		for _, surprise := range outcome.Surprises() {
			fmt.Fprintf(to, "%s: %s\n", outcome.Fault, surprise)
			code = max(code, exitUndecided)
		}
	}
	if slices.ContainsFunc(outcomes, isWrong) {
		code = 1
	}
	return exitWith(code)
}

// isWrong tells whether the suite came to a wrong verdict: one that is undecided is none.
func isWrong(outcome faults.Outcome) bool {
	decided := func(trait string) bool { return !slices.Contains(outcome.Undecided, trait) }
	return outcome.NoEffect == "" && slices.ContainsFunc(outcome.Missed, decided) || slices.ContainsFunc(outcome.Blamed, decided)
}
