// Mutants proves that the unit tests bite: it puts one deliberate defect after another into the suite's own code, runs the
// tests of the package that should notice, and fails when one does not.
//
// The code on disk is not touched: the Go tool is given each changed file as an overlay.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/workspace"
)

//go:embed mutants.yaml
var list []byte

// mutant is one defect.
type mutant struct {
	Name        string `json:"name"` // what goes wrong
	File        string `json:"file"` // in the checkout
	Original    string `json:"original"`
	Replacement string `json:"replacement"`
	Package     string `json:"package,omitempty"` // whose tests must notice, that of the file when empty
	Run         string `json:"run,omitempty"`     // the tests that must notice, all of the package when empty
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "mutants takes no arguments: it tries all that stand in helpers/mutants/mutants.yaml")
		os.Exit(2)
	}
	survivors, err := run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	if survivors > 0 {
		os.Exit(1)
	}
}

// atOnce is how many mutants are tried side by side: one compiles while another one's tests run.
const atOnce = 2

func run(ctx context.Context) (survivors int, err error) {
	root, err := workspace.Root()
	if err != nil {
		return 0, err
	}
	var mutants []mutant
	if err := yaml.UnmarshalStrict(list, &mutants); err != nil {
		return 0, fmt.Errorf("mutants.yaml: %w", err)
	}
	printer := progress.NewPrinter(os.Stdout)
	start := time.Now()
	var mutex sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for number, each := range mutants {
		group.Go(func() error {
			began := time.Now()
			killed, err := each.try(ctx, root)
			if err != nil {
				return fmt.Errorf("mutant %d (%s): %w", number+1, each.Name, err)
			}
			outcome := "killed"
			if !killed {
				outcome = "SURVIVED"
				mutex.Lock()
				survivors++
				mutex.Unlock()
			}
			printer.Printf("[%d/%d] %s: %s (%.1f s)", number+1, len(mutants), outcome, each.Name, time.Since(began).Seconds())
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return survivors, err
	}
	printer.Printf("%d of %d mutants killed in %.0f s", len(mutants)-survivors, len(mutants), time.Since(start).Seconds())
	return survivors, nil
}

// try runs the tests with the defect, and tells whether one of them failed. It is an error when the original is not in the
// file just once, and when what comes of it does not compile.
func (mutant mutant) try(ctx context.Context, root string) (killed bool, err error) {
	path := filepath.Join(root, filepath.FromSlash(mutant.File))
	content, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	if found := bytes.Count(content, []byte(mutant.Original)); found != 1 {
		return false, fmt.Errorf("%s holds the original %d times, and must hold it once", mutant.File, found)
	}
	folder, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(folder)
	changed := filepath.Join(folder, "changed.go")
	if err := os.WriteFile(changed, bytes.Replace(content, []byte(mutant.Original), []byte(mutant.Replacement), 1), 0o600); err != nil {
		return false, err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		return false, err
	}
	overlayPath := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(overlayPath, overlay, 0o600); err != nil {
		return false, err
	}
	tested := mutant.Package
	if tested == "" {
		tested = "./" + filepath.ToSlash(filepath.Dir(mutant.File))
	}
	arguments := []string{"test", "-vet=off", "-failfast", "-timeout=2m", "-overlay=" + overlayPath}
	if mutant.Run != "" {
		arguments = append(arguments, "-run="+mutant.Run)
	}
	command := exec.CommandContext(ctx, "go", append(arguments, tested)...)
	command.Dir = root
	output, err := command.CombinedOutput()
	var failed *exec.ExitError
	switch {
	case err == nil:
		return false, nil
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case !errors.As(err, &failed):
		return false, err
	case strings.Contains(string(output), "[build failed]") || strings.Contains(string(output), "[setup failed]"):
		return false, fmt.Errorf("it does not compile: %s", output)
	}
	return true, nil
}
