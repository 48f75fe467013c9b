// Package golden compares what a test produced with a file that a person has looked at.
package golden

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// CompareEach renders each run and compares what comes of it with the file of its key.
func CompareEach[Run any](t *testing.T, render func(Run) ([]byte, error), runs map[string]Run) {
	t.Helper()
	for file, run := range runs {
		content, err := render(run)
		if err != nil {
			t.Fatal(err)
		}
		Compare(t, file, content)
	}
}

// Compare compares what was produced with the file in the test's testdata. With UPDATE_GOLDEN=1 in the environment it
// writes the file anew.
func Compare(t testing.TB, file string, content []byte) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content, want) {
		t.Errorf("%s differs from its golden file; look at it, then UPDATE_GOLDEN=1 go test ./reports/...\n%s", file, content)
	}
}
