package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is stamped when a release is built.
var version string

// suiteVersion is the stamped version, or the one that the Go toolchain read from the checkout.
func suiteVersion() string {
	if version != "" {
		return version
	}
	info, found := debug.ReadBuildInfo()
	if !found || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
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
