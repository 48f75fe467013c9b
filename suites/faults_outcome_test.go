package suites

import (
	"slices"
	"strings"
	"testing"

	"sharedpid.example/fixtures/faultyruntime"
	"sharedpid.example/reports"
)

func TestOutcomeOf(t *testing.T) {
	fault := faultyruntime.Fault{Name: "broken", Traits: []string{"a/one", "a/two"}, Obscures: []string{"b/*"}}
	traits := []Trait{{ID: "a/one"}, {ID: "a/two"}, {ID: "a/three"}, {ID: "b/one"}, {ID: "b/two"}}
	result := func(trait string, verdict reports.Verdict) reports.Result {
		return reports.Result{Trait: trait, Subject: "node/broken", Verdict: verdict}
	}
	exact := []reports.Result{
		result("a/one", reports.Nonconformant), result("a/two", reports.Nonconformant), result("a/three", reports.Conformant),
		result("b/one", reports.Inconclusive), result("b/two", reports.Conformant),
		{Trait: "a/three", Subject: "node/another", Verdict: reports.Nonconformant},
	}
	if outcome := outcomeOf(fault, "", traits, exact); !outcome.exact() {
		t.Errorf("outcome is not exact: %+v", outcome)
	}
	for name, test := range map[string]struct {
		noEffect string
		change   reports.Result
	}{
		"no effect":             {"as before", exact[0]},
		"not noticed":           {"", result("a/one", reports.Conformant)},
		"not decided":           {"", result("a/one", reports.Inconclusive)},
		"blamed":                {"", result("a/three", reports.Nonconformant)},
		"blamed though obscure": {"", result("b/one", reports.Nonconformant)},
		"undecided":             {"", result("a/three", reports.Inconclusive)},
	} {
		results := slices.Clone(exact)
		at := slices.IndexFunc(results, func(each reports.Result) bool { return each.Trait == test.change.Trait })
		results[at] = test.change
		if outcome := outcomeOf(fault, test.noEffect, traits, results); outcome.exact() {
			t.Errorf("%s: outcome is exact: %+v", name, outcome)
		}
	}
	// A trait that was never decided was not noticed.
	if outcome := outcomeOf(fault, "", traits, exact[1:]); outcome.exact() {
		t.Errorf("a missing result is exact: %+v", outcome)
	}
	text := faultTable([]faultOutcome{outcomeOf(fault, "", traits, exact)}, traits)
	for _, want := range []string{"| a/one   |  N |", "| b/one   |  ? |", "1 of 1 exact"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
}
