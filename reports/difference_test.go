package reports

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDirection(t *testing.T) {
	for _, test := range []struct {
		old, new Verdict
		want     Direction
	}{
		{Conformant, Nonconformant, Worse}, {Conformant, Inconclusive, Worse}, {Conformant, NotRun, Worse}, {Conformant, Unsupported, Worse},
		{Unsupported, Nonconformant, Worse}, {Unsupported, Inconclusive, Worse}, {Unsupported, Conformant, Better},
		{Inconclusive, Nonconformant, Worse}, {Inconclusive, NotRun, Changed}, {Inconclusive, Conformant, Better},
		{Nonconformant, Inconclusive, Changed}, {Nonconformant, NotRun, Changed}, {Nonconformant, Unsupported, Better}, {Nonconformant, Conformant, Better},
		{Conformant, Expected, Worse}, {Expected, Vanished, Better}, {Expected, Nonconformant, Changed}, {Conformant, Vanished, Changed},
	} {
		if got := direction(test.old, test.new); got != test.want {
			t.Errorf("from %s to %s is %s, want %s", test.old, test.new, got, test.want)
		}
	}
}

// runOf has one result of the trait a/b on each subject, which are written NODE or NODE/CLASS.
func runOf(verdict Verdict, subjects ...string) Run {
	var run Run
	for _, id := range subjects {
		node, class, _ := strings.Cut(id, "/")
		run.Subjects = append(run.Subjects, Subject{ID: id, Node: node, RuntimeClass: class})
		run.Plan = append(run.Plan, Planned{"a/b", id})
		run.Results = append(run.Results, Result{Trait: "a/b", Subject: id, Verdict: verdict})
	}
	return run
}

func TestSubjectsAreMatched(t *testing.T) {
	for name, test := range map[string]struct {
		old, new []string
		want     []string
	}{
		"by id":            {[]string{"x", "y"}, []string{"y", "x"}, []string{"worse x", "worse y"}},
		"renamed":          {[]string{"x"}, []string{"z"}, []string{"worse z"}},
		"by RuntimeClass":  {[]string{"x", "x/kata"}, []string{"z/kata", "z"}, []string{"worse z", "worse z/kata"}},
		"the last ones":    {[]string{"x", "y/kata"}, []string{"x", "z/crun"}, []string{"worse x", "worse z/crun"}},
		"too many renamed": {[]string{"w", "x", "y"}, []string{"w", "u", "v"}, []string{"added u", "added v", "removed x", "removed y", "worse w"}},
	} {
		difference, err := Compare(runOf(Conformant, test.old...), runOf(Nonconformant, test.new...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, change := range difference.Changes {
			got = append(got, string(change.Direction)+" "+change.Subject)
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: changes are %q, want %q", name, got, test.want)
		}
	}
}

func TestCompareRefusesWhatHasNothingInCommon(t *testing.T) {
	other := runOf(Conformant, "x")
	other.Plan[0].Trait, other.Results[0].Trait = "c/d", "c/d"
	for name, runs := range map[string][2]Run{"other traits": {runOf(Conformant, "x"), other}, "nothing": {{}, {}}} {
		if _, err := Compare(runs[0], runs[1]); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// changedSample is the sample after an upgrade that made things better and worse.
func changedSample() Run {
	run := sample()
	run.ID, run.Cluster.KubernetesVersion = "upgraded", "v1.38.0"
	run.Subjects = []Subject{run.Subjects[0]}
	run.Subjects[0].ID, run.Subjects[0].Node, run.Subjects[0].Runtime = "node-2", "node-2", "containerd://2.5.0"
	for i := range run.Plan {
		run.Plan[i].Subject = "node-2"
	}
	run.Plan[4].Trait = "visibility/nginx-sees-shell"
	for i := range run.Results {
		run.Results[i].Subject = "node-2"
	}
	run.Results[0].Verdict = Conformant
	run.Results[2].Verdict, run.Results[2].Reason = Nonconformant, "process 1 is sh | not /pause"
	run.Results[3].Verdict = Inconclusive
	return run
}

func TestDifferenceGolden(t *testing.T) {
	difference, err := Compare(sample(), changedSample())
	if err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "difference.txt", []byte(difference.Text()))
	compareGolden(t, "difference.md", []byte(difference.Markdown()))
}

func TestNothingDiffersFromItself(t *testing.T) {
	difference, err := Compare(richSample(3), richSample(3))
	if err != nil || len(difference.Changes)+len(difference.Facts) != 0 || difference.Same != 30 {
		t.Errorf("a run differs from itself: %s, %v", difference.Text(), err)
	}
}

func FuzzDifference(f *testing.F) {
	f.Add("reason\nmore", "\x00\x1b|\xff\ufffe", "a|b", 1.5)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		difference, err := Compare(hostile(output, reason, name, length), hostile(reason, output, name, length))
		if err != nil {
			return
		}
		if text := difference.Text(); printable(text) != text {
			t.Errorf("what a container printed reaches the terminal: %q", text)
		}
		page := difference.Markdown()
		if !utf8.ValidString(page) || strings.ContainsAny(page, "<>") {
			t.Errorf("markup in %q", page)
		}
	})
}
