package directory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sharedpid.example/reports"
)

// countingDisk counts how often the forms are replaced.
type countingDisk struct {
	realDisk
	mutex    sync.Mutex
	replaced int
}

func (disk *countingDisk) Exchange(a, b string) error {
	disk.mutex.Lock()
	defer disk.mutex.Unlock()
	disk.replaced++
	return disk.realDisk.Exchange(a, b)
}

func (disk *countingDisk) count() int {
	disk.mutex.Lock()
	defer disk.mutex.Unlock()
	return disk.replaced
}

// TestFormsAreRenderedOnceASecond adds a result every tenth of a second.
func TestFormsAreRenderedOnceASecond(t *testing.T) {
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		disk := &countingDisk{}
		recorder, err := open(disk, path, numbered("one"), realForms)
		if err != nil {
			t.Fatal(err)
		}
		recorder.rendered.Go(recorder.render)
		for i := range 50 {
			if err := recorder.Add(reports.Result{Trait: fmt.Sprint("a/", i), Target: "worker-1"}, nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		// Once by Open, once at the first result, and then once a second.
		if got := disk.count(); got < 6 || got > 8 {
			t.Errorf("the forms were replaced %d times in 5 seconds, want 7", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		before := disk.count()
		run, err := reports.Read(filepath.Join(path, runFile))
		if err != nil || len(run.Results) != 50 {
			t.Errorf("the forms hold %d results, %v; want all 50 without any more to do", len(run.Results), err)
		}
		time.Sleep(time.Minute)
		if got := disk.count(); got != before {
			t.Errorf("the forms were replaced %d times more while nothing happened", got-before)
		}
		if err := recorder.Close(numbered("one")); err != nil {
			t.Fatal(err)
		}
		if got := disk.count(); got != before+1 {
			t.Errorf("Close replaced the forms %d times, want once", got-before)
		}
	})
}

// slowDisk takes a minute for a file, but for those that Open and Close write.
type slowDisk struct {
	realDisk
	mutex sync.Mutex
	slow  bool
}

func (disk *slowDisk) WriteFile(path string, content []byte) error {
	disk.mutex.Lock()
	slow := disk.slow
	disk.mutex.Unlock()
	if slow {
		time.Sleep(time.Minute)
	}
	return disk.realDisk.WriteFile(path, content)
}

func (disk *slowDisk) be(slow bool) {
	disk.mutex.Lock()
	defer disk.mutex.Unlock()
	disk.slow = slow
}

// TestCloseHasTheLastWord closes the reports while the forms of a moment before are being written.
func TestCloseHasTheLastWord(t *testing.T) {
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		disk := &slowDisk{}
		recorder, err := open(disk, path, short("one"), plainForms)
		if err != nil {
			t.Fatal(err)
		}
		recorder.rendered.Go(recorder.render)
		disk.be(true)
		if err := recorder.Add(shortResults[0], nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the forms are being written
		// Meanwhile nobody who adds has to wait.
		start := time.Now()
		if err := recorder.Add(shortResults[1], nil); err != nil || time.Since(start) > 0 {
			t.Errorf("Add takes %v, %v; want no time", time.Since(start), err)
		}
		disk.be(false)
		if err := recorder.Close(short("one")); err != nil || time.Since(start) != time.Minute {
			t.Errorf("Close took %v, %v; want the minute that the forms before take", time.Since(start), err)
		}
		if run, err := Restore(path); err != nil || run.Running || len(run.Results) != 2 {
			t.Errorf("after Close running is %t, with %d results, %v; want false and 2", run.Running, len(run.Results), err)
		}
	})
}

// TestManyAddAtOnce has traits end side by side while the run as a whole is recorded, and reads what is there all the time.
func TestManyAddAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reports")
	recorder, err := Open(path, numbered("one"))
	if err != nil {
		t.Fatal(err)
	}
	const askers, each = 4, 8
	var group sync.WaitGroup
	for asker := range askers {
		group.Go(func() {
			for i := range each {
				looks := []reports.Look{{By: fmt.Sprint(asker)}, {By: fmt.Sprint(asker)}}
				if err := recorder.Add(reports.Result{Trait: fmt.Sprintf("a/%d-%d", asker, i), Target: "worker-1"}, looks); err != nil {
					t.Error(err)
				}
				recorder.Record(numbered("one"))
				if run, err := Restore(path); err != nil || !run.Running || len(run.Results) < i+1 {
					t.Errorf("restored are %d results, running %t, %v; want at least %d, true", len(run.Results), run.Running, err, i+1)
				}
			}
		})
	}
	group.Wait()
	last := numbered("one")
	last.SetupError = "interrupted"
	if err := recorder.Close(last); err != nil {
		t.Fatal(err)
	}
	run, err := Restore(path)
	if err != nil || len(run.Results) != askers*each || len(run.Looks) != 2*askers*each || run.Running || run.SetupError != "interrupted" {
		t.Errorf("%d results, %d looks, running %t, %q, %v", len(run.Results), len(run.Looks), run.Running, run.SetupError, err)
	}
	if err := recorder.Add(reports.Result{}, nil); err == nil {
		t.Error("a result is taken after Close")
	}
	if err := recorder.Close(last); err == nil {
		t.Error("the reports are closed twice")
	}
}

func TestRecordReplacesTheRunButItsResults(t *testing.T) {
	path := t.TempDir()
	recorder, err := open(realDisk{}, path, reports.Run{ID: "one"}, realForms)
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Add(resultsOf()[0], nil); err != nil {
		t.Fatal(err)
	}
	run := numbered("another id")
	run.Results = resultsOf()[1:3]
	recorder.Record(run)
	restored, err := Restore(path)
	if err != nil || restored.ID != "one" || len(restored.Plan) != len(run.Plan) || len(restored.Results) != 1 || !restored.Running {
		t.Errorf("restored is %s with %d planned, %d results, running %t, %v; want one, %d, 1, true",
			restored.ID, len(restored.Plan), len(restored.Results), restored.Running, err, len(run.Plan))
	}
	if err := recorder.Close(run); err != nil {
		t.Fatal(err)
	}
}

func TestTwoRunsDoNotShareADirectory(t *testing.T) {
	path := t.TempDir()
	recorder, err := Open(path, numbered("one"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, numbered("two")); err == nil || !strings.Contains(err.Error(), "another run is writing its reports there") {
		t.Errorf("%v, want that another run writes there", err)
	}
	if err := recorder.Close(numbered("one")); err != nil {
		t.Fatal(err)
	}
	if run, err := Restore(path); err != nil || run.ID != "one" {
		t.Errorf("the reports are of run %s, %v; want one", run.ID, err)
	}
}

// BenchmarkRender is what the goroutine does about once a second.
func BenchmarkRender(b *testing.B) {
	path := b.TempDir()
	recorder, err := open(realDisk{}, path, numbered("one"), realForms)
	if err != nil {
		b.Fatal(err)
	}
	for i := range 60 {
		result := resultsOf()[i%9]
		result.Trait += fmt.Sprint(i)
		if err := recorder.Add(result, nil); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		recorder.renderNow()
	}
	if _, err := os.Stat(filepath.Join(path, runFile)); err != nil {
		b.Fatal(err)
	}
}

// TestARunThatIsKilledInItsCleanUpHasEnded: it was recorded as ended before, in the journal and in the forms.
func TestARunThatIsKilledInItsCleanUpHasEnded(t *testing.T) {
	path := t.TempDir()
	disk := &dyingDisk{last: 1 << 30, exchanges: true}
	recorder, err := open(disk, path, numbered("one"), realForms)
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Add(resultsOf()[0], nil); err != nil {
		t.Fatal(err)
	}
	ended := numbered("one")
	ended.Running = false
	recorder.Record(ended)
	for _, rendered := range []bool{false, true} {
		if rendered {
			recorder.renderNow()
			if says := readForms(t, path); says[runFile].running || len(disagreeing(says)) > 0 {
				t.Errorf("the forms say %+v, want each that the run has ended", says)
			}
		}
		if run, err := Restore(path); err != nil || run.Running || len(run.Results) != 1 {
			t.Errorf("rendered %t: restored are %d results, running %t, %v; want 1, false", rendered, len(run.Results), run.Running, err)
		}
	}
	disk.bury()
}

// TestRestoreTakesADirectoryOrTheJSONForm, whatever that is called, with the journal that lies beside it.
func TestRestoreTakesADirectoryOrTheJSONForm(t *testing.T) {
	path := t.TempDir()
	disk := &dyingDisk{last: 1 << 30, exchanges: true}
	recorder, err := open(disk, path, numbered("one"), realForms)
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Add(resultsOf()[0], nil); err != nil {
		t.Fatal(err)
	}
	disk.bury()
	renamed := filepath.Join(path, "before.json")
	if err := os.Link(filepath.Join(path, runFile), renamed); err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{path, filepath.Join(path, runFile), renamed} {
		if run, err := Restore(given); err != nil || len(run.Results) != 1 {
			t.Errorf("%s: restored are %d results, %v; want the one of the journal", given, len(run.Results), err)
		}
	}
}

// TestFurtherFilesAreReplacedWithTheForms, and those of the run before do not outlive the beginning of the next one, in the
// directory beside and in place.
func TestFurtherFilesAreReplacedWithTheForms(t *testing.T) {
	for name, prepare := range map[string]func(path string) error{
		"exchanged": func(string) error { return nil },
		"in place":  func(path string) error { return os.WriteFile(filepath.Join(path, "build.log"), nil, 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "reports")
			if err := errors.Join(os.Mkdir(path, 0o755), prepare(path)); err != nil {
				t.Fatal(err)
			}
			further := filepath.Join(path, "faults.md")
			disk := &countingDisk{}
			for range 2 {
				recorder, err := open(disk, path, numbered("one"), realForms, "faults.md", "faults.json")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(further); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the file of the run before: %v, want that it is gone", err)
				}
				if err := recorder.CloseWith(numbered("one"), map[string][]byte{"other": nil}); err == nil {
					t.Error("a file of another name is taken")
				}
				if err := recorder.CloseWith(numbered("one"), map[string][]byte{"faults.md": []byte("table")}); err != nil {
					t.Fatal(err)
				}
				if content, err := os.ReadFile(further); err != nil || string(content) != "table" {
					t.Errorf("the file holds %q, %v", content, err)
				}
			}
			if exchanged := disk.count() == 4; exchanged != (name == "exchanged") {
				t.Errorf("the directory was exchanged %d times", disk.count())
			}
		})
	}
}
