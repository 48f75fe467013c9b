// Package directory keeps the reports of a run in a directory, in every form, while the run is under way and when it has ended.
package directory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sharedpid.example/reports"
	"sharedpid.example/reports/html"
	"sharedpid.example/reports/junit"
	"sharedpid.example/reports/markdown"
	"sharedpid.example/reports/published"
)

// The files of a report directory.
const (
	runFile      = reports.RunFile
	junitFile    = "junit.xml" // Prow shows only files called junit*.xml
	markdownFile = "summary.md"
	htmlFile     = "report.html"
	yamlFile     = "report.yaml"
	// journalFile is there while a run is under way, and after one that was killed.
	journalFile = "journal.jsonl"
	// probeFile is there while Check looks whether files can be written.
	probeFile = ".write-check"
)

// form is one file of the directory, a pure function of a run.
type form struct {
	file   string
	render func(reports.Run) ([]byte, error)
}

// forms are the reports of a run. The JSON form is the last one: whoever finds it finds the others.
func forms(options junit.Options) []form {
	return []form{
		{junitFile, func(run reports.Run) ([]byte, error) { return junit.RenderWith(run, options) }},
		{markdownFile, markdown.Render},
		{htmlFile, html.Render},
		{yamlFile, published.Render},
		{runFile, reports.Encode},
	}
}

// Check makes the report directory where it does not exist and proves that files can be written there, so that a run
// fails before its work and not after it. Its error is one line that names the path.
func Check(path string) error {
	if path == "" {
		return errors.New("the report directory has no name: give one")
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("cannot make the report directory %s: %w: choose another one", path, withoutPath(err))
	}
	probe := filepath.Join(path, probeFile)
	if err := os.WriteFile(probe, []byte("\n"), 0o644); err != nil {
		return fmt.Errorf("cannot write in the report directory %s: %w: choose another one", path, withoutPath(err))
	}
	if err := os.Remove(probe); err != nil {
		return fmt.Errorf("cannot remove files in the report directory %s: %w: choose another one", path, withoutPath(err))
	}
	return nil
}

// withoutPath drops the path from a file error, for sentences that name it already.
func withoutPath(err error) error {
	if pathError := (*os.PathError)(nil); errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
