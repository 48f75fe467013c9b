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
	var inKind bool
	var securityModule string
	command := &cobra.Command{
		Use:   "machine",
		Short: "Check the traits in a virtual machine, on a node with AppArmor or SELinux or in a kind cluster",
		Long: `Builds a virtual machine from the local node image and Debian's kernel, makes it a node, checks the traits there, and
leaves the reports. The node is no container: AppArmor confines its containers, and it has cgroup version 2 alone. With
--security-module=selinux it has a permissive SELinux instead, with Debian's policy, which labels its containers. With
--kind the machine is like a user's instead: it has podman, and the run in it provisions a kind cluster. QEMU emulates the
machine, which takes root, 7 GiB of memory, 8 GiB of disk, and patience.

Exit codes: those of run; 2 also when no machine can run here, or it left no reports.`,
		Args: takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.resolve(command); err != nil {
				return err
			}
			if limit <= 0 {
				return fmt.Errorf("--time-limit: %s is no time to run", limit)
			}
			module, err := machine.ParseSecurityModule(securityModule)
			if err != nil {
				return fmt.Errorf("--security-module: %w", err)
			}
			if inKind && module != machine.AppArmor {
				return fmt.Errorf("--security-module=%s: %s", module, "with --kind nothing in the machine has a use for it")
			}
			booted := machine.Options{Kernel: kernel, SecurityModule: module, Limit: limit, Grace: machineGrace}
			return unlessInterrupted(command, runMachine(command, options, booted, inKind))
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
	flags.BoolVar(&inKind, "kind", false, "have the run provision a kind cluster with podman, instead of making the machine itself the node")
	flags.StringVar(&securityModule, "security-module", string(machine.AppArmor),
		"`MODULE` that the kernel has on: apparmor, which confines the containers, or selinux, permissive, which labels them")
	flags.DurationVar(&limit, "time-limit", 2*time.Hour, "interrupt the run when the machine has been up for this `DURATION`")
	return command
}

// runMachine checks the traits in a machine that is booted so, and leaves the reports that it brought out.
func runMachine(command *cobra.Command, options options, booted machine.Options, inKind bool) error {
	ctx, stderr := command.Context(), command.ErrOrStderr()
	printer := progress.NewPrinter(stderr)
	cache, err := workspace.Cache()
	if err != nil {
		return err
	}
	if err := machine.Check(cache); err != nil {
		return err
	}
	prepared, err := prepareMachine(ctx, options, booted, inKind)
	if err != nil {
		return err
	}
	var console bytes.Buffer
	prepared.Step = printer.Step
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

// prepareMachine adds to how a machine is booted what it is made of, and what the suite is told in it.
func prepareMachine(ctx context.Context, options options, prepared machine.Options, inKind bool) (machine.Options, error) {
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
	program, err := os.Executable()
	if err != nil {
		return machine.Options{}, err
	}
	prepared.Engine, prepared.NodeImage, prepared.Program, prepared.Arguments = working, image, program, options.inMachine()
	if inKind {
		prepared.Checkout = root
		prepared.Arguments = append(prepared.Arguments, "--engine=podman", "--node-image=local")
		return prepared, nil
	}
	references, err := images.Sources{Local: true}.Resolve(root)
	prepared.Arguments = append(prepared.Arguments, onMachine(references)...)
	return prepared, err
}

// onMachine are the arguments of sharedpid run where the machine is the node, and holds test images under the references.
func onMachine(references map[string]string) []string {
	arguments := []string{"--kubeconfig=/etc/kubernetes/admin.conf"}
	for _, name := range images.Names() {
		arguments = append(arguments, "--image="+name+"="+references[name])
	}
	return arguments
}

// inMachine are the arguments of sharedpid run in a machine that say what to check and how.
func (options *options) inMachine() []string {
	arguments := []string{
		"--profile=" + options.profile, fmt.Sprintf("--patience=%g", options.patience),
		fmt.Sprintf("--parallel=%d", options.parallel), fmt.Sprintf("--requests-per-second=%g", options.requests),
	}
	if options.podSecurity != "" {
		arguments = append(arguments, "--pod-security="+options.podSecurity)
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
