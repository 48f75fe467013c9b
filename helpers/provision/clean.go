package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	virtualmachine "sharedpid.example/fixtures/machine"
	"sharedpid.example/fixtures/node"
	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision/engine"
	"sharedpid.example/helpers/workspace"
)

// Clean deletes the clusters that have a record, kept ones as well, and what killed builds left in the cache directory
// and in the engine, or only the cluster of the name unless it is empty: that there is none is an error. What another
// process is using stays. It goes on after an error; the error says all that is left.
func Clean(ctx context.Context, name string, printer *progress.Printer) error {
	return clean(ctx, name, printer, newKindLibrary)
}

func clean(ctx context.Context, name string, printer *progress.Printer, open newLibrary) error {
	names, err := recorded()
	if err != nil {
		return err
	}
	if name != "" {
		if !slices.Contains(names, name) {
			return fmt.Errorf("no run on this machine has left a cluster %s; there are: %s", name,
				cmp.Or(strings.Join(names, ", "), "none"))
		}
		return deleteRecorded(ctx, name, printer, open)
	}
	var left error
	for _, name := range names {
		left = besides(left, deleteRecorded(ctx, name, printer, open))
	}
	left = besides(left, removeMachines(ctx, printer))
	return besides(left, removeBuilds(ctx, printer))
}

// besides joins two errors into one of one line. Either may be nil.
func besides(first, second error) error {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return fmt.Errorf("%w; besides, %w", first, second)
}

func deleteRecorded(ctx context.Context, name string, printer *progress.Printer, open newLibrary) error {
	folder, err := clusterFolder(name)
	if err != nil {
		return err
	}
	ours, _, err := folder.read()
	if err != nil {
		return fmt.Errorf("%w; delete the cluster %s and that file yourself", err, name)
	}
	working, err := engine.Detect(ctx, ours.Engine)
	if err != nil {
		return fmt.Errorf("the cluster %s is left behind: %w", name, err)
	}
	cluster, err := hold(working, name, open)
	if err != nil {
		return err
	}
	defer cluster.release()
	return printer.Step(ctx, "delete cluster "+name, cluster.destroy)
}

// removeMachines removes what virtual machines left that were killed.
func removeMachines(ctx context.Context, printer *progress.Printer) error {
	cache, err := workspace.Cache()
	if err != nil {
		return err
	}
	folders, err := virtualmachine.Left(cache)
	if err != nil || len(folders) == 0 {
		return err
	}
	working, unworking := engine.Detect(ctx, "") // without a working engine there are no containers to remove
	for _, folder := range folders {
		if unworking == nil {
			if err := removeContainers(ctx, working, virtualmachine.Container(folder), printer); err != nil {
				return err
			}
		}
		printer.Printf("==> delete %s", folder)
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}

func removeContainers(ctx context.Context, working *engine.Engine, prefix string, printer *progress.Printer) error {
	removed, err := working.RemoveContainers(ctx, prefix)
	for _, container := range removed {
		printer.Printf("==> delete container %s", container)
	}
	return err
}

// removeBuilds removes what killed builds left, and the runtimes of older recipes.
func removeBuilds(ctx context.Context, printer *progress.Printer) error {
	cache, err := workspace.Cache()
	if err != nil {
		return err
	}
	unlock, err := tryBuildLock(cache)
	if err != nil {
		return err
	}
	if unlock == nil {
		printer.Printf("another process builds images or runtimes; what earlier builds left stays until the next time")
		return nil
	}
	defer unlock()
	// Without a working engine there are no containers to remove.
	if working, err := engine.Detect(ctx, ""); err == nil {
		if err := removeContainers(ctx, working, node.ContainerPrefix, printer); err != nil {
			return err
		}
	}
	leftovers, err := leftByBuilds(cache)
	if err != nil {
		return err
	}
	for _, leftover := range leftovers {
		printer.Printf("==> delete %s", leftover)
		if err := os.RemoveAll(leftover); err != nil {
			return err
		}
	}
	return nil
}

// leftByBuilds returns the files and folders below the cache directory that no build uses any more.
func leftByBuilds(cache string) ([]string, error) {
	var leftovers []string
	for _, pattern := range []string{node.FolderPrefix + "*", archivesPrefix + "*", runtimes.UnfinishedPattern} {
		found, err := filepath.Glob(filepath.Join(cache, pattern))
		if err != nil {
			return nil, err
		}
		leftovers = append(leftovers, found...)
	}
	root, err := workspace.Root()
	if errors.Is(err, workspace.ErrNoCheckout) {
		return leftovers, nil // which recipes are older cannot be told
	}
	if err != nil {
		return nil, err
	}
	stale, err := runtimes.Stale(root, cache)
	return append(leftovers, stale...), err
}
