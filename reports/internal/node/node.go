// Package node has the programs that read reports in tests, and what they need from npm.
package node

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sharedpid.example/reports/internal/legible"
)

//go:embed programs
var programs embed.FS

// Run runs one of the programs with node and returns what it prints. Where node, or what the program needs, cannot be had,
// the test is skipped with the reason.
func Run(t *testing.T, program string, arguments ...string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: nothing is installed")
	}
	for _, needed := range []string{"node", "npm"} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skipf("no %s: %v", needed, err)
		}
	}
	directory, err := install()
	if err != nil {
		t.Skip("npm cannot install what the test needs: ", err)
	}
	output, err := exec.Command("node", append([]string{filepath.Join(directory, program)}, arguments...)...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("%s: %v: %s", program, err, exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	return output
}

// install puts the programs into bin/node of the checkout, with the modules of their lock file beside them, since node looks
// for modules there. The modules are kept from one test to the next; make clean removes them. Tests of several packages
// run at once, so that a lock holds the others off.
var install = sync.OnceValues(func() (directory string, err error) {
	root, err := checkout()
	if err != nil {
		return "", err
	}
	directory = filepath.Join(root, "bin", "node")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(directory+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	const lockFile = "package-lock.json"
	want, err := programs.ReadFile("programs/" + lockFile)
	if err != nil {
		return "", err
	}
	installed := filepath.Join(directory, "node_modules", "of-"+lockFile)
	have, _ := os.ReadFile(installed)
	entries, err := programs.ReadDir("programs")
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		content, err := fs.ReadFile(programs, "programs/"+entry.Name())
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(directory, entry.Name()), content, 0o644); err != nil {
			return "", err
		}
	}
	if string(have) == string(want) {
		return directory, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	npm.Dir = directory
	if output, err := npm.CombinedOutput(); err != nil {
		return "", errors.New(legible.Shorten(cmp.Or(legible.Line(string(output)), err.Error()), 300))
	}
	return directory, os.WriteFile(installed, want, 0o644)
})

// checkout is the folder of the module.
func checkout() (string, error) {
	folder, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", errors.New("the test does not run in a checkout")
		}
		folder = filepath.Dir(folder)
	}
	return "", err
}
