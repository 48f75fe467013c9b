package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"sharedpid.example/suites"
)

// commit is stamped when a release is built. Other builds ask the Go toolchain.
var commit string

// commitLength is how much of a commit stands in a version.
const commitLength = 12

// suiteVersion is the version of the suite with the commit that it was built from, as semantic versions have build metadata:
// v1.2.3+0123456789ab, with ".modified" behind it where the checkout had changes, and without anything where the commit is not known.
func suiteVersion() string {
	built, modified := commit, false
	if info, found := debug.ReadBuildInfo(); found && built == "" {
		for _, setting := range info.Settings {
			switch setting.Key {
			case "vcs.revision":
				built = setting.Value
			case "vcs.modified":
				modified = setting.Value == "true"
			}
		}
	}
	if built == "" {
		return suites.Version
	}
	version := suites.Version + "+" + built[:min(commitLength, len(built))]
	if modified {
		version += ".modified"
	}
	return version
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the suite",
		Args:  takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(command.OutOrStdout(), "sharedpid %s %s %s/%s\n", suiteVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
