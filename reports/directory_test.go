package reports

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteAndRead(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "new")
	if err := CheckDirectory(directory); err != nil {
		t.Fatal(err)
	}
	if err := Write(directory, sample()); err != nil {
		t.Fatal(err)
	}
	run, err := Read(filepath.Join(directory, "run.json"))
	if err != nil || run.Verdict != Nonconformant || len(run.Results) != 4 {
		t.Errorf("read back: %s, %d results, %v", run.Verdict, len(run.Results), err)
	}
	entries, err := os.ReadDir(directory)
	if err != nil || len(entries) != len(writers) {
		t.Errorf("the directory holds %v, %v; want the reports and nothing else", entries, err)
	}
}

func TestWriteLeavesTheOldReportsWhenItCannotWrite(t *testing.T) {
	directory := t.TempDir()
	if err := Write(directory, sample()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(directory, runFile))
	if err != nil {
		t.Fatal(err)
	}
	// A directory in its place is what a rename cannot replace.
	if err := os.Remove(filepath.Join(directory, junitFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(directory, junitFile, "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(directory, sample()); err == nil {
		t.Fatal("no error")
	}
	after, err := os.ReadFile(filepath.Join(directory, runFile))
	if err != nil || string(after) != string(before) {
		t.Errorf("%s is no longer whole: %v", runFile, err)
	}
	left, err := filepath.Glob(filepath.Join(directory, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files %v are left, %v", left, err)
	}
}

func TestCheckDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", file, filepath.Join(file, "below")} {
		err := CheckDirectory(path)
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), path) {
			t.Errorf("CheckDirectory(%q) = %v, want one line that names it", path, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for content, want := range map[string]string{
		`{"schemaVersion": 99, "suiteVersion": "v9"}`: `schema version 99 and this suite reads version 1: read it with the suite that wrote it ("v9")`,
		`{"schemaVersion": 0}`:                        "schema version 0",
		`{}`:                                          "no schemaVersion",
		`[]`:                                          "is not a run.json",
		`{"schemaVersion": 1, "results": {}}`:         "is not a run.json of schema version 1",
		``:                                            "is not a run.json",
	} {
		path := filepath.Join(t.TempDir(), "other.json")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("Read of %q: %v, want %q and the path", content, err, want)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("Read of no file: %v", err)
	}
}
