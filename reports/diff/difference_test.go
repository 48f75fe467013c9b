package diff

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/golden"
	"sharedpid.example/reports/internal/legible"
	"sharedpid.example/reports/internal/sample"
)

func TestDirection(t *testing.T) {
	for _, test := range []struct {
		old, new reports.Verdict
		want     Direction
	}{
		{reports.Conformant, reports.Nonconformant, Worse},
		{reports.Conformant, reports.Inconclusive, Worse},
		{reports.Conformant, reports.NotRun, Worse},
		{reports.Conformant, reports.Unsupported, Worse},
		{reports.Unsupported, reports.Nonconformant, Worse},
		{reports.Unsupported, reports.Inconclusive, Worse},
		{reports.Unsupported, reports.Conformant, Better},
		{reports.Inconclusive, reports.Nonconformant, Worse},
		{reports.Inconclusive, reports.NotRun, Changed},
		{reports.Inconclusive, reports.Conformant, Better},
		{reports.Nonconformant, reports.Inconclusive, Changed},
		{reports.Nonconformant, reports.NotRun, Changed},
		{reports.Nonconformant, reports.Unsupported, Better},
		{reports.Nonconformant, reports.Conformant, Better},
		{reports.Conformant, reports.KnownDeviation, Worse},
		{reports.KnownDeviation, reports.Resolved, Better},
		{reports.KnownDeviation, reports.Nonconformant, Changed},
		{reports.Conformant, reports.Resolved, Changed},
	} {
		if got := direction(test.old, test.new); got != test.want {
			t.Errorf("from %s to %s is %s, want %s", test.old, test.new, got, test.want)
		}
	}
}

func TestTargetsAreMatched(t *testing.T) {
	for name, test := range map[string]struct {
		old, new []string
		want     []string
	}{
		"by id":           {[]string{"x", "y"}, []string{"y", "x"}, []string{"worse x", "worse y"}},
		"renamed":         {[]string{"x"}, []string{"z"}, []string{"worse z"}},
		"by RuntimeClass": {[]string{"x", "x/kata"}, []string{"z/kata", "z"}, []string{"worse z", "worse z/kata"}},
		"the last ones":   {[]string{"x", "y/kata"}, []string{"x", "z/crun"}, []string{"worse x", "worse z/crun"}},
		"too many renamed": {[]string{"w", "x", "y"}, []string{"w", "u", "v"},
			[]string{"added u", "added v", "removed x", "removed y", "worse w"}},
	} {
		difference, err := Compare(sample.Of(reports.Conformant, test.old...), sample.Of(reports.Nonconformant, test.new...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, change := range difference.Changes {
			got = append(got, string(change.Direction)+" "+change.Target)
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: changes are %q, want %q", name, got, test.want)
		}
	}
}

func TestCompareRefusesWhatHasNothingInCommon(t *testing.T) {
	other := sample.Of(reports.Conformant, "x")
	other.Plan[0].Trait, other.Results[0].Trait = "c/d", "c/d"
	for name, runs := range map[string][2]reports.Run{"other traits": {sample.Of(reports.Conformant, "x"), other}, "nothing": {{}, {}}} {
		_, err := Compare(runs[0], runs[1])
		if bad := (*reports.InputError)(nil); !errors.As(err, &bad) {
			t.Errorf("%s: %v, want an InputError", name, err)
		}
	}
}

// changedSample is the sample after an upgrade that made things better and worse.
func changedSample() reports.Run {
	run := sample.Small()
	run.ID, run.Cluster.KubernetesVersion = "upgraded", "v1.38.0"
	run.Targets = []reports.Target{run.Targets[0]}
	run.Targets[0].ID, run.Targets[0].Node, run.Targets[0].Runtime = "node-2", "node-2", "containerd://2.5.0"
	for i := range run.Plan {
		run.Plan[i].Target = "node-2"
	}
	run.Plan[4].Trait = "visibility/nginx-sees-shell"
	for i := range run.Results {
		run.Results[i].Target = "node-2"
	}
	run.Results[0].Verdict = reports.Conformant
	run.Results[2].Verdict, run.Results[2].Reason = reports.Nonconformant, "process 1 is sh | not /pause"
	run.Results[3].Verdict = reports.Inconclusive
	return run
}

func TestDifferenceGolden(t *testing.T) {
	difference, err := Compare(sample.Small(), changedSample())
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "difference.txt", []byte(difference.Text()))
	golden.Compare(t, "difference.md", []byte(difference.Markdown()))
}

func TestCompare(t *testing.T) {
	good, bad := sample.Of(reports.Conformant, "x"), sample.Of(reports.Nonconformant, "x")
	for name, test := range map[string]struct {
		old, new reports.Run
		worse    bool
		says     string
	}{
		"itself": {good, good, false, "0 worse, 1 the same"},
		"better": {bad, good, false, "1 better"},
		"worse":  {good, bad, true, "a/b on x: conformant -> nonconformant"},
	} {
		difference, err := Compare(test.old, test.new)
		if err != nil || difference.Worse() != test.worse || !strings.Contains(difference.Text(), test.says) {
			t.Errorf("%s: worse is %t, want %t and %q, %v:\n%s", name, difference.Worse(), test.worse, test.says, err, difference.Text())
		}
	}
	_, err := Compare(good, sample.Small())
	if input := (*reports.InputError)(nil); !errors.As(err, &input) || !strings.Contains(err.Error(), "nothing to compare") ||
		strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want an InputError of one line", err)
	}
}

// TestWhatIsMissingIsNoPass: a gate must notice whatever the old run had decided and the new one has not.
func TestWhatIsMissingIsNoPass(t *testing.T) {
	good, bad := sample.Of(reports.Conformant, "x", "y"), sample.Of(reports.Nonconformant, "x", "y")
	inconclusive := sample.Of(reports.Inconclusive, "x", "y")
	failed := reports.Run{SetupError: "no cluster", Plan: []reports.Planned{{Trait: "a/b", Target: "node"}}}
	fewer := sample.Of(reports.Conformant, "x")
	two := sample.Of(reports.Conformant, "x")
	two.Plan = append(two.Plan, reports.Planned{Trait: "c/d", Target: "x"})
	two.Results = append(two.Results, reports.Result{Trait: "c/d", Target: "x", Verdict: reports.Nonconformant})
	for name, test := range map[string]struct {
		old, new         reports.Run
		worse, undecided int
	}{
		"set-up failed after conformant":         {good, failed, 2, 0},
		"set-up failed after nonconformant":      {bad, failed, 0, 2},
		"set-up failed after one that failed":    {failed, failed, 0, 0},
		"a run after a set-up that failed":       {failed, good, 0, 0},
		"fewer targets":                          {good, fewer, 0, 1},
		"more targets":                           {fewer, good, 0, 0},
		"fewer traits":                           {two, fewer, 0, 1},
		"more traits":                            {fewer, two, 0, 0},
		"inconclusive after nonconformant":       {bad, inconclusive, 0, 2},
		"fewer targets that were never decided":  {inconclusive, sample.Of(reports.Inconclusive, "x"), 0, 0},
		"conformant after nonconformant: better": {bad, good, 0, 0},
	} {
		difference, err := Compare(test.old, test.new)
		if err != nil || difference.Count(Worse) != test.worse || difference.Undecided() != test.undecided {
			t.Errorf("%s: %d worse and %d undecided, want %d and %d, %v:\n%s", name, difference.Count(Worse), difference.Undecided(),
				test.worse, test.undecided, err, difference.Text())
		}
		if problem := test.new.SetupError; problem != "" && !strings.Contains(difference.Markdown(), problem) {
			t.Errorf("%s: the page does not say %q", name, problem)
		}
	}
}

func TestNothingDiffersFromItself(t *testing.T) {
	difference, err := Compare(sample.Rich(3), sample.Rich(3))
	if err != nil || len(difference.Changes)+len(difference.Facts) != 0 || difference.Same != 30 {
		t.Errorf("a run differs from itself: %s, %v", difference.Text(), err)
	}
}

func FuzzDifference(f *testing.F) {
	f.Add("reason\nmore", "\x00\x1b|\xff\ufffe", "a|b", 1.5)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		difference, err := Compare(sample.Hostile(output, reason, name, length), sample.Hostile(reason, output, name, length))
		if err != nil {
			return
		}
		if text := difference.Text(); legible.Text(text) != text {
			t.Errorf("what a container printed reaches the terminal: %q", text)
		}
		page := difference.Markdown()
		if !utf8.ValidString(page) || strings.ContainsAny(page, "<>") {
			t.Errorf("markup in %q", page)
		}
	})
}
