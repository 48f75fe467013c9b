package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"sharedpid.example/reports"
)

// TestWhatNarrowsARunIsRecorded, whichever way it is given: through flags, as go test sets them, or in an options file.
func TestWhatNarrowsARunIsRecorded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "options.yaml")
	if err := os.WriteFile(file, []byte("skip-trait: [signals/*]\nnode: a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for argument, narrows := range map[string]bool{
		"--trait=signals/*": true, "--skip-trait=signals/*": true, "--node=a": true, "--config=" + file: true,
		"--limit=prompt-deletion=1m": true, "--limit=stream-end=1m": true,
		"--limit=start=1m": false, "--patience=2": false, "--profile=core": false, "--parallel=2": false, "--runtime-class=kata": false,
		"--image=nginx=registry.example/nginx:1": false, "--keep": false, "--requests-per-second=5": false,
	} {
		for way, set := range map[string]func(*cobra.Command) error{
			"flags": func(command *cobra.Command) error { return command.ParseFlags([]string{argument}) },
			"go test": func(command *cobra.Command) error {
				name, value, valued := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
				if !valued {
					value = "true"
				}
				flag := command.Flags().Lookup(name)
				flag.Changed = true
				return flag.Value.Set(value)
			},
		} {
			var asked options
			command := &cobra.Command{Use: "run"}
			asked.addRun(command.Flags())
			if err := set(command); err != nil {
				t.Fatal(err)
			}
			if err := asked.resolve(command); err != nil {
				t.Fatal(err)
			}
			run := asked.suiteOptions(nil).Run
			if run.Partial() != narrows {
				t.Errorf("%s through %s: partial is %t, want %t", argument, way, run.Partial(), narrows)
			}
			given := strings.Contains(run.CommandLine(), strings.TrimSuffix(argument, "*"))
			if isFile := strings.HasPrefix(argument, "--config"); given == isFile {
				t.Errorf("%s through %s: the command to reproduce is %s", argument, way, run.CommandLine())
			}
			if strings.HasPrefix(argument, "--config") && !slices.Equal(run.Narrowed, []string{"--node=a", "--skip-trait=signals/*"}) {
				t.Errorf("an options file narrows by %q", run.Narrowed)
			}
		}
	}
}

// TestReportsOfARunWithoutACluster name it and say how long it was tried for.
func TestReportsOfARunWithoutACluster(t *testing.T) {
	directory := t.TempDir()
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte(unanswered), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	arguments := []string{"run", "--kubeconfig=" + config, "--report-dir=" + directory}
	if code := execute(t.Context(), arguments, &stdout, &stderr); code != exitBadInput {
		t.Errorf("exit code is %d, want %d", code, exitBadInput)
	}
	run, err := reports.Read(filepath.Join(directory, reports.RunFile))
	if err != nil || run.Cluster.Name != "a" || run.Cluster.Origin != "existing" || run.Seconds <= 0 ||
		!strings.Contains(run.SetupError, "does not answer") {
		t.Errorf("cluster %+v, %g s, error %q, %v", run.Cluster, run.Seconds, run.SetupError, err)
	}
	if strings.Contains(stderr.String(), "0 MiB") || strings.Contains(stderr.String(), "not run  ") {
		t.Errorf("what did not happen is shown: %s", stderr.String())
	}
}
