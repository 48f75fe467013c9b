package workspace

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// shell is a command of the shell, with the words after the script as its arguments.
func shell(script string, words ...string) Command {
	return Command{Arguments: append([]string{"sh", "-c", script, "sh"}, words...)}
}

func TestCommandRunsAsItIsDescribed(t *testing.T) {
	t.Setenv("COLOUR", "red")
	t.Setenv("SHAPE", "round")
	command := shell(`pwd; echo "$COLOUR $SHAPE"; cat; echo aside >&2`)
	command.Folder = t.TempDir()
	command.Environment = []string{"COLOUR=blue"}
	command.Input = strings.NewReader("asked\n\n")
	if printed, err := command.Output(t.Context()); err != nil || printed != command.Folder+"\nblue round\nasked" {
		t.Errorf("it printed %q, %v", printed, err)
	}
}

func TestErrorOfACommandHasItsLastWords(t *testing.T) {
	for name, test := range map[string]struct {
		command Command
		want    string
	}{
		"standard error": {shell(`for n in 1 2 3 4 5 6; do echo "line $n" >&2; echo >&2; done; echo out; exit 7`),
			"sh -c: exit status 7: line 2; line 3; line 4; line 5; line 6"},
		"standard output": {shell(`echo refused; exit 1`), "sh -c: exit status 1: refused"},
		"silence":         {shell(`exit 1`), "sh -c: exit status 1"},
		"a cause": {Command{Arguments: []string{"sh", "-c", "echo first >&2; echo second >&2; exit 1"}, Cause: func(written string) string {
			first, _, _ := strings.Cut(written, "\n")
			return first
		}}, "sh -c: exit status 1: first"},
	} {
		t.Run(name, func(t *testing.T) {
			printed, err := test.command.Output(t.Context())
			if err == nil || err.Error() != test.want || printed != "" {
				t.Errorf("it printed %q, %v; want %s", printed, err, test.want)
			}
			if failed := (&exec.ExitError{}); !errors.As(err, &failed) {
				t.Errorf("the error %v hides the exit code", err)
			}
		})
	}
}

func TestIsMissing(t *testing.T) {
	err := Command{Arguments: []string{"no-such-program"}}.Run(t.Context())
	if !IsMissing(err) || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("error is %v, want one that names the program", err)
	}
	if err := shell("exit 1").Run(t.Context()); IsMissing(err) {
		t.Errorf("%v is taken for a missing program", err)
	}
}

// waitFor waits until a condition holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(context.Background(), time.Millisecond, 20*time.Second, true,
		func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// interrupted starts a command, cancels it once the file begun is there, and returns its error.
func interrupted(t *testing.T, command Command, begun string) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- command.Run(ctx) }()
	waitFor(t, "start of the command", func() bool { return exists(begun) })
	cancel()
	return <-ended
}

func TestInterruptedCommandCleansUpWithItsChildren(t *testing.T) {
	folder := t.TempDir()
	// The shell waits for its child, and each cleans up for itself.
	command := shell(`
		trap 'touch parent; exit 1' INT
		sh -c 'trap "touch child; exit 1" INT; touch begun; while :; do sleep 0.01; done'
		exit 2`)
	command.Folder = folder
	err := interrupted(t, command, filepath.Join(folder, "begun"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that of the context", err)
	}
	for _, cleaned := range []string{"parent", "child"} {
		if !exists(filepath.Join(folder, cleaned)) {
			t.Errorf("the %s was not interrupted", cleaned)
		}
	}
}

func TestCommandThatIgnoresTheInterruptIsKilledWithItsChildren(t *testing.T) {
	folder := t.TempDir()
	command := shell(`trap '' INT; sleep 1000 & echo $! >pid; touch begun; wait`)
	command.Folder, command.Grace = folder, 10*time.Millisecond
	if err := interrupted(t, command, filepath.Join(folder, "begun")); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that of the context", err)
	}
	content, err := os.ReadFile(filepath.Join(folder, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "end of the child", func() bool {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(child) + "/stat")
		return err != nil || strings.Contains(string(status), ") Z ") || errors.Is(syscall.Kill(child, 0), syscall.ESRCH)
	})
}

func TestCommandThatLeavesItsChildrenLetsThemFinish(t *testing.T) {
	folder := t.TempDir()
	// A child in the background would ignore the interrupt by itself.
	command := shell(`
		trap 'touch go' INT
		env --default-signal=INT sh -c 'touch begun; while ! test -e go; do sleep 0.01; done; touch finished' &
		wait
		wait`)
	command.Folder, command.LeavesChildren = folder, true
	_ = interrupted(t, command, filepath.Join(folder, "begun"))
	if !exists(filepath.Join(folder, "finished")) {
		t.Error("the child was interrupted")
	}
}
