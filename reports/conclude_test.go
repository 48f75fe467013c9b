package reports

import "testing"

func TestConclude(t *testing.T) {
	result := func(verdict Verdict) Result { return Result{Trait: "a/" + string(verdict), Verdict: verdict} }
	listed := func(verdict Verdict) Result {
		return Result{Trait: "b/" + string(verdict), Verdict: verdict, Deviation: &Deviation{Runtime: "crun"}}
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
		"deviating as expected":    {[]Result{result(Conformant), listed(Nonconformant)}, false, "", Conformant, 0},
		"only as expected":         {[]Result{listed(Nonconformant)}, false, "", Conformant, 0},
		"expected and a new one":   {[]Result{listed(Nonconformant), result(Nonconformant)}, false, "", Nonconformant, 1},
		"a vanished deviation":     {[]Result{result(Conformant), listed(Conformant)}, false, "", Nonconformant, 1},
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
