package html

import (
	"fmt"
	"strings"
	"testing"

	"sharedpid.example/reports"
)

// ofThousands is a run on so many targets of two kinds, of which one in each is an outlier.
func ofThousands(targets int) reports.Run {
	run := reports.Run{Profile: "article"}
	for i := range targets {
		target := reports.Target{ID: fmt.Sprintf("node-%04d", i), Node: fmt.Sprintf("node-%04d", i), Runtime: "containerd://2.4.2"}
		if i%10 == 3 {
			target.Runtime = "containerd://2.5.0"
		}
		run.Targets = append(run.Targets, target)
		for _, trait := range []string{"signals/a", "visibility/b"} {
			result := reports.Result{Trait: trait, Target: target.ID, Verdict: reports.Conformant, Documented: true, Statement: "It MUST hold."}
			if trait == "signals/a" && i == 17 {
				result.Verdict, result.Reason = reports.Nonconformant, "it does not hold"
			}
			run.Results = append(run.Results, result)
			run.Plan = append(run.Plan, result.Planned())
		}
	}
	return run
}

// TestResultsThatAreAlikeAreOne where there are thousands: the page says of how many targets each is, and which are outliers.
func TestResultsThatAreAlikeAreOne(t *testing.T) {
	root, content := page(t, ofThousands(3000))
	var results []string
	for _, node := range elements(root, "details") {
		if strings.HasPrefix(attribute(node, "class"), "result ") {
			results = append(results, attribute(node, "class"))
		}
	}
	const alikeResults = 5 // of two traits on two kinds, and the outlier's
	if len(results) != alikeResults {
		t.Errorf("%d results are shown, want %d: %v", len(results), alikeResults, results)
	}
	for _, want := range []string{
		"1 of 2700 of kind 1: node-0017", "2699 of 2700 of kind 1: node-0000, node-0001, node-0002 and 2696 more", "300 of 300 of kind 2",
		"kind 2, 300 targets", "node-0017 differs from its kind", "2999 of 3000 targets conformant",
	} {
		if !strings.Contains(string(content), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	const enough = 200_000
	if len(content) > enough {
		t.Errorf("the page has %d bytes", len(content))
	}
}

// TestFewResultsAreEachShown: up to mostResults the page has every target.
func TestFewResultsAreEachShown(t *testing.T) {
	_, content := page(t, ofThousands(mostResults/2))
	if !strings.Contains(string(content), `<span class="target">node-0999</span>`) {
		t.Error("the page does not show the last target")
	}
}
