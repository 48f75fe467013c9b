// Sharedpid checks on a Kubernetes cluster how Pods behave whose containers share a process namespace.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// The first signal ends the work in order; a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	silenceLibraries()
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryGoal)
	}
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// memoryGoal is from which size of its memory on the process collects garbage more often. The reports of thousands of nodes are rendered again
// and again, and what is left of each time would add up to more than all the rest.
const memoryGoal = 640 << 20

// silenceLibraries drops what client-go logs beside its errors, which say the same to whoever can act on it: after an interrupt
// it logs each request that was cut short.
func silenceLibraries() { klog.SetSlogLogger(slog.New(slog.DiscardHandler)) }

// exitBadInput is the exit code when nothing was decided: bad input, nothing to run on, or reports that cannot be written.
const exitBadInput = 2

// exitUndecided is the exit code of what was interrupted or could not be decided.
const exitUndecided = 3

// exit is the error of a command that has said all that is to be said, and ends with a code.
type exit int

func (code exit) Error() string { return fmt.Sprintf("exit code %d", int(code)) }

// execute runs the command with its arguments and returns its exit code.
func execute(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	command := newCommand()
	command.SetArgs(arguments)
	command.SetOut(stdout)
	command.SetErr(stderr)
	err := command.ExecuteContext(ctx)
	var code exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(stderr, "error:", err)
	return exitBadInput
}

// unlessInterrupted returns the error of a command's work. When ctx has ended the work was interrupted, which has an exit code of its
// own: nothing was wrong with the input.
func unlessInterrupted(command *cobra.Command, err error) error {
	var code exit
	if err == nil || command.Context().Err() == nil || errors.As(err, &code) {
		return err
	}
	fmt.Fprintln(command.ErrOrStderr(), "error:", err)
	return exit(exitUndecided)
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sharedpid",
		Short: "Check how Pods behave whose containers share a process namespace",
		Long: `Sharedpid checks how Pods behave whose containers share a process namespace, on a kind cluster that it
provisions or on a cluster that exists, and leaves reports that a CI system can gate on.

Exit codes: 0 conformant, 1 nonconformant, 2 bad input or set-up, 3 inconclusive or interrupted.`,
		SilenceErrors: true, // execute prints one line
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, given []string) error {
			if len(given) > 0 {
				return fmt.Errorf("there is no command %q; sharedpid --help shows the commands", given[0])
			}
			return nil
		},
		PersistentPreRunE: refuseEmpty,
		RunE:              func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	root.SetFlagErrorFunc(flagProblem)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 110"))
	root.AddCommand(runCommand(), checkCommand(), rightsCommand(), jobCommand(), sonobuoyCommand(), imagesCommand(), listCommand(),
		judgeCommand(), faultsCommand(), conditionsCommand(), machineCommand(), matrixCommand(), upgradeCommand(),
		diffCommand(), benchCommand(), findingsCommand(), publishCommand(), verifyCommand(), setupCommand(), cleanCommand(), versionCommand())
	return root
}
