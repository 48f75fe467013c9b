package main

import (
	"slices"
	"strings"
	"testing"

	"sharedpid.example/reports"
)

func run(seconds float64, verdict reports.Verdict) reports.Run {
	return reports.Run{
		Seconds: seconds, PeakMemoryBytes: 64 << 20,
		Plan:    []reports.Planned{{Trait: "signals/hup", Subject: "node"}},
		Results: []reports.Result{{Trait: "signals/hup", Subject: "node", Verdict: verdict, Requests: 7}},
	}
}

func TestSpread(t *testing.T) {
	var text strings.Builder
	writeSpread(&text, []reports.Run{run(3, reports.Conformant), run(1, reports.Conformant), run(2, reports.Conformant)})
	for _, want := range []string{"whole run, seconds      3     1.0   2.0     3.0", "requests of the traits  3     7.0", "peak memory, MiB        3     64.0"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("spread lacks %q:\n%s", want, text.String())
		}
	}
}

func TestDifferingVerdicts(t *testing.T) {
	same := []reports.Run{run(1, reports.Conformant), run(2, reports.Conformant)}
	if differing := differingVerdicts(same); differing != nil {
		t.Errorf("equal runs differ: %q", differing)
	}
	missing := run(1, reports.Conformant)
	missing.Results = nil
	got := differingVerdicts([]reports.Run{run(1, reports.Conformant), missing})
	if want := []string{"  signals/hup on node: conformant, not run"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
