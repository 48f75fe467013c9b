package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"sharedpid.example/reports"
	"sharedpid.example/reports/directory"
)

// script is a program that does what the shell is told.
func script(t *testing.T, text string) *tries {
	t.Helper()
	folder := t.TempDir()
	program := filepath.Join(folder, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return &tries{command: program, folder: folder, name: "none"}
}

func TestRunsAreEnded(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		end  interruption
		code int
		sent bool
	}{
		"nobody ends it":       {"echo done; exit 3", interruption{after: never}, 3, false},
		"it ended before":      {"exit 1", interruption{signal: syscall.SIGKILL, after: time.Minute}, 1, false},
		"it catches a signal":  {"trap 'exit 3' TERM; while :; do sleep 0.01; done", interruption{signal: syscall.SIGTERM, after: time.Second}, 3, true},
		"it cannot catch this": {"trap 'exit 3' TERM; while :; do sleep 0.01; done", interruption{signal: syscall.SIGKILL, after: time.Second}, -1, true},
	} {
		code, sent, said, err := script(t, test.text).run(t.Context(), test.end, 1)
		if code != test.code || sent != test.sent || err != nil {
			t.Errorf("%s: ended with %d, signal sent: %t, %v, %q", name, code, sent, err, said)
		}
	}
}

func TestLeftProcessesAreFound(t *testing.T) {
	const variable = "SHAREDPID_INTERRUPTED=test/1"
	left := exec.CommandContext(t.Context(), "sleep", "300")
	left.Env = append(os.Environ(), variable)
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = left.Wait() }()
	defer func() { _ = left.Process.Kill() }()
	var found []string
	for deadline := time.Now().Add(10 * time.Second); len(found) == 0 && time.Now().Before(deadline); {
		var err error
		if found, err = marked(variable); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(found, []string{"sleep 300"}) {
		t.Errorf("found are %q", found)
	}
	shared := filepath.Join(t.TempDir(), nameServer)
	if err := os.Symlink("/bin/sleep", shared); err != nil {
		t.Fatal(err)
	}
	everybodys := exec.CommandContext(t.Context(), shared, "301")
	everybodys.Env = left.Env
	if err := everybodys.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = everybodys.Wait() }()
	defer func() { _ = everybodys.Process.Kill() }()
	if found, err := marked(variable); err != nil || !slices.Equal(found, []string{"sleep 300"}) {
		t.Errorf("beside the engine's own server are found %q, %v", found, err)
	}
	if others, err := marked(variable + "0"); err != nil || len(others) > 0 {
		t.Errorf("of another try are found %q, %v", others, err)
	}
}

func TestDifferences(t *testing.T) {
	before, after := state{"container": {"a", "b"}, "kubeconfig": {"one"}}, state{"container": {"b", "c"}, "kubeconfig": {"two"}}
	want := []string{`gone: container "a"`, `gone: kubeconfig "one"`, `left: container "c"`, `left: kubeconfig "two"`}
	if got := before.differences(after); !slices.Equal(got, want) {
		t.Errorf("they are %q", got)
	}
	if same := before.differences(before); len(same) > 0 {
		t.Errorf("%q", same)
	}
}

// TestARunThatCanGoOnHasAPlan: one that was ended before it had one begins anew.
func TestARunThatCanGoOnHasAPlan(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "reports")
	run := reports.Run{SchemaVersion: reports.SchemaVersion, ID: "whole", Plan: []reports.Planned{{Trait: "a/b", Target: "node"}}}
	recorder, err := directory.Open(folder, run)
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Close(run); err != nil || !hasPlan(folder) || hasPlan(t.TempDir()) {
		t.Errorf("a run with a plan has one: %t; one that was ended before has one: %t; %v", hasPlan(folder), hasPlan(t.TempDir()), err)
	}
}
