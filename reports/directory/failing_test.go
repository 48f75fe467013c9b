package directory

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/sample"
)

// dyingDisk is the disk of a process that is killed at its step number last: that step is done by half, and none after it.
type dyingDisk struct {
	realDisk
	steps, last int
	journals    []*os.File
	exchanges   bool // whether the file system can exchange directories
	// readOnlyParent says that nothing can be made beside the directory.
	readOnlyParent bool
}

var errKilled = errors.New("killed")

// step returns how much of the next step is done: all of it, half of it, or nothing.
func (disk *dyingDisk) step() (half bool, err error) {
	disk.steps++
	switch {
	case disk.steps < disk.last:
		return false, nil
	case disk.steps == disk.last:
		return true, errKilled
	default:
		return false, errKilled
	}
}

func (disk *dyingDisk) do(step func() error) error {
	if _, err := disk.step(); err != nil {
		return err
	}
	return step()
}

func (disk *dyingDisk) Mkdir(path string, like os.FileInfo) error {
	if disk.readOnlyParent {
		return syscall.EACCES
	}
	half, err := disk.step()
	if err == nil {
		return disk.realDisk.Mkdir(path, like)
	}
	if half {
		os.Mkdir(path, 0o700)
	}
	return err
}

func (disk *dyingDisk) WriteFile(path string, content []byte) error {
	half, err := disk.step()
	if err == nil {
		return disk.realDisk.WriteFile(path, content)
	}
	if half {
		disk.realDisk.WriteFile(path, content[:len(content)/2])
	}
	return err
}

func (disk *dyingDisk) Create(path string) (*os.File, error) {
	if _, err := disk.step(); err != nil {
		return nil, err
	}
	file, err := disk.realDisk.Create(path)
	disk.journals = append(disk.journals, file)
	return file, err
}

func (disk *dyingDisk) Append(file *os.File, content []byte) error {
	half, err := disk.step()
	if err == nil {
		return disk.realDisk.Append(file, content)
	}
	if half {
		disk.realDisk.Append(file, content[:len(content)/2])
	}
	return err
}

func (disk *dyingDisk) Truncate(file *os.File, size int64) error {
	return disk.do(func() error { return disk.realDisk.Truncate(file, size) })
}

func (disk *dyingDisk) Link(old, new string) error {
	return disk.do(func() error { return disk.realDisk.Link(old, new) })
}

func (disk *dyingDisk) Rename(old, new string) error {
	return disk.do(func() error { return disk.realDisk.Rename(old, new) })
}

func (disk *dyingDisk) Exchange(a, b string) error {
	return disk.do(func() error {
		if !disk.exchanges {
			return syscall.EINVAL
		}
		return disk.realDisk.Exchange(a, b)
	})
}

func (disk *dyingDisk) Remove(path string) error {
	return disk.do(func() error { return disk.realDisk.Remove(path) })
}

// bury releases what the process held when it was killed.
func (disk *dyingDisk) bury() {
	for _, journal := range disk.journals {
		journal.Close()
	}
}

// oldResult is a result of the run before, which must not be taken for one of the run that follows.
func oldResult() reports.Result {
	return reports.Result{Trait: "old/result", Target: "worker-1", Verdict: reports.Conformant}
}

// leaveOldReports leaves the reports of a run that has ended, or of one that was killed.
func leaveOldReports(t *testing.T, path string, forms []form, killed bool) {
	t.Helper()
	disk := &dyingDisk{last: 1 << 30, exchanges: true}
	recorder, err := open(disk, path, numbered("old"), forms)
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Add(oldResult(), nil); err != nil {
		t.Fatal(err)
	}
	recorder.renderNow()
	if killed {
		disk.bury()
	} else if err := recorder.Close(numbered("old")); err != nil {
		t.Fatal(err)
	}
}

// plainForms stand for the real ones where it is not the question what is in them: each is the JSON form.
var plainForms = func() []form {
	plain := slices.Clone(realForms)
	for i := range plain {
		plain[i].render = reports.Encode
	}
	return plain
}()

func readPlainForms(t *testing.T, directory string) map[string]shown {
	t.Helper()
	all := map[string]shown{}
	for _, form := range plainForms {
		run, err := reports.Read(filepath.Join(directory, form.file))
		if err != nil {
			t.Fatal(err)
		}
		all[form.file] = shown{run.ID, run.Running, len(run.NotRun())}
	}
	return all
}

// shortResults are those of short runs.
var shortResults = []reports.Result{
	{Trait: "a/0", Target: "node", Verdict: reports.Conformant}, {Trait: "a/1", Target: "node", Verdict: reports.Conformant},
	{Trait: "a/2", Target: "node", Verdict: reports.Conformant}, {Trait: "a/3", Target: "node", Verdict: reports.Conformant},
}

// short is a run of its own that planned its results and one more.
func short(id string) reports.Run {
	run := reports.Run{ID: id, Running: true, Plan: []reports.Planned{{Trait: "a/missing", Target: "node"}}}
	for _, result := range shortResults {
		run.Plan = append(run.Plan, result.Planned())
	}
	return run
}

// TestKilledAtEachStep kills the process at each of its steps on the disk, one after the other, and looks at what it leaves.
func TestKilledAtEachStep(t *testing.T) {
	looks := []reports.Look{{Target: "worker-1", By: "a/b", Question: "exec", Answer: []byte(`{"output":"x"}`)}}
	for name, way := range map[string]struct{ exchanges, readOnlyParent, killedBefore bool }{
		"exchanged":                                  {true, false, false},
		"exchanged after a killed run":               {true, false, true},
		"in place, since nothing can be exchanged":   {false, false, false},
		"in place after a killed run, parent closed": {false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := 0
			for last := 1; whole == 0; last++ {
				path := filepath.Join(t.TempDir(), "reports")
				if err := os.Mkdir(path, 0o755); err != nil {
					t.Fatal(err)
				}
				leaveOldReports(t, path, plainForms, way.killedBefore)
				disk := &dyingDisk{last: last, exchanges: way.exchanges, readOnlyParent: way.readOnlyParent}
				opened, closed, added := false, false, 0
				recorder, err := open(disk, path, short("new"), plainForms)
				if opened = err == nil; opened {
					for i, result := range shortResults {
						if recorder.Add(result, looks) == nil {
							added++
						}
						if i == 1 {
							recorder.renderNow()
						}
					}
					closed = recorder.Close(short("new")) == nil
				}
				disk.bury()
				if disk.steps < last {
					whole = last
				}
				checkLeft(t, path, last, way.exchanges, opened, closed, added)
				// The next run is not kept from its work.
				next, err := open(realDisk{}, path, short("next"), plainForms)
				if err != nil {
					t.Fatalf("killed at step %d: the next run: %v", last, err)
				}
				if err := next.Close(short("next")); err != nil {
					t.Fatalf("killed at step %d: the next run: %v", last, err)
				}
				if got := names(t, path); len(got) != 5 {
					t.Errorf("killed at step %d: the next run leaves %q", last, got)
				}
				if got := names(t, filepath.Dir(path)); len(got) != 1 {
					t.Errorf("killed at step %d: the next run leaves %q beside its directory", last, got)
				}
			}
			if whole < 30 {
				t.Errorf("the whole took %d steps, want more: what was tried?", whole)
			}
		})
	}
}

func checkLeft(t *testing.T, path string, last int, exchanges, opened, closed bool, added int) {
	t.Helper()
	all := readPlainForms(t, path)
	if exchanges && len(disagreeing(all)) > 0 {
		t.Errorf("killed at step %d: the forms say %+v, want the same of each", last, all)
	}
	for form, says := range all {
		if opened && says.run != "new" {
			t.Errorf("killed at step %d: %s still tells of run %s", last, form, says.run)
		}
		if opened && !closed && exchanges && !says.running && says.notRun > 2 {
			t.Errorf("killed at step %d: %s says that the run has ended", last, form)
		}
	}
	run, err := Restore(path)
	if err != nil {
		t.Errorf("killed at step %d: %v", last, err)
		return
	}
	if run.ID == "new" && (len(run.Results) < added || len(run.Looks) < added) {
		t.Errorf("killed at step %d: restored are %d results and %d looks, want at least %d", last, len(run.Results), len(run.Looks), added)
	}
	traits := map[string]bool{}
	for _, result := range run.Results {
		if traits[result.Trait] {
			t.Errorf("killed at step %d: %s is restored twice", last, result.Trait)
		}
		traits[result.Trait] = true
	}
	has := slices.ContainsFunc(run.Results, func(result reports.Result) bool { return result.Trait == oldResult().Trait })
	if has != (run.ID == "old") {
		t.Errorf("killed at step %d: a result of the run before was restored for this one", last)
	}
	if opened && !closed && run.Running && run.ExitCode() == 0 {
		t.Errorf("killed at step %d: the run passes", last)
	}
}

// fullDisk takes so many bytes and no more.
type fullDisk struct {
	realDisk
	room   int
	refuse func(operation string) error // nil when nothing is refused
}

func (disk *fullDisk) take(content []byte) (int, error) {
	if len(content) > disk.room {
		taken := disk.room
		disk.room = 0
		return taken, syscall.ENOSPC
	}
	disk.room -= len(content)
	return len(content), nil
}

func (disk *fullDisk) WriteFile(path string, content []byte) error {
	taken, full := disk.take(content)
	if err := disk.realDisk.WriteFile(path, content[:taken]); err != nil {
		return err
	}
	return full
}

func (disk *fullDisk) Append(file *os.File, content []byte) error {
	taken, full := disk.take(content)
	if err := disk.realDisk.Append(file, content[:taken]); err != nil {
		return err
	}
	return full
}

func (disk *fullDisk) refused(operation string) error {
	if disk.refuse == nil {
		return nil
	}
	return disk.refuse(operation)
}

func (disk *fullDisk) Mkdir(path string, like os.FileInfo) error {
	if err := disk.refused("mkdir"); err != nil {
		return err
	}
	return disk.realDisk.Mkdir(path, like)
}

func (disk *fullDisk) Link(old, new string) error {
	if err := disk.refused("link"); err != nil {
		return err
	}
	return disk.realDisk.Link(old, new)
}

func (disk *fullDisk) Exchange(a, b string) error {
	if err := disk.refused("exchange"); err != nil {
		return err
	}
	return disk.realDisk.Exchange(a, b)
}

func (disk *fullDisk) Truncate(file *os.File, size int64) error {
	if err := disk.refused("truncate"); err != nil {
		return err
	}
	return disk.realDisk.Truncate(file, size)
}

// TestWritesThatFail fills the disk at every byte that matters, in the directory beside and in place, while another run is recorded.
func TestWritesThatFail(t *testing.T) {
	const plenty = 1 << 30
	measure := &fullDisk{room: plenty}
	recorder, err := open(measure, t.TempDir(), numbered("new"), plainForms)
	if err != nil {
		t.Fatal(err)
	}
	opening := plenty - measure.room
	if err := recorder.Close(numbered("new")); err != nil {
		t.Fatal(err)
	}
	for _, refused := range []string{"", "mkdir", "link", "exchange"} {
		for part := range 20 {
			path := filepath.Join(t.TempDir(), "reports")
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
			leaveOldReports(t, path, plainForms, false)
			before := contents(t, path)
			disk := &fullDisk{room: opening * part / 20, refuse: func(operation string) error {
				if operation == refused {
					return syscall.EACCES
				}
				return nil
			}}
			_, err := open(disk, path, numbered("new"), plainForms)
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("%d of %d bytes: %v, want %v", disk.room, opening, err, syscall.ENOSPC)
			}
			if after := contents(t, path); !slices.Equal(after, before) {
				t.Errorf("%s refused, full after %d of %d bytes: the old reports are no longer whole", refused, opening*part/20, opening)
			}
			if got := names(t, filepath.Dir(path)); len(got) != 1 {
				t.Errorf("%q are left beside the directory", got)
			}
		}
	}
}

// contents are names and contents of the files in a directory.
func contents(t *testing.T, path string) []string {
	t.Helper()
	var all []string
	for _, name := range names(t, path) {
		content, err := os.ReadFile(filepath.Join(path, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, name, string(content))
	}
	return all
}

// TestWhatCouldNotBeWrittenIsWrittenLater fills the disk in the middle of a line of the journal and makes room again.
func TestWhatCouldNotBeWrittenIsWrittenLater(t *testing.T) {
	for _, truncates := range []bool{true, false} {
		path := t.TempDir()
		disk := &fullDisk{room: 1 << 30}
		recorder, err := open(disk, path, numbered("one"), realForms)
		if err != nil {
			t.Fatal(err)
		}
		results := resultsOf()
		if err := recorder.Add(results[0], nil); err != nil {
			t.Fatal(err)
		}
		disk.room = 100
		disk.refuse = func(operation string) error {
			if operation == "truncate" && !truncates {
				return syscall.EIO
			}
			return nil
		}
		err = recorder.Add(results[1], nil)
		if !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), path) {
			t.Errorf("%v, want one line with %v and the path", err, syscall.ENOSPC)
		}
		if run, err := Restore(path); err != nil || len(run.Results) != 1 {
			t.Errorf("restored are %d results, %v; want 1", len(run.Results), err)
		}
		recorder.Record(numbered("one")) // nobody is told of its failure yet
		recorder.renderNow()             // nor of this one
		disk.room, disk.refuse = 1<<30, nil
		want := syscall.ENOSPC
		if !truncates {
			want = syscall.EIO
		}
		if err := recorder.Add(results[2], nil); !errors.Is(err, want) {
			t.Errorf("%v, want the failure before: %v", err, want)
		}
		if err := recorder.Add(results[3], nil); err != nil {
			t.Error(err)
		}
		if run, err := Restore(path); err != nil || len(run.Results) != 4 {
			t.Errorf("restored are %d results, %v; want 4", len(run.Results), err)
		}
		disk.room = 100
		recorder.renderNow()
		if err := recorder.Close(numbered("one")); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%v, want %v", err, syscall.ENOSPC)
		}
		if run, err := Restore(path); err != nil || len(run.Results) != 4 || !run.Running {
			t.Errorf("restored after the last forms could not be written are %d results, running %t, %v; want 4, true",
				len(run.Results), run.Running, err)
		}
	}
}

func TestADirectoryInPlaceOfAFileLeavesTheOldReports(t *testing.T) {
	path := t.TempDir()
	leaveOldReports(t, path, plainForms, false)
	if err := errors.Join(os.Remove(filepath.Join(path, yamlFile)), os.Mkdir(filepath.Join(path, yamlFile), 0o755)); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(path, runFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, numbered("new")); err == nil || !strings.Contains(err.Error(), "is a directory") ||
		strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want one line that says what is in the way", err)
	}
	after, err := os.ReadFile(filepath.Join(path, runFile))
	if err != nil || string(after) != string(before) {
		t.Errorf("%s is another one, %v", runFile, err)
	}
	if got := names(t, path); len(got) != 5 {
		t.Errorf("the directory holds %q", got)
	}
}

func TestRestoreRefusesADamagedJournal(t *testing.T) {
	path := t.TempDir()
	leaveOldReports(t, path, plainForms, true)
	journal := filepath.Join(path, journalFile)
	content, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journal, append([]byte("{damaged\n"), content...), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Restore(path)
	if input := (*reports.InputError)(nil); !errors.As(err, &input) || !strings.Contains(err.Error(), "line 1") ||
		strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want an InputError of one line that names the first", err)
	}
	_, err = Restore(t.TempDir())
	if input := (*reports.InputError)(nil); !errors.As(err, &input) {
		t.Errorf("of nothing: %v, want an InputError", err)
	}
}

func TestWhatNoJSONHoldsIsRefused(t *testing.T) {
	path := t.TempDir()
	recorder, err := open(realDisk{}, path, numbered("one"), realForms)
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Add(resultsOf()[0], []reports.Look{{Answer: []byte("{")}}); err == nil {
		t.Error("an answer that is no JSON is taken")
	}
	if err := recorder.Close(sample.Of(reports.Conformant, "node")); err != nil {
		t.Error(err)
	}
}
