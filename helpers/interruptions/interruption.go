package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"sharedpid.example/reports/directory"
	"sharedpid.example/reports/readers"
)

// interruption is how a run is ended.
type interruption struct {
	name   string
	signal syscall.Signal
	resume bool          // on a kept cluster, on which the run then goes on
	after  time.Duration // from its start on, or never
}

// never is when a run is ended that is to end by itself.
const never time.Duration = -1

// Exit codes of the command, see its --help.
const (
	exitConformant   = 0
	exitInconclusive = 3
)

// endLimit is how long a run may take to clean up after a signal that it can catch.
const endLimit = 2 * time.Minute

// try starts a run, ends it, and returns what is wrong afterwards. It ends with a machine as it was before, unless that cannot be had.
func (tries *tries) try(ctx context.Context, each interruption, number int) []string {
	before, err := tries.look(ctx, number)
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	add := func(format string, values ...any) { problems = append(problems, fmt.Sprintf(format, values...)) }
	reportFolder := filepath.Join(tries.folder, fmt.Sprintf("reports-%d", number))
	arguments := append(slices.Clone(tries.arguments), "--report-dir="+reportFolder)
	if each.resume {
		arguments = append(arguments, "--keep")
	}
	code, sent, output, err := tries.run(ctx, each, number, arguments...)
	switch {
	case err != nil:
		add("%v", err)
	case each.signal == syscall.SIGKILL && sent:
	case sent && code != exitInconclusive && code != exitConformant, !sent && code != exitConformant:
		add("the run ended with %d: %s", code, said(output))
	}
	problems = append(problems, readers.Problems(reportFolder)...)
	if each.resume && hasPlan(reportFolder) {
		code, _, output, err := tries.run(ctx, interruption{after: never}, number, append(arguments, "--resume="+reportFolder)...)
		if err != nil || code != exitConformant {
			add("the run that goes on ended with %d (%v): %s", code, err, said(output))
		}
		problems = append(problems, readers.Problems(reportFolder)...)
	}
	if each.signal == syscall.SIGKILL {
		// That there is nothing to delete is said as an error.
		_, _, _, err := tries.run(ctx, interruption{after: never}, number, "clean", "--cluster-name="+tries.name)
		if err != nil {
			add("clean: %v", err)
		}
	}
	after, err := tries.look(ctx, number)
	if err != nil {
		add("%v", err)
	}
	return append(problems, before.differences(after)...)
}

// run runs the command, and sends it the signal when it is time. sent is false where it ended before. The error says that it did not end.
func (tries *tries) run(ctx context.Context, each interruption, number int, arguments ...string) (code int, sent bool, said []byte, err error) {
	var output bytes.Buffer
	command := exec.Command(tries.command, arguments...)
	command.Env = append(os.Environ(), tries.mark(number), "KUBECONFIG="+tries.kubeconfig())
	command.Stdout, command.Stderr = &output, &output
	// A signal from a terminal to this program is not one to the command.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return 0, false, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	late := time.After(each.after)
	if each.after == never {
		late = nil
	}
	var limit <-chan time.Time
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return 0, sent, output.Bytes(), err
			}
			return command.ProcessState.ExitCode(), sent, output.Bytes(), nil
		case <-late:
			late, limit, sent = nil, time.After(endLimit), true
			_ = command.Process.Signal(each.signal)
		case <-ctx.Done():
			_ = command.Process.Signal(syscall.SIGTERM)
			<-ended
			return 0, sent, output.Bytes(), ctx.Err()
		case <-limit:
			_ = command.Process.Kill()
			<-ended
			return 0, sent, output.Bytes(), fmt.Errorf("it did not end within %s of %s", endLimit, each.name)
		}
	}
}

// said is the end of what a run said: that it went wrong stands there, and why.
func said(output []byte) string {
	const most = 2000
	return string(output[max(0, len(output)-most):])
}

// hasPlan tells whether a run was killed late enough that there is something to go on with.
func hasPlan(folder string) bool {
	run, err := directory.Restore(folder)
	return err == nil && len(run.Plan) > 0
}
