package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/mattn/go-isatty"
	"github.com/spf13/pflag"

	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/reports/directory"
)

// nodeLogsFile holds, beside the reports, what the kubelet and the container runtime of a created cluster logged while a trait failed.
const nodeLogsFile = "nodes.log"

func (options *options) addAfter(flags *pflag.FlagSet) {
	flags.StringVar(&options.resume, "resume", "",
		"go on with the run whose reports are in `DIRECTORY`, which was killed or interrupted, with the same options on the same cluster")
	flags.BoolVar(&options.keepFailed, "keep-failed", false,
		"leave the Pods of traits that are nonconformant or inconclusive, and their namespace; the reports say how to look at them")
	flags.BoolVar(&options.pauseOnFailure, "pause-on-failure", false,
		"when a trait is nonconformant or inconclusive, wait for Enter while its Pods are there")
}

// resolveAfter checks the flags about what failed, and about a run to go on with.
func (options *options) resolveAfter() error {
	if options.keepFailed && !options.cluster.Existing() && !options.cluster.Keep {
		return errors.New("--keep-failed leaves Pods on a cluster that stays: add --keep, or name a cluster with --kubeconfig")
	}
	if options.pauseOnFailure && !isatty.IsTerminal(os.Stdin.Fd()) {
		return errors.New("--pause-on-failure waits for Enter, and the input is no terminal: run it in one, or use --keep-failed")
	}
	if options.resume != "" && !options.cluster.Existing() && !options.cluster.Keep {
		return errors.New("--resume goes on upon the cluster where the run began: add --keep if that one was kept, or name it with --kubeconfig")
	}
	if options.resume == "" || options.reportDirectory == "" {
		return nil
	}
	if one, other := absolute(options.resume), absolute(options.reportDirectory); one != other {
		return fmt.Errorf("--resume: the run goes on in %s, and --report-dir names %s; leave that out", options.resume, options.reportDirectory)
	}
	return nil
}

func absolute(path string) string {
	if made, err := filepath.Abs(path); err == nil {
		return made
	}
	return path
}

// indifferent are the flags that change nothing about what a run asks: one that goes on may be given others.
var indifferent = []string{"resume", "report-dir", "keep", "keep-failed", "pause-on-failure", "parallel", "requests-per-second", "kubeconfig", "context"}

// goOn makes what is asked the continuation of the run in a report directory.
func goOn(asked suite.Options, path string, printer *progress.Printer) (suite.Options, error) {
	before, err := directory.Restore(path)
	if err != nil {
		return asked, fmt.Errorf("--resume: %w", err)
	}
	if asked, err = asked.GoOn(before, indifferent...); err != nil {
		return asked, fmt.Errorf("--resume: %s: %w", path, err)
	}
	printer.Printf("==> going on with run %s of %s: %d of %d are decided", before.ID, before.Start.Format("2006-01-02 15:04:05 MST"),
		len(asked.Run.Results), len(asked.Run.Plan))
	return asked, nil
}

// pauser returns what waits for a line of input when a trait failed, or until the run ends.
func pauser(input io.Reader, printer *progress.Printer) func(context.Context, reports.Result) {
	lines := make(chan struct{})
	var asked bool
	return func(ctx context.Context, result reports.Result) {
		if !asked { // the input is not touched before
			asked = true
			go func() {
				defer close(lines) // nobody waits for input that has ended
				for read := bufio.NewScanner(input); read.Scan(); {
					lines <- struct{}{}
				}
			}()
		}
		printer.Printf("paused: %s on %s is %s: %s", result.Trait, result.Target, result.VerdictText(), result.Reason)
		printer.Printf("its Pods are in namespace %s; press Enter to go on, or interrupt the run", result.Namespace)
		select {
		case <-lines:
		case <-ctx.Done():
		}
	}
}

// nodeLogs returns what the nodes with failures logged during the run. On a cluster that exists there is none: nothing is run on its nodes.
func nodeLogs(ctx context.Context, cluster *provision.Cluster, run reports.Run, printer *progress.Printer) []byte {
	var nodes []string
	for _, result := range run.Results {
		target, _ := run.FindTarget(result.Target)
		if result.NeedsAttention() && target.Node != "" && !slices.Contains(nodes, target.Node) {
			nodes = append(nodes, target.Node)
		}
	}
	slices.Sort(nodes)
	logs, err := cluster.Logs(context.WithoutCancel(ctx), nodes, run.Start)
	if err != nil {
		printer.Printf("warning: the logs of the nodes: %v", err)
	}
	return logs
}
