package junit

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	joshdk "github.com/joshdk/go-junit"
	jstemmer "github.com/jstemmer/go-junit-report/v2/junit"
	"github.com/jstemmer/go-junit-report/v2/parser/gotest"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/node"
	"sharedpid.example/reports/internal/sample"
)

// readCase is a case as a reader of JUnit sees it.
type readCase struct{ Classname, Name, Kind, Message, Text string }

// readersSample has what readers might stumble over: every verdict, hostile text, several targets and a run that ended early.
func readersSample() reports.Run {
	run := sample.Rich(2)
	run.SetupError = "interrupted"
	run.Results = append(run.Results, sample.Small().Results...)
	run.Results = append(run.Results, reports.Result{
		Trait: "a b/c<d>\"é\u2028&amp;", Target: "worker-1", Verdict: reports.Nonconformant,
		Reason: "]]> \x00 &lt; \ud7ff\ufffe '\"\nsecond\r\nthird\u0085fourth",
	})
	return run
}

// writtenCases are the cases as they were meant.
func writtenCases(t *testing.T, run reports.Run) []readCase {
	t.Helper()
	var cases []readCase
	for _, suite := range parseJUnit(t, run).Suites {
		for _, each := range suite.Cases {
			read := readCase{Classname: each.Classname, Name: each.Name}
			for kind, problem := range map[string]*problem{"failure": each.Failure, "error": each.Error, "skipped": each.Skipped} {
				if problem != nil {
					read.Kind, read.Message, read.Text = kind, problem.Message, strings.TrimSpace(problem.Content)
				}
			}
			cases = append(cases, read)
		}
	}
	return cases
}

func compareCases(t *testing.T, reader string, got, want []readCase) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s reads %d cases, want %d", reader, len(got), len(want))
	}
	for i := range want {
		got[i].Text = strings.TrimSpace(got[i].Text)
		if got[i] != want[i] {
			t.Errorf("%s reads\n%+q, want\n%+q", reader, got[i], want[i])
		}
	}
}

// gotestsum keeps its package for JUnit internal, so that another reader stands beside go-junit-report's.
func TestJUnitAsGoPackagesReadIt(t *testing.T) {
	run := readersSample()
	content, err := Render(run)
	if err != nil {
		t.Fatal(err)
	}
	want := writtenCases(t, run)

	var first []readCase
	var document jstemmer.Testsuites
	if err := xml.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	total := jstemmer.Testsuites{}
	for _, suite := range document.Suites {
		counted := jstemmer.Testsuite{}
		for _, each := range suite.Testcases {
			counted.AddTestcase(each)
			read := readCase{Classname: each.Classname, Name: each.Name}
			for kind, problem := range map[string]*jstemmer.Result{"failure": each.Failure, "error": each.Error, "skipped": each.Skipped} {
				if problem != nil {
					read.Kind, read.Message, read.Text = kind, problem.Message, problem.Data
				}
			}
			first = append(first, read)
		}
		if counted.Tests != suite.Tests || counted.Failures != suite.Failures || counted.Errors != suite.Errors ||
			counted.Skipped != suite.Skipped {
			t.Errorf("suite %s says %d tests, %d failures, %d errors, %d skipped, and has %d, %d, %d, %d", suite.Name,
				suite.Tests, suite.Failures, suite.Errors, suite.Skipped, counted.Tests, counted.Failures, counted.Errors, counted.Skipped)
		}
		total.AddSuite(suite)
	}
	if total.Tests != document.Tests || total.Failures != document.Failures || total.Errors != document.Errors ||
		total.Skipped != document.Skipped {
		t.Errorf("the whole says %+v tests, %d failures, %d errors, %d skipped, and its suites add up to %d, %d, %d, %d",
			document.Tests, document.Failures, document.Errors, document.Skipped, total.Tests, total.Failures, total.Errors, total.Skipped)
	}
	compareCases(t, "go-junit-report", first, want)

	suites, err := joshdk.Ingest(content)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[joshdk.Status]string{joshdk.StatusFailed: "failure", joshdk.StatusError: "error", joshdk.StatusSkipped: "skipped"}
	var second []readCase
	for _, suite := range suites {
		if len(suite.Suites) > 0 || suite.Name == "" || suite.Properties["run"] != run.ID {
			t.Errorf("suite %q has %d suites inside and the run %q, want none and %q", suite.Name, len(suite.Suites), suite.Properties["run"],
				run.ID)
		}
		for _, each := range suite.Tests {
			read := readCase{Classname: each.Classname, Name: each.Name, Kind: kinds[each.Status], Message: each.Message}
			if problem, found := each.Error.(joshdk.Error); found {
				read.Message, read.Text = problem.Message, problem.Body
			}
			second = append(second, read)
		}
	}
	for i := range want {
		if i < len(second) && second[i].Kind == "skipped" {
			second[i].Text = want[i].Text // this reader keeps the message only
		}
	}
	compareCases(t, "go-junit", second, want)
}

func TestJUnitAsReportersOfCISystemsReadIt(t *testing.T) {
	t.Parallel()
	run := readersSample()
	content, err := Render(run)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "junit.xml")
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	output := node.Run(t, "parse-junit.mjs", file)
	var readers map[string][]struct {
		Name  string
		Cases []readCase
	}
	if err := json.Unmarshal(output, &readers); err != nil {
		t.Fatal(err)
	}
	if len(readers) != 3 {
		t.Errorf("%d readers, want 3", len(readers))
	}
	want := writtenCases(t, run)
	for reader, suites := range readers {
		var cases []readCase
		for _, suite := range suites {
			if suite.Name == "" {
				t.Errorf("%s reads a suite without a name", reader)
			}
			cases = append(cases, suite.Cases...)
		}
		compareCases(t, reader, cases, want)
	}
}

func stderr(err error) string {
	if exit, found := err.(*exec.ExitError); found {
		return string(exit.Stderr)
	}
	return ""
}

// moduleName is that of the module that the default package is in.
const moduleName = "sharedpid.example"

// goTests stands where the suite does, and has subtests as the framework makes them: a trait, and in it its targets.
const goTests = `package sharedpid

import "testing"

func TestConformance(t *testing.T) {
	for _, names := range [][]string{NAMES} {
		t.Run(names[0], func(t *testing.T) {
			for _, target := range names[1:] {
				t.Run(target, func(t *testing.T) {})
			}
		})
	}
}
`

// TestJUnitNamesAreThoseOfGoTest runs go test -json, and compares what go-junit-report makes of it with what is written here.
func TestJUnitNamesAreThoseOfGoTest(t *testing.T) {
	t.Parallel()
	names := [][]string{{"signals/hup-respawns-workers", "node-1", "node-1/kata"}, {"a b/ü\x01", "x\ty"}, {"a/b", "n"}}
	var run reports.Run
	var literals []string
	for _, each := range names {
		for _, target := range each[1:] {
			run.Plan = append(run.Plan, reports.Planned{Trait: each[0], Target: target})
			run.Results = append(run.Results, reports.Result{Trait: each[0], Target: target, Verdict: reports.Conformant})
		}
		literal, err := json.Marshal(each)
		if err != nil {
			t.Fatal(err)
		}
		literals = append(literals, "{"+strings.Trim(string(literal), "[]")+"}")
	}
	module := t.TempDir()
	folder := filepath.Join(module, filepath.FromSlash(strings.TrimPrefix(DefaultPackage, moduleName+"/")))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		filepath.Join(module, "go.mod"):              "module " + moduleName + "\n",
		filepath.Join(folder, "conformance_test.go"): strings.Replace(goTests, "NAMES", strings.Join(literals, ", "), 1),
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command("go", "test", "-json", "./...")
	command.Dir = module
	command.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, output, stderr(err))
	}
	report, err := gotest.NewJSONParser().Parse(bytes.NewReader(output))
	if err != nil {
		t.Fatal(err)
	}
	// Of the parents go test tells as well; they have no rows here.
	got := []string{DefaultPackage + " " + DefaultTest}
	for _, each := range names {
		got = append(got, DefaultPackage+" "+goTestName(DefaultTest+"/"+each[0]))
	}
	var want []string
	for _, suite := range jstemmer.CreateFromReport(report, "").Suites {
		for _, each := range suite.Testcases {
			want = append(want, each.Classname+" "+each.Name)
		}
	}
	for _, each := range writtenCases(t, run) {
		got = append(got, each.Classname+" "+each.Name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("names are\n%q, of go test\n%q", got, want)
	}
}
