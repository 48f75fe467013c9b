package reports

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// nodePrograms is the folder of the programs in testdata/node with what they need, which npm installs from the lock file once and
// make clean removes. Where that cannot be had, the test is skipped with the reason.
func nodePrograms(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: nothing is installed")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s: %v", program, err)
		}
	}
	directory, reason := installNodePrograms()
	if reason != "" {
		t.Skip(reason)
	}
	return directory
}

var installNodePrograms = sync.OnceValues(func() (directory, reason string) {
	directory, err := filepath.Abs(filepath.Join("..", "bin", "node"))
	if err == nil {
		// Modules are looked for beside the program that imports them.
		err = os.CopyFS(directory+".new", os.DirFS(filepath.Join("testdata", "node")))
		defer os.RemoveAll(directory + ".new")
	}
	if err != nil {
		return "", err.Error()
	}
	if same(directory, directory+".new", "package-lock.json") {
		for _, program := range []string{"parse-junit.mjs", "browse.mjs"} {
			os.Rename(filepath.Join(directory+".new", program), filepath.Join(directory, program))
		}
		return directory, ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = directory + ".new"
	if output, err := install.CombinedOutput(); err != nil {
		return "", "npm cannot install what the test needs: " + err.Error() + ": " + shorten(oneLine(string(output)), 300)
	}
	os.RemoveAll(directory)
	if err := os.Rename(directory+".new", directory); err != nil {
		return "", err.Error()
	}
	return directory, ""
})

// same reports whether a file is in both folders and has one content.
func same(a, b, file string) bool {
	first, errFirst := os.ReadFile(filepath.Join(a, file))
	second, errSecond := os.ReadFile(filepath.Join(b, file))
	return errFirst == nil && errSecond == nil && string(first) == string(second)
}
