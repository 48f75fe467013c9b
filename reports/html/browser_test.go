package html

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/node"
	"sharedpid.example/reports/internal/sample"
)

// TestHTMLInABrowser opens the report in a headless Chromium, as a person would. PICTURES=FOLDER leaves a picture of each look there.
func TestHTMLInABrowser(t *testing.T) {
	t.Parallel()
	const allowed = 2000 // milliseconds that a large report may take to be shown
	executable := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		path, _ := exec.LookPath(name)
		executable = cmp.Or(executable, path)
	}
	if executable == "" {
		t.Skip("no chromium: install it to have the report opened in a browser")
	}
	folder := t.TempDir()
	write := func(name string, run reports.Run) string {
		content, err := Render(run)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	report, large := write("report.html", variedSample()), write("large.html", sample.Large(50, 100))
	output := node.Run(t, "browse.mjs", executable, report, large, strconv.Itoa(allowed), os.Getenv("PICTURES"))
	var found struct {
		Requests, Complaints, Filters []string
		Tried                         int
		Violations                    map[string][]string
		Overflow                      map[string]int
		Milliseconds, Processor       []int
	}
	if err := json.Unmarshal(output, &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Requests) > 0 {
		t.Errorf("the page asks the network for %q", found.Requests)
	}
	if len(found.Complaints) > 0 {
		t.Errorf("the browser complains: %q", found.Complaints)
	}
	if len(found.Filters) > 0 || found.Tried < 30 {
		t.Errorf("%d filters were tried, and these do not work: %q", found.Tried, found.Filters)
	}
	for _, look := range []string{"light", "dark", "phone", "dark phone"} {
		violations, checked := found.Violations[look]
		if !checked || len(violations) > 0 {
			t.Errorf("%s: checked for accessibility is %t, found is %q", look, checked, violations)
		}
		if found.Overflow[look] > 0 {
			t.Errorf("%s: the page is %d pixels too wide", look, found.Overflow[look])
		}
	}
	if fastest := slices.Min(found.Processor); fastest > allowed {
		t.Errorf("50 traits on 100 targets cost the browser %d ms, want at most %d", fastest, allowed)
	}
	t.Logf("50 traits on 100 targets are shown after %v ms, for %v ms of the processor", found.Milliseconds, found.Processor)
}

// variedSample has everything that a page can show, and little of it twice: all results of three nodes, and one of each of so many more
// that nodes are a list to choose from.
func variedSample() reports.Run {
	run := sample.Rich(mostButtons + 2)
	first := map[string]bool{}
	for _, target := range run.Targets[:3] {
		first[target.ID] = true
	}
	run.Results = slices.DeleteFunc(run.Results, func(result reports.Result) bool {
		return !first[result.Target] && result.Trait != "visibility/shell-sees-nginx"
	})
	run.Plan = slices.DeleteFunc(run.Plan, func(planned reports.Planned) bool {
		return !first[planned.Target] && planned.Trait != "visibility/shell-sees-nginx"
	})
	run.LeftOut, run.Narrowed = sample.Partial().LeftOut, sample.Partial().Narrowed
	run.Running, run.Limits = true, sample.Partial().Limits
	return run
}
