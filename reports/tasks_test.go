package reports

import "testing"

func TestTasksAreAnsweredByVerdictsAndCells(t *testing.T) {
	cell := Cell{"root", "pause", "ptrace"}
	matrix := func(observed string) []Evidence {
		return []Evidence{{Title: "first"}, {Access: []Access{
			{Caller: "root", Target: "pause", Operation: "kcmp", Observed: "allowed"},
			{Caller: "root", Target: "pause", Operation: "ptrace", Observed: observed, Rule: "a rule"},
		}}}
	}
	result := func(target string, verdict Verdict, evidence []Evidence) Result {
		return Result{Trait: "a/b", Target: target, Verdict: verdict, Reason: "the " + string(verdict), Evidence: evidence}
	}
	for name, test := range map[string]struct {
		cell         *Cell
		results      []Result
		text, reason string
	}{
		"conformant":             {nil, []Result{result("a", Conformant, nil)}, "yes", ""},
		"nonconformant":          {nil, []Result{result("a", Nonconformant, nil)}, "no", "the nonconformant"},
		"unsupported":            {nil, []Result{result("a", Unsupported, nil)}, "not known", "the unsupported"},
		"inconclusive":           {nil, []Result{result("a", Inconclusive, nil)}, "not known", "the inconclusive"},
		"allowed":                {&cell, []Result{result("a", Conformant, matrix("allowed"))}, "yes", ""},
		"allowed against a rule": {&cell, []Result{result("a", Nonconformant, matrix("allowed"))}, "yes", ""},
		"refused":                {&cell, []Result{result("a", Conformant, matrix("EPERM"))}, "no", "EPERM: a rule"},
		"failed":                 {&cell, []Result{result("a", Inconclusive, matrix("failed: 127"))}, "not known", "failed: 127: a rule"},
		"no cell":                {&cell, []Result{result("a", Inconclusive, nil)}, "not known", "the inconclusive"},
		"a cell not to be had":   {&cell, []Result{result("a", Unsupported, nil)}, "not known", "the unsupported"},
		"two targets":            {nil, []Result{result("a", Conformant, nil), result("b", Conformant, nil)}, "yes", ""},
		"one of two": {&cell, []Result{result("a", Conformant, matrix("allowed")), result("b", Conformant, matrix("EPERM"))},
			"yes on 1 of 2 targets", "EPERM: a rule"},
		"one of two, and one unknown": {nil, []Result{result("a", Conformant, nil), result("b", Inconclusive, nil)},
			"yes on 1 of 2 targets, not known on 1", "the inconclusive"},
	} {
		run := Run{Results: test.results, Tasks: &Tasks{Questions: []Task{
			{Name: "trace", Ways: []Way{{Needs: "root", Trait: "a/b", Cell: test.cell}, {Needs: "root", Trait: "a/c"}}},
			{Name: "other", Ways: []Way{{Needs: "root", Trait: "a/c"}}},
		}}}
		answers := run.AnswerTasks()
		if len(answers) != 1 || len(answers[0].Ways) != 1 {
			t.Fatalf("%s: %+v", name, answers)
		}
		if way := answers[0].Ways[0]; way.Text() != test.text || way.Reason != test.reason {
			t.Errorf("%s: %s (%s), want %s (%s)", name, way.Text(), way.Reason, test.text, test.reason)
		}
		if want := test.results[len(test.results)-1].Target; name != "two targets" && answers[0].Ways[0].Target != want {
			t.Errorf("%s: rests on target %s, want %s, whose reason it gives", name, answers[0].Ways[0].Target, want)
		}
	}
	if answers := (Run{}).AnswerTasks(); answers != nil {
		t.Errorf("%+v", answers)
	}
}
