package bench

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"sharedpid.example/reports"
)

func run(seconds float64, verdict reports.Verdict) reports.Run {
	return reports.Run{
		Seconds: seconds, PeakMemoryBytes: 64 << 20,
		Plan:    []reports.Planned{{Trait: "signals/hup", Target: "node"}},
		Results: []reports.Result{{Trait: "signals/hup", Target: "node", Verdict: verdict, Requests: 7}},
	}
}

func TestSpread(t *testing.T) {
	statistics, err := Compare(run(3, reports.Conformant), run(1, reports.Conformant), run(2, reports.Conformant))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := statistics.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"whole run, seconds      3     1.0   2.0     3.0", "requests of the traits  3     7.0", "peak memory, MiB        3     64.0",
		"the verdicts of 3 runs are the same: 1 of 1 conformant",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("statistics lack %q:\n%s", want, text.String())
		}
	}
}

func TestMedianOfAnEvenNumberLiesBetweenTheTwoInTheMiddle(t *testing.T) {
	statistics, err := Compare(run(1, ""), run(10, ""), run(2, ""), run(4, ""))
	if want := (Measure{"whole run, seconds", 4, 1, 3, 10}); err != nil || statistics.Measures[0] != want {
		t.Errorf("%+v, want %+v, %v", statistics.Measures[0], want, err)
	}
}

func TestDisagreements(t *testing.T) {
	missing := run(1, reports.Conformant)
	missing.Results = nil
	statistics, err := Compare(run(1, reports.Conformant), missing)
	want := []Disagreement{{reports.Planned{Trait: "signals/hup", Target: "node"}, []reports.Verdict{reports.Conformant, reports.NotRun}}}
	if err != nil || !reflect.DeepEqual(statistics.Differing, want) {
		t.Errorf("%v, want %v, %v", statistics.Differing, want, err)
	}
	var text strings.Builder
	if err := statistics.Write(&text); err != nil || !strings.Contains(text.String(),
		"runs differ:\n  signals/hup on node: conformant, not run\n") {
		t.Errorf("%v, and the text is %s", err, text.String())
	}
}

func TestNoRunsCannotBeCompared(t *testing.T) {
	_, err := Compare()
	if input := (*reports.InputError)(nil); !errors.As(err, &input) {
		t.Errorf("%v, want an InputError", err)
	}
}

func TestRunsOfDifferentProfilesAreNotMixed(t *testing.T) {
	core, full, narrowed := run(1, reports.Conformant), run(2, reports.Conformant), run(1, reports.Conformant)
	core.Profile, core.ID, full.Profile, full.ID = "core", "one", "full", "two"
	narrowed.Profile, narrowed.Narrowed = "core", []string{"--trait=signals/*"}
	for want, other := range map[string]reports.Run{
		"profile core (run one), and profile full (run two)":                     full,
		"profile core (run one), and profile core narrowed by --trait=signals/*": narrowed,
	} {
		_, err := Compare(core, core, other)
		if input := (*reports.InputError)(nil); !errors.As(err, &input) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an InputError with %q", err, want)
		}
	}
}
