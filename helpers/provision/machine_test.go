package provision

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision/engine"
)

// docker is a container engine as a script of the shell: it writes down what it is asked, and fails what a file in its
// folder is named after.
const docker = `#!/bin/sh
echo "$*" >>$HERE/asked
test -e $HERE/fails-$1 && { echo "docker cannot $1" >&2; exit 1; }
case "$1 $3" in
"exec runc") echo 'runc version 1.5.2';;
"exec journalctl") echo 'E1126 06:00:01.100000     101 run.go:72] "command failed" err="failed to run Kubelet: no cgroups"';;
"exec sh") echo "  $4  ";;
"ps "*) cat $HERE/containers 2>/dev/null;;
esac
exit 0
`

// machine is a machine with an engine, a cache directory of its own and a library of kind's, for one test. Its engine
// holds every image.
type machine struct {
	t       *testing.T
	folder  string // of the engine's script
	cache   string
	shown   strings.Builder // on the printer
	api     string          // address of the API of its clusters
	printer *progress.Printer

	mutex     sync.Mutex
	exist     []string // clusters
	done      []string // what the library did, in order
	creation  func() error
	deletion  func() error
	looked    func() // called when nodes are listed
	requested v1alpha4.Cluster
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	machine := &machine{t: t, folder: t.TempDir()}
	machine.printer = progress.NewPrinter(&machine.shown)
	base := t.TempDir()
	machine.cache = filepath.Join(base, "sharedpid")
	t.Setenv("XDG_CACHE_HOME", base)
	t.Setenv("HERE", machine.folder)
	t.Setenv("PATH", machine.folder+":/usr/bin:/bin")
	t.Setenv("KUBECONFIG", filepath.Join(base, "none"))
	machine.write(filepath.Join(machine.folder, "docker"), docker)
	api := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if request.URL.Path != "/version" {
			http.NotFound(response, request)
			return
		}
		fmt.Fprint(response, `{"gitVersion":"v1.37.2"}`)
	}))
	t.Cleanup(api.Close)
	machine.api = api.URL
	return machine
}

func (machine *machine) write(path, content string) {
	machine.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		machine.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		machine.t.Fatal(err)
	}
}

// engineFails makes every call of a command of the engine fail, until it works again.
func (machine *machine) engineFails(command string) (works func()) {
	path := filepath.Join(machine.folder, "fails-"+command)
	machine.write(path, "")
	return func() { os.Remove(path) }
}

// asked returns what the engine was asked, by lines.
func (machine *machine) asked() string {
	content, _ := os.ReadFile(filepath.Join(machine.folder, "asked"))
	return string(content)
}

// open is a newLibrary.
func (machine *machine) open(_ *engine.Engine, messages func(string)) library {
	messages("Starting control-plane")
	return machine
}

func (machine *machine) clusters() ([]string, error) {
	machine.mutex.Lock()
	defer machine.mutex.Unlock()
	return slices.Clone(machine.exist), nil
}

func (machine *machine) nodes(cluster string) ([]string, error) {
	machine.mutex.Lock()
	defer machine.mutex.Unlock()
	if machine.looked != nil {
		machine.looked()
	}
	if !slices.Contains(machine.exist, cluster) {
		return nil, nil
	}
	return []string{cluster + "-control-plane"}, nil
}

func (machine *machine) create(cluster string, configuration *v1alpha4.Cluster, kubeconfig string) error {
	machine.mutex.Lock()
	machine.exist = append(machine.exist, cluster)
	machine.done = append(machine.done, "create "+cluster)
	machine.requested = *configuration
	creation := machine.creation
	machine.mutex.Unlock()
	machine.write(kubeconfig, machine.kubeconfig(cluster))
	if creation != nil {
		return creation()
	}
	return nil
}

func (machine *machine) delete(cluster, _ string) error {
	machine.mutex.Lock()
	defer machine.mutex.Unlock()
	machine.done = append(machine.done, "delete "+cluster)
	if machine.deletion != nil {
		return machine.deletion()
	}
	machine.exist = slices.DeleteFunc(machine.exist, func(each string) bool { return each == cluster })
	return nil
}

func (machine *machine) kubeconfig(contextName string) string {
	return fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: %[1]s,
  contexts: [{name: %[1]s, context: {cluster: c, user: u}}],
  clusters: [{name: c, cluster: {server: %[2]q}}], users: [{name: u, user: {}}]}`, contextName, machine.api)
}

// obtain obtains a cluster with these options and fails the test when that fails.
func (machine *machine) obtain(options Options) *Cluster {
	machine.t.Helper()
	cluster, err := obtain(machine.t.Context(), options, machine.printer, machine.open)
	if err != nil {
		machine.t.Fatal(err)
	}
	return cluster
}

// close closes a cluster and fails the test when that fails.
func (machine *machine) close(cluster *Cluster) {
	machine.t.Helper()
	if err := cluster.Close(machine.t.Context()); err != nil {
		machine.t.Fatal(err)
	}
}

// did compares what the library did so far.
func (machine *machine) did(want ...string) {
	machine.t.Helper()
	machine.mutex.Lock()
	defer machine.mutex.Unlock()
	if !slices.Equal(machine.done, want) {
		machine.t.Errorf("kind was asked to %v, want %v", machine.done, want)
	}
}

// files returns the names of the files that are kept of a cluster.
func (machine *machine) files(cluster string) []string {
	entries, err := os.ReadDir(filepath.Join(machine.cache, "clusters", cluster))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		machine.t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
