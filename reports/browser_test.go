package reports

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestHTMLInABrowser opens the report in a headless Chromium, as a person would. PICTURES=FOLDER leaves a picture of each look there.
func TestHTMLInABrowser(t *testing.T) {
	const allowed = 2000 // milliseconds that a large report may take to be shown
	executable := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		path, _ := exec.LookPath(name)
		executable = cmp.Or(executable, path)
	}
	if executable == "" {
		t.Skip("no chromium: install it to have the report opened in a browser")
	}
	programs := nodePrograms(t)
	folder := t.TempDir()
	write := func(name string, run Run) string {
		content, err := writeHTML(run)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	report, large := write("report.html", richSample(14)), write("large.html", largeSample(50, 100))
	output, err := exec.Command("node", filepath.Join(programs, "browse.mjs"), executable, report, large, os.Getenv("PICTURES")).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr(err))
	}
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
		t.Errorf("50 traits on 100 subjects cost the browser %d ms, want at most %d", fastest, allowed)
	}
	t.Logf("50 traits on 100 subjects are shown after %v ms, for %v ms of the processor", found.Milliseconds, found.Processor)
}
