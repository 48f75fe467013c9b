package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"

	"sharedpid.example/reports"
)

// TestInterruptedBeforeThereIsACluster must be told from bad input, in words and by its exit code.
func TestInterruptedBeforeThereIsACluster(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupt signal received"))
	path := t.TempDir()
	var stdout, stderr bytes.Buffer
	if code := execute(ctx, []string{"run", "--report-dir=" + path}, &stdout, &stderr); code != exitUndecided {
		t.Errorf("exit code is %d, want %d: %s", code, exitUndecided, stderr.String())
	}
	const want = "interrupted (interrupt signal received) before the cluster was there; run again"
	if !strings.Contains(stderr.String(), want) || strings.Contains(stderr.String(), "context canceled") {
		t.Errorf("stderr lacks %q: %s", want, stderr.String())
	}
	run, err := reports.Read(filepath.Join(path, reports.RunFile))
	if err != nil || run.SetupError != want || run.Verdict != reports.Inconclusive || run.Running {
		t.Errorf("the report says %q, %q, %v", run.SetupError, run.Verdict, err)
	}
}

// TestLibrariesSayNothing on stderr of what this project reports by itself.
func TestLibrariesSayNothing(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = writer
	silenceLibraries()
	t.Cleanup(klog.ClearLogger)
	klog.Error("request cut short")
	klog.Background().Error(nil, "watch ended")
	runtime.HandleError(errors.New("stream reset"))
	klog.Flush()
	os.Stderr = before
	writer.Close()
	if said, err := io.ReadAll(reader); err != nil || len(said) > 0 {
		t.Errorf("stderr has %q, %v", said, err)
	}
}
