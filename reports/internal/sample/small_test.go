package sample

import (
	"path/filepath"
	"testing"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/golden"
)

// TestGolden keeps the JSON form of the sample, which the tests of package reports read.
func TestGolden(t *testing.T) {
	content, err := reports.Encode(Small())
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, filepath.Join("..", "..", "..", "testdata", reports.RunFile), content)
}
