package directory

import (
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/html"
	"sigs.k8s.io/yaml"

	"sharedpid.example/reports"
	"sharedpid.example/reports/findings"
	"sharedpid.example/reports/internal/sample"
	"sharedpid.example/reports/junit"
	"sharedpid.example/reports/published"
	"sharedpid.example/reports/terminal"
)

// realForms are the forms that a report directory has.
var realForms = forms(junit.Options{})

// shown is what one form of the reports says of a run.
type shown struct {
	run     string // id
	running bool
	notRun  int
}

// readForms reads every form in a directory with a reader of its own and returns what each one says.
func readForms(t *testing.T, directory string) map[string]shown {
	t.Helper()
	read := func(file string) string {
		content, err := os.ReadFile(filepath.Join(directory, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	run, err := reports.Read(filepath.Join(directory, runFile))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]shown{runFile: {run.ID, run.Running, len(run.NotRun())}}

	var suites struct {
		Suites []struct {
			Properties []struct {
				Name  string `xml:"name,attr"`
				Value string `xml:"value,attr"`
			} `xml:"properties>property"`
			Cases []struct {
				Error *struct {
					Message string `xml:"message,attr"`
				} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(read(junitFile)), &suites); err != nil {
		t.Fatal(err)
	}
	var says shown
	for _, suite := range suites.Suites {
		for _, property := range suite.Properties {
			if property.Name == "run" {
				says.run = property.Value
			}
		}
		for _, each := range suite.Cases {
			if each.Error != nil {
				says.running = says.running || strings.Contains(each.Error.Message, "the run is under way")
				if strings.HasPrefix(each.Error.Message, "inconclusive: not run:") {
					says.notRun++
				}
			}
		}
	}
	all[junitFile] = says

	var report published.Report
	if err := yaml.UnmarshalStrict([]byte(read(yamlFile)), &report); err != nil {
		t.Fatal(err)
	}
	all[yamlFile] = shown{report.Suite.Run, report.Running, report.Counts.NotRun}

	page := read(htmlFile)
	root, err := html.Parse(strings.NewReader(page))
	if err != nil || !strings.HasSuffix(page, "</html>\n") {
		t.Fatalf("%s has no end, %v", htmlFile, err)
	}
	says = shown{}
	for node := range root.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		for _, attribute := range node.Attr {
			if attribute.Key == "class" && strings.HasPrefix(attribute.Val, "result not-run ") {
				says.notRun++
			}
			says.running = says.running || attribute.Key == "class" && attribute.Val == "mark" && node.FirstChild.Data == "under way"
		}
		if node.Data == "dd" {
			if _, id, found := strings.Cut(node.FirstChild.Data, ", run "); found {
				says.run = id
			}
		}
	}
	all[htmlFile] = says

	summary := read(markdownFile)
	_, id, _ := strings.Cut(summary, ", run ")
	id, _, _ = strings.Cut(id, "\n")
	all[markdownFile] = shown{id, strings.Contains(summary, "(under way"), strings.Count(summary, "| ⏳ not run |")}
	return all
}

// disagreeing are the forms that do not say the same as the JSON form.
func disagreeing(all map[string]shown) []string {
	var forms []string
	for form, says := range all {
		if says != all[runFile] {
			forms = append(forms, form)
		}
	}
	slices.Sort(forms)
	return forms
}

// names are the entries of a folder.
func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// numbered is a run of its own with planned traits and no result.
func numbered(id string) reports.Run {
	run := sample.Rich(1)
	run.ID, run.Results, run.Running = id, nil, true
	return run
}

// resultsOf are the results of the runs that numbered makes, without what takes long to show.
func resultsOf() []reports.Result {
	results := sample.Rich(1).Results
	for i := range results {
		results[i].Evidence, results[i].Control = nil, nil
	}
	return results
}

func TestReportsAreCompleteAfterEachTrait(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "new", "reports")
	recorder, err := open(realDisk{}, mustCheck(t, path), numbered("one"), realForms)
	if err != nil {
		t.Fatal(err)
	}
	total := len(numbered("one").Plan)
	check := func(want shown) {
		t.Helper()
		all := readForms(t, path)
		if all[runFile] != want || len(disagreeing(all)) > 0 {
			t.Errorf("the forms say %+v, want %+v of each", all, want)
		}
	}
	check(shown{"one", true, total})
	for i, result := range resultsOf() {
		if err := recorder.Add(result, nil); err != nil {
			t.Fatal(err)
		}
		recorder.renderNow()
		check(shown{"one", true, total - i - 1})
	}
	if err := recorder.Close(numbered("one")); err != nil {
		t.Fatal(err)
	}
	check(shown{"one", false, total - len(resultsOf())})
	if got, want := names(t, path), []string{junitFile, htmlFile, yamlFile, runFile, markdownFile}; !slices.Equal(got, want) {
		t.Errorf("the directory holds %q, want %q", got, want)
	}
	if got := names(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("%q stand beside the directory, want nothing", got)
	}
}

func mustCheck(t *testing.T, path string) string {
	t.Helper()
	if err := Check(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEveryFormTellsWhatARunIs looks for what a reader must not overlook, in each form and in those that stand in no directory.
func TestEveryFormTellsWhatARunIs(t *testing.T) {
	run := sample.Partial().Complete()
	texts := map[string]string{}
	for _, form := range append(slices.Clip(realForms), form{"findings", findings.Render}) {
		content, err := form.render(run)
		if err != nil {
			t.Fatal(err)
		}
		texts[form.file] = string(content)
	}
	var table strings.Builder
	if err := terminal.Render(&table, run, false); err != nil {
		t.Fatal(err)
	}
	texts["terminal"] = table.String()
	texts[runFile] += "partial" // its reader works that out: Run.Partial
	for form, text := range texts {
		text = strings.ReplaceAll(text, `\`, "") // of Markdown
		for _, want := range []string{
			"the run is under way", "inconclusive", "partial", "--trait=signals/*", "node-8", "lost midway", "node-9", "settling", "2m0s",
			"out of time", "defect",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", form, want, text)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", file, filepath.Join(file, "below")} {
		err := Check(path)
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), path) {
			t.Errorf("Check(%q) = %v, want one line that names it", path, err)
		}
		if _, err := Open(path, numbered("one")); err == nil {
			t.Errorf("Open(%q) gives no error", path)
		}
	}
	directory := t.TempDir()
	if err := Check(directory); err != nil || len(names(t, directory)) > 0 {
		t.Errorf("%v, and the directory holds %q; want nothing", err, names(t, directory))
	}
}

// TestForeignFilesStay puts files of others into a report directory, and one there while the reports are replaced.
func TestForeignFilesStay(t *testing.T) {
	path := t.TempDir()
	foreign := filepath.Join(path, "build.log")
	if err := os.WriteFile(foreign, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := inode(t, foreign)
	recorder, err := open(realDisk{}, path, numbered("one"), realForms)
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Add(resultsOf()[0], nil); err != nil {
		t.Fatal(err)
	}
	recorder.renderNow()
	if err := recorder.Close(numbered("one")); err != nil {
		t.Fatal(err)
	}
	if after := inode(t, foreign); after != before {
		t.Error("the foreign file is another one now")
	}
	if got, want := names(t, path), []string{"build.log", junitFile, htmlFile, yamlFile, runFile, markdownFile}; !slices.Equal(got, want) {
		t.Errorf("the directory holds %q, want %q", got, want)
	}
	if all := readForms(t, path); all[runFile] != (shown{"one", false, len(numbered("one").Plan) - 1}) || len(disagreeing(all)) > 0 {
		t.Errorf("the forms say %+v", all)
	}
}

// intruder puts a file into the directory at the last moment before it is exchanged.
type intruder struct {
	realDisk
	path string
	once bool
}

func (disk *intruder) Exchange(a, b string) error {
	if !disk.once {
		disk.once = true
		if err := os.WriteFile(disk.path, []byte("theirs"), 0o600); err != nil {
			return err
		}
	}
	return disk.realDisk.Exchange(a, b)
}

func TestAFileThatComesDuringTheExchangeStays(t *testing.T) {
	path := t.TempDir()
	foreign := filepath.Join(path, "build.log")
	recorder, err := open(&intruder{path: foreign}, path, numbered("one"), realForms)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(foreign); err != nil || string(content) != "theirs" {
		t.Errorf("the foreign file holds %q, %v", content, err)
	}
	if all := readForms(t, path); !all[runFile].running || len(disagreeing(all)) > 0 {
		t.Errorf("the forms say %+v, want each that the run is under way", all)
	}
	if err := recorder.Close(numbered("one")); err != nil {
		t.Fatal(err)
	}
	if got := names(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("%q stand beside the directory, want nothing", got)
	}
}

// TestTheDirectoryKeepsItsModeAndItsLink replaces a directory that only its group may read, through a symbolic link.
func TestTheDirectoryKeepsItsModeAndItsLink(t *testing.T) {
	parent := t.TempDir()
	path, link := filepath.Join(parent, "reports"), filepath.Join(parent, "link")
	if err := errors.Join(os.Mkdir(path, 0o750), os.Chmod(path, os.ModeSetgid|0o750), os.Symlink("reports", link)); err != nil {
		t.Fatal(err)
	}
	disk := &countingDisk{}
	recorder, err := open(disk, link, numbered("one"), realForms)
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Close(numbered("one")); err != nil {
		t.Fatal(err)
	}
	status, err := os.Stat(path)
	if err != nil || status.Mode() != os.ModeDir|os.ModeSetgid|0o750 {
		t.Errorf("the mode is %v, %v", status.Mode(), err)
	}
	if to, err := os.Readlink(link); err != nil || to != "reports" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if disk.count() != 2 {
		t.Errorf("the directory was exchanged %d times, want 2", disk.count())
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	status, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return status.Sys().(*syscall.Stat_t).Ino
}

// TestWhereNothingCanBeExchanged takes directories that have to stay what they are.
func TestWhereNothingCanBeExchanged(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, path string){
		"a mount point": func(t *testing.T, path string) {
			if err := syscall.Mount("reports", path, "tmpfs", 0, ""); err != nil {
				t.Skip("nothing can be mounted: ", err)
			}
			t.Cleanup(func() { syscall.Unmount(path, syscall.MNT_DETACH) })
		},
		"the working directory": func(t *testing.T, path string) { t.Chdir(path) },
		"a read-only parent": func(t *testing.T, path string) {
			if os.Geteuid() == 0 {
				t.Skip("root may write everywhere; TestWritesThatFail refuses to make a directory instead")
			}
			if err := os.Chmod(filepath.Dir(path), 0o555); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(filepath.Dir(path), 0o755) })
		},
		"reports of a name that others took": func(t *testing.T, path string) {
			other := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".sharedpid-new")
			if err := errors.Join(os.Mkdir(other, 0o755), os.WriteFile(filepath.Join(other, "theirs"), nil, 0o644)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if _, err := os.Stat(filepath.Join(other, "theirs")); err != nil {
					t.Error(err)
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "reports")
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
			prepare(t, path)
			before := inode(t, path)
			for _, id := range []string{"one", "two"} {
				recorder, err := open(realDisk{}, path, numbered(id), realForms)
				if err != nil {
					t.Fatal(err)
				}
				if all := readForms(t, path); all[runFile].run != id || !all[runFile].running || len(disagreeing(all)) > 0 {
					t.Errorf("the forms say %+v, want each that run %s is under way", all, id)
				}
				if err := recorder.Add(resultsOf()[0], nil); err != nil {
					t.Fatal(err)
				}
				if run, err := Restore(path); err != nil || len(run.Results) != 1 {
					t.Errorf("restored are %d results, %v; want 1", len(run.Results), err)
				}
				if err := recorder.Close(numbered(id)); err != nil {
					t.Fatal(err)
				}
			}
			if inode(t, path) != before {
				t.Error("the directory is another one now")
			}
			if got := len(names(t, path)); got != 5 {
				t.Errorf("the directory holds %q, want the forms alone", names(t, path))
			}
		})
	}
}
