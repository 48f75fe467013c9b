package provision

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"sharedpid.example/fixtures/node"
)

// older is a worker of other versions than the rest of its cluster.
var older = Options{Worker: node.Versions{Kubernetes: "1.36.3"}}

func TestWorkerIsOfItsOwnVersions(t *testing.T) {
	machine := newMachine(t)
	machine.close(machine.obtain(older))
	nodes := machine.requested.Nodes
	if len(nodes) != 2 || nodes[0].Role != v1alpha4.ControlPlaneRole || !strings.Contains(nodes[0].Image, "node:v1.37.2-") ||
		nodes[1].Role != v1alpha4.WorkerRole || !strings.Contains(nodes[1].Image, "node:v1.36.3-") {
		t.Errorf("the nodes are %+v", nodes)
	}
}

func TestNodeOfAConfigurationKeepsItsImage(t *testing.T) {
	machine := newMachine(t)
	path := filepath.Join(t.TempDir(), "kind.yaml")
	machine.write(path, "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"+
		"nodes: [{role: control-plane, image: 'example.com/node:2'}, {role: worker}]\n")
	cluster := machine.obtain(Options{ClusterConfig: path, NodeImage: "example.com/node:1"})
	defer machine.close(cluster)
	if nodes := machine.requested.Nodes; nodes[0].Image != "example.com/node:2" || nodes[1].Image != "example.com/node:1" {
		t.Errorf("the nodes are %+v", nodes)
	}
	if image := cluster.Description.NodeImage; image != "example.com/node:2" {
		t.Errorf("the reports name the image %s", image)
	}
}

func TestUpgradeReplacesProgramsAndRestartsServices(t *testing.T) {
	machine := newMachine(t)
	cluster := machine.obtain(older)
	before := len(machine.asked())
	if err := cluster.Upgrade(t.Context(), "sharedpid-worker"); err != nil {
		t.Fatal(err)
	}
	asked := machine.asked()[before:]
	var verbs []string
	for line := range strings.Lines(asked) {
		verbs = append(verbs, strings.Fields(line)[0])
	}
	want := slices.Concat([]string{"create", "exec"}, slices.Repeat([]string{"cp", "cp"}, len(replacedPrograms)), []string{"rm", "exec"})
	if !slices.Equal(verbs, want) || !strings.Contains(asked, ":/usr/bin/kubelet ") || !strings.Contains(asked, "node:v1.37.2-") {
		t.Errorf("the engine was asked\n%s", asked)
	}
	script := upgradeScript()
	last := -1
	for _, step := range []string{
		"stop kubelet", "mv -f /sharedpid-upgrade/runc /usr/local/sbin/runc", "restart containerd", "kubeadm upgrade node", "start kubelet",
	} {
		at := strings.Index(script, step)
		if at <= last {
			t.Errorf("%q does not follow in\n%s", step, script)
		}
		last = at
	}
	if left, err := filepath.Glob(filepath.Join(machine.cache, node.FolderPrefix+"*")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	// Who asks for the older worker later must not be given the upgraded one.
	machine.leave(cluster)
	machine.close(machine.obtain(older))
	machine.did("create sharedpid", "delete sharedpid", "create sharedpid", "delete sharedpid")
}

func TestUpgradeThatFails(t *testing.T) {
	machine := newMachine(t)
	cluster := machine.obtain(older)
	defer machine.close(cluster)
	works := machine.engineFails("cp")
	if err := cluster.Upgrade(t.Context(), "sharedpid-worker"); err == nil || !strings.Contains(err.Error(), "docker cannot cp") {
		t.Errorf("error is %v", err)
	}
	works()
	if !strings.Contains(machine.asked(), "rm --force --volumes sharedpid-node-image-") {
		t.Errorf("the container of the image is left:\n%s", machine.asked())
	}
	if entries, err := os.ReadDir(machine.cache); err != nil || slices.ContainsFunc(entries, func(each os.DirEntry) bool {
		return strings.HasPrefix(each.Name(), node.FolderPrefix)
	}) {
		t.Errorf("the cache holds %v, %v", entries, err)
	}
}

func TestSetUpProvidesTheImageOfTheWorkerToo(t *testing.T) {
	machine := newMachine(t)
	if err := SetUp(t.Context(), older, machine.printer); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"node:v1.37.2-", "node:v1.36.3-"} {
		if shown := machine.shown.String(); !strings.Contains(shown, "node image: localhost/sharedpid/"+version) {
			t.Errorf("it showed\n%s", shown)
		}
	}
}
