package reports

import (
	"strings"
	"testing"
)

func TestConclude(t *testing.T) {
	result := func(verdict Verdict) Result { return Result{Trait: "a/" + string(verdict), Verdict: verdict} }
	listed := func(verdict Verdict) Result {
		return Result{Trait: "b/" + string(verdict), Verdict: verdict, KnownDeviation: &Deviation{Runtime: "crun"}}
	}
	for name, test := range map[string]struct {
		results []Result
		missing bool
		setup   string
		want    Verdict
		exit    int
	}{
		"all conformant":           {[]Result{result(Conformant)}, false, "", Conformant, 0},
		"conformant, unsupported":  {[]Result{result(Conformant), result(Unsupported)}, false, "", Conformant, 0},
		"only unsupported":         {[]Result{result(Unsupported)}, false, "", Inconclusive, 3},
		"nothing":                  {nil, false, "", Inconclusive, 3},
		"one missing":              {[]Result{result(Conformant)}, true, "", Inconclusive, 3},
		"one inconclusive":         {[]Result{result(Conformant), result(Inconclusive)}, false, "", Inconclusive, 3},
		"nonconformant goes first": {[]Result{result(Inconclusive), result(Nonconformant)}, true, "broken", Nonconformant, 1},
		"setup":                    {[]Result{result(Conformant)}, false, "broken", Inconclusive, 3},
		"a known deviation":        {[]Result{result(Conformant), listed(Nonconformant)}, false, "", Conformant, 0},
		"only known deviations":    {[]Result{listed(Nonconformant)}, false, "", Conformant, 0},
		"a known and a new one":    {[]Result{listed(Nonconformant), result(Nonconformant)}, false, "", Nonconformant, 1},
		"a resolved deviation":     {[]Result{result(Conformant), listed(Conformant)}, false, "", Nonconformant, 1},
		"listed but undecided":     {[]Result{result(Conformant), listed(Inconclusive)}, false, "", Inconclusive, 3},
		"listed but unsupported":   {[]Result{result(Conformant), listed(Unsupported)}, false, "", Conformant, 0},
		"a word nobody knows":      {[]Result{result(Conformant), result("fine")}, false, "", Inconclusive, 3},
	} {
		t.Run(name, func(t *testing.T) {
			run := Run{Results: test.results, SetupError: test.setup}
			for _, each := range test.results {
				run.Plan = append(run.Plan, Planned{Trait: each.Trait})
			}
			if test.missing {
				run.Plan = append(run.Plan, Planned{Trait: "a/missing"})
			}
			run.Conclude()
			if run.Verdict != test.want || run.ExitCode() != test.exit {
				t.Errorf("verdict is %s, exit code %d (%s); want %s, %d", run.Verdict, run.ExitCode(), run.Reason, test.want, test.exit)
			}
		})
	}
}

func TestARunThatIsUnderWayIsNoSuccess(t *testing.T) {
	run := Run{Running: true, Plan: []Planned{{Trait: "a/b"}}, Results: []Result{{Trait: "a/b", Verdict: Conformant}}}
	run.Conclude()
	if want := "the run is under way and has not finished: 1 of 1 looked at"; run.Verdict != Inconclusive || run.Reason != want ||
		run.ExitCode() != exitInconclusive {
		t.Errorf("%s (%s), want inconclusive (%s)", run.Verdict, run.Reason, want)
	}
	// What was observed stays observed, however the run ends.
	run.Results[0].Verdict = Nonconformant
	if run.Conclude(); run.Verdict != Nonconformant || !strings.HasSuffix(run.Reason,
		"; the run is under way and has not finished: 1 of 1 looked at") {
		t.Errorf("%s (%s), want nonconformant and under way", run.Verdict, run.Reason)
	}
}

func TestVerdictTexts(t *testing.T) {
	for want, run := range map[string]Run{
		"conformant":                        {Verdict: Conformant},
		"conformant (partial)":              {Verdict: Conformant, LeftOut: []LeftOut{{Name: "node"}}},
		"inconclusive (under way)":          {Verdict: Inconclusive, Running: true},
		"inconclusive (under way, partial)": {Verdict: Inconclusive, Running: true, Narrowed: []string{"--trait=a/b"}},
	} {
		if got := run.VerdictText(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for want, result := range map[string]Result{
		"inconclusive (out of time)": {Verdict: Inconclusive, Kind: OutOfTime},
		"inconclusive":               {Verdict: Inconclusive},
		"unsupported":                {Verdict: Unsupported, Kind: Control},
	} {
		if got := result.VerdictText(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestConcludeCountsOnlyWhatWasPlanned(t *testing.T) {
	run := Run{
		Plan:    []Planned{{Trait: "a/planned"}},
		Results: []Result{{Trait: "a/planned", Verdict: Unsupported}, {Trait: "a/other", Verdict: Conformant}},
	}
	if code := run.ExitCode(); code != exitInconclusive {
		t.Errorf("exit code %d for a plan in which nothing was observed, want %d", code, exitInconclusive)
	}
}

func TestExitCodeTrustsNoVerdictThatItDidNotConclude(t *testing.T) {
	run := Run{Verdict: Conformant, Plan: []Planned{{Trait: "a/planned"}}}
	if code := run.ExitCode(); code != exitInconclusive {
		t.Errorf("exit code %d for a run without results, want %d", code, exitInconclusive)
	}
}
