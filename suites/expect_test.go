package suites

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/reports"
)

const knownDeviation = "- {runtime: runsc, versions: '>=20260905.0 <20270000.0', trait: signals/pause-survives, reason: r, link: 'https://example.org/1'}\n"

func listFile(t *testing.T, content string) string {
	path := filepath.Join(t.TempDir(), "deviations.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadDeviationsRefuses(t *testing.T) {
	for name, test := range map[string]struct{ old, new, words string }{
		"unknown field":   {"reason: r", "reason: r, severity: low", `unknown field "severity"`},
		"no list":         {knownDeviation, "", "holds no list"},
		"another form":    {knownDeviation, "runtime: runsc", "cannot unmarshal"},
		"not YAML":        {knownDeviation, "- {", "yaml"},
		"no reason":       {"reason: r, ", "", "entry 1: reason is missing"},
		"unknown trait":   {"signals/pause-survives", "signals/nope", `no trait "signals/nope"`},
		"unknown runtime": {"runtime: runsc", "runtime: rusnc", `no runtime "rusnc"; known are containerd, cri-o, crun, mine, runc, runsc`},
		"no address":      {"https://example.org/1", "see the manual", "is no address"},
		"no operator":     {">=20260905.0", "20260905.0", "malformed"},
		"no version":      {">=20260905.0", ">=new", "malformed"},
		"twice":           {knownDeviation, knownDeviation + knownDeviation, "entry 2: signals/pause-survives of runsc stands there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readDeviations(listFile(t, strings.Replace(knownDeviation, test.old, test.new, 1)), []string{"mine"})
			if err == nil || !strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v, want one line with %q", err, test.words)
			}
		})
	}
	if list, err := readDeviations(listFile(t, "[]\n"), nil); err != nil || len(list) != 0 {
		t.Errorf("an empty list is %v, %v", list, err)
	}
}

func TestExpectedOf(t *testing.T) {
	list, err := readDeviations(listFile(t, knownDeviation+"- {runtime: containerd, versions: '>=2.4 <2.5', trait: signals/pause-survives, reason: r, link: 'https://example.org/1'}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		subject reports.Subject
		want    int
	}{
		"in range":          {reports.Subject{RuntimeClass: "runsc", RuntimeVersion: "20260905.0+160fafc42237"}, 1},
		"older":             {reports.Subject{RuntimeClass: "runsc", RuntimeVersion: "20250611.0"}, 0},
		"newer":             {reports.Subject{RuntimeClass: "runsc", RuntimeVersion: "20270101.0"}, 0},
		"another runtime":   {reports.Subject{RuntimeClass: "crun", RuntimeVersion: "1.21"}, 0},
		"the node's own":    {reports.Subject{Runtime: "containerd://2.4.2+unknown"}, 1},
		"the node's own, 2": {reports.Subject{Runtime: "containerd://2.5.0"}, 0},
	} {
		expected, err := expectedOf(list, test.subject)
		if err != nil || len(expected) != test.want {
			t.Errorf("%s: %d entries, %v; want %d", name, len(expected), err, test.want)
		}
	}
	if _, err := expectedOf(list, reports.Subject{RuntimeClass: "runsc"}); err == nil {
		t.Error("a range holds for a version that nobody knows")
	}
}

func TestVersionRange(t *testing.T) {
	for text, holds := range map[string]bool{
		"": true, "=1.21": true, ">=1.21": true, ">1.21": false, "<1.21": false, "<=1.21": true, ">=1.5 <1.6": false, ">1.5 <2.0": true,
	} {
		versions, err := parseVersions(text)
		if err != nil {
			t.Fatal(err)
		}
		actual, err := parseVersion("1.21")
		if err != nil {
			t.Fatal(err)
		}
		if got := versions.hold(actual); got != holds {
			t.Errorf("%q holds for 1.21: %t, want %t", text, got, holds)
		}
	}
}

const (
	shippedList  = "../fixtures/runtimes/deviations.yaml"
	findingsPage = "../fixtures/runtimes/FINDINGS.md"
)

// TestFindingsPageIsCurrent holds the page to the list: what a run finds anew only a run can show.
func TestFindingsPageIsCurrent(t *testing.T) {
	list, err := readDeviations(shippedList, nil)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(findingsPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		if strings.Count(string(page), reports.FindingText(entry.Deviation)) != 1 {
			t.Errorf("%s does not say of %s what the list does; run: make runtimes findings", findingsPage, entry.Trait)
		}
		if entry.Consequence == "" {
			t.Errorf("%s: %s of %s lacks its consequence", shippedList, entry.Trait, entry.Runtime)
		}
	}
	if shown := strings.Count(string(page), "\nInstead: "); shown != len(list) {
		t.Errorf("%s shows %d deviations, the list has %d; run: make runtimes findings", findingsPage, shown, len(list))
	}
	for _, runtime := range runtimes.Names() {
		if !strings.Contains(string(page), "\n## "+runtime+" ") {
			t.Errorf("%s does not show %s", findingsPage, runtime)
		}
	}
}
