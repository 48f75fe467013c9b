package readers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sharedpid.example/reports"
	"sharedpid.example/reports/directory"
	"sharedpid.example/reports/internal/sample"
)

func TestProblemsAreNamed(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "reports")
	run := reports.Run{
		SchemaVersion: reports.SchemaVersion, ID: "whole", Plan: []reports.Planned{{Trait: "a/b", Target: "node"}},
		Targets: []reports.Target{{ID: "node", Node: "node"}},
		Results: []reports.Result{{Trait: "a/b", Target: "node", Verdict: reports.Conformant}},
	}
	recorder, err := directory.Open(folder, run)
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Close(run); err != nil {
		t.Fatal(err)
	}
	if broken := Problems(folder); len(broken) > 0 {
		t.Fatalf("whole ones are %q", broken)
	}
	for _, file := range []string{"run.json", "junit.xml", "report.yaml", "report.html", "summary.md"} {
		path := filepath.Join(folder, file)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		cut := content[:len(content)/2]
		if file == "summary.md" {
			cut = nil
		}
		if err := os.WriteFile(path, cut, 0o600); err != nil {
			t.Fatal(err)
		}
		if broken := Problems(folder); len(broken) != 1 || !strings.HasPrefix(broken[0], file) {
			t.Errorf("with half a %s broken are %q", file, broken)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if broken := Problems(t.TempDir()); len(broken) > 0 {
		t.Errorf("a run that was ended before its first report has %q", broken)
	}
}

// TestProblemsAreWhatReachesATerminal although the form is whole.
func TestProblemsAreWhatReachesATerminal(t *testing.T) {
	for name, test := range map[string]struct{ file, content, words string }{
		"an escape":         {"summary.md", "# fine\n\x1b[2J", "at byte 7 what is no printable text"},
		"a reversed line":   {"run.json", `{"schemaVersion": 2, "id": "` + "\u202e" + `"}`, "at byte 28"},
		"no UTF-8":          {ProgressFile, "a\xff", "not UTF-8"},
		"a carriage return": {"report.html", "<html>a\rb</html>", "at byte 7"},
		"a script":          {"report.html", "<html><script>1</script></html>", "has a script"},
		"more than an end":  {"run.json", `{"schemaVersion": 2} {}`, "goes on after its end"},
		"an entity":         {"junit.xml", "<a>&nbsp;</a>", "invalid character entity"},
		"a key twice":       {"report.yaml", "a: 1\na: 2\n", "already set"},
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, test.file), []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		problems := strings.Join(Problems(folder), "; ")
		if !strings.HasPrefix(problems, test.file+": ") || !strings.Contains(problems, test.words) {
			t.Errorf("%s: problems are %q, want %q", name, problems, test.words)
		}
	}
}

// FuzzReports has every form of a run with text of any kind read.
func FuzzReports(f *testing.F) {
	f.Add("reason\nmore", "\x00\x1b]52;c;aGk=\a\u202e\xe2\x82", "a/b", 1.5)
	f.Add("]]></failure>\r</script>", "\x7f\u009b2J\ufffe\U000e0001", "`|\\", -1e300)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		run := sample.Hostile(reason, output, name, length)
		run.SchemaVersion = reports.SchemaVersion
		folder := t.TempDir()
		recorder, err := directory.Open(folder, run)
		if err != nil {
			t.Fatal(err)
		}
		if err := recorder.Close(run); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"run.json", "junit.xml", "report.yaml", "report.html", "summary.md"} {
			if _, err := os.Stat(filepath.Join(folder, file)); err != nil {
				t.Error(err)
			}
		}
		if problems := Problems(folder); len(problems) > 0 {
			t.Errorf("problems are %q", problems)
		}
	})
}
