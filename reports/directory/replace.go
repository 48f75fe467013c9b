package directory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// file is a file of the report directory with what it is to hold.
type file struct {
	name    string
	content []byte
}

// journalStep says what becomes of the journal when the files are replaced.
type journalStep int

const (
	keepJournal  journalStep = iota // it goes on
	startJournal                    // a new one takes the place of whatever there was
	dropJournal                     // it is no longer needed
)

// replacer replaces the files of a report directory.
//
// Where it can, it builds the new set in a directory beside and exchanges the two, so that a reader and a kill meet
// either the old set or the new one. That takes a directory which holds nothing but its own files, is not where
// a file system is mounted, is nobody's working directory that is known here, and whose parent can be written.
// Otherwise the new files are written beside the old ones, and take their places one by one when all of them are
// written: each file is whole at any time, but a kill at that moment leaves some of both sets. Either way a set that
// cannot be written leaves the old one as it was, and nothing that is not the directory's own is moved or removed.
type replacer struct {
	disk      disk
	directory string // absolute, and itself no symbolic link: a link would be exchanged instead of what it leads to
	names     []string
}

func newReplacer(disk disk, path string, names []string) (*replacer, error) {
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot find the report directory: %w", err)
	}
	return &replacer{disk, path, append(slices.Clone(names), journalFile)}, nil
}

// staged is what a file is called inside of the directory before it takes its place.
func staged(name string) string { return "." + name + ".new" }

// path is where a file of the directory stands.
func (replacer *replacer) path(name string) string { return filepath.Join(replacer.directory, name) }

// beside is the directory in which a new set is built.
func (replacer *replacer) beside() string {
	return filepath.Join(filepath.Dir(replacer.directory), "."+filepath.Base(replacer.directory)+".sharedpid-new")
}

// replace puts the files into the directory. With startJournal it returns the journal, which begins with the first line.
func (replacer *replacer) replace(files []file, step journalStep, first []byte) (*journal, error) {
	journal, err := replacer.exchange(files, step, first)
	if refused := (*cannotExchange)(nil); errors.As(err, &refused) {
		return replacer.inPlace(files, step, first)
	}
	return journal, err
}

// cannotExchange says why the set cannot be replaced in one step. It is no failure to write: there is another way.
type cannotExchange struct{ reason string }

func (err *cannotExchange) Error() string { return err.reason }

func (replacer *replacer) exchange(files []file, step journalStep, first []byte) (journal *journal, err error) {
	status, err := os.Stat(replacer.directory)
	if err != nil {
		return nil, err
	}
	if here, err := os.Stat("."); err == nil && os.SameFile(here, status) {
		return nil, &cannotExchange{"it is the working directory"}
	}
	if err := replacer.onlyOwn(replacer.directory); err != nil {
		return nil, err
	}
	beside := replacer.beside()
	// What an earlier run left there when it was killed.
	if err := replacer.removeOwn(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &cannotExchange{err.Error()}
	}
	defer func() {
		if err != nil {
			if journal != nil {
				journal.file.Close()
			}
			replacer.removeOwn(beside) // the error is told of already
		}
	}()
	if err := replacer.disk.Mkdir(beside, status); err != nil {
		return nil, &cannotExchange{err.Error()}
	}
	for _, file := range files {
		if err := replacer.disk.WriteFile(filepath.Join(beside, file.name), file.content); err != nil {
			return nil, err
		}
	}
	switch step {
	case startJournal:
		if journal, err = newJournal(replacer.disk, filepath.Join(beside, journalFile), first); err != nil {
			return nil, err
		}
	case keepJournal:
		// A second name of the same file: what is appended meanwhile is in both directories.
		if err := replacer.disk.Link(replacer.path(journalFile), filepath.Join(beside, journalFile)); err != nil {
			return nil, &cannotExchange{err.Error()}
		}
	}
	if err := replacer.disk.Exchange(beside, replacer.directory); err != nil {
		return journal, &cannotExchange{err.Error()}
	}
	// Somebody may have put a file there since the first look. It goes back to its place.
	if foreign := replacer.onlyOwn(beside); foreign != nil {
		if err := replacer.disk.Exchange(beside, replacer.directory); err != nil {
			return journal, fmt.Errorf("%v, and cannot be moved back: %w: move it yourself", foreign, err)
		}
		return journal, foreign
	}
	if err := replacer.removeOwn(beside); err != nil {
		return journal, nil // the new reports are there; the next replacement removes what is left
	}
	return journal, nil
}

func (replacer *replacer) inPlace(files []file, step journalStep, first []byte) (journal *journal, err error) {
	names := make([]string, 0, len(files)+1)
	if step == startJournal {
		// The journal goes first: it names the run that it is of, so that it is never taken for that of another one.
		names = append(names, journalFile)
	}
	for _, file := range files {
		names = append(names, file.name)
	}
	defer func() {
		if err != nil {
			if journal != nil {
				journal.file.Close()
			}
			for _, name := range names {
				replacer.disk.Remove(replacer.path(staged(name))) // the error is told of already
			}
		}
	}()
	for _, name := range names {
		// Found out now, it leaves the old set whole.
		if status, err := os.Lstat(replacer.path(name)); err == nil && status.IsDir() {
			return nil, fmt.Errorf("%s is a directory: move it away, or choose another report directory", replacer.path(name))
		}
	}
	for _, file := range files {
		if err := replacer.disk.WriteFile(replacer.path(staged(file.name)), file.content); err != nil {
			return nil, err
		}
	}
	if step == startJournal {
		if journal, err = newJournal(replacer.disk, replacer.path(staged(journalFile)), first); err != nil {
			return nil, err
		}
	}
	for _, name := range replacer.names {
		if name == journalFile || slices.Contains(names, name) {
			continue
		}
		// What the new set does not have must not be read as a part of it.
		if err := replacer.disk.Remove(replacer.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return journal, err
		}
	}
	for _, name := range names {
		if err := replacer.disk.Rename(replacer.path(staged(name)), replacer.path(name)); err != nil {
			return journal, err
		}
	}
	if step == dropJournal {
		if err := replacer.disk.Remove(replacer.path(journalFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return journal, nil
}

// onlyOwn returns why a directory cannot be exchanged as a whole: it holds something that a report directory does not.
func (replacer *replacer) onlyOwn(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() || !replacer.owns(entry.Name()) {
			return &cannotExchange{fmt.Sprintf("%s is none of the reports", filepath.Join(path, entry.Name()))}
		}
	}
	return nil
}

func (replacer *replacer) owns(name string) bool {
	inside, isStaged := strings.CutSuffix(name, ".new")
	return name == probeFile || slices.Contains(replacer.names, name) ||
		isStaged && slices.Contains(replacer.names, strings.TrimPrefix(inside, ".")) && strings.HasPrefix(name, ".")
}

// removeOwn removes a directory that holds nothing but a report directory's own files.
func (replacer *replacer) removeOwn(path string) error {
	if err := replacer.onlyOwn(path); err != nil {
		return err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := replacer.disk.Remove(filepath.Join(path, entry.Name())); err != nil {
			return err
		}
	}
	return replacer.disk.Remove(path) // fails when somebody has put a file there
}
