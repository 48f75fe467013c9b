package junit

import (
	"encoding/xml"
	"io"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/golden"
	"sharedpid.example/reports/internal/sample"
)

func parseJUnit(t *testing.T, run reports.Run) document {
	t.Helper()
	content, err := Render(run)
	if err != nil {
		t.Fatal(err)
	}
	var whole document
	if err := xml.Unmarshal(content, &whole); err != nil {
		t.Fatalf("%v in\n%s", err, content)
	}
	return whole
}

func TestJUnitNamesAreUnique(t *testing.T) {
	same := reports.Result{Trait: "a/b", Target: "node", Verdict: reports.Conformant}
	names := make(map[string]bool)
	for _, suite := range parseJUnit(t, reports.Run{Results: []reports.Result{same, same, same}}).Suites {
		for _, each := range suite.Cases {
			names[each.Classname+" "+each.Name] = true
		}
	}
	for _, name := range []string{"a/b/node", "a/b/node#01", "a/b/node#02"} {
		if !names[DefaultPackage+" TestConformance/"+name] {
			t.Errorf("no case %s in %v", name, names)
		}
	}
}

// TestJUnitNamesAreGoTestNames compares with the names that package testing gives its own subtests.
func TestJUnitNamesAreGoTestNames(t *testing.T) {
	for _, name := range []string{"signals/hup-respawns-workers/node-1", "a/b/node/kata", "a b/\tc/\x01\u202e/é"} {
		t.Run(name, func(subtest *testing.T) {
			want := strings.TrimPrefix(subtest.Name(), t.Name()+"/")
			if got := goTestName(name); got != want {
				subtest.Errorf("%q, want %q", got, want)
			}
		})
	}
}

func TestJUnitOfARunWithAProblem(t *testing.T) {
	planned := []reports.Planned{{Trait: "a/b", Target: "node"}}
	for want, run := range map[string]reports.Run{
		"inconclusive: the run ended early: no engine at all":                       {SetupError: "no engine\nat all", Plan: planned},
		"inconclusive: nothing was planned":                                         {},
		"inconclusive: the run is under way and has not finished: 0 of 1 looked at": {Running: true, Plan: planned},
		"inconclusive: the run is under way and will end early: interrupted":        {Running: true, SetupError: "interrupted", Plan: planned},
	} {
		document := parseJUnit(t, run)
		if document.Failures != 0 || document.Errors != len(run.Plan)+1 || document.Tests != document.Errors {
			t.Errorf("%s: counts %+v, want only errors, one for the run and one for what did not run", want, document.counts)
		}
		first := document.Suites[0].Cases[0]
		if first.Name != DefaultTest || first.Error == nil || !strings.HasPrefix(first.Error.Message, want) {
			t.Errorf("%s: the first case is %+v", want, first)
		}
	}
}

func TestJUnitKeepsEvidenceBelowTheLimitOfItsReaders(t *testing.T) {
	t.Parallel()
	run := reports.Run{}
	output := strings.Repeat("\x00", 1<<20)
	for i := range 200 {
		run.Results = append(run.Results, reports.Result{
			Trait: "a/b", Target: string(rune('a' + i)), Verdict: reports.Nonconformant,
			Evidence: []reports.Evidence{{Output: output}},
		})
	}
	content, err := Render(run)
	if err != nil {
		t.Fatal(err)
	}
	if len(content) > 30<<20 {
		t.Errorf("%d bytes, GitLab reads 30 MB", len(content))
	}
	if !strings.Contains(string(content), "bytes shown, the rest is in run.json") {
		t.Error("nothing says that evidence was cut")
	}
}

func TestJUnitTellsTheKindOfWhatIsInconclusive(t *testing.T) {
	types := map[string]string{} // of errors, by their messages
	for _, suite := range parseJUnit(t, sample.Partial()).Suites {
		for _, each := range suite.Cases {
			if each.Error != nil {
				types[each.Error.Message] = each.Error.Type
			}
		}
	}
	want := map[string]string{
		"inconclusive: the run is under way and has not finished: 4 of 5 looked at": "inconclusive",
		"inconclusive: out of time: the container did not start within 5m0s":        "out of time",
		"inconclusive: defect: index out of range":                                  "defect",
		"inconclusive: not run: the run has not come to this":                       "not run",
	}
	if !maps.Equal(types, want) {
		t.Errorf("errors are %q, want %q", types, want)
	}
}

func TestJUnitOfKnownDeviations(t *testing.T) {
	content, err := Render(sample.SideBySide())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`tests="4" failures="2" errors="0" skipped="1"`,
		`<skipped message="process 1 is not shielded (https://example.org/11836); observed: the containers were restarted">`,
		`type="resolved"`,
	} {
		if !strings.Contains(string(content), want) {
			t.Errorf("JUnit lacks %s:\n%s", want, content)
		}
	}
}

func TestJUnitNamesWhereTraitsAreDecided(t *testing.T) {
	content, err := RenderWith(sample.Of(reports.Conformant, "node"), Options{
		Package: "example.org/traits", Test: "TestTraits", File: func(outcome reports.Result) string { return outcome.Group() + ".go" },
	})
	want := `<testcase classname="example.org/traits" name="TestTraits/a/b/node" file="a.go"`
	if err != nil || !strings.Contains(string(content), want) {
		t.Errorf("JUnit lacks %s, %v:\n%s", want, err, content)
	}
	if content, err = Render(sample.Of(reports.Conformant, "node")); err != nil || strings.Contains(string(content), "file=") {
		t.Errorf("a file is named that nobody gave, %v:\n%s", err, content)
	}
}

func TestGolden(t *testing.T) {
	golden.CompareEach(t, Render, map[string]reports.Run{
		"junit.xml": sample.Small(), "partial.xml": sample.Partial(), "set-up-failed.xml": sample.SetUpFailed(),
		"many-nodes.xml": sample.ManyNodes(),
	})
}

func FuzzJUnit(f *testing.F) {
	f.Add("reason\nmore", "\x00\x1b]]></failure>\xff\ufffe", "a/b", 1.5)
	f.Add("", "\r\n\u2028", "", -1e300)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		content, err := Render(sample.Hostile(reason, output, name, length))
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(content) {
			t.Error("not UTF-8")
		}
		decoder := xml.NewDecoder(strings.NewReader(string(content)))
		for {
			token, err := decoder.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%v in\n%s", err, content)
			}
			if text, isText := token.(xml.CharData); isText && strings.ContainsRune(string(text), utf8.RuneError) &&
				!strings.ContainsRune(reason+output+name, utf8.RuneError) {
				t.Errorf("a byte was lost in %q", text)
			}
		}
	})
}
