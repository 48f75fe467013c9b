package reports

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The files of a report directory.
const (
	runFile         = "run.json"
	junitFile       = "junit.xml" // Prow shows only files called junit*.xml
	markdownFile    = "summary.md"
	htmlFile        = "report.html"
	conformanceFile = "report.yaml"
)

// writers are the reports of a run, each a pure function of it.
var writers = []struct {
	file  string
	write func(Run) ([]byte, error)
}{
	{runFile, writeJSON},
	{junitFile, writeJUnit},
	{markdownFile, writeMarkdown},
	{htmlFile, writeHTML},
	{conformanceFile, writeConformanceReport},
}

// CheckDirectory makes the report directory where it does not exist and proves that files can be
// written there, so that a run fails before its work and not after it.
func CheckDirectory(path string) error {
	if path == "" {
		return errors.New("the report directory has no name: give one")
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("cannot make the report directory %s: %w: choose another one", path, withoutPath(err))
	}
	if err := writeAtomically(filepath.Join(path, ".write-check"), nil); err != nil {
		return fmt.Errorf("cannot write in the report directory %s: %w: choose another one", path, withoutPath(err))
	}
	if err := os.Remove(filepath.Join(path, ".write-check")); err != nil {
		return fmt.Errorf("cannot remove files in the report directory %s: %w: choose another one", path, withoutPath(err))
	}
	return nil
}

// Write writes every report of the run into the directory. Each file is replaced in one step, so that
// whoever reads, and whoever kills the run, finds a whole report. The run need not be at its end: what
// has no result yet reads as not run.
func Write(directory string, run Run) error {
	run = complete(run)
	// All are made before the first is replaced: they tell of one moment, but for what a kill leaves in between.
	contents := make([][]byte, len(writers))
	for i, writer := range writers {
		var err error
		if contents[i], err = writer.write(run); err != nil {
			return fmt.Errorf("cannot write the run as %s: %w", writer.file, err)
		}
	}
	for i, writer := range writers {
		if err := writeAtomically(filepath.Join(directory, writer.file), contents[i]); err != nil {
			return fmt.Errorf("cannot write the report: %w", err)
		}
	}
	return nil
}

func writeJSON(run Run) ([]byte, error) {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(run)
	return content.Bytes(), err
}

// complete returns the run as it is written: concluded, results in their stable order, and empty
// lists as lists, so that readers of the JSON need not tell null from empty.
func complete(run Run) Run {
	run.SchemaVersion = SchemaVersion
	run.Conclude()
	run.Subjects = append([]Subject{}, run.Subjects...)
	run.Plan = append([]Planned{}, run.Plan...)
	run.Results = append([]Result{}, run.Results...)
	for i := range run.Results {
		run.Results[i].Evidence = append([]Evidence{}, run.Results[i].Evidence...)
	}
	sortResults(run.Results)
	return run
}

// Read reads a run.json.
func Read(path string) (Run, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Run{}, fmt.Errorf("cannot read the run: %w", err)
	}
	var header struct {
		SchemaVersion *int   `json:"schemaVersion"`
		SuiteVersion  string `json:"suiteVersion"`
	}
	if err := json.Unmarshal(content, &header); err != nil {
		return Run{}, fmt.Errorf("%s is not a %s: %w", path, runFile, err)
	}
	if header.SchemaVersion == nil {
		return Run{}, fmt.Errorf("%s is not a %s: it has no schemaVersion", path, runFile)
	}
	if *header.SchemaVersion != SchemaVersion {
		return Run{}, fmt.Errorf("%s has schema version %d and this suite reads version %d: read it with the suite that wrote it (%q), or run again",
			path, *header.SchemaVersion, SchemaVersion, header.SuiteVersion)
	}
	var run Run
	if err := json.Unmarshal(content, &run); err != nil {
		return Run{}, fmt.Errorf("%s is not a %s of schema version %d: %w", path, runFile, SchemaVersion, err)
	}
	return run, nil
}

// writeAtomically writes beside the target and renames. It does not sync: the promise is about
// killed processes, not about lost power, and a run writes after every trait.
func writeAtomically(path string, content []byte) (err error) {
	// The name begins with a dot so that no collector of junit*.xml takes it up.
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, writeErr := file.Write(content)
	// A temporary file is its owner's alone; reports are read by whoever collects them.
	chmodErr := file.Chmod(0o644)
	closeErr := file.Close()
	if err := cmp.Or(writeErr, chmodErr, closeErr); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// withoutPath drops the path from a file error, for sentences that name it already.
func withoutPath(err error) error {
	if pathError := (*os.PathError)(nil); errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
