package reports

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteThenRead(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "out")
	if err := CheckDirectory(directory); err != nil {
		t.Fatal(err)
	}
	planned := Planned{Trait: "signals/hup-respawns-workers", Subject: "node"}
	late := Planned{Trait: "signals/pause-survives", Subject: "node"}
	run := Run{Plan: []Planned{planned, late}, Results: []Result{{
		Trait: planned.Trait, Subject: planned.Subject, Verdict: Nonconformant, Reason: "worker \x00 stayed ]]> \xff",
		Evidence: []Evidence{{Title: "before", Output: "A=1\x00B=2\x1b[31m"}},
	}}}
	if err := Write(directory, run); err != nil {
		t.Fatal(err)
	}
	read, err := Read(filepath.Join(directory, runFile))
	if err != nil {
		t.Fatal(err)
	}
	if read.Verdict != Nonconformant || read.ExitCode() != 1 || len(read.NotRun()) != 1 {
		t.Errorf("read back: verdict %q, exit code %d, not run %v", read.Verdict, read.ExitCode(), read.NotRun())
	}
	content, err := os.ReadFile(filepath.Join(directory, junitFile))
	if err != nil {
		t.Fatal(err)
	}
	var document junitSuites
	if err := xml.Unmarshal(content, &document); err != nil {
		t.Fatalf("%v in\n%s", err, content)
	}
	if document.Tests != 2 || document.Failures != 1 || document.Errors != 1 {
		t.Errorf("JUnit counts %+v, want 2 tests, 1 failure, 1 error", document.junitCounts)
	}
	files, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2 {
		t.Errorf("the directory holds %v, want the two reports and no temporary file", files)
	}
}
