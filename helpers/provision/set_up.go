package provision

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"sharedpid.example/fixtures/images"
	"sharedpid.example/fixtures/node"
	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision/engine"
	"sharedpid.example/helpers/workspace"
)

// SetUp provides on this machine what Obtain needs for the same options, as far as it is missing: a container engine, the
// node image with the test images, and the runtimes. It builds nothing that a registry has; the first build of a node
// image takes about 15 minutes on 2 processors. When ctx ends it leaves nothing running, and the next call goes on from
// what is compiled.
func SetUp(ctx context.Context, options Options, printer *progress.Printer) error {
	if err := options.Validate(); err != nil {
		return err
	}
	if options.Existing() {
		return errors.New("there is nothing to set up for a cluster that exists; leave out --kubeconfig and --context")
	}
	root, err := workspace.Root()
	if err != nil {
		return err
	}
	cache, err := workspace.Cache()
	if err != nil {
		return err
	}
	setUp := setUp{options: options, root: root, cache: cache, printer: printer}
	err = setUp.provideNodeImage(ctx)
	if err == nil && options.Worker.Given() {
		worker := setUp
		worker.options.NodeImage, worker.options.NodeVersions = "local", options.Worker
		err = worker.provideNodeImage(ctx)
	}
	if err == nil {
		err = setUp.provideRuntimes(ctx)
	}
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("interrupted: %w; nothing is left running, and the next run goes on from what is compiled", ctx.Err())
	}
	return err
}

// setUp is one call of SetUp: what was asked, and where it works.
type setUp struct {
	options     Options
	root, cache string
	printer     *progress.Printer
}

// provideNodeImage makes sure that an engine works and that it has, or can pull, the node image.
func (setUp setUp) provideNodeImage(ctx context.Context) error {
	working, err := setUp.provideEngine(ctx)
	if err != nil {
		return err
	}
	image, err := setUp.options.selectNodeImage(ctx, setUp.root, working)
	if err != nil {
		return err
	}
	setUp.printer.Printf("container engine: %s\nnode image: %s", working.Name, image)
	if working.HasImage(ctx, image) {
		return nil
	}
	local, err := node.Reference(setUp.root, setUp.options.NodeVersions)
	if err != nil {
		return err
	}
	if image == local {
		return setUp.buildNodeImage(ctx, working, local)
	}
	return setUp.printer.Step(ctx, "pull "+image, working.Command("pull", "--quiet", image).Run)
}

// HasNodeImage tells whether the engine of the options, where it works already, has the local node image of their versions.
func HasNodeImage(ctx context.Context, options Options) (bool, error) {
	working, image, err := localNodeImage(ctx, options)
	return err == nil && working != nil && working.HasImage(ctx, image), err
}

// RemoveNodeImage removes that image, which nothing may use. Without it, or without an engine, it does nothing.
func RemoveNodeImage(ctx context.Context, options Options) error {
	working, image, err := localNodeImage(ctx, options)
	if err != nil || working == nil || !working.HasImage(ctx, image) {
		return err
	}
	return working.Command("rmi", image).Run(ctx)
}

// localNodeImage returns the engine and the reference of the local node image, or no engine where none works yet.
func localNodeImage(ctx context.Context, options Options) (*engine.Engine, string, error) {
	root, err := workspace.Root()
	if err != nil {
		return nil, "", err
	}
	image, err := node.Reference(root, options.NodeVersions)
	if err != nil {
		return nil, "", err
	}
	working, err := engine.Detect(ctx, options.Engine)
	if err != nil {
		return nil, image, nil // SetUp says what is wrong, or installs one
	}
	return working, image, nil
}

// provideEngine finds an engine, or installs podman where that is what was asked for.
func (setUp setUp) provideEngine(ctx context.Context) (*engine.Engine, error) {
	asked := setUp.options.Engine
	working, err := engine.Detect(ctx, asked)
	if err != nil && (asked == "" || asked == "podman") {
		setUp.printer.Printf("%v", err)
		working, err = engine.Install(ctx, setUp.printer.Step)
	}
	if err != nil {
		return nil, err
	}
	return working, working.Complete(ctx, setUp.printer.Step)
}

// What the first build takes at its peak, in bytes: in the cache directory with the Go caches that it fills, and where
// the engine keeps the image and the layers it is made of.
const (
	neededForBuild  = 12 << 30
	neededForEngine = 4 << 30
)

func (setUp setUp) buildNodeImage(ctx context.Context, working *engine.Engine, reference string) error {
	if working.Name == "nerdctl" { // 2.2 commits with another CMD or ENTRYPOINT alone
		return errors.New("nerdctl cannot build the node image: what it commits has no environment; " +
			"load an image and name it with --node-image, or take docker or podman with --engine")
	}
	if err := checkSpace(setUp.cache, neededForBuild, "point XDG_CACHE_HOME to a larger disk"); err != nil {
		return err
	}
	unlock, err := lockBuild(ctx, setUp.cache, setUp.printer)
	if err != nil {
		return err
	}
	defer unlock()
	// Another process may have built it while this one waited.
	if working.HasImage(ctx, reference) {
		return nil
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
	packages := append(node.Packages(), images.Packages()...)
	if err := engine.InstallPackages(ctx, setUp.printer.Step, packages...); err != nil {
		return fmt.Errorf("no registry answers and the node image cannot be built: %w", err)
	}
	archives, err := os.MkdirTemp(setUp.cache, archivesPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(archives)
	built, err := images.Build(ctx, setUp.root, archives, setUp.printer.Step)
	if err != nil {
		return err
	}
	if err := working.Prepare(); err != nil {
		return err
	}
	// An engine that cannot run the nodes says so now and not after the long build.
	err = setUp.printer.Step(ctx, "check that "+working.Name+" runs privileged containers", func(ctx context.Context) error {
		return checkPrivileged(ctx, working, built[slices.Index(images.Names(), "busybox")])
	})
	if err != nil {
		return err
	}
	return node.Build(ctx, setUp.root, setUp.cache, setUp.options.NodeVersions, working, built, setUp.printer.Step)
}

// archivesPrefix begins the names of the folders, below the cache directory, that hold archives of test images.
const archivesPrefix = "test-images-"

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
	if err := working.Command("load", "--input", renamed).Run(ctx); err != nil {
		return err
	}
	defer working.Output(context.WithoutCancel(ctx), "rmi", tag.Name())
	return working.CheckPrivileged(ctx, tag.Name())
}

// provideRuntimes builds the runtimes that are missing.
func (setUp setUp) provideRuntimes(ctx context.Context) error {
	selected, err := runtimes.Select(setUp.options.Runtimes)
	if err != nil {
		return err
	}
	folder, err := runtimes.Folder(setUp.root, setUp.cache)
	if err != nil || len(runtimes.Missing(folder, selected)) == 0 {
		return err
	}
	unlock, err := lockBuild(ctx, setUp.cache, setUp.printer)
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
		if err := engine.InstallPackages(ctx, setUp.printer.Step, runtime.Packages...); err != nil {
			return fmt.Errorf("the runtime %s cannot be built: %w", runtime.Name, err)
		}
	}
	return runtimes.Build(ctx, setUp.root, folder, missing, setUp.printer.Step)
}

// tryBuildLock takes the lock on builds below the cache directory. It returns how to give it back, nil when another
// process has it.
func tryBuildLock(cache string) (unlock func() error, err error) {
	lock, err := os.OpenFile(filepath.Join(cache, "build.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil, lock.Close()
	}
	return lock.Close, nil
}

// lockInterval is how often a process that waits for the lock on builds tries to take it.
const lockInterval = time.Second

// lockBuild waits until no other process builds images or runtimes, and returns how to let the next one.
func lockBuild(ctx context.Context, cache string, printer *progress.Printer) (unlock func() error, err error) {
	if unlock, err = tryBuildLock(cache); unlock != nil || err != nil {
		return unlock, err
	}
	err = printer.Step(ctx, "wait for another process that builds images", func(ctx context.Context) error {
		return wait.PollUntilContextCancel(ctx, lockInterval, true, func(context.Context) (bool, error) {
			unlock, err = tryBuildLock(cache)
			return unlock != nil, err
		})
	})
	return unlock, err
}

// checkSpace says clearly, before anything is built, that a disk is too small. needed is in bytes.
func checkSpace(directory string, needed uint64, remedy string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(directory, &stat); err != nil {
		return fmt.Errorf("free space of %s: %w", directory, err)
	}
	if free := stat.Bavail * uint64(stat.Bsize); free < needed {
		return fmt.Errorf("%s has %d GiB free, the first build needs %d GiB; free some, or %s",
			directory, free>>30, needed>>30, remedy)
	}
	return nil
}
