package provision

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"sharedpid.example/helpers/provision/engine"
)

func TestLoggerPassesOnWhatIsForPeople(t *testing.T) {
	var said []string
	logger := logger{func(message string) { said = append(said, message) }}
	logger.V(0).Info(" • Starting control-plane 🕹️  ...\n")
	logger.V(0).Infof("Creating cluster %q", "mine")
	logger.V(0).Info("  ✓ ")
	logger.V(3).Info("the output of kubeadm")
	logger.Warn("one")
	logger.Warnf("%d", 2)
	logger.Error("three")
	logger.Errorf("%d", 4)
	want := []string{"Starting control-plane   ...", `Creating cluster "mine"`, "one", "2", "three", "4"}
	if !slices.Equal(said, want) || logger.V(3).Enabled() || !logger.V(0).Enabled() {
		t.Errorf("it said %q, want %q", said, want)
	}
}

// TestKindStartsTheEngineInItsEnvironment runs kind's own library with an engine that writes down its environment.
func TestKindStartsTheEngineInItsEnvironment(t *testing.T) {
	machine := newMachine(t)
	t.Setenv("CONTAINERS_CONF", "")
	machine.write(filepath.Join(machine.folder, "podman"), `#!/bin/sh
echo "$1 $CONTAINERS_CONF" >>$HERE/asked
case "$1" in
--version) echo 'podman version 4.3.1';;
ps) echo mine;;
run|network|pull|image) echo 'Error: no room' >&2; exit 125;;
esac
`)
	host := engine.Host{CgroupVersion: 1, HasSysResource: true, KernelModules: filepath.Join(t.TempDir(), "modules")}
	working := &engine.Engine{Name: "podman", Host: host}
	if err := working.Prepare(); err != nil {
		t.Fatal(err)
	}
	library := newKindLibrary(working, func(string) {})
	if names, err := library.clusters(); err != nil || !slices.Equal(names, []string{"mine"}) {
		t.Errorf("the clusters are %v, %v", names, err)
	}
	if nodes, err := library.nodes("mine"); err != nil || !slices.Equal(nodes, []string{"mine"}) {
		t.Errorf("the nodes are %v, %v", nodes, err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	configuration := &v1alpha4.Cluster{Nodes: []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole, Image: "node:1"}}}
	if err := library.create("other", configuration, kubeconfig); err == nil {
		t.Error("a cluster was created")
	}
	if err := library.delete("mine", kubeconfig); err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(machine.asked()) {
		if !strings.HasSuffix(line, filepath.Join(machine.cache, "containers.conf")+"\n") {
			t.Errorf("the engine was started without its configuration: %s", line)
		}
	}
	if value := os.Getenv("CONTAINERS_CONF"); value != "" || machine.asked() == "" {
		t.Errorf("the process keeps the configuration %q", value)
	}
}
