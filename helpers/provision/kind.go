package provision

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/helpers/provision/engine"
)

// kindCluster is the kind cluster of one name, whether it exists or not, for as long as this process holds the name.
type kindCluster struct {
	name     string
	engine   *engine.Engine
	library  library
	folder   folder
	held     *os.File // the lock on the name
	messages *messages
}

// wanted says what the nodes of a cluster must be, so that it can be used.
type wanted struct {
	image    string
	worker   string   // image of a worker beside the configuration's own nodes, empty for none
	patches  []string // of kubeadm's configuration, which the image needs
	handlers runtimes.Set
}

// hold returns the cluster of a name in an engine. A second process that holds the same name is refused until release.
func hold(working *engine.Engine, name string, open newLibrary) (*kindCluster, error) {
	folder, err := clusterFolder(name)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(string(folder), 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(folder.lock(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("another run is using the cluster %s; wait for it, or choose another name with --cluster-name", name)
	}
	said := &messages{}
	return &kindCluster{
		name: name, engine: working, library: open(working, said.add), folder: folder, held: lock, messages: said,
	}, nil
}

// release lets go of the cluster's name.
func (cluster *kindCluster) release() error { return cluster.held.Close() }

// find tells whether the cluster exists, is ready for use and is as wanted. One of the name that is not ours is an
// error; one of ours that cannot be used is deleted, and replaced says why.
func (cluster *kindCluster) find(ctx context.Context, want wanted) (found bool, replaced string, err error) {
	ours, recorded, err := cluster.folder.read()
	if err != nil {
		return false, "", err
	}
	if recorded && ours.Engine != cluster.engine.Name {
		return false, "", fmt.Errorf("the cluster %s of an earlier run is in %s; run make clean, or choose another name with --cluster-name",
			cluster.name, ours.Engine)
	}
	names, err := cluster.library.clusters()
	if err != nil {
		return false, "", fmt.Errorf("list of kind's clusters: %w", withOutput(err))
	}
	if !slices.Contains(names, cluster.name) {
		return false, "", cluster.folder.forget()
	}
	if !recorded {
		return false, "", fmt.Errorf("a kind cluster named %s exists that this project did not create; "+
			"choose another name with --cluster-name, or delete it yourself", cluster.name)
	}
	if replaced = cluster.unusable(ctx, ours, want); replaced == "" {
		return true, "", nil
	}
	if ctx.Err() != nil { // and not the nodes that failed to answer
		return false, "", ctx.Err()
	}
	return false, replaced, cluster.destroy(ctx)
}

// unusable returns why a cluster of ours cannot be used, empty when it can.
func (cluster *kindCluster) unusable(ctx context.Context, ours record, want wanted) string {
	switch {
	case !ours.Ready:
		return "its creation was cut short"
	case ours.Image != want.image || ours.Worker != want.worker:
		return "it has another node image"
	case ours.Folder != want.handlers.Folder || !slices.Equal(ours.Handlers, want.handlers.Names()):
		return "it has other runtime handlers"
	case !cluster.nodesRun(ctx):
		return "its nodes no longer run"
	}
	return ""
}

// nodesRun tells whether every node runs a command. The engine's own word is not enough: after a restart of the
// machine it lists a cluster's containers still, at times as running.
func (cluster *kindCluster) nodesRun(ctx context.Context) bool {
	nodes, err := cluster.library.nodes(cluster.name)
	if err != nil {
		return false
	}
	for _, node := range nodes {
		if _, err := cluster.engine.Output(ctx, "exec", node, "true"); err != nil {
			return false
		}
	}
	return len(nodes) > 0
}

// keep makes the cluster outlive its run: the next one finds it.
func (cluster *kindCluster) keep() error {
	ours, found, err := cluster.folder.read()
	if err != nil || !found {
		return err
	}
	ours.Kept = true
	return cluster.folder.write(ours)
}

// kept tells whether keep was called for the cluster, in this run or an earlier one.
func (cluster *kindCluster) kept() bool {
	ours, _, err := cluster.folder.read()
	return err == nil && ours.Kept
}

// create creates the cluster with a configuration, to which what this host and the handlers need is added. One that
// fails, or whose ctx ends, must be destroyed.
func (cluster *kindCluster) create(ctx context.Context, configuration *v1alpha4.Cluster, want wanted) error {
	cluster.complete(configuration, want)
	ours := record{
		Engine: cluster.engine.Name, Image: want.image, Worker: want.worker, Created: time.Now(),
		Handlers: want.handlers.Names(), Folder: want.handlers.Folder,
	}
	if err := cluster.folder.write(ours); err != nil {
		return err
	}
	created := make(chan error, 1)
	go func() {
		created <- cluster.library.create(cluster.name, configuration, cluster.folder.kubeconfig())
	}()
	select {
	case err := <-created:
		if ctx.Err() != nil { // an interrupt from the terminal reaches the commands of kind's library as well
			return ctx.Err()
		}
		if err != nil {
			return cluster.explain(ctx, err, want.image)
		}
	case <-ctx.Done():
		cluster.stopCreation(created)
		return ctx.Err()
	}
	ours.Ready = true
	return cluster.folder.write(ours)
}

// logTime is how long a node may take to show its kubelet's log.
const logTime = 10 * time.Second

// explain adds to the error of a creation what kind was doing, what the kubelet said, and what a person does next.
func (cluster *kindCluster) explain(ctx context.Context, err error, image string) error {
	err = fmt.Errorf("%w (kind's last step: %s)", withOutput(err), cluster.messages.last())
	ctx, cancel := context.WithTimeout(ctx, logTime)
	defer cancel()
	nodes, _ := cluster.library.nodes(cluster.name) // without nodes there is no log
	for _, node := range nodes {
		// A node that does not run says nothing, and the error is what it was.
		log, _ := cluster.engine.Output(ctx, "exec", node, "journalctl", "--unit=kubelet", "--no-pager", "--output=cat", "--lines=1000")
		if said := kubeletError(log); said != "" {
			err = fmt.Errorf("%w; the kubelet of %s: %s", err, node, said)
			break
		}
	}
	return fmt.Errorf("%w; next step: %s", err, creationStep(err.Error(), cluster.engine.Name, image))
}

// complete adds to a configuration what nodes need on this host, the worker, the handlers, and the image of each node that names none.
func (cluster *kindCluster) complete(configuration *v1alpha4.Cluster, want wanted) {
	host, set := cluster.engine.Host, want.handlers
	if len(configuration.Nodes) == 0 {
		configuration.Nodes = []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole}}
	}
	if want.worker != "" {
		configuration.Nodes = append(configuration.Nodes, v1alpha4.Node{Role: v1alpha4.WorkerRole, Image: want.worker})
	}
	for i := range configuration.Nodes {
		configuration.Nodes[i].Image = cmp.Or(configuration.Nodes[i].Image, want.image)
	}
	configuration.KubeadmConfigPatches = append(configuration.KubeadmConfigPatches, slices.Concat(host.KubeadmPatches(), want.patches)...)
	configuration.ContainerdConfigPatches = append(configuration.ContainerdConfigPatches, host.ContainerdPatches()...)
	if set.Folder == "" {
		return
	}
	configuration.ContainerdConfigPatches = append(configuration.ContainerdConfigPatches, set.ContainerdPatches(host.SystemdCgroup())...)
	for i := range configuration.Nodes {
		configuration.Nodes[i].ExtraMounts = append(configuration.Nodes[i].ExtraMounts, v1alpha4.Mount{
			HostPath: set.Folder, ContainerPath: runtimes.Directory, Readonly: true,
		})
	}
}

// How long a creation may take to fail without its nodes, and how often they are looked for.
const (
	stopTime     = time.Minute
	stopInterval = 500 * time.Millisecond
)

// stopCreation ends a creation, which kind's library cannot cancel: without its nodes it fails at its next step.
func (cluster *kindCluster) stopCreation(created <-chan error) {
	// A creation that does not fail in time ends with this process.
	_ = wait.PollUntilContextTimeout(context.Background(), stopInterval, stopTime, true, func(ctx context.Context) (bool, error) {
		cluster.killNodes(ctx)
		select {
		case <-created:
			return true, nil
		default:
			return false, nil
		}
	})
}

// killNodes ends the node containers at once; without it podman waits ten seconds for each to stop by itself. In nerdctl it removes them as
// well: kind changes the restart policy of what it deletes there, which fails for a container that does not run.
func (cluster *kindCluster) killNodes(ctx context.Context) {
	nodes, err := cluster.library.nodes(cluster.name)
	if err != nil {
		return // whoever deletes the nodes meets the same error
	}
	end := []string{"kill"}
	if cluster.engine.Name == "nerdctl" {
		end = []string{"rm", "--force", "--volumes"}
	}
	for _, node := range nodes {
		_, _ = cluster.engine.Output(ctx, append(slices.Clone(end), node)...) // kill fails for a node that has stopped
	}
}

// destroy deletes the cluster, its kubeconfig and its record. What it cannot delete by the end of ctx it leaves, with the
// record by which Clean finds it.
func (cluster *kindCluster) destroy(ctx context.Context) error {
	if _, found, err := cluster.folder.read(); err != nil {
		return err
	} else if !found {
		return fmt.Errorf("the cluster %s is not ours to delete", cluster.name)
	}
	deleted := make(chan error, 1)
	go func() {
		cluster.killNodes(ctx)
		deleted <- cluster.library.delete(cluster.name, cluster.folder.kubeconfig())
	}()
	select {
	case err := <-deleted:
		if err != nil {
			return fmt.Errorf("the cluster %s is left behind: %w; run make clean", cluster.name, withOutput(err))
		}
	case <-ctx.Done():
		return fmt.Errorf("the cluster %s is left behind: %w; run make clean", cluster.name, ctx.Err())
	}
	return cluster.folder.forget()
}

// messages keeps the last of what kind's library says. It is said in a goroutine that may outlast the creation.
type messages struct {
	mutex sync.Mutex
	text  string
}

func (said *messages) add(message string) {
	said.mutex.Lock()
	defer said.mutex.Unlock()
	said.text = message
}

func (said *messages) last() string {
	said.mutex.Lock()
	defer said.mutex.Unlock()
	return said.text
}
