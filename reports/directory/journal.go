package directory

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"sharedpid.example/reports"
)

// entry is one line of the journal: what is known of the run as a whole, or a result with the looks that it rests on.
type entry struct {
	Run    string          `json:"run"` // id of the run
	Whole  *reports.Run    `json:"whole,omitempty"`
	Result *reports.Result `json:"result,omitempty"`
	Looks  []reports.Look  `json:"looks,omitempty"`
}

// journal is the file to which everything is appended as soon as it is known. It holds the run from its beginning, so that no form
// is needed to read it.
type journal struct {
	disk    disk
	file    *os.File
	size    int64  // of the whole lines in it
	torn    bool   // a line that was written in part stands behind them
	pending []byte // lines that could not be written yet
}

// line returns an entry as it stands in the journal.
func (each entry) line() ([]byte, error) {
	content, err := json.Marshal(each)
	return append(content, '\n'), err
}

// newJournal makes a journal that begins with the first line, and locks it.
func newJournal(disk disk, path string, first []byte) (*journal, error) {
	file, err := disk.Create(path)
	if err != nil {
		return nil, err
	}
	journal := &journal{disk: disk, file: file}
	if err = lock(file); err == nil {
		err = journal.append(first)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return journal, nil
}

// append writes lines, after those that could not be written before. What was written in part is taken back, now or
// before the next lines.
func (journal *journal) append(lines []byte) error {
	journal.pending = append(journal.pending, lines...)
	if journal.torn {
		if err := journal.disk.Truncate(journal.file, journal.size); err != nil {
			return err
		}
		journal.torn = false
	}
	if err := journal.disk.Append(journal.file, journal.pending); err != nil {
		journal.torn = journal.disk.Truncate(journal.file, journal.size) != nil
		return err
	}
	journal.size += int64(len(journal.pending))
	journal.pending = nil
	return nil
}

// lock takes a journal for this process until its file is closed. It fails when another process has it.
func lock(file *os.File) error {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errors.New("another run is writing its reports there: wait for it, or choose another directory")
	}
	return nil // a file system without locks has no others
}

// Restore returns all that is known of the run in a report directory, or in the JSON form of one, whatever that file is called. Of a
// run that was killed that is what the journal beside it holds, down to the last result that Add took; Running is still set then,
// unless the run was killed in its clean-up. Its error is a reports.InputError.
func Restore(path string) (reports.Run, error) {
	if status, err := os.Stat(path); err == nil && status.IsDir() {
		path = filepath.Join(path, runFile)
	}
	run, err := reports.Read(path)
	if err != nil || !run.Running {
		return run, err
	}
	file, err := os.Open(filepath.Join(filepath.Dir(path), journalFile))
	if errors.Is(err, fs.ErrNotExist) {
		return reports.Read(path) // the run may have ended meanwhile
	}
	if err != nil {
		return reports.Run{}, reports.NewInputError("cannot read the journal of the run: %w", err)
	}
	defer file.Close()
	run, err = addJournal(run, file)
	if err != nil {
		return reports.Run{}, reports.NewInputError("%s is damaged: %w: restore it from a copy, or remove it to have what %s holds",
			file.Name(), err, path)
	}
	return run.Complete(), nil
}

// addJournal adds to a run what its journal holds and it does not.
func addJournal(run reports.Run, journal io.Reader) (reports.Run, error) {
	type identity struct {
		reports.Planned
		start time.Time
	}
	of := func(result reports.Result) identity { return identity{result.Planned(), result.Start.UTC()} }
	known := map[identity]bool{}
	for _, result := range run.Results {
		known[of(result)] = true
	}
	lines := bufio.NewReader(journal)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return run, nil // a line without its end was being written when the run was killed
		}
		if err != nil {
			return reports.Run{}, err
		}
		var each entry
		if err := json.NewDecoder(bytes.NewReader(line)).Decode(&each); err != nil {
			return reports.Run{}, fmt.Errorf("line %d: %w", number, err)
		}
		switch {
		case each.Run != run.ID: // of the run before
		case each.Whole != nil:
			results, looks, seconds := run.Results, run.Looks, run.Seconds
			run = *each.Whole
			run.Results, run.Looks, run.Seconds = results, looks, max(seconds, run.Seconds)
		case each.Result != nil && !known[of(*each.Result)]:
			run.Results = append(run.Results, *each.Result)
			run.Looks = append(run.Looks, each.Looks...)
		}
	}
}
