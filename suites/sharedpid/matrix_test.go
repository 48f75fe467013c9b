package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sharedpid.example/fixtures/node"
	"sharedpid.example/reports"
)

// TestEachCombinationIsMadeAgainByACommandOfItsOwn that names the versions, and not the places of this run's reports.
func TestEachCombinationIsMadeAgainByACommandOfItsOwn(t *testing.T) {
	combinations, err := node.Combinations(map[string][]string{"kubernetes": {"1.36.3"}})
	if err != nil {
		t.Fatal(err)
	}
	given := options{profile: "core", given: []string{
		"--kubernetes=1.36.3", "--kubernetes=1.34.4", "--report-dir=/tmp/x", "--trait=signals/*", "--trait=inits/*",
	}}
	want := []string{
		"--profile=core", "--kubernetes=1.36.3", "--containerd=2.4.2", "--runc=1.5.2", "--trait=signals/*", "--trait=inits/*",
	}
	if got := argumentsFor(given, combinations[0]); !slices.Equal(got, want) {
		t.Errorf("it is %q, want %q", got, want)
	}
}

func TestWorst(t *testing.T) {
	for want, codes := range map[int][]int{0: {0, 0}, 1: {0, 3, 2, 1}, 2: {3, 2, 0}, 3: {0, 3}} {
		if got := worst(codes); got != want {
			t.Errorf("of %v it is %d, want %d", codes, got, want)
		}
	}
}

// TestMatrixPageOfGivenRuns names each by its directory, and needs no cluster.
func TestMatrixPageOfGivenRuns(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "older")
	run := reports.Run{Targets: []reports.Target{{ID: "node", Kubelet: "v1.36.3"}}, Plan: []reports.Planned{{Trait: "a/b", Target: "node"}}}
	encoded, err := reports.Encode(run)
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "run.json"), encoded, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{folder, filepath.Join(folder, "run.json")} {
		var page, stderr bytes.Buffer
		if code := execute(t.Context(), []string{"matrix", path}, &page, &stderr); code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr.String())
		}
		if !strings.Contains(page.String(), "| 1 | older | v1.36.3 |") {
			t.Errorf("no row of the run in %s", page.String())
		}
	}
}

// TestMatrixOfVersionsThatAreNotKnown is refused before anything is built.
func TestMatrixOfVersionsThatAreNotKnown(t *testing.T) {
	var stderr bytes.Buffer
	if code := execute(t.Context(), []string{"matrix", "--kubernetes=9.9.9"}, &stderr, &stderr); code != exitBadInput ||
		!strings.HasPrefix(stderr.String(), `error: --kubernetes: version "9.9.9" is not known`) {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}
