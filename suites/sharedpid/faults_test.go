package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"sharedpid.example/fixtures/faults"
	"sharedpid.example/reports"
)

// TestExitCodeOfFaults is 1 for wrong verdicts alone: what was not decided is no proof of anything.
func TestExitCodeOfFaults(t *testing.T) {
	fault := faults.Fault{Name: "broken", Traits: []string{"a/must"}}
	traits := []string{"a/must", "a/other"}
	for name, test := range map[string]struct {
		noEffect    string
		must, other reports.Verdict
		want        int
	}{
		"exact":             {"", reports.Nonconformant, reports.Conformant, 0},
		"not noticed":       {"", reports.Conformant, reports.Conformant, 1},
		"something blamed":  {"", reports.Nonconformant, reports.Nonconformant, 1},
		"undecided":         {"", reports.Inconclusive, reports.Conformant, 3},
		"another undecided": {"", reports.Nonconformant, reports.Inconclusive, 3},
		"not run":           {"", reports.NotRun, reports.NotRun, 3},
		"no effect":         {"the node shows none", reports.Conformant, reports.Conformant, 3},
		"blamed for none":   {"the node shows none", reports.Conformant, reports.Nonconformant, 1},
		"both":              {"", reports.Inconclusive, reports.Nonconformant, 1},
	} {
		results := []reports.Result{
			{Trait: "a/must", Target: "node/broken", Verdict: test.must}, {Trait: "a/other", Target: "node/broken", Verdict: test.other},
		}
		outcomes := []faults.Outcome{{Fault: "healthy"}, faults.OutcomeOf(fault, test.noEffect, traits, results)}
		var told strings.Builder
		err := tellSurprises(&told, outcomes)
		var code exit
		if errors.As(err, &code); int(code) != test.want || (err == nil) != (test.want == 0) {
			t.Errorf("%s: exit code %d, want %d", name, code, test.want)
		}
		if (told.Len() > 0) != (test.want != 0) {
			t.Errorf("%s: told was %q", name, told.String())
		}
	}
	if err := tellSurprises(io.Discard, nil); err != nil {
		t.Errorf("of no outcome: %v", err)
	}
}
