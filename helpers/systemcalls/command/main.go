// Command builds the programs that a binary of the suite carries into containers, for every architecture that nodes of a release may have.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"sharedpid.example/helpers/systemcalls"
	"sharedpid.example/helpers/workspace"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root, err := workspace.Root()
	if err != nil {
		return err
	}
	for _, architecture := range []string{"amd64", "arm64"} {
		if err := systemcalls.Build(ctx, root, architecture, filepath.Join(root, "helpers", "systemcalls", "built", architecture)); err != nil {
			return err
		}
	}
	return nil
}
