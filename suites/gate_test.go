package suites

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"sharedpid.example/reports"
)

// TestEveryResultIsWrittenBeforeItIsKept adds results side by side, and looks into the reports as soon as each is added.
func TestEveryResultIsWrittenBeforeItIsKept(t *testing.T) {
	g := newGate(Options{ReportDirectory: t.TempDir()}, io.Discard)
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			trait := fmt.Sprintf("a/%d", i)
			if err := g.add(reports.Result{Trait: trait, Verdict: reports.Conformant}); err != nil {
				t.Error(err)
			}
			run, err := reports.Read(filepath.Join(g.options.ReportDirectory, "run.json"))
			if err != nil {
				t.Error(err)
			}
			if !slices.ContainsFunc(run.Results, func(result reports.Result) bool { return result.Trait == trait }) {
				t.Errorf("%s was added and is not in the reports", trait)
			}
		})
	}
	group.Wait()
}
