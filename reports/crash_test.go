package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"sigs.k8s.io/yaml"
)

// checkWhole reads every report in the directory back and finds each planned trait in each of them, the same ones as not run if they
// are to agree. It returns how many results the run has.
func checkWhole(t *testing.T, directory string, agree bool) int {
	t.Helper()
	read := func(file string) []byte {
		content, err := os.ReadFile(filepath.Join(directory, file))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	run, err := Read(filepath.Join(directory, runFile))
	if err != nil {
		t.Fatal(err)
	}
	var document junitSuites
	if err := xml.Unmarshal(read(junitFile), &document); err != nil {
		t.Error(err)
	}
	cases := map[string]junitCase{}
	for _, suite := range document.Suites {
		for _, each := range suite.Cases {
			cases[each.Name] = each
		}
	}
	schema := reportSchema(t)
	checkSchema(t, schema, read(conformanceFile))
	var published ConformanceReport
	if err := yaml.UnmarshalStrict(read(conformanceFile), &published); err != nil {
		t.Error(err)
	}
	verdicts := map[Planned]Verdict{}
	for _, trait := range published.Traits {
		for _, verdict := range trait.Verdicts {
			verdicts[Planned{trait.Trait, verdict.Subject}] = verdict.Verdict
		}
	}
	page := string(read(htmlFile))
	if _, err := html.Parse(strings.NewReader(page)); err != nil || !strings.HasSuffix(page, "</html>\n") {
		t.Errorf("%s has no end, %v", htmlFile, err)
	}
	summary := string(read(markdownFile))
	missing := map[Planned]bool{}
	for _, planned := range run.NotRun() {
		missing[planned] = true
	}
	for _, planned := range run.Plan {
		each, found := cases[goTestName(goTest+"/"+planned.Trait+"/"+planned.Subject)]
		if !found || agree && missing[planned] != (each.Error != nil && strings.Contains(each.Error.Message, "not run")) {
			t.Errorf("%s on %s: not run is %t, and the case is %+v", planned.Trait, planned.Subject, missing[planned], each.Error)
		}
		if verdict := verdicts[planned]; verdict == "" || agree && missing[planned] != (verdict == NotRun) {
			t.Errorf("%s on %s: not run is %t, and the verdict published is %q", planned.Trait, planned.Subject, missing[planned], verdict)
		}
		id := fmt.Sprintf(`id="%s"`, elementID(Result{Trait: planned.Trait, Subject: planned.Subject}, map[string]int{}))
		if !strings.Contains(page, id) || !strings.Contains(summary, markdownText(planned.Trait)) {
			t.Errorf("%s on %s is missing from %s or %s", planned.Trait, planned.Subject, htmlFile, markdownFile)
		}
	}
	return len(run.Results)
}

func TestReportsAreCompleteAfterEachTrait(t *testing.T) {
	whole := richSample(2)
	directory := t.TempDir()
	for count := range len(whole.Results) + 1 {
		run := whole
		run.Results = whole.Results[:count]
		if err := Write(directory, run); err != nil {
			t.Fatal(err)
		}
		if got := checkWhole(t, directory, true); got != count {
			t.Errorf("the reports hold %d results, want %d", got, count)
		}
	}
}

// killedWriter names the directory that a copy of this test writes to until it is killed.
const killedWriter = "SHAREDPID_KILLED_WRITER"

func TestKilledWriterLeavesWholeReports(t *testing.T) {
	whole := richSample(2)
	if directory := os.Getenv(killedWriter); directory != "" {
		for count := 0; ; count++ {
			run := whole
			run.Results = whole.Results[:count%(len(whole.Results)+1)]
			if err := Write(directory, run); err != nil {
				t.Fatal(err)
			}
			fmt.Println(count)
		}
	}
	for i := range 8 {
		directory := t.TempDir()
		writer := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		writer.Env = append(os.Environ(), killedWriter+"="+directory)
		output, err := writer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		// The first line says that all reports are there; then it may end at any moment.
		if _, err := io.ReadFull(output, make([]byte, 2)); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Duration(i*7) * time.Millisecond)
		if err := writer.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		writer.Wait() // it was killed, which is no news
		// Between two files they may be one trait apart.
		checkWhole(t, directory, false)
	}
}
