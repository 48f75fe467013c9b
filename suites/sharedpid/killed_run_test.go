package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sharedpid.example/reports"
	"sharedpid.example/reports/directory"
)

// TestCommandsReadWhatOnlyTheJournalHas of a run that was killed before its last result was in the reports.
func TestCommandsReadWhatOnlyTheJournalHas(t *testing.T) {
	path, killed := t.TempDir(), t.TempDir()
	run := reports.Run{
		SchemaVersion: reports.SchemaVersion, ID: "killed", Plan: []reports.Planned{{Trait: "a/b", Target: "node"}},
		Targets: []reports.Target{{ID: "node", Node: "node"}},
	}
	recorder, err := directory.Open(path, run)
	if err != nil {
		t.Fatal(err)
	}
	move := func(file string) {
		content, err := os.ReadFile(filepath.Join(path, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(killed, file), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	move(reports.RunFile)
	result := reports.Result{Trait: "a/b", Target: "node", Verdict: reports.Nonconformant, Reason: "seen otherwise"}
	if err := recorder.Add(result, []reports.Look{{Target: "node", By: "a/b", Question: "x", Answer: []byte("1")}}); err != nil {
		t.Fatal(err)
	}
	move("journal.jsonl")
	run.Results = []reports.Result{{Trait: "a/b", Target: "node", Verdict: reports.Conformant}}
	if err := recorder.Close(run); err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{killed, filepath.Join(killed, reports.RunFile)} {
		for words, arguments := range map[string][]string{
			"conformant -> nonconformant": {"diff", path, given},
			"1 of 1 nonconformant: a":     {"bench", given, given},
			"nonconformant":               {"findings", given},
			"a/b":                         {"judge", given},
		} {
			var stdout, stderr bytes.Buffer
			execute(t.Context(), arguments, &stdout, &stderr)
			if !strings.Contains(stdout.String(), words) {
				t.Errorf("%q does not say %q:\n%s%s", arguments, words, stdout.String(), stderr.String())
			}
		}
	}
}
