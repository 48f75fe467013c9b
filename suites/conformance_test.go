package suites

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
)

// options are the flags of this run, the only global state.
var options Options

// exitCode is that of TestConformance: go test itself only knows pass and fail.
var exitCode int

func TestMain(m *testing.M) {
	flag.CommandLine.Init(os.Args[0], flag.ContinueOnError)
	var err error
	options, err = ParseOptions(flag.CommandLine, os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(ExitBadInput)
	case options.List:
		list()
		os.Exit(0)
	}
	// Run as a command and not by go test, the binary is the gate: the project's own tests are not what a user wants.
	if chosen := flag.Lookup("test.run"); chosen.Value.String() == "" && !strings.HasSuffix(os.Args[0], ".test") {
		chosen.Value.Set("^TestConformance$")
		if len(options.Faults) > 0 {
			chosen.Value.Set("^TestFaults$")
		}
	}
	code := m.Run()
	if exitCode != 0 {
		code = exitCode
	}
	os.Exit(code)
}

// TestConformance is the gate: it decides the selected traits on a real cluster.
func TestConformance(t *testing.T) {
	exitCode = Conform(t, options, os.Stderr)
}

func list() {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, trait := range options.Selected {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", trait.ID, trait.Profile, trait.Statement, trait.Sources[0])
	}
	table.Flush()
}
