package reports

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

func parseJUnit(t *testing.T, run Run) junitSuites {
	t.Helper()
	content, err := writeJUnit(run)
	if err != nil {
		t.Fatal(err)
	}
	var document junitSuites
	if err := xml.Unmarshal(content, &document); err != nil {
		t.Fatalf("%v in\n%s", err, content)
	}
	return document
}

func TestJUnitNamesAreUnique(t *testing.T) {
	same := Result{Trait: "a/b", Subject: "node", Verdict: Conformant}
	names := make(map[string]bool)
	for _, suite := range parseJUnit(t, Run{Results: []Result{same, same, same}}).Suites {
		for _, each := range suite.Cases {
			names[each.Classname+" "+each.Name] = true
		}
	}
	for _, name := range []string{"a/b/node", "a/b/node#01", "a/b/node#02"} {
		if !names[suitesPackage+" TestConformance/"+name] {
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

func TestJUnitSetUp(t *testing.T) {
	planned := []Planned{{Trait: "a/b", Subject: "node"}}
	for name, run := range map[string]Run{
		"a failed set-up": {SetupError: "no engine\nat all", Plan: planned},
		"nothing planned": {},
	} {
		document := parseJUnit(t, run)
		if document.Failures != 0 || document.Errors != len(run.Plan)+1 || document.Tests != document.Errors {
			t.Errorf("%s: counts %+v, want only errors, one for the set-up and one for what did not run", name, document.junitCounts)
		}
		first := document.Suites[0].Cases[0]
		if first.Name != goTest || first.Error == nil || !strings.HasPrefix(first.Error.Message, "inconclusive: no") {
			t.Errorf("%s: the first case is %+v", name, first)
		}
	}
}

func TestJUnitKeepsEvidenceBelowTheLimitOfItsReaders(t *testing.T) {
	run := Run{}
	for i := range 200 {
		run.Results = append(run.Results, Result{
			Trait: "a/b", Subject: string(rune('a' + i)), Verdict: Nonconformant,
			Evidence: []Evidence{{Output: strings.Repeat("\x00", 1<<20)}},
		})
	}
	content, err := writeJUnit(run)
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

func FuzzJUnit(f *testing.F) {
	f.Add("reason\nmore", "\x00\x1b]]></failure>\xff\ufffe", "a/b", 1.5)
	f.Add("", "\r\n\u2028", "", -1e300)
	f.Fuzz(func(t *testing.T, reason, output, name string, length float64) {
		content, err := writeJUnit(hostile(reason, output, name, length))
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

// hostile is a run with text of any kind wherever a container, a cluster or a person could have put it.
func hostile(reason, output, name string, length float64) Run {
	code := int(length)
	return Run{
		ID: name, SuiteVersion: name, Profile: name, Selection: name, Seconds: length, SetupError: reason,
		Cluster:  Cluster{Name: name, KubernetesVersion: output, Origin: name, Engine: name, NodeImage: name},
		Images:   map[string]string{name: output},
		Subjects: []Subject{{ID: name, Node: name, Runtime: output, RuntimeHandler: reason, Kernel: output, OSImage: output}},
		Plan:     []Planned{{Trait: name, Subject: name}, {Trait: output, Subject: reason}},
		Results: []Result{
			{Trait: name, Subject: name, Verdict: Verdict(reason), Reason: reason, Seconds: length},
			{
				Trait: reason, Subject: output, Verdict: Nonconformant, Reason: reason, Statement: output, Cause: output,
				Expected: reason, Observed: output, NextStep: reason, Diagnosis: output, Article: reason, Sources: []string{name, output},
				Namespace: name, Seconds: length,
				Evidence: []Evidence{{
					Title: name, Where: output, Command: reason, Output: output, ExitCode: &code, Errno: name,
					Processes: []Process{{PID: code, State: reason, Container: name, Arguments: []string{output, reason}}},
					Access:    []Access{{Caller: name, Target: output, Operation: reason, Expected: name, Observed: output, Rule: reason}},
				}},
			},
			{Trait: output, Subject: name, Verdict: Unsupported, Reason: output, Article: output},
		},
		Phases: []Phase{{Name: output, Seconds: length}},
	}
}
