package reports

import (
	"fmt"
	"strings"
	"testing"
)

// manyTargets is a run on targets of two kinds, of which one target of the first kind has failed in a trait.
func manyTargets() Run {
	run := Run{}
	for i := range 10 {
		target := Target{ID: fmt.Sprintf("node-%d", i), Node: fmt.Sprintf("node-%d", i), Runtime: "containerd://2.4.2", Kernel: "6.1"}
		if i >= 7 {
			target.Kernel = "6.6"
		}
		if i == 3 {
			target.Kernel += SeenInContainers + "4.4" // was learned of this one only
		}
		run.Targets = append(run.Targets, target)
		for _, trait := range []string{"a/one", "a/two"} {
			result := Result{Trait: trait, Target: target.ID, Verdict: Conformant}
			if i == 5 && trait == "a/two" {
				result.Verdict = Nonconformant
			}
			if i >= 7 && trait == "a/one" {
				result.Verdict = Unsupported
			}
			run.Results = append(run.Results, result)
			run.Plan = append(run.Plan, result.Planned())
		}
	}
	return run
}

func TestOutcomesOfManyTargetsAreGroupedByKindAndOutliersComeFirst(t *testing.T) {
	run := manyTargets()
	outcomes := run.Outcomes()
	if !TooManyTargets(outcomes) || TooManyTargets(outcomes[:largestGrid]) {
		t.Error("how many are too many")
	}
	groups := run.ByKind()
	if len(groups) != 2 || len(groups[0].Targets) != 7 || len(groups[1].Targets) != 3 || groups[0].Label != "kind 1" {
		t.Fatalf("%+v", groups)
	}
	if len(groups[0].Outliers) != 1 || len(groups[1].Outliers) != 0 ||
		groups[0].Outliers[0].Text() != "node-5 differs from its kind: a/two nonconformant" {
		t.Errorf("%+v", groups[0].Outliers)
	}
	if text := groups[0].Text(); text != "kind 1, 7 targets: 1 nonconformant, 13 conformant" {
		t.Error(text)
	}
	if order := strings.Join(InOrder(groups), " "); order != "node-5 node-0 node-1 node-2 node-3 node-4 node-6 node-7 node-8 node-9" {
		t.Error(order)
	}
	var lines []string
	for _, merged := range Merge(groups, outcomes) {
		lines = append(lines, fmt.Sprintf("%s %s %s", merged.Verdict, merged.Trait, merged.Target))
	}
	if got := strings.Join(lines, "\n"); got != strings.TrimSpace(`
nonconformant a/two 1 of 7 of kind 1: node-5
unsupported a/one 3 of 3 of kind 2
conformant a/one 7 of 7 of kind 1
conformant a/two 6 of 7 of kind 1: node-0, node-1, node-2 and 3 more
conformant a/two 3 of 3 of kind 2`) {
		t.Error(got)
	}
	if CountVerdicts(run.Outcomes())[Conformant] != 16 {
		t.Error("the outcomes themselves were changed")
	}
}
