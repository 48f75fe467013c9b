// Setup prepares a machine for the suite: a container engine, the node image and the test images, as far as
// they are missing. It builds nothing where a registry has them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"sharedpid.example/fixtures/handlers"
	"sharedpid.example/fixtures/nodeimage"
	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/fixtures/testimages"
	"sharedpid.example/helpers/cluster"
	"sharedpid.example/helpers/engine"
	"sharedpid.example/helpers/progress"
)

const usage = `Usage: setup [flags]

Finds a container engine (docker, podman or nerdctl), or installs podman on Debian or Ubuntu as root, and
provides the node image: kind's own where a registry answers, otherwise one built from Go modules and
Debian packages, which takes about 15 minutes on 2 cores the first time.

Flags:
`

func main() {
	flags := flag.NewFlagSet("setup", flag.ContinueOnError)
	engineName := flags.String("engine", "", "container `engine`: docker, podman or nerdctl (default: the first that works)")
	nodeImage := flags.String("node-image", "", "`image` of the cluster's nodes: kind, local or a reference (default: local if built, else kind's if a registry answers, else local)")
	var names repeated
	flags.Var(&names, "runtime", "`name` of an OCI runtime that a run is to have beside the nodes' own: "+strings.Join(runtimes.Names(), ", ")+" (repeatable)")
	clean := flags.Bool("clean", false, "delete the clusters and files that earlier runs left, and nothing else")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.SetOutput(os.Stderr)
	switch err := flags.Parse(os.Args[1:]); {
	case err == flag.ErrHelp:
		os.Exit(0)
	case err != nil:
		os.Exit(2)
	case flags.NArg() > 0:
		fmt.Fprintf(os.Stderr, "setup: unexpected argument %q; see setup -h\n", flags.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	printer := progress.NewPrinter(os.Stderr)
	selected, err := runtimes.Select(names)
	if err != nil {
		fmt.Fprintln(os.Stderr, "setup:", err)
		os.Exit(2)
	}
	work := func() error {
		if err := setUp(ctx, *engineName, *nodeImage, printer); err != nil {
			return err
		}
		return buildRuntimes(ctx, selected, printer)
	}
	if *clean {
		work = func() error { return sweep(ctx, printer) }
	}
	if err := work(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("interrupted; nothing is left running, the next run goes on from what is compiled")
		}
		fmt.Fprintln(os.Stderr, "setup:", err)
		os.Exit(2)
	}
}

// repeated is a flag that may be given several times.
type repeated []string

func (values *repeated) String() string         { return strings.Join(*values, ",") }
func (values *repeated) Set(value string) error { *values = append(*values, value); return nil }

// buildRuntimes builds the runtimes that are missing.
func buildRuntimes(ctx context.Context, selected []runtimes.Runtime, printer *progress.Printer) error {
	root, err := nodeimage.Root()
	if err != nil {
		return err
	}
	directory, err := engine.CacheDirectory()
	if err != nil {
		return err
	}
	folder, err := runtimes.Folder(root, directory)
	if err != nil || len(runtimes.Missing(folder, selected)) == 0 {
		return err
	}
	unlock, err := lockBuild(ctx, directory, printer)
	if err != nil {
		return err
	}
	defer unlock()
	// Another process may have built them while this one waited.
	missing := runtimes.Missing(folder, selected)
	for _, runtime := range missing {
		if len(runtime.Packages) == 0 {
			continue
		}
		if err := engine.InstallPackages(ctx, printer.Step, runtime.Packages...); err != nil {
			return fmt.Errorf("the runtime %s cannot be built: %w", runtime.Name, err)
		}
	}
	return runtimes.Build(ctx, root, folder, missing, printer.Step)
}

// setUp makes sure that an engine works and that it has, or can pull, the node image.
func setUp(ctx context.Context, engineName, nodeImage string, printer *progress.Printer) error {
	working, err := findOrInstall(ctx, engineName, printer)
	if err != nil {
		return err
	}
	if err := working.Complete(ctx, printer.Step); err != nil {
		return err
	}
	root, err := nodeimage.Root()
	if err != nil {
		return err
	}
	image, err := nodeimage.Select(ctx, root, working, nodeImage)
	if err != nil {
		return err
	}
	printer.Printf("container engine: %s\nnode image: %s", working.Name, image)
	if working.HasImage(ctx, image) {
		return nil
	}
	if local, err := nodeimage.Reference(root); err != nil || image != local {
		return printer.Step(ctx, "pull "+image, func(ctx context.Context) error {
			_, err := working.Output(ctx, "pull", "--quiet", image)
			return err
		})
	}
	return buildLocally(ctx, root, working, printer)
}

func findOrInstall(ctx context.Context, name string, printer *progress.Printer) (*engine.Engine, error) {
	working, err := engine.Find(ctx, name)
	if err == nil {
		return working, nil
	}
	if name != "" && name != "podman" {
		return nil, err
	}
	printer.Printf("%v", err)
	return engine.Install(ctx, printer.Step)
}

// What the first build takes at its peak: in the cache directory with the Go caches that it fills, and where the
// engine keeps the image and the layers it is made of.
const (
	neededForBuild  = 12 << 30
	neededForEngine = 4 << 30
)

func buildLocally(ctx context.Context, root string, working *engine.Engine, printer *progress.Printer) error {
	directory, err := engine.CacheDirectory()
	if err != nil {
		return err
	}
	if err := checkSpace(directory, neededForBuild, "point XDG_CACHE_HOME to a larger disk"); err != nil {
		return err
	}
	unlock, err := lockBuild(ctx, directory, printer)
	if err != nil {
		return err
	}
	defer unlock()
	// Another process may have built it while this one waited.
	if reference, err := nodeimage.Reference(root); err != nil || working.HasImage(ctx, reference) {
		return err
	}
	storage, err := working.Storage(ctx)
	if err != nil {
		return err
	}
	// An engine may not tell, and a daemon on another machine names a folder that is not here.
	if _, err := os.Stat(storage); err == nil {
		if err := checkSpace(storage, neededForEngine, "prune images of "+working.Name); err != nil {
			return err
		}
	}
	packages := append(nodeimage.Packages, testimages.Packages()...)
	if err := engine.InstallPackages(ctx, printer.Step, packages...); err != nil {
		return fmt.Errorf("no registry answers and the node image cannot be built: %w", err)
	}
	archives, err := os.MkdirTemp(directory, "test-images-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(archives)
	built, err := testimages.Build(ctx, root, archives, printer.Step)
	if err != nil {
		return err
	}
	// An engine that cannot run the nodes says so now and not after the long build.
	err = printer.Step(ctx, "check that "+working.Name+" runs privileged containers", func(ctx context.Context) error {
		return checkPrivileged(ctx, working, built[slices.Index(testimages.Names(), "busybox")])
	})
	if err != nil {
		return err
	}
	return nodeimage.Build(ctx, root, directory, working, built, printer.Step)
}

// checkPrivileged tries a container of the archive's image, under a name of our own that is removed again: the
// archive's own names may be ones that the user has.
func checkPrivileged(ctx context.Context, working *engine.Engine, archive string) error {
	image, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		return err
	}
	tag, err := name.NewTag("localhost/sharedpid/privileged-check:latest")
	if err != nil {
		return err
	}
	renamed := archive + ".privileged-check"
	if err := tarball.WriteToFile(renamed, tag, image); err != nil {
		return err
	}
	if _, err := working.Output(ctx, "load", "--input", renamed); err != nil {
		return err
	}
	defer working.Output(context.WithoutCancel(ctx), "rmi", tag.Name())
	return working.CheckPrivileged(ctx, tag.Name())
}

// sweep deletes the clusters that have a record, and what a killed build left in the cache directory.
func sweep(ctx context.Context, printer *progress.Printer) error {
	names, err := cluster.Recorded()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := deleteCluster(ctx, name, printer); err != nil {
			return err
		}
	}
	directory, err := engine.CacheDirectory()
	if err != nil {
		return err
	}
	leftovers, err := filepath.Glob(filepath.Join(directory, "*-image*-*"))
	if err != nil {
		return err
	}
	root, err := nodeimage.Root()
	if err != nil {
		return err
	}
	stale, err := runtimes.Stale(root, directory)
	if err != nil {
		return err
	}
	leftovers = append(leftovers, stale...)
	for _, leftover := range leftovers {
		printer.Printf("==> delete %s", leftover)
		if err := os.RemoveAll(leftover); err != nil {
			return err
		}
	}
	return nil
}

func deleteCluster(ctx context.Context, name string, printer *progress.Printer) error {
	engineName, err := cluster.RecordedEngine(name)
	if err != nil {
		return err
	}
	working, err := engine.Find(ctx, engineName)
	if err != nil {
		return err
	}
	ours, err := cluster.NewKind(working, name, "", handlers.Set{}, func(string) {})
	if err != nil {
		return err
	}
	defer ours.Close()
	return printer.Step(ctx, "delete cluster "+name, ours.Destroy)
}

// lockBuild waits until no other process builds images, and returns how to let the next one.
func lockBuild(ctx context.Context, directory string, printer *progress.Printer) (func() error, error) {
	lock, err := os.OpenFile(filepath.Join(directory, "build.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	take := func() error { return unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
	if take() == nil {
		return lock.Close, nil
	}
	err = printer.Step(ctx, "wait for another process that builds images", func(ctx context.Context) error {
		return wait.PollUntilContextCancel(ctx, time.Second, true, func(context.Context) (bool, error) { return take() == nil, nil })
	})
	return lock.Close, err
}

// checkSpace says clearly, before anything is built, that a disk is too small.
func checkSpace(directory string, needed uint64, remedy string) error {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(directory, &stat); err != nil {
		return fmt.Errorf("free space of %s: %w", directory, err)
	}
	if free := stat.Bavail * uint64(stat.Bsize); free < needed {
		return fmt.Errorf("%s has %d GiB free, the first build needs %d GiB; free some, or %s",
			directory, free>>30, needed>>30, remedy)
	}
	return nil
}
