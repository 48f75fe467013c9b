package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Command is another program to run, with what it needs.
type Command struct {
	// Arguments are the program, by its path or a name in PATH, and what follows it on the command line.
	Arguments []string
	// Folder is where it runs, the working directory when empty.
	Folder string
	// Environment holds NAME=VALUE, which is added to the environment of this process and wins over it.
	Environment []string
	// Input is what it reads from its standard input, nothing when nil.
	Input io.Reader
	// Grace is how long it may take to end after it was interrupted, 30 s when zero. Then it is killed.
	Grace time.Duration
	// LeavesChildren says that an interrupt is for the program alone, which lets its children finish what they began.
	// Otherwise its children are interrupted with it, as by Ctrl-C in a terminal, so that all of them clean up.
	LeavesChildren bool
	// Cause picks the words of the error from what the program wrote to its standard error, or to its standard output
	// when that is empty. Nil takes the last lines.
	Cause func(written string) string
}

// grace is the default of Command.Grace.
const grace = 30 * time.Second

// Run runs the command to its end and drops what it prints. See Output for its error.
func (command Command) Run(ctx context.Context) error {
	_, err := command.Output(ctx)
	return err
}

// Output runs the command to its end and returns what it printed, without white space around it. When ctx ends, the
// command is interrupted, and the error wraps that of ctx. The error of a command that failed is one line: how the
// command began, how it ended, and the last that it said.
func (command Command) Output(ctx context.Context) (string, error) {
	process := exec.CommandContext(ctx, command.Arguments[0], command.Arguments[1:]...)
	process.Dir = command.Folder
	process.Env = append(os.Environ(), command.Environment...)
	process.Stdin = command.Input
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	process.Cancel = func() error {
		if command.LeavesChildren {
			return process.Process.Signal(os.Interrupt)
		}
		return syscall.Kill(-process.Process.Pid, syscall.SIGINT)
	}
	process.WaitDelay = command.Grace
	if process.WaitDelay == 0 {
		process.WaitDelay = grace
	}
	var stdout, stderr bytes.Buffer
	process.Stdout, process.Stderr = &stdout, &stderr
	err := process.Run()
	switch {
	case err == nil:
		return strings.TrimSpace(stdout.String()), nil
	case process.Process == nil && ctx.Err() == nil: // it did not start, and the error names the program
		return "", err
	case ctx.Err() != nil:
		// What outlived the interrupt of its parent ends too.
		if process.Process != nil && !command.LeavesChildren {
			_ = syscall.Kill(-process.Process.Pid, syscall.SIGKILL)
		}
		return "", fmt.Errorf("%s: %w", command.beginning(), ctx.Err())
	}
	written := stderr.String()
	if strings.TrimSpace(written) == "" {
		written = stdout.String()
	}
	cause := command.Cause
	if cause == nil {
		cause = lastWords
	}
	if words := cause(written); words != "" {
		return "", fmt.Errorf("%s: %w: %s", command.beginning(), err, words)
	}
	return "", fmt.Errorf("%s: %w", command.beginning(), err)
}

// beginning is how a person recognises the command: the program with its first argument.
func (command Command) beginning() string {
	return strings.Join(command.Arguments[:min(2, len(command.Arguments))], " ")
}

// IsMissing tells whether an error of a command says that its program is not installed.
func IsMissing(err error) bool { return errors.Is(err, exec.ErrNotFound) }

// lastWords returns the last lines of a text that are not empty, as one line.
func lastWords(text string) string {
	const count = 5
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-count):], "; ")
}

// BuildEnvironment is that of a go build for Linux on an architecture, for Command.Environment. It lets nothing of this process's own
// environment get into a static binary.
func BuildEnvironment(architecture string) []string {
	return []string{
		"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + architecture, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off",
	}
}
