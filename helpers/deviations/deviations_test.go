package deviations

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sharedpid.example/reports"
)

var known = Known{
	Runtimes: []string{"runc", "crun", "runsc", "mine"},
	Traits:   []string{"credentials/access-matrix", "joiners/ephemeral-joins", "signals/pause-survives"},
}

const one = "- {runtime: runsc, versions: '>=20260905.0 <20270000.0', trait: signals/pause-survives, " +
	"reason: r, link: 'https://example.org/1'}\n"

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "deviations.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, content string) List {
	t.Helper()
	list, err := Read(file(t, content), known)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestReadRefuses(t *testing.T) {
	for name, test := range map[string]struct{ old, new, words string }{
		"unknown field":   {"reason: r", "reason: r, severity: low", `there is no field "severity"`},
		"no list":         {one, "", "holds no list"},
		"another form":    {one, "runtime: runsc", "a value of the wrong type: a mapping"},
		"not YAML":        {one, "- {", "yaml"},
		"no reason":       {"reason: r, ", "", "entry 1: reason is missing"},
		"no trait":        {"trait: signals/pause-survives, ", "", "entry 1: trait is missing"},
		"blank runtime":   {"runtime: runsc", "runtime: ' '", "entry 1: runtime is missing"},
		"unknown trait":   {"signals/pause-survives", "signals/nope", `no trait "signals/nope"; sharedpid list --profile full`},
		"unknown runtime": {"runtime: runsc", "runtime: rusnc", `no runtime "rusnc"; known are containerd, cri-o, crun, mine, runc, runsc`},
		"no address":      {"https://example.org/1", "see the manual", "is no address"},
		"another scheme":  {"https://example.org/1", "javascript://example.org/%0aalert(1)", "is no address"},
		"no host":         {"https://example.org/1", "https:///path", "is no address"},
		"no operator":     {">=20260905.0", "20260905.0", "malformed"},
		"no version":      {">=20260905.0", ">=new", "malformed"},
		"twice":           {one, one + one, "entry 2: signals/pause-survives of runsc stands there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, strings.Replace(one, test.old, test.new, 1))
			_, err := Read(path, known)
			if err == nil || !strings.Contains(err.Error(), test.words) {
				t.Fatalf("error is %v, want one with %q", err, test.words)
			}
			if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), path) {
				t.Errorf("error is %v, want one line with the file", err)
			}
		})
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none.yaml"), known); err == nil {
		t.Error("a file that is not there is a list")
	}
}

func TestReadTakes(t *testing.T) {
	for name, content := range map[string]string{
		"an empty list":           "[]\n",
		"plain http":              strings.Replace(one, "https:", "http:", 1),
		"a node's runtime":        strings.Replace(one, "runtime: runsc", "runtime: cri-o", 1),
		"two ranges":              one + strings.Replace(one, "<20270000.0", "<20280000.0", 1),
		"one trait of two":        one + strings.Replace(one, "runtime: runsc", "runtime: crun", 1),
		"a consequence, no range": "- {runtime: runc, trait: signals/pause-survives, reason: r, consequence: c, link: 'https://example.org'}\n",
	} {
		if _, err := Read(file(t, content), known); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListIsOfItsRuntimeInItsVersions(t *testing.T) {
	list := read(t, one+"- {runtime: containerd, versions: '>=2.4 <2.5', trait: signals/pause-survives, "+
		"reason: r, link: 'https://example.org/1'}\n")
	for name, test := range map[string]struct {
		target reports.Target
		want   int
	}{
		"in range":          {reports.Target{RuntimeClass: "runsc", RuntimeVersion: "20260905.0+160fafc42237"}, 1},
		"older":             {reports.Target{RuntimeClass: "runsc", RuntimeVersion: "20250611.0"}, 0},
		"newer":             {reports.Target{RuntimeClass: "runsc", RuntimeVersion: "20270101.0"}, 0},
		"the node's own":    {reports.Target{Runtime: "containerd://2.4.2+unknown"}, 1},
		"the node's own, 2": {reports.Target{Runtime: "containerd://2.5.0"}, 0},
		"a class beside it": {reports.Target{RuntimeClass: "crun", RuntimeVersion: "1.21", Runtime: "containerd://2.4.2"}, 0},
	} {
		deviations, err := list.Of(test.target)
		if err != nil || len(deviations) != test.want {
			t.Errorf("%s: %d entries, %v; want %d", name, len(deviations), err, test.want)
		}
	}
}

// TestListIsOfNoOtherRuntime asks about versions that every entry's range holds for, or that no entry asks for: only
// the runtime's name tells the entries apart.
func TestListIsOfNoOtherRuntime(t *testing.T) {
	list := read(t, `
- {runtime: runc, versions: '>=1.0', trait: signals/pause-survives, reason: of runc, link: 'https://example.org/1'}
- {runtime: crun, versions: '>=1.0', trait: credentials/access-matrix, reason: of crun, link: 'https://example.org/1'}
- {runtime: mine, trait: joiners/ephemeral-joins, reason: of mine, link: 'https://example.org/1'}
- {runtime: containerd, trait: joiners/ephemeral-joins, reason: of containerd, link: 'https://example.org/1'}
`)
	for class, want := range map[string][]string{
		"runc": {"of runc"}, "crun": {"of crun"}, "mine": {"of mine"}, "": {"of containerd"}, "runsc": nil,
	} {
		deviations, err := list.Of(reports.Target{ID: "node", RuntimeClass: class, RuntimeVersion: "1.21", Runtime: "containerd://2.4.2"})
		if err != nil {
			t.Fatal(err)
		}
		var reasons []string
		for _, deviation := range deviations {
			reasons = append(reasons, deviation.Reason)
		}
		if !slices.Equal(reasons, want) {
			t.Errorf("under %q are known %q, want %q", class, reasons, want)
		}
	}
}

func TestRangeOfAnUnknownVersionIsAnError(t *testing.T) {
	list := read(t, one)
	_, err := list.Of(reports.Target{ID: "node/runsc", RuntimeClass: "runsc"})
	if err == nil || !strings.Contains(err.Error(), "--known-deviations") || !strings.Contains(err.Error(), "node/runsc") {
		t.Errorf("error is %v, want one that names the flag and the target", err)
	}
	// Nobody asks for the version of a runtime that has no entry.
	if deviations, err := list.Of(reports.Target{ID: "node/crun", RuntimeClass: "crun"}); err != nil || len(deviations) != 0 {
		t.Errorf("of another runtime are known %v, %v", deviations, err)
	}
}

func TestVersionRange(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "=1.21": true, "=1.2": false, ">=1.21": true, ">1.21": false, "<1.21": false, "<=1.21": true,
		">=1.5 <1.6": false, ">1.5 <2.0": true,
	} {
		versions, err := parseRange(text)
		if err != nil {
			t.Fatal(err)
		}
		actual, err := parseVersion("1.21")
		if err != nil {
			t.Fatal(err)
		}
		if got := versions.holds(actual); got != want {
			t.Errorf("%q holds for 1.21: %t, want %t", text, got, want)
		}
	}
}

// FuzzRead reads what people may write: what it takes has what each entry must have.
func FuzzRead(f *testing.F) {
	f.Add(one)
	f.Add("- {runtime: crun, trait: signals/pause-survives, reason: '\x1b[2J', link: 'https://example.org'}\n- *a\n")
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(t.TempDir(), "deviations.yaml")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path, known); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("the error has several lines: %q", err)
		}
	})
}
