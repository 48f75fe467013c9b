package provision

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sharedpid.example/helpers/progress"
)

func TestSetUpProvidesNothingThatIsThere(t *testing.T) {
	machine := newMachine(t)
	if err := SetUp(t.Context(), Options{Runtimes: []string{"runc"}}, machine.printer); err != nil {
		t.Fatal(err)
	}
	if shown := machine.shown.String(); !strings.Contains(shown, "container engine: docker\nnode image: localhost/sharedpid/node:") {
		t.Errorf("it showed\n%s", shown)
	}
	if asked := machine.asked(); strings.Contains(asked, "pull") || strings.Contains(asked, "import") {
		t.Errorf("the engine was asked\n%s", asked)
	}
}

func TestSetUpPullsAnImageOfARegistry(t *testing.T) {
	machine := newMachine(t)
	machine.engineFails("image")
	for choice, pulled := range map[string]string{
		"example.com/node:1": "example.com/node:1", "kindest/node:v1": "docker.io/kindest/node:v1", "kind": "docker.io/kindest/node:",
	} {
		if err := SetUp(t.Context(), Options{NodeImage: choice}, machine.printer); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(machine.asked()), "\n")
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, "pull --quiet "+pulled) {
			t.Errorf("for %s the engine was asked %s last", choice, last)
		}
	}
	machine.engineFails("pull")
	err := SetUp(t.Context(), Options{NodeImage: "example.com/node:1"}, machine.printer)
	if err == nil || !strings.Contains(err.Error(), "pull example.com/node:1: docker pull") {
		t.Errorf("error is %v", err)
	}
}

func TestSetUpSaysWhatNerdctlCannotBuild(t *testing.T) {
	machine := newMachine(t)
	machine.write(filepath.Join(machine.folder, "nerdctl"), "#!/bin/sh\ntest $1 != image\n")
	err := SetUp(t.Context(), Options{Engine: "nerdctl", NodeImage: "local"}, machine.printer)
	if err == nil || !strings.Contains(err.Error(), "nerdctl cannot build the node image") {
		t.Errorf("error is %v", err)
	}
}

func TestSetUpRefuses(t *testing.T) {
	machine := newMachine(t)
	kubeconfig := machine.folder + "/kubeconfig"
	machine.write(kubeconfig, machine.kubeconfig("theirs"))
	for words, options := range map[string]Options{
		"nothing to set up":        {Kubeconfig: kubeconfig},
		`no runtime "rusnc"`:       {Runtimes: []string{"rusnc"}},
		"nerdctl is not installed": {Engine: "nerdctl"},
	} {
		if err := SetUp(t.Context(), options, machine.printer); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("error is %v, want one with %q", err, words)
		}
	}
	t.Chdir(t.TempDir())
	if err := SetUp(t.Context(), Options{}, machine.printer); err == nil || !strings.Contains(err.Error(), "checkout") {
		t.Errorf("error is %v, want one about the checkout", err)
	}
}

func TestInterruptedSetUpSaysWhatIsLeft(t *testing.T) {
	machine := newMachine(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := SetUp(ctx, Options{Engine: "docker"}, machine.printer)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "nothing is left running") {
		t.Errorf("error is %v", err)
	}
}

func TestCheckSpace(t *testing.T) {
	folder := t.TempDir()
	if err := checkSpace(folder, 1, ""); err != nil {
		t.Error(err)
	}
	err := checkSpace(folder, 1<<60, "buy a disk")
	if err == nil || !strings.Contains(err.Error(), "the first build needs 1073741824 GiB; free some, or buy a disk") {
		t.Errorf("error is %v", err)
	}
	if err := checkSpace("/none/at/all", 1, ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

func TestBuildsTakeTurns(t *testing.T) {
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var shown strings.Builder
		printer := progress.NewPrinter(&shown)
		first, err := lockBuild(t.Context(), cache, printer)
		if err != nil || shown.Len() != 0 {
			t.Fatalf("the first waits: %v\n%s", err, shown.String())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := lockBuild(ctx, cache, printer); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("two build at once: %v", err)
		}
		time.AfterFunc(10*time.Second, func() { first() })
		second, err := lockBuild(t.Context(), cache, printer)
		if err != nil || !strings.Contains(shown.String(), "wait for another process that builds images") {
			t.Errorf("the second: %v\n%s", err, shown.String())
		}
		if err := second(); err != nil {
			t.Error(err)
		}
	})
}
