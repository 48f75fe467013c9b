package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReportsThatCannotBeWritten, on file systems of their own: the command says so in one line before it asks for a cluster.
func TestReportsThatCannotBeWritten(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte(unanswered), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		flags   uintptr
		options string
		words   string
	}{
		"read-only":     {syscall.MS_RDONLY, "", "read-only file system"},
		"full":          {0, "size=4k", "no space left on device"},
		"out of inodes": {0, "nr_inodes=1", "no space left on device"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := syscall.Mount("reports", folder, "tmpfs", test.flags, test.options); err != nil {
				t.Skipf("no file system can be mounted: %v", err)
			}
			defer func() {
				if err := syscall.Unmount(folder, 0); err != nil {
					t.Error(err)
				}
			}()
			reports := filepath.Join(folder, "reports")
			var stdout, stderr bytes.Buffer
			code := execute(t.Context(), []string{"run", "--kubeconfig=" + config, "--report-dir=" + reports}, &stdout, &stderr)
			said := stderr.String()
			if code != exitBadInput || strings.Count(said, "\n") != 1 || !strings.Contains(said, reports) || !strings.Contains(said, test.words) {
				t.Errorf("exit code %d, %q; want %d and one line with %q", code, said, exitBadInput, test.words)
			}
		})
	}
}
