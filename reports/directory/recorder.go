package directory

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"sharedpid.example/reports"
	"sharedpid.example/reports/junit"
)

// interval is how long the forms are left alone after they were rendered.
const interval = time.Second

// Recorder keeps a report directory while a run is under way. Everything that it is told is in the journal when the call
// returns; the forms follow within about a second, rendered by one goroutine and outside of the callers. Its methods
// may be called by many at once.
//
// While the run is under way its results and looks are those that Add was given; those of the runs that Open and Record take
// are not looked at. Close is given the run as it has ended, with all of them.
type Recorder struct {
	forms    []form
	further  []string // names of files that CloseWith may be given
	replacer *replacer
	changed  chan struct{} // has a value when the forms are behind
	closing  chan struct{} // is closed when the last forms are to be written
	rendered sync.WaitGroup

	mutex   sync.Mutex
	run     reports.Run // with its results and looks so far
	journal *journal
	failure error // that nobody was told of
	closed  bool
}

// Open begins to record a run in the directory at the path, which it makes where it does not exist. When it returns, all
// forms of that directory say that this run is under way, and none tells of a run before. Its error is one line
// that names the path; after one that leaves no Recorder the reports that were there are as they were, but where
// they can only be replaced one by one.
func Open(path string, run reports.Run) (*Recorder, error) {
	return OpenWith(path, run, junit.Options{})
}

// OpenWith is Open with options for the JUnit form, and with the names of further files that the directory is to hold, which
// CloseWith writes. Those of a run before are gone when it returns.
func OpenWith(path string, run reports.Run, options junit.Options, further ...string) (*Recorder, error) {
	run.Results, run.Looks = nil, nil
	return GoOn(path, run, options, further...)
}

// GoOn is OpenWith for a run that goes on with one that was killed: its results and looks are those that were decided then, and stand in
// the reports from the beginning.
func GoOn(path string, run reports.Run, options junit.Options, further ...string) (*Recorder, error) {
	if err := Check(path); err != nil {
		return nil, err
	}
	recorder, err := open(realDisk{}, path, run, forms(options), further...)
	if err != nil {
		return nil, fmt.Errorf("cannot write the reports to %s: %w", path, err)
	}
	recorder.rendered.Go(recorder.render)
	return recorder, nil
}

// open does all that Open does but begin to render.
func open(disk disk, path string, run reports.Run, forms []form, further ...string) (*Recorder, error) {
	recorder := &Recorder{forms: forms, further: further, changed: make(chan struct{}, 1), closing: make(chan struct{})}
	names := slices.Clone(further)
	for _, form := range recorder.forms {
		names = append(names, form.file)
	}
	var err error
	if recorder.replacer, err = newReplacer(disk, path, names); err != nil {
		return nil, err
	}
	// The journal that a killed run has left is locked by nobody.
	if before, err := os.Open(recorder.replacer.path(journalFile)); err == nil {
		defer before.Close()
		if err := lock(before); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	run.Running = true
	recorder.run = run
	first, err := recorder.whole()
	if err != nil {
		return nil, err
	}
	if recorder.journal, err = recorder.write(recorder.run, nil, startJournal, first); err != nil {
		return nil, err
	}
	return recorder, nil
}

// Record replaces what is known of the run as a whole: its targets, plan, cluster, phases, whether it is under way, and
// whatever else is no result and no look. A failure to write it is returned by the next Add or Close.
func (recorder *Recorder) Record(run reports.Run) {
	recorder.mutex.Lock()
	defer recorder.mutex.Unlock()
	if recorder.closed {
		return
	}
	before := recorder.run
	recorder.take(run)
	line, err := recorder.whole()
	if err != nil {
		recorder.run = before
		recorder.keep(err)
		return
	}
	recorder.keep(recorder.journal.append(line))
	recorder.behind()
}

// Add takes a result and the looks that it rests on. They are in the journal when it returns nil. After an error, which may
// also be one of an earlier Record or of the rendering, they are kept in memory, and written with what comes next.
// Only what no JSON can hold, such as a length of time that is no number, is refused.
func (recorder *Recorder) Add(result reports.Result, looks []reports.Look) error {
	recorder.mutex.Lock()
	defer recorder.mutex.Unlock()
	if recorder.closed {
		return errClosed
	}
	line, err := entry{Run: recorder.run.ID, Result: &result, Looks: looks}.line()
	if err != nil {
		return fmt.Errorf("cannot record the result of %s on %s: %w", result.Trait, result.Target, err)
	}
	recorder.run.Results = append(recorder.run.Results, result)
	recorder.run.Looks = append(recorder.run.Looks, looks...)
	recorder.keep(recorder.journal.append(line))
	recorder.behind()
	return recorder.told()
}

// Close writes the last forms, of the run as it has ended, and removes the journal. A run with fewer results than Add was
// given gets these. Close returns what went wrong since the last
// Add as well, even where the last forms are whole. When the last forms cannot be written, the journal stays.
func (recorder *Recorder) Close(run reports.Run) error { return recorder.CloseWith(run, nil) }

// CloseWith is Close with the contents of the further files, by the names that OpenWith was given. They are replaced together with
// the forms. Those without contents are not there. A name that OpenWith was not given is an error, and nothing is closed.
func (recorder *Recorder) CloseWith(run reports.Run, further map[string][]byte) error {
	for name := range further {
		if !slices.Contains(recorder.further, name) {
			return fmt.Errorf("%s is no file of the report directory: name it when the directory is opened", name)
		}
	}
	recorder.mutex.Lock()
	if recorder.closed {
		recorder.mutex.Unlock()
		return errClosed
	}
	recorder.closed = true
	recorder.mutex.Unlock()
	close(recorder.closing)
	recorder.rendered.Wait()
	recorder.run = recorder.ended(run)
	_, err := recorder.write(recorder.run, further, dropJournal, nil)
	recorder.keep(err)
	recorder.keep(recorder.journal.file.Close())
	return recorder.told()
}

// ended is the run as the last forms tell it: as it was given, unless it lacks results that Add was given.
func (recorder *Recorder) ended(run reports.Run) reports.Run {
	if len(run.Results) < len(recorder.run.Results) {
		run.Results, run.Looks = recorder.run.Results, recorder.run.Looks
	}
	run.ID, run.Running = recorder.run.ID, false
	return run
}

var errClosed = errors.New("the reports of this run are closed")

// take replaces the run but its results and looks, and its id, by which the lines of the journal are known. A run that says that it
// has ended has: it is told before the clean-up, in which it may be killed.
func (recorder *Recorder) take(run reports.Run) {
	run.ID = recorder.run.ID
	run.Results, run.Looks = recorder.run.Results, recorder.run.Looks
	recorder.run = run
}

// whole is the line of the journal about the run without its results and looks, which have lines of their own.
func (recorder *Recorder) whole() ([]byte, error) {
	run := recorder.run
	run.Results, run.Looks = nil, nil
	return entry{Run: run.ID, Whole: &run}.line()
}

// keep keeps the first failure until somebody can be told.
func (recorder *Recorder) keep(err error) {
	if recorder.failure == nil {
		recorder.failure = err
	}
}

// told returns the failure that nobody was told of, as one line.
func (recorder *Recorder) told() error {
	if recorder.failure == nil {
		return nil
	}
	err := fmt.Errorf("cannot write the reports to %s: %w", recorder.replacer.directory, recorder.failure)
	recorder.failure = nil
	return err
}

// behind says that the forms do not hold all that is known.
func (recorder *Recorder) behind() {
	select {
	case recorder.changed <- struct{}{}:
	default: // it was said already
	}
}

// render renders the forms whenever they are behind, and then leaves them alone for a while: so long that it takes no
// more than a fifth of a processor, however large the run is.
func (recorder *Recorder) render() {
	for {
		select {
		case <-recorder.changed:
		case <-recorder.closing:
			return
		}
		start := time.Now()
		recorder.renderNow()
		pause := time.NewTimer(max(interval, 4*time.Since(start)))
		select {
		case <-pause.C:
		case <-recorder.closing:
			pause.Stop()
			return
		}
	}
}

func (recorder *Recorder) renderNow() {
	recorder.mutex.Lock()
	run := recorder.run // its lists only grow behind the ends that are seen here
	recorder.mutex.Unlock()
	if !run.Start.IsZero() {
		run.Seconds = max(run.Seconds, time.Since(run.Start).Seconds())
	}
	_, err := recorder.write(run, nil, keepJournal, nil)
	recorder.mutex.Lock()
	defer recorder.mutex.Unlock()
	recorder.keep(err)
}

// write renders every form of the run before it replaces the first file. The JSON form stays the last one.
func (recorder *Recorder) write(run reports.Run, further map[string][]byte, step journalStep, first []byte) (*journal, error) {
	run = run.Complete()
	var files []file
	for _, name := range slices.Sorted(maps.Keys(further)) {
		files = append(files, file{name, further[name]})
	}
	for _, form := range recorder.forms {
		content, err := form.render(run)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", form.file, err)
		}
		files = append(files, file{form.file, content})
	}
	return recorder.replacer.replace(files, step, first)
}
