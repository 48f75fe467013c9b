package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/reports"
	"sharedpid.example/reports/published"
	"sharedpid.example/reports/results"
	"sharedpid.example/suites"
)

// recordedRun is a whole run of profile full on a real cluster, with all that it looked at, as if the present version had made it.
func recordedRun(t testing.TB) reports.Run {
	t.Helper()
	packed, err := os.ReadFile("../testdata/healthy.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	run, err := reports.Decode(gunzip(t, packed))
	if err != nil {
		t.Fatal(err)
	}
	run.SuiteVersion, run.Arguments = testSuite().Version+"+0123456789ab", []string{"--profile=full"}
	run.Implementation = &reports.Implementation{Organization: "Example", Project: "Node", URL: "https://example.com", Contact: "node@example.com"}
	for i := range run.Results { // recordings are kept without statements
		for _, trait := range suites.Traits() {
			if result := &run.Results[i]; result.Trait == trait.ID {
				result.Statement, result.Profile, result.Documented = trait.Statement, string(trait.Profile), trait.Documented
			}
		}
	}
	return run
}

// testSuite is the present suite as if it were released.
func testSuite() results.Suite {
	tested := resultsSuite()
	tested.Version = "v9.8.7"
	release := results.Release{Version: tested.Version}
	for _, trait := range suites.Traits() {
		release.Traits = append(release.Traits,
			results.Trait{ID: trait.ID, Profile: string(trait.Profile), Documented: trait.Documented, Statement: trait.Statement})
	}
	tested.Releases = []results.Release{release}
	return tested
}

func gunzip(t testing.TB, packed []byte) []byte {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if _, err := writer.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// publishRun publishes a run into a folder of its own, without problems.
func publishRun(t *testing.T, run reports.Run, anonymous bool) (root, report string) {
	t.Helper()
	root = t.TempDir()
	report, problems, err := results.Publish(root, run, anonymous, testSuite())
	if err != nil || len(problems) > 0 {
		t.Fatalf("not published: %v, %v", err, problems)
	}
	return root, report
}

func TestPublishedRunHolds(t *testing.T) {
	for _, anonymous := range []bool{false, true} {
		run := recordedRun(t)
		root, report := publishRun(t, run, anonymous)
		if want := filepath.Join(root, "v9.8.7", "example-node", "node-2.4.2-unknown.yaml"); report != want {
			t.Errorf("published as %s, want %s", report, want)
		}
		all, problems, notes, err := results.Verify(root, testSuite())
		if err != nil || len(problems) > 0 || len(all) != 1 || (len(notes) == 1) != anonymous {
			t.Errorf("anonymous %v: %d results, problems %v, notes %v, %v", anonymous, len(all), problems, notes, err)
		}
		content, err := os.ReadFile(report)
		if err != nil {
			t.Fatal(err)
		}
		if named := strings.Contains(string(content), run.Targets[0].Node); named == anonymous {
			t.Errorf("anonymous %v: the node is named: %v", anonymous, named)
		}
	}
}

// TestVerifyRefuses spoils published results in every way that must be noticed: one line with the file, and what to do.
func TestVerifyRefuses(t *testing.T) {
	const (
		reportFile = "v9.8.7/example-node/node-2.4.2-unknown.yaml"
		evidence   = "v9.8.7/example-node/node-2.4.2-unknown.run.json.gz"
		readme     = "v9.8.7/example-node/README.md"
	)
	published, _ := publishRun(t, recordedRun(t), false)
	all := len(suites.Traits())
	for name, test := range map[string]struct {
		spoil func(t *testing.T, root string)
		want  string
	}{
		"verdict of the whole": {replacing(reportFile, "\nverdict: conformant", "\nverdict: nonconformant"), fmt.Sprintf("says nonconformant (%d of %[1]d conformant), and its traits amount to conformant", all)},
		"counts":               {replacing(reportFile, fmt.Sprintf("conformant: %d", all), "conformant: 99"), "counts {Conformant:99"},
		"kinds": {replacing(reportFile, "\ntargets:", "\nkinds:\n- kind: kind 1\n  description: all alike\n  targets: [a]\n  counts: {conformant: 1, inconclusive: 0, "+
			"knownDeviation: 0, nonconformant: 0, notRun: 0, resolved: 0, unsupported: 0}\ntargets:"), "groups its targets into other kinds"},
		"verdict of a trait":      {replacing(reportFile, "verdict: conformant", "verdict: unsupported"), fmt.Sprintf("and its traits amount to conformant (%d of %d conformant, 1 unsupported)", all-1, all)},
		"undecided":               {replacing(reportFile, "verdict: conformant", "verdict: inconclusive"), "is not decided: inconclusive"},
		"reason":                  {replacing(reportFile, "architecture: amd64", "architecture: arm64"), "is not the report of the run beside it"},
		"statement":               {replacing(reportFile, "MUST", "MAY"), "does not say what it says at v9.8.7"},
		"partial":                 {replacing(reportFile, "\nprofile: full", "\npartial: true\nprofile: full"), "is about a part of the profile"},
		"another profile":         {replacing(reportFile, "\nprofile: full", "\nprofile: core"), "is no trait of profile core"},
		"smallest profile":        {replacing(reportFile, "\nprofile: full", "\nprofile: article"), `profile "article", which is not published`},
		"a trait that is missing": {replacing(reportFile, "trait: admission/immutable", "trait: admission/mutable"), "admission/immutable is missing"},
		"another suite":           {replacing(reportFile, "version: v9.8.7+", "version: v9.8.6+"), "was made by the suite at v9.8.6+0123456789ab, and is in the folder of v9.8.7"},
		"a changed suite":         {replacing(reportFile, "+0123456789ab", "+0123456789ab.modified"), "was not built from a commit, or was changed"},
		"a suite of no commit":    {replacing(reportFile, "+0123456789ab", ""), "was not built from a commit"},
		"another implementation":  {replacing(reportFile, "project: Node", "project: Edon"), "belongs into the file example-edon/edon-2.4.2-unknown.yaml"},
		"another version":         {replacing(reportFile, "version: 2.4.2+unknown", "version: 2.4.3"), "belongs into the file example-node/node-2.4.3.yaml"},
		"a stated version": {replacing(reportFile, "project: Node", "project: Node\n    version: 2.4.2-unknown"),
			"is not the report of the run beside it"},
		"nobody's":                {replacing(reportFile, "contact: node@example.com", "contact: somebody"), "implementation: contact:"},
		"a form of its own":       {replacing(reportFile, "profile: full\n", "profile: full\nstars: 5\n"), "is not of the schema of a report"},
		"a report cut off":        {cutting(reportFile), "is not of the schema of a report"},
		"no evidence":             {removing(evidence), "has no evidence"},
		"evidence cut off":        {cutting(evidence), "has damaged evidence: node-2.4.2-unknown.run.json.gz cannot be unpacked"},
		"evidence of nothing":     {writing(evidence, string(gzipped(t, []byte("{}")))), "is not a run.json: it has no schemaVersion"},
		"evidence not packed":     {writing(evidence, "{}"), "is not packed with gzip"},
		"evidence of no report":   {writing("v9.8.7/example-node/other.run.json.gz", "x"), "is evidence of no report"},
		"anonymous with evidence": {replacing(reportFile, "cluster:\n", "anonymous: true\ncluster:\n"), "is anonymous, and its evidence names the nodes"},
		"no README":               {removing(readme), "is missing"},
		"a README of another":     {writing(readme, "Nothing."), "does not say how node-2.4.2-unknown.yaml came about"},
		"no page":                 {removing("RESULTS.md"), "is not the page about these results"},
		"another page":            {writing("RESULTS.md", "# All is well\n"), "is not the page about these results"},
		"a file of something":     {writing("v9.8.7/example-node/notes.txt", "x"), "is neither a report"},
		"a file among folders":    {writing("v9.8.7/notes.txt", "x"), "is no folder of an implementation"},
		"a version of nothing":    {writing("latest/a/b", "x"), "is no folder of a released version"},
		"an unknown version":      {moving("v9.8.7", "v9.9.0"), "there is no release v9.9.0 of the suite"},
		"a link": {func(t *testing.T, root string) {
			if err := os.Symlink("/etc/passwd", filepath.Join(root, "v9.8.7", "example-node", "link.yaml")); err != nil {
				t.Fatal(err)
			}
		}, "is neither a report"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.CopyFS(root, os.DirFS(published)); err != nil {
				t.Fatal(err)
			}
			test.spoil(t, root)
			_, problems, _, err := results.Verify(root, testSuite())
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(problems, func(problem results.Problem) bool { return strings.Contains(problem.What, test.want) }) {
				t.Errorf("problems are %v, want one with %q", problems, test.want)
			}
			for _, problem := range problems {
				if line := problem.String(); strings.Contains(line, "\n") || !strings.HasPrefix(line, root) || !strings.Contains(line, "; next step: ") {
					t.Errorf("%q is not one line with the file and the next step", line)
				}
			}
		})
	}
}

// TestVerifyJudgesAgain forges whole runs, each with the report that follows from it: what the run saw says otherwise.
func TestVerifyJudgesAgain(t *testing.T) {
	const trait = "signals/hup-respawns-workers"
	whole := recordedRun(t)
	root, report := publishRun(t, whole, false)
	at := slices.IndexFunc(whole.Results, func(result reports.Result) bool { return result.Trait == trait })
	for name, test := range map[string]struct {
		forge func(run *reports.Run)
		want  string
	}{
		"nothing forged":      {func(*reports.Run) {}, ""},
		"a false accusation":  {func(run *reports.Run) { run.Results[at].Verdict = reports.Nonconformant }, "is nonconformant, and what was seen amounts to conformant"},
		"a convenient excuse": {func(run *reports.Run) { run.Results[at].Verdict = reports.Unsupported }, "is unsupported, and what was seen amounts to conformant"},
		"looks taken out": {func(run *reports.Run) {
			run.Looks = slices.DeleteFunc(run.Looks, func(look reports.Look) bool { return look.By == trait })
		}, "is conformant, and what was seen amounts to inconclusive"},
		"no looks":              {func(run *reports.Run) { run.Looks = nil }, "kept no looks"},
		"a limit of no suite":   {func(run *reports.Run) { run.Limits = map[string]string{"hope": "1s"} }, "has evidence that cannot be judged"},
		"a defect that is fine": {func(run *reports.Run) { run.Results[at].Kind = reports.Defect }, "cannot be judged again"},
		"a target of its own":   {func(run *reports.Run) { run.Results[at].Target = "elsewhere" }, "has not one verdict on each target"},
		"a part of it":          {func(run *reports.Run) { run.Narrowed = []string{"--trait=signals/*"} }, "is about a part of the profile"},
		"an end too early":      {func(run *reports.Run) { run.SetupError = "interrupted" }, "and its traits amount to conformant"},
	} {
		t.Run(name, func(t *testing.T) {
			run := whole
			run.Results, run.Looks = slices.Clone(whole.Results), slices.Clone(whole.Looks)
			test.forge(&run)
			content, err := published.Render(run)
			if err != nil {
				t.Fatal(err)
			}
			evidence, err := reports.Encode(run)
			if err != nil {
				t.Fatal(err)
			}
			write(t, report, content)
			write(t, strings.TrimSuffix(report, ".yaml")+".run.json.gz", gzipped(t, evidence))
			_, problems, _, err := results.Verify(root, testSuite())
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "" && len(problems) > 0 || test.want != "" &&
				!slices.ContainsFunc(problems, func(problem results.Problem) bool { return strings.Contains(problem.What, test.want) }) {
				t.Errorf("problems are %v, want %q", problems, test.want)
			}
			folder := t.TempDir()
			if _, problems, err := results.Publish(folder, run, false, testSuite()); err != nil || (len(problems) == 0) != (test.want == "") {
				t.Errorf("publishing it has the problems %v, %v", problems, err)
			}
			if entries, err := os.ReadDir(folder); err != nil || test.want != "" && len(entries) > 0 {
				t.Errorf("although it cannot be published, %v is there, %v", entries, err)
			}
		})
	}
}

// TestResultsHold verifies what is published in this checkout.
func TestResultsHold(t *testing.T) {
	var output, problems bytes.Buffer
	if code := execute(context.Background(), []string{"verify", "../../results"}, &output, &problems); code != 0 {
		t.Errorf("exit code %d: %s%s\nwhere a check looks otherwise now: make results, or set Version in suites/version.go to the next one with -dev "+
			"behind it", code, &output, &problems)
	}
}

// TestRuntimesSayWhoseTheyAre holds what make results publishes to what can be published.
func TestRuntimesSayWhoseTheyAre(t *testing.T) {
	for _, name := range runtimes.Names() {
		if _, err := readImplementation("../../fixtures/runtimes/implementations/" + name + ".yaml"); err != nil {
			t.Error(err)
		}
	}
}

// FuzzReadImplementation reads files of any content: an error of one line, or what can be published.
func FuzzReadImplementation(f *testing.F) {
	f.Add("organization: a\nproject: b\nurl: https://c\ncontact: d@example.com\n")
	f.Add("a: &a [*a, *a]\n\x00")
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(t.TempDir(), "implementation.yaml")
		write(t, path, []byte(content))
		implementation, err := readImplementation(path)
		if err == nil && (implementation.Folder() == "-" || strings.ContainsAny(implementation.Folder()+implementation.File("1"), "/\\ ")) {
			t.Errorf("published as %q", implementation.Folder())
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %v", err)
		}
	})
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Ways to spoil a file of results.

func writing(file, content string) func(*testing.T, string) {
	return func(t *testing.T, root string) { write(t, filepath.Join(root, file), []byte(content)) }
}

func replacing(file, old, new string) func(*testing.T, string) {
	return changing(file, func(t *testing.T, content string) string {
		if !strings.Contains(content, old) {
			t.Fatalf("%s has no %q", file, old)
		}
		return strings.Replace(content, old, new, 1)
	})
}

func cutting(file string) func(*testing.T, string) {
	return changing(file, func(_ *testing.T, content string) string { return content[:len(content)/2] })
}

func changing(file string, change func(*testing.T, string) string) func(*testing.T, string) {
	return func(t *testing.T, root string) {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, file), []byte(change(t, string(content))))
	}
}

func removing(file string) func(*testing.T, string) {
	return func(t *testing.T, root string) {
		if err := os.Remove(filepath.Join(root, file)); err != nil {
			t.Fatal(err)
		}
	}
}

func moving(from, to string) func(*testing.T, string) {
	return func(t *testing.T, root string) {
		if err := os.Rename(filepath.Join(root, from), filepath.Join(root, to)); err != nil {
			t.Fatal(err)
		}
	}
}
