package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"sharedpid.example/reports"
)

// TestDiffAsAGate ends with what its help says.
func TestDiffAsAGate(t *testing.T) {
	directory := t.TempDir()
	write := func(name string, verdicts map[string]reports.Verdict, setupError string) string {
		run := reports.Run{SchemaVersion: reports.SchemaVersion, ID: name, SetupError: setupError}
		for _, trait := range []string{"a/b", "c/d"} {
			if setupError != "" {
				run.Plan = append(run.Plan, reports.Planned{Trait: trait, Target: "node"})
			} else if verdict, found := verdicts[trait]; found {
				run.Targets = []reports.Target{{ID: "worker-1"}, {ID: "worker-2"}}
				for _, target := range run.Targets {
					run.Plan = append(run.Plan, reports.Planned{Trait: trait, Target: target.ID})
					run.Results = append(run.Results, reports.Result{Trait: trait, Target: target.ID, Verdict: verdict})
				}
			}
		}
		content, err := reports.Encode(run)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(directory, name+".json")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole := write("whole", map[string]reports.Verdict{"a/b": reports.Conformant, "c/d": reports.Nonconformant}, "")
	for name, test := range map[string]struct {
		old, new string
		code     int
	}{
		"the same":      {whole, whole, 0},
		"worse":         {whole, write("worse", map[string]reports.Verdict{"a/b": reports.Nonconformant, "c/d": reports.Nonconformant}, ""), 1},
		"set-up failed": {whole, write("failed", nil, "no cluster"), 1},
		"narrowed":      {whole, write("narrowed", map[string]reports.Verdict{"a/b": reports.Conformant}, ""), exitUndecided},
		"nothing in common": {
			write("one", map[string]reports.Verdict{"a/b": reports.Conformant}, ""),
			write("other", map[string]reports.Verdict{"c/d": reports.Conformant}, ""),
			exitBadInput,
		},
	} {
		var stdout, stderr bytes.Buffer
		if code := execute(t.Context(), []string{"diff", test.old, test.new}, &stdout, &stderr); code != test.code {
			t.Errorf("%s: exit code is %d, want %d\n%s%s", name, code, test.code, stdout.String(), stderr.String())
		}
	}
}
