package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/reports/directory"
	"sharedpid.example/reports/junit"
	"sharedpid.example/reports/terminal"
	"sharedpid.example/suites"
)

// runReports is where the reports of a run go by default, in the checkout.
const runReports = "reports/out/conformance"

func runCommand() *cobra.Command {
	var options options
	command := &cobra.Command{
		Use:   "run",
		Short: "Check the traits on a cluster, and leave reports",
		Long: `Checks the traits of a profile on a kind cluster that is created for it and deleted afterwards, or on a
cluster that exists, and leaves reports.

Exit codes: 0 conformant, 1 nonconformant, 2 bad input or set-up, 3 inconclusive or interrupted.`,
		Example: `  # on a kind cluster of its own, which is deleted afterwards
  sharedpid run --profile core

  # some traits, again and again on a cluster that is kept
  sharedpid run --keep --trait 'signals/*'

  # on a cluster that exists: every node, or one of them
  sharedpid run --kubeconfig FILE --context NAME
  sharedpid run --kubeconfig FILE --node NAME

  # with rights in one namespace alone, see sharedpid rights; in a Pod no kubeconfig is needed, see sharedpid job
  sharedpid run --kubeconfig FILE --namespace NAME

  # under a RuntimeClass of a cluster that exists, where some deviations are known
  sharedpid run --kubeconfig FILE --runtime-class gvisor --known-deviations FILE

  # runtimes side by side
  sharedpid run --profile core --runtime runc --runtime crun --known-deviations fixtures/runtimes/deviations.yaml

  # on nodes that reach a mirror alone, or that are slow
  sharedpid run --kubeconfig FILE --image-registry registry.example.com/mirror
  sharedpid run --patience 5

  # of a large cluster one node of each kind, or some nodes; and the same run again after it was killed
  sharedpid run --kubeconfig FILE --nodes one-of-each-kind
  sharedpid run --kubeconfig FILE --node-selector pool=gpu --report-dir DIRECTORY
  sharedpid run --kubeconfig FILE --node-selector pool=gpu --resume DIRECTORY

  # with its options from a file, and the reports in a place of its own
  sharedpid run --config FILE --report-dir DIRECTORY`,
		Args: takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.resolve(command); err != nil {
				return err
			}
			code, err := conform(command.Context(), options, command.ErrOrStderr(), nil)
			if err != nil {
				return err
			}
			return exitWith(code)
		},
	}
	options.addRun(command.Flags())
	options.addAfter(command.Flags())
	return command
}

// addRun registers all flags of a run.
func (options *options) addRun(flags *pflag.FlagSet) {
	options.addSelection(flags)
	options.addCluster(flags)
	options.addCreation(flags)
	options.addRuntimes(flags)
	options.addExisting(flags)
	options.addRunning(flags, runReports)
	options.addImplementation(flags)
	options.keep.add(flags)
}

func exitWith(code int) error {
	if code == 0 {
		return nil
	}
	return exit(code)
}

// conform obtains a cluster, checks the traits, leaves reports and cleans up. It returns the exit code of the run. An error
// means that the run has none: nothing was decided, or the reports could not be written. beside is told what is learned as
// the reports are, nil for nobody.
func conform(ctx context.Context, options options, stderr io.Writer, beside suite.Recorder) (int, error) {
	printer := progress.NewPrinter(stderr)
	asked := options.suiteOptions(printer)
	path := options.reports(runReports)
	if options.resume != "" {
		var err error
		if asked, err = goOn(asked, options.resume, printer); err != nil {
			return exitBadInput, err
		}
		path = options.resume
	}
	if options.pauseOnFailure {
		asked.Failed = pauser(os.Stdin, printer)
	}
	recorder, err := directory.GoOn(path, asked.Run, junit.Options{File: sourceFile}, nodeLogsFile)
	if err != nil {
		return exitBadInput, err
	}
	asked.Recorder = both{recorder, beside}
	keeper := options.keep.keeper(options.namespace)
	further := map[string][]byte{}
	run, err := checkOn(ctx, options, asked, printer, func(cluster *provision.Cluster, _ *suite.Options) error {
		return keeper.open(ctx, cluster.Configuration)
	}, func(cluster *provision.Cluster, run reports.Run) {
		if logs := nodeLogs(ctx, cluster, run, printer); len(logs) > 0 {
			further[nodeLogsFile] = logs
		}
	})
	written := recorder.CloseWith(run, further)
	kept := keeper.keep(ctx, run, printer) // also when there is no room for the reports
	if err := terminal.Render(stderr, run, terminal.Colour(os.Stderr)); err != nil {
		return exitBadInput, err
	}
	if written != nil {
		return exitBadInput, errors.Join(kept, fmt.Errorf("the reports in %s are not those of this run: %w; make room there, or name another "+
			"directory with --report-dir", path, written))
	}
	if kept != nil {
		return exitBadInput, kept
	}
	if run.PeakMemoryBytes > 0 {
		printer.Printf("memory of this process: at most %d MiB", run.PeakMemoryBytes>>20)
	}
	printer.Printf("reports: %s; open report.html there, or gate on run.json and junit.xml", path)
	if err != nil && len(run.Results) == 0 && ctx.Err() == nil {
		return exitBadInput, err
	}
	return run.ExitCode(), nil
}

// sourceFile is where the trait of an outcome stands, for readers of JUnit that link to it.
func sourceFile(outcome reports.Result) string { return "suites/" + outcome.Group() + ".go" }

// suiteOptions are what the engine is asked for, but for the cluster.
func (options *options) suiteOptions(printer *progress.Printer) suite.Options {
	asked := suite.Options{
		Traits: options.selected, Profile: options.profile, SuiteVersion: suiteVersion(), Arguments: options.given, Narrowed: options.narrowed,
		Namespace: options.namespace, Adaptation: options.adapted, Nodes: options.nodes, NodeLabels: options.nodeLabels,
		Sampling: suite.Sampling(options.sampling), KeepFailed: options.keepFailed, RuntimeClasses: options.runtimeClasses, KnownDeviations: options.deviations.Of,
		Limits: options.stretched, Parallel: options.parallel, Starting: options.parallel, Execs: options.parallel, RequestsPerSecond: options.requests, Progress: printer.Printf,
	}
	asked.Run = suite.NewRun(asked)
	asked.Run.Tasks = suites.Tasks(options.selected)
	asked.Run.Command, asked.Run.Cluster, asked.Run.Implementation = options.command, options.cluster.Description(), options.implementation
	return asked
}

// checkOn obtains the cluster, checks the traits on it, and lets go of it. adapt changes what is asked once the cluster is
// there, and after looks at the run while it is there still; either may be nil. It lets go of the cluster also when something panics.
func checkOn(
	ctx context.Context, options options, asked suite.Options, printer *progress.Printer,
	adapt func(*provision.Cluster, *suite.Options) error, after func(*provision.Cluster, reports.Run),
) (run reports.Run, err error) {
	defer func() { run.Seconds = time.Since(run.Start).Seconds() }()
	start := time.Now()
	cluster, err := provision.Obtain(ctx, options.cluster, printer)
	phase(&asked.Run, "cluster", start)
	if err != nil {
		return setUpFailed(asked.Run, err), err
	}
	defer func() {
		start := time.Now()
		if left := cluster.Close(ctx); left != nil {
			printer.Printf("warning: %v", left)
		}
		phase(&run, "clean-up", start)
	}()
	asked = options.on(cluster, asked)
	if adapt != nil {
		if err := adapt(cluster, &asked); err != nil {
			return setUpFailed(asked.Run, err), err
		}
	}
	run, err = checkWithClasses(ctx, cluster, asked)
	if after != nil {
		after(cluster, run)
	}
	return run, err
}

// on is what the engine is asked for on a cluster.
func (options *options) on(cluster *provision.Cluster, asked suite.Options) suite.Options {
	asked.Configuration, asked.Run.Cluster = cluster.Configuration, cluster.Description
	asked.Disposable, asked.Kubectl = !cluster.Stays(), cluster.Kubectl()
	asked.Images = func(node corev1.Node) (map[string]string, error) { return cluster.Images(options.images.sources, node) }
	asked.RuntimeVersion = func(ctx context.Context, target reports.Target) string {
		return cluster.RuntimeVersions(ctx, target.Node)[target.RuntimeClass]
	}
	return asked
}

func checkWithClasses(ctx context.Context, cluster *provision.Cluster, asked suite.Options) (reports.Run, error) {
	client, err := kubernetes.NewForConfig(cluster.Configuration)
	if err == nil {
		err = cluster.CreateRuntimeClasses(ctx, client)
	}
	if err != nil {
		return setUpFailed(asked.Run, err), err
	}
	return suite.Run(ctx, asked)
}

// setUpFailed is the run that ended before its traits were looked at.
func setUpFailed(run reports.Run, err error) reports.Run {
	run.SetupError, run.Running = err.Error(), false
	return run
}

// phase adds a part of the run that began at a time and ends now. Parts of one name are one.
func phase(run *reports.Run, name string, start time.Time) {
	seconds := time.Since(start).Seconds()
	for i := range run.Phases {
		if run.Phases[i].Name == name {
			run.Phases[i].Seconds += seconds
			return
		}
	}
	run.Phases = append(run.Phases, reports.Phase{Name: name, Start: start.UTC(), Seconds: seconds})
}

// both tells two recorders, the second of which may be nil.
type both struct{ one, other suite.Recorder }

func (both both) Record(run reports.Run) {
	both.one.Record(run)
	if both.other != nil {
		both.other.Record(run)
	}
}

func (both both) Add(result reports.Result, looks []reports.Look) error {
	err := both.one.Add(result, looks)
	if both.other != nil {
		if told := both.other.Add(result, looks); err == nil {
			err = told
		}
	}
	return err
}
