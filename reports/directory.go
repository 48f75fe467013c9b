package reports

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// writers are the reports of a run by file name.
var writers = []struct {
	file  string
	write func(Run) ([]byte, error)
}{
	{"run.json", writeJSON},
	{"junit.xml", writeJUnit},
	{"summary.md", writeMarkdown},
}

// CheckDirectory makes the directory if it is missing and says whether reports can be written there.
func CheckDirectory(directory string) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return fmt.Errorf("report directory: %w", err)
	}
	probe, err := os.CreateTemp(directory, ".writable-*")
	if err != nil {
		return fmt.Errorf("report directory: %w", err)
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// Write concludes a copy of the run and writes every report of it, each one whole or not at all: a reader, and a run that is
// killed, never meets half a file.
func Write(directory string, run Run) error {
	run.Results = slices.Clone(run.Results)
	slices.SortFunc(run.Results, func(a, b Result) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Trait, b.Trait))
	})
	run.Conclude()
	for _, writer := range writers {
		content, err := writer.write(run)
		if err != nil {
			return fmt.Errorf("%s: %w", writer.file, err)
		}
		if err := replace(filepath.Join(directory, writer.file), content); err != nil {
			return err
		}
	}
	return nil
}

func replace(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	if err := temporary.Chmod(0o644); err != nil {
		return err
	}
	if _, err := temporary.Write(content); err != nil {
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}

func writeJSON(run Run) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(run)
	return buffer.Bytes(), err
}

// Read reads a run.json. A file of another schema version is an error.
func Read(path string) (Run, error) {
	var run Run
	content, err := os.ReadFile(path)
	if err != nil {
		return run, err
	}
	if err := json.Unmarshal(content, &run); err != nil {
		return run, fmt.Errorf("%s: %w", path, err)
	}
	if run.SchemaVersion != SchemaVersion {
		return run, fmt.Errorf("%s has schema version %d, this program reads version %d", path, run.SchemaVersion, SchemaVersion)
	}
	return run, nil
}
