package directory

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"testing"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/sample"
)

// filesIn are the files of an archive, by name.
func filesIn(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	compressed, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for reader := tar.NewReader(compressed); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnArchiveHoldsWhatFits, the reports that are worth most first, and names the others.
func TestAnArchiveHoldsWhatFits(t *testing.T) {
	run := sample.Rich(1)
	all, leftOut, err := Archive(run, 1<<30)
	if err != nil || len(leftOut) > 0 || len(filesIn(t, all)) != len(realForms) {
		t.Fatalf("%d files, left out are %q, %v", len(filesIn(t, all)), leftOut, err)
	}
	if kept, err := reports.Decode(filesIn(t, all)[runFile]); err != nil || kept.ID != run.ID || len(kept.Results) != len(run.Results) {
		t.Errorf("the run comes back as %s with %d results, %v", kept.ID, len(kept.Results), err)
	}
	for limit := len(all) - 1; limit > 0; limit -= len(all) / 6 {
		some, leftOut, err := Archive(run, limit)
		if err != nil || len(some) > limit || len(leftOut) == 0 {
			t.Fatalf("of %d bytes there are %d, and left out are %q, %v", limit, len(some), leftOut, err)
		}
		if slices.Contains(leftOut, runFile) && !slices.Contains(leftOut, htmlFile) {
			t.Errorf("left out are %q, and not report.html", leftOut)
		}
		if len(some) > 0 && len(filesIn(t, some))+len(leftOut) != len(realForms) {
			t.Errorf("%d files, and left out are %q", len(filesIn(t, some)), leftOut)
		}
	}
	if none, leftOut, err := Archive(run, 1); err != nil || none != nil || len(leftOut) != len(realForms) {
		t.Errorf("in one byte there are %d, and left out are %q, %v", len(none), leftOut, err)
	}
}
