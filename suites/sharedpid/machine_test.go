package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sharedpid.example/fixtures/machine"
	"sharedpid.example/reports"
)

func TestMachineThatCannotRunIsSaidBeforeAnythingIsBuilt(t *testing.T) {
	cache, directory := t.TempDir(), filepath.Join(t.TempDir(), "reports")
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("PATH", t.TempDir())
	var stderr bytes.Buffer
	if code := execute(t.Context(), []string{"machine", "--report-dir=" + directory}, &stderr, &stderr); code != exitBadInput {
		t.Errorf("exit code is %d, want %d", code, exitBadInput)
	}
	said := stderr.String()
	if strings.Count(said, "\n") != 1 || !strings.Contains(said, "no virtual machine can run here") ||
		!strings.Contains(said, "qemu-system-x86") {
		t.Errorf("it said %s", said)
	}
	if _, err := os.Stat(directory); err == nil {
		t.Error("a report directory was made")
	}
	if built, err := os.ReadDir(filepath.Join(cache, "sharedpid")); err != nil || len(built) > 0 {
		t.Errorf("the cache holds %v, %v", built, err)
	}
}

// TestRunTakesWhatTheMachineTellsIt and checks what was selected for the machine.
func TestRunTakesWhatTheMachineTellsIt(t *testing.T) {
	var given options
	given.profile, given.patience, given.parallel, given.requests = "core", 20, 8, 100
	given.traits, given.skippedTraits, given.limits = []string{"signals/*"}, []string{"signals/pause-survives"}, []string{"exec=10m"}
	given.podSecurity = "baseline"
	arguments := append(given.inMachine(),
		onMachine(map[string]string{"nginx": "localhost/nginx:1", "busybox": "b:1", "systemd": "s:1", "tini": "t:1"})...)
	if err := runCommand().ParseFlags(arguments); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--patience=20", "--image=nginx=localhost/nginx:1", "--trait=signals/*", "--limit=exec=10m", "--pod-security=baseline"} {
		if !slices.Contains(arguments, want) {
			t.Errorf("%s is missing in %q", want, arguments)
		}
	}
}

func TestRunOfAMachine(t *testing.T) {
	asked := reports.Run{Command: "machine", Arguments: []string{"--profile=core"}, Running: true}
	inMachine, err := reports.Encode(reports.Run{
		SchemaVersion: reports.SchemaVersion, ID: "1", Command: "run", Arguments: []string{"--kubeconfig=file"},
		Results: []reports.Result{{Trait: "signals/pause-survives", Verdict: reports.Conformant}},
	})
	if err != nil {
		t.Fatal(err)
	}
	run, err := runInMachine(asked, machine.Outcome{Run: inMachine}, nil)
	if err != nil || len(run.Results) != 1 || run.Command != "machine" || !slices.Equal(run.Arguments, asked.Arguments) {
		t.Errorf("the run is %+v, %v", run, err)
	}
	run, err = runInMachine(asked, machine.Outcome{}, nil)
	if err == nil || run.SetupError != err.Error() || run.Running {
		t.Errorf("without a run.json it is %+v, %v", run, err)
	}
	lost := errors.New("it has not powered off")
	run, err = runInMachine(asked, machine.Outcome{}, lost)
	if !errors.Is(err, lost) || run.SetupError != lost.Error() {
		t.Errorf("of a machine that was lost it is %+v, %v", run, err)
	}
}
