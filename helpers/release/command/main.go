// Command makes the files of a release from a commit: binaries, their bills of materials, manifests and checksums. The same commit and the
// same version of Go give the same bytes.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"sigs.k8s.io/yaml"

	"sharedpid.example/helpers/archive"
	"sharedpid.example/helpers/release"
	"sharedpid.example/helpers/workspace"
	"sharedpid.example/suites"
)

// folder is where the files go, in the checkout.
const folder = "bin/release"

// checksums is the file with the checksums of all others.
const checksums = "SHA256SUMS"

// architectures of the nodes of a cluster that are built for. The command needs Linux.
var architectures = []string{"amd64", "arm64"}

// syft writes the bills of materials. It has too many dependencies to be one.
const syft = "github.com/anchore/syft/cmd/syft@v1.57.1"

// manifestNamespace is the namespace in the manifests that need one.
const manifestNamespace = "sharedpid"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
}

// origin is what a release was made from.
type origin struct {
	Version string    `json:"version"`
	Commit  string    `json:"commit"`
	Time    time.Time `json:"time"` // of the commit
	Go      string    `json:"go"`
}

func run(ctx context.Context) error {
	root, err := workspace.Root()
	if err != nil {
		return err
	}
	from, err := originOf(ctx, root)
	if err != nil {
		return err
	}
	to := filepath.Join(root, filepath.FromSlash(folder), from.Version)
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, architecture := range architectures {
		binary := filepath.Join(to, binaryName(from.Version, architecture))
		fmt.Println("==>", binary)
		if err := build(ctx, root, binary, architecture, from); err != nil {
			return err
		}
		if err := writeBill(ctx, binary, from); err != nil {
			return err
		}
	}
	if err := writeImage(ctx, to, from); err != nil {
		return err
	}
	if err := writeManifests(ctx, to, from); err != nil {
		return err
	}
	description, err := yaml.Marshal(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(to, "release.yaml"), description, 0o644); err != nil {
		return err
	}
	if err := writeChecksums(to); err != nil {
		return err
	}
	fmt.Println("release:", to)
	return nil
}

// originOf is the commit that is checked out. With changes beside it there is nothing that anybody else could build.
func originOf(ctx context.Context, root string) (origin, error) {
	changes, err := output(ctx, root, nil, "git", "status", "--porcelain")
	if err != nil {
		return origin{}, err
	}
	if changes != "" {
		first, _, _ := strings.Cut(changes, "\n")
		return origin{}, fmt.Errorf("the checkout has changes (%s): commit them or make the release in a clone", strings.TrimSpace(first))
	}
	described, err := output(ctx, root, nil, "git", "show", "-s", "--format=%H %ct", "HEAD")
	if err != nil {
		return origin{}, err
	}
	commit, seconds, _ := strings.Cut(described, " ")
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return origin{}, fmt.Errorf("git says %q of the commit: %w", described, err)
	}
	return origin{Version: suites.Version, Commit: commit, Time: time.Unix(at, 0).UTC(), Go: runtime.Version()}, nil
}

func binaryName(version, architecture string) string {
	return "sharedpid-" + version + "-linux-" + architecture
}

// build builds the command for an architecture. The toolchain stamps no version: it would be another one where the clone has tags.
func build(ctx context.Context, root, binary, architecture string, from origin) error {
	_, err := output(ctx, root, workspace.BuildEnvironment(architecture), "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid= -X main.commit="+from.Commit, "-o", binary, "./suites/sharedpid")
	return err
}

// imageName is what the image is called in its archive and in the manifests. Who puts it into a registry calls it by that one.
func imageName(from origin) string { return "sharedpid.example/sharedpid:" + from.Version }

// writeImage writes the image of the command for all architectures as an archive, for sharedpid images load and the like.
func writeImage(ctx context.Context, to string, from origin) error {
	var programs []release.Program
	for _, architecture := range architectures {
		programs = append(programs, release.Program{Architecture: architecture, File: filepath.Join(to, binaryName(from.Version, architecture))})
	}
	index, err := release.Image("sharedpid", programs, map[string]string{
		"org.opencontainers.image.version": from.Version, "org.opencontainers.image.revision": from.Commit,
	}, from.Time)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(imageName(from))
	if err != nil {
		return err
	}
	return archive.Write(ctx, filepath.Join(to, "sharedpid-"+from.Version+"-image.tar"), []archive.Image{{Tag: tag, Content: index}})
}

// writeManifests writes what is applied to clusters, as the command prints it.
func writeManifests(ctx context.Context, to string, from origin) error {
	if !slices.Contains(architectures, runtime.GOARCH) || runtime.GOOS != "linux" {
		return fmt.Errorf("the command does not run on %s/%s, and it prints the manifests: make the release on Linux", runtime.GOOS, runtime.GOARCH)
	}
	binary := filepath.Join(to, binaryName(from.Version, runtime.GOARCH))
	for file, arguments := range map[string][]string{
		"rbac-cluster.yaml":   {"rights", "--profile=full"},
		"rbac-namespace.yaml": {"rights", "--profile=full", "--namespace=" + manifestNamespace},
		"job.yaml":            {"job", "--profile=core", "--namespace=" + manifestNamespace, "--suite-image=" + imageName(from)},
		"sonobuoy.yaml":       {"sonobuoy", "--profile=core", "--suite-image=" + imageName(from)},
	} {
		content, err := output(ctx, to, nil, slices.Concat([]string{binary}, arguments)...)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, file), []byte(content+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeChecksums writes the checksums of all files, as sha256sum --check reads them.
func writeChecksums(to string) error {
	entries, err := os.ReadDir(to) // sorted
	if err != nil {
		return err
	}
	var lines bytes.Buffer
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(to, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&lines, "%x  %s\n", sha256.Sum256(content), entry.Name())
	}
	return os.WriteFile(filepath.Join(to, checksums), lines.Bytes(), 0o644)
}

// output runs a program in a folder and returns what it prints.
func output(ctx context.Context, folder string, environment []string, arguments ...string) (string, error) {
	return workspace.Command{Arguments: arguments, Folder: folder, Environment: environment}.Output(ctx)
}
