// Package engine finds or installs the container engine in which kind runs its nodes.
package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Names are the engines that kind can use, in the order in which Find tries them.
var Names = []string{"docker", "podman", "nerdctl"}

// ErrNone says that no container engine works on this machine.
var ErrNone = errors.New("no working container engine")

// Engine is a container engine that answered.
type Engine struct {
	Name string // one of Names, also the name of its command
	Host Host
}

// Find returns the named engine, or with an empty name the first of Names that works. A client without its
// daemon does not count as working. The error wraps ErrNone and says what each one answered.
func Find(ctx context.Context, name string) (*Engine, error) {
	names := Names
	if name != "" {
		if !slices.Contains(Names, name) {
			return nil, fmt.Errorf("engine %q is not known; the engines are %s", name, strings.Join(Names, ", "))
		}
		names = []string{name}
	}
	host, err := ReadHost()
	if err != nil {
		return nil, err
	}
	var answers []string
	for _, name := range names {
		engine := &Engine{Name: name, Host: host}
		err := engine.check(ctx)
		if err == nil {
			return engine, nil
		}
		answers = append(answers, err.Error())
	}
	return nil, fmt.Errorf("%w: %s", ErrNone, strings.Join(answers, "; "))
}

func (engine *Engine) check(ctx context.Context) error {
	if _, err := exec.LookPath(engine.Name); err != nil {
		return fmt.Errorf("%s is not installed", engine.Name)
	}
	if engine.Name == "podman" {
		if err := engine.adaptPodman(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, err := engine.Output(ctx, "info")
	return err
}

// adaptPodman gives podman, and kind's library which calls it, a containers.conf of our own where this host
// needs one. A CONTAINERS_CONF that the user has set is respected.
func (engine *Engine) adaptPodman() error {
	conf := engine.Host.containersConf()
	if conf != "" && os.Getenv("CONTAINERS_CONF") == "" {
		directory, err := CacheDirectory()
		if err != nil {
			return err
		}
		path := filepath.Join(directory, "containers.conf")
		if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
			return err
		}
		if err := os.Setenv("CONTAINERS_CONF", path); err != nil {
			return err
		}
	}
	// kind mounts /lib/modules into its nodes; podman refuses a source that does not exist.
	if err := os.Mkdir("/lib/modules", 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("podman needs the folder /lib/modules: %w", err)
	}
	return nil
}

// CacheDirectory makes and returns the directory in which the project keeps what outlives a run.
func CacheDirectory() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	directory := filepath.Join(base, "sharedpid")
	return directory, os.MkdirAll(directory, 0o755)
}

// Command returns a command of the engine. When ctx ends, it is asked to end, so that it leaves nothing half
// made in the engine's storage, and killed only if it does not.
func (engine *Engine) Command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, engine.Name, arguments...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	return command
}

// Output runs a command of the engine and returns what it printed. The error carries the engine's own words.
func (engine *Engine) Output(ctx context.Context, arguments ...string) (string, error) {
	command := engine.Command(ctx, arguments...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", engine.Name, arguments[0], err, lastLine(stderr.String()))
	}
	return strings.TrimSpace(string(output)), nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// CheckPrivileged says why the engine cannot run the privileged containers that kind's nodes are: podman and
// nerdctl need root for a node whose cgroups and mounts work as on a machine.
func (engine *Engine) CheckPrivileged(ctx context.Context, image string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err := engine.Output(ctx, "run", "--rm", "--privileged", "--network=none", "--entrypoint=/bin/true", image)
	if err != nil {
		return fmt.Errorf("%s cannot run privileged containers, which kind's nodes are: %w", engine.Name, err)
	}
	return nil
}

// HasImage tells whether the engine holds the image; an engine that fails counts as not holding it.
func (engine *Engine) HasImage(ctx context.Context, reference string) bool {
	_, err := engine.Output(ctx, "image", "inspect", "--format={{.Id}}", reference)
	return err == nil
}

// storageFields name, in each engine's own terms, the folder in which it keeps images and containers.
var storageFields = map[string]string{"docker": "{{.DockerRootDir}}", "podman": "{{.Store.GraphRoot}}"}

// Storage returns the folder in which the engine keeps images and containers, empty for one that does not tell.
func (engine *Engine) Storage(ctx context.Context) (string, error) {
	field, found := storageFields[engine.Name]
	if !found {
		return "", nil
	}
	return engine.Output(ctx, "info", "--format="+field)
}
