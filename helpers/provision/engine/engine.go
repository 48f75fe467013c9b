// Package engine finds or installs the container engine in which kind runs its nodes.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sharedpid.example/helpers/workspace"
)

// Names returns the engines that kind can use, in the order in which Detect tries them.
func Names() []string { return []string{"docker", "podman", "nerdctl"} }

// ErrNone says that no container engine works on this machine.
var ErrNone = errors.New("no working container engine")

// Engine is a container engine that answered.
type Engine struct {
	Name string // one of Names, also the name of its command
	Host Host

	mutex       sync.Mutex // guards what follows
	environment []string   // NAME=VALUE, for each of its commands; set by Prepare
	borrowers   int        // how many calls of Lend are under way
}

// Validate returns an error about a name that is no engine's. An empty name stands for any engine.
func Validate(name string) error {
	if name != "" && !slices.Contains(Names(), name) {
		return fmt.Errorf("engine %q is not known; the engines are %s", name, strings.Join(Names(), ", "))
	}
	return nil
}

// Detect returns the named engine, or with an empty name the first of Names that works. A client without its daemon
// does not count as working. Detect changes nothing on this machine. The error wraps ErrNone and says what each engine
// answered.
func Detect(ctx context.Context, name string) (*Engine, error) {
	if err := Validate(name); err != nil {
		return nil, err
	}
	names := Names()
	if name != "" {
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

// answerTime is how long an engine may take to say that it works.
const answerTime = 20 * time.Second

func (engine *Engine) check(ctx context.Context) error {
	if _, err := exec.LookPath(engine.Name); err != nil {
		return fmt.Errorf("%s is not installed", engine.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	_, err := engine.Output(ctx, "info")
	return err
}

// configurationVariable names the file from which podman reads its settings, see containers.conf(5).
const configurationVariable = "CONTAINERS_CONF"

// Prepare makes what the engine needs on this machine before it runs a cluster's nodes. Podman gets a configuration
// of our own where this host needs one; it is a file below the cache directory, and a CONTAINERS_CONF that the user has
// set is respected. As root, it makes the folder /lib/modules: kind mounts it into its nodes, and podman refuses a
// source that does not exist. Other engines need nothing.
func (engine *Engine) Prepare() error {
	if engine.Name != "podman" {
		return nil
	}
	modules := engine.Host.KernelModules
	if err := os.Mkdir(modules, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("podman needs the folder %s: %w; run: sudo mkdir %[1]s", modules, err)
	}
	configuration := engine.Host.containersConf()
	if configuration == "" || os.Getenv(configurationVariable) != "" {
		return nil
	}
	directory, err := workspace.Cache()
	if err != nil {
		return err
	}
	path := filepath.Join(directory, "containers.conf")
	if err := os.WriteFile(path, []byte(configuration), 0o644); err != nil {
		return err
	}
	engine.mutex.Lock()
	defer engine.mutex.Unlock()
	engine.environment = []string{configurationVariable + "=" + path}
	return nil
}

// Lend runs f while this whole process has the environment that the engine's commands have. It is the only place that
// changes the environment of the process, and there for kind's library, which starts the engine by itself. Calls may
// overlap; the last one to end takes the environment back.
func (engine *Engine) Lend(f func() error) error {
	if err := engine.borrow(); err != nil {
		return err
	}
	defer engine.giveBack()
	return f()
}

func (engine *Engine) borrow() error {
	engine.mutex.Lock()
	defer engine.mutex.Unlock()
	for _, assignment := range engine.environment {
		name, value, _ := strings.Cut(assignment, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	engine.borrowers++
	return nil
}

// giveBack unsets what the last borrower no longer needs: Prepare chooses nothing that was set before.
func (engine *Engine) giveBack() {
	engine.mutex.Lock()
	defer engine.mutex.Unlock()
	if engine.borrowers--; engine.borrowers > 0 {
		return
	}
	for _, assignment := range engine.environment {
		name, _, _ := strings.Cut(assignment, "=")
		_ = os.Unsetenv(name) // fails for a malformed name only
	}
}

// Command returns a command of the engine, not yet started. An interrupted one gets ten seconds to leave nothing half
// made in the engine's storage.
func (engine *Engine) Command(arguments ...string) workspace.Command {
	engine.mutex.Lock()
	defer engine.mutex.Unlock()
	return workspace.Command{
		Arguments:   append([]string{engine.Name}, arguments...),
		Environment: slices.Clone(engine.environment),
		Grace:       10 * time.Second,
	}
}

// Output runs a command of the engine and returns what it printed. The error carries the engine's own words.
func (engine *Engine) Output(ctx context.Context, arguments ...string) (string, error) {
	return engine.Command(arguments...).Output(ctx)
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

// Qualified returns the reference of an image with its registry. One without a registry is on Docker Hub to docker and to kind,
// and podman refuses it on Debian, which names no registry to look in.
func Qualified(reference string) string {
	host, _, found := strings.Cut(reference, "/")
	switch {
	case !found:
		return "docker.io/library/" + reference
	case strings.ContainsAny(host, ".:") || host == "localhost":
		return reference
	}
	return "docker.io/" + reference
}

// HasImage tells whether the engine holds the image; an engine that fails counts as not holding it.
func (engine *Engine) HasImage(ctx context.Context, reference string) bool {
	_, err := engine.Output(ctx, "image", "inspect", "--format={{.Id}}", Qualified(reference))
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

// RemoveContainers removes the containers whose names begin with a prefix, running ones as well, with their anonymous
// volumes. It returns their names.
func (engine *Engine) RemoveContainers(ctx context.Context, prefix string) ([]string, error) {
	listing, err := engine.Output(ctx, "ps", "--all", "--format={{.Names}}")
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(strings.Fields(listing), func(name string) bool { return !strings.HasPrefix(name, prefix) })
	if len(names) == 0 {
		return nil, nil
	}
	return names, engine.Command(append([]string{"rm", "--force", "--volumes"}, names...)...).Run(ctx)
}
