package results

import (
	"strings"
	"testing"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/golden"
	"sharedpid.example/reports/internal/sample"
	"sharedpid.example/reports/published"
)

// resultOf is the result of a run at a version of the suite.
func resultOf(run reports.Run, version string, implementation reports.Implementation, anonymous bool) Result {
	run.Implementation = &implementation
	report := published.New(run)
	if anonymous {
		report = published.NewAnonymous(run)
	}
	return Result{Version: version, Folder: implementation.Folder(), Name: implementation.File("1"), Report: report}
}

// TestReportsWithoutKindsHold: the suite at v0.1.0 did not group targets, however many there were.
func TestReportsWithoutKindsHold(t *testing.T) {
	report := published.New(sample.ManyNodes())
	if problem := recomputedProblem(report); problem != "" || len(report.Kinds) == 0 {
		t.Fatalf("%d kinds, %s", len(report.Kinds), problem)
	}
	report.Kinds[0].Targets = report.Kinds[0].Targets[1:]
	if problem := recomputedProblem(report); !strings.Contains(problem, "other kinds") {
		t.Errorf("a target left out of its kind: %q", problem)
	}
	report.Kinds = nil
	if problem := recomputedProblem(report); problem != "" {
		t.Error(problem)
	}
}

func TestGolden(t *testing.T) {
	known := sample.Small()
	known.Results[0].KnownDeviation = &reports.Deviation{Runtime: "crun", Trait: known.Results[0].Trait, Reason: "any uid may", Link: "https://example.com/1"}
	old := reports.Implementation{Organization: "Old", Project: "Runtime", Version: "1"}
	page := Page([]Result{
		resultOf(known, "v1.2.0", reports.Implementation{Organization: "A|B", Project: "[x](y)", Version: "1<2"}, false),
		resultOf(sample.Rich(2), "v1.2.0", reports.Implementation{Organization: "Example", Project: "Node", Version: "2"}, true),
		resultOf(sample.Of(reports.Conformant, "node"), "v1.1.3", old, false),
		resultOf(sample.Of(reports.Conformant, "node"), "v1.0.0", old, false),
	})
	golden.Compare(t, "page.md", page)
	for _, want := range []string{"nonconformant, 1 of 5 nonconformant", "no evidence", "## With the suite at v1.1.3", "older versions", "See <https://example.com/1>"} {
		if !strings.Contains(strings.ReplaceAll(string(page), " | ", ", "), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(string(page), "v1.0.0") {
		t.Error("the page shows more than two minor versions")
	}
}

func FuzzPage(f *testing.F) {
	f.Add("reason\nmore", "\x00\x1b```\n|\xff\ufffe", "a|b <script>", 1.5)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		page := string(Page([]Result{resultOf(sample.Hostile(reason, output, name, length), "v1.0.0", reports.Implementation{
			Organization: name, Project: output, Version: reason}, false)}))
		if strings.Contains(page, "<script") || strings.Count(page, "\n| 1 | ") != 1 {
			t.Errorf("markup in, or more than one row of the only result in\n%s", page)
		}
	})
}

func FuzzUnpack(f *testing.F) {
	packed, err := pack(sample.Small())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add(packed[:len(packed)/2])
	f.Fuzz(func(t *testing.T, packed []byte) {
		if _, err := unpack(packed); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %v", err)
		}
	})
}
