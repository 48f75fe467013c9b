//go:build conformance

package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sharedpid.example/helpers/provision"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/helpers/suite/e2e"
)

// The gate as a test: go test -tags conformance ./suites/... -args --profile core. Its flags are those of sharedpid run.
var (
	gate        = &cobra.Command{Use: "run"}
	gateOptions options
)

func TestMain(m *testing.M) {
	gateOptions.addRun(gate.Flags())
	gate.Flags().VisitAll(func(each *pflag.Flag) { flag.Var(each.Value, each.Name, each.Usage) })
	flag.Parse()
	silenceLibraries()
	flag.Visit(func(each *flag.Flag) {
		if known := gate.Flags().Lookup(each.Name); known != nil {
			known.Changed = true
		}
	})
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	if err := gateOptions.resolve(gate); err != nil {
		t.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if deadline, found := t.Deadline(); found {
		var cancel context.CancelFunc
		end := deadline.Add(-gateOptions.stretched.CleanUp - provision.CloseTime) // the run cleans up, and then its cluster is closed
		ctx, cancel = context.WithDeadlineCause(ctx, end, errors.New("the time of go test's -timeout is over"))
		defer cancel()
	}
	var code int
	e2e.Test(t, gateOptions.selected, func(recorder suite.Recorder) (err error) {
		code, err = conform(ctx, gateOptions, os.Stderr, recorder)
		return err
	})
	if code != 0 && !t.Failed() {
		t.Errorf("the run ends with exit code %d, although no trait has failed: nothing may have been decided", code)
	}
}
