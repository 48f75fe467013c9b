package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sharedpid.example/fixtures/images"
	"sharedpid.example/fixtures/machine"
	"sharedpid.example/fixtures/node"
	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision/engine"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/helpers/workspace"
	"sharedpid.example/reports"
	"sharedpid.example/reports/directory"
	"sharedpid.example/reports/junit"
	"sharedpid.example/reports/terminal"
)

// machineReports is where the reports of a virtual machine go by default.
const machineReports = "reports/out/machine"

// consoleFile is what the machine said, beside its logs.
const consoleFile = "console.log"

// machineGrace is how long a machine may take to bring its reports out and to power off.
const machineGrace = 30 * time.Minute

// machinePatience stretches the limits in a machine, whose one processor is slower than an ordinary one by its own clock as well.
const machinePatience = 5

func machineCommand() *cobra.Command {
	var options options
	var kernel []string
	var limit time.Duration
	command := &cobra.Command{
		Use:   "machine",
		Short: "Check the traits in a virtual machine, on a node that AppArmor confines",
		Long: `Builds a virtual machine from the local node image and Debian's kernel, makes it a node, checks the traits there, and
leaves the reports. The node is no container: AppArmor confines its containers, and it has cgroup version 2 alone. QEMU
emulates the machine, which takes root, 7 GiB of memory, 8 GiB of disk, and patience.

Exit codes: those of run; 2 also when no machine can run here, or it left no reports.`,
		Args: takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.resolve(command); err != nil {
				return err
			}
			if limit <= 0 {
				return fmt.Errorf("--time-limit: %s is no time to run", limit)
			}
			return unlessInterrupted(command, runMachine(command, options, kernel, limit))
		},
	}
	flags := command.Flags()
	options.addSelection(flags)
	flags.Lookup("profile").DefValue, options.profile = string(suite.Core), string(suite.Core)
	flags.StringVar(&options.cluster.Engine, "engine", "", "container `ENGINE` that holds the local node image: docker, podman or nerdctl")
	options.addRunning(flags, machineReports)
	flags.Lookup("patience").DefValue, options.patience = fmt.Sprint(machinePatience), machinePatience
	flags.StringArrayVar(&kernel, "kernel-argument", nil,
		"give the kernel the `ARGUMENT` as well, such as sysctl.kernel.yama.ptrace_scope=2 (repeatable)")
	flags.DurationVar(&limit, "time-limit", 2*time.Hour, "interrupt the run when the machine has been up for this `DURATION`")
	return command
}

// runMachine checks the traits in a machine, and leaves the reports that it brought out.
func runMachine(command *cobra.Command, options options, kernel []string, limit time.Duration) error {
	ctx, stderr := command.Context(), command.ErrOrStderr()
	printer := progress.NewPrinter(stderr)
	cache, err := workspace.Cache()
	if err != nil {
		return err
	}
	if err := machine.Check(cache); err != nil {
		return err
	}
	prepared, err := prepareMachine(ctx, options)
	if err != nil {
		return err
	}
	var console bytes.Buffer
	prepared.Kernel, prepared.Limit, prepared.Grace, prepared.Step = kernel, limit, machineGrace, printer.Step
	prepared.Console = io.MultiWriter(&console, stderr)
	path := options.reports(machineReports)
	asked := options.suiteOptions(printer).Run
	recorder, err := directory.OpenWith(path, asked, junit.Options{File: sourceFile}, slices.Concat(machine.Logs(), []string{consoleFile})...)
	if err != nil {
		return err
	}
	left, err := machine.Run(ctx, cache, prepared)
	run, err := runInMachine(asked, left, err)
	logs := map[string][]byte{consoleFile: console.Bytes()}
	maps.Copy(logs, left.Logs)
	if written := recorder.CloseWith(run, logs); written != nil {
		return fmt.Errorf("the reports in %s are not those of this run: %w", path, written)
	}
	if err != nil {
		return fmt.Errorf("%w; what it said is in %s", err, path)
	}
	if err := terminal.Render(stderr, run, terminal.Colour(os.Stderr)); err != nil {
		return err
	}
	printer.Printf("reports: %s; the logs of the machine are there as well", path)
	return exitWith(run.ExitCode())
}

// runInMachine is the run that a machine left, or the one that came to nothing with the reason. It is made again by what was asked
// here, and not by what the machine was told.
func runInMachine(asked reports.Run, left machine.Outcome, failed error) (reports.Run, error) {
	if failed != nil {
		return setUpFailed(asked, failed), failed
	}
	run, err := reports.Decode(left.Run)
	if err != nil {
		err = errors.New("the machine did not become a node, or left no whole run.json")
		return setUpFailed(asked, err), err
	}
	run.Command, run.Arguments, run.Narrowed = asked.Command, asked.Arguments, asked.Narrowed
	return run, nil
}

// prepareMachine finds what a machine is made of, and says what the suite is told in it.
func prepareMachine(ctx context.Context, options options) (machine.Options, error) {
	root, err := workspace.Root()
	if err != nil {
		return machine.Options{}, err
	}
	working, err := engine.Detect(ctx, options.cluster.Engine)
	if err != nil {
		return machine.Options{}, err
	}
	image, err := node.Reference(root, node.Versions{})
	if err != nil {
		return machine.Options{}, err
	}
	if !working.HasImage(ctx, image) {
		return machine.Options{}, fmt.Errorf("the node image %s is not built; run: make node-image", image)
	}
	if err := working.Prepare(); err != nil {
		return machine.Options{}, err
	}
	references, err := images.Sources{Local: true}.Resolve(root)
	if err != nil {
		return machine.Options{}, err
	}
	program, err := os.Executable()
	if err != nil {
		return machine.Options{}, err
	}
	return machine.Options{Engine: working, NodeImage: image, Program: program, Arguments: options.inMachine(references)}, nil
}

// inMachine are the arguments of sharedpid run in a machine that holds test images under the references.
func (options *options) inMachine(references map[string]string) []string {
	arguments := []string{
		"--kubeconfig=/etc/kubernetes/admin.conf", "--profile=" + options.profile, fmt.Sprintf("--patience=%g", options.patience),
		fmt.Sprintf("--parallel=%d", options.parallel), fmt.Sprintf("--requests-per-second=%g", options.requests),
	}
	for _, name := range images.Names() {
		arguments = append(arguments, "--image="+name+"="+references[name])
	}
	for _, each := range []struct {
		flag   string
		values []string
	}{{"trait", options.traits}, {"skip-trait", options.skippedTraits}, {"limit", options.limits}} {
		for _, value := range each.values {
			arguments = append(arguments, "--"+each.flag+"="+value)
		}
	}
	return arguments
}
