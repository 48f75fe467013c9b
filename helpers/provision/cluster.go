// Package provision obtains the cluster that is looked at: one that exists, or a kind cluster of its own that it finds,
// creates, keeps and deletes. It prepares a machine for that, and cleans up what runs that were killed have left.
//
// It deletes a cluster only if it created it, in this process or an earlier one: it knows its clusters by a record below
// the user's cache directory. Nobody's kubeconfig is changed.
package provision

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"sharedpid.example/fixtures/node"
	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision/engine"
	"sharedpid.example/helpers/workspace"
	"sharedpid.example/reports"
)

// Where a cluster comes from, in reports.Cluster.Origin.
const (
	originExisting = "existing"
	originKept     = "kept"
	originCreated  = "created"
)

// CloseTime is how long Close takes at most. Whoever runs out of time must begin to close that long before.
const CloseTime = 2 * time.Minute

// Cluster is a cluster that answers. Close must be called when it is no longer needed.
type Cluster struct {
	Configuration *rest.Config    // how to reach its API
	Description   reports.Cluster // what reports say about it, complete

	options  Options
	printer  *progress.Printer
	kind     *kindCluster       // nil on a cluster that exists
	runtimes []runtimes.Runtime // those that were asked for
	handlers runtimes.Set       // what its nodes got

	mutex  sync.Mutex // guards closed
	closed bool
}

// Obtain reaches the cluster that exists, or finds the kind cluster that an earlier run kept, or creates one. It shows on
// the printer what takes time. The error of what is missing on this machine names the command that provides it. When
// Obtain fails or ctx ends, nothing that it made is left; what it could not delete stands in the error.
func Obtain(ctx context.Context, options Options, printer *progress.Printer) (*Cluster, error) {
	return obtain(ctx, options, printer, newKindLibrary)
}

func obtain(ctx context.Context, options Options, printer *progress.Printer, open newLibrary) (*Cluster, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	cluster := &Cluster{options: options, printer: printer}
	var err error
	if options.Existing() {
		err = cluster.reach()
	} else {
		err = cluster.provide(ctx, open)
	}
	if err == nil {
		cluster.Description.KubernetesVersion, err = Version(ctx, cluster.Configuration)
	}
	if err == nil {
		return cluster, nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("interrupted (%w) before the cluster was there; run again", context.Cause(ctx))
	}
	// The cluster may be half made, and is not to be kept. One that an earlier run kept stays.
	cluster.options.Keep = false
	return nil, besides(err, cluster.Close(ctx))
}

func (cluster *Cluster) reach() error {
	configuration, name, err := cluster.options.existing()
	cluster.Configuration = configuration
	if cluster.options.Inside {
		cluster.printer.Printf("==> no kubeconfig is named and this is a Pod: its cluster is taken, with its service account")
	}
	cluster.Description = reports.Cluster{Name: name, Origin: originExisting}
	return err
}

// provide finds or creates the kind cluster.
func (cluster *Cluster) provide(ctx context.Context, open newLibrary) error {
	root, err := workspace.Root()
	if err != nil {
		return fmt.Errorf("%w; run from there, or name a cluster that exists with --kubeconfig", err)
	}
	configuration, err := cluster.options.readClusterConfig(root)
	if err != nil {
		return err
	}
	working, err := engine.Detect(ctx, cluster.options.Engine)
	if err != nil {
		return fmt.Errorf("%w; run make e2e or sharedpid setup once, which install one, or name a cluster that exists with --kubeconfig", err)
	}
	want := wanted{patches: cluster.options.NodeVersions.KubeadmPatches()}
	if want.image, err = cluster.options.findNodeImage(ctx, root, working); err != nil {
		return err
	}
	if cluster.options.Worker.Given() {
		worker := Options{NodeVersions: cluster.options.Worker}
		if want.worker, err = worker.findNodeImage(ctx, root, working); err != nil {
			return err
		}
	}
	if want.handlers, err = cluster.findHandlers(root); err != nil {
		return err
	}
	cluster.handlers = want.handlers
	name := cluster.options.clusterName()
	ours, err := hold(working, name, open)
	if err != nil {
		return err
	}
	found, replaced, err := ours.find(ctx, want)
	if err != nil {
		// It may be somebody else's cluster: there is nothing to close.
		_ = ours.release()
		return err
	}
	cluster.kind = ours
	// A configuration may name the images itself.
	image := want.image
	if len(configuration.Nodes) > 0 {
		image = cmp.Or(configuration.Nodes[0].Image, image)
	}
	cluster.Description = reports.Cluster{Name: name, Origin: originKept, Engine: working.Name, NodeImage: image}
	if replaced != "" {
		cluster.printer.Printf("==> deleted the cluster %s of an earlier run: %s", name, replaced)
	}
	if found {
		cluster.printer.Printf("==> using the kept cluster %s", name)
	} else if err := cluster.create(ctx, configuration, want); err != nil {
		return err
	}
	if cluster.Configuration, err = clientcmd.BuildConfigFromFlags("", ours.folder.kubeconfig()); err != nil {
		return fmt.Errorf("kubeconfig of the cluster %s: %w; run make clean", name, err)
	}
	return nil
}

func (cluster *Cluster) create(ctx context.Context, configuration *v1alpha4.Cluster, want wanted) error {
	working := cluster.kind.engine
	if err := working.Prepare(); err != nil {
		return err
	}
	// An image that the engine lacks kind pulls, and its nodes fail if they must.
	if working.HasImage(ctx, want.image) {
		if err := working.CheckPrivileged(ctx, want.image); err != nil {
			return err
		}
	}
	cluster.Description.Origin = originCreated
	return cluster.printer.Step(ctx, "create cluster "+cluster.kind.name, func(ctx context.Context) error {
		return cluster.kind.create(ctx, configuration, want)
	})
}

func (options Options) readClusterConfig(root string) (*v1alpha4.Cluster, error) {
	path := options.ClusterConfig
	if path == "" {
		path = filepath.Join(root, DefaultClusterConfig)
	}
	configuration, err := readClusterConfig(path)
	if err != nil {
		return nil, fmt.Errorf("--kind-config: %w", err)
	}
	return configuration, nil
}

// selectNodeImage returns the reference of the node image that was chosen, with its registry, whether the engine holds it or not.
func (options Options) selectNodeImage(ctx context.Context, root string, working *engine.Engine) (string, error) {
	image, err := node.Select(ctx, root, working, options.NodeImage, options.NodeVersions)
	if err != nil {
		return "", err
	}
	return engine.Qualified(image), nil
}

// findNodeImage returns the reference of the node image that was chosen. A local one must be built.
func (options Options) findNodeImage(ctx context.Context, root string, working *engine.Engine) (string, error) {
	image, err := options.selectNodeImage(ctx, root, working)
	if err != nil {
		return "", err
	}
	local, err := node.Reference(root, options.NodeVersions)
	if err != nil {
		return "", err
	}
	if image == local && !working.HasImage(ctx, image) {
		return "", fmt.Errorf("the node image %s is not built; run: make e2e, or sharedpid setup, with the same versions", image)
	}
	return image, nil
}

// findHandlers finds the runtimes that the nodes are to have beside their own, which SetUp has built.
func (cluster *Cluster) findHandlers(root string) (runtimes.Set, error) {
	selected, err := runtimes.Select(cluster.options.Runtimes)
	if err != nil || len(selected) == 0 {
		return cluster.options.Handlers, err
	}
	cluster.runtimes = selected
	cache, err := workspace.Cache()
	if err != nil {
		return runtimes.Set{}, err
	}
	folder, err := runtimes.Folder(root, cache)
	if err != nil {
		return runtimes.Set{}, err
	}
	return runtimes.Handlers(folder, selected)
}

// Stays tells whether the cluster is still there after Close: it existed before, or is kept.
func (cluster *Cluster) Stays() bool {
	return cluster.kind == nil || cluster.options.Keep || cluster.kind.kept()
}

// Output runs a command on a node of a cluster of ours, given by the node's name, and returns what it printed, without
// white space around it. The error carries the command's last words. On a cluster that exists nothing is run.
func (cluster *Cluster) Output(ctx context.Context, node string, command ...string) (string, error) {
	if cluster.kind == nil {
		return "", fmt.Errorf("node %s is in a cluster that this project did not create, and nothing is run on its nodes", node)
	}
	return cluster.kind.engine.Output(ctx, append([]string{"exec", node}, command...)...)
}

// Close keeps the cluster when Options.Keep asks for it or an earlier run has kept it, and otherwise deletes it. One that
// exists stays as it is. Close works after ctx has ended, takes at most CloseTime, and does nothing when it is called
// again. The error says what is left behind and how to delete it.
func (cluster *Cluster) Close(ctx context.Context) error {
	cluster.mutex.Lock()
	defer cluster.mutex.Unlock()
	if cluster.closed || cluster.kind == nil {
		return nil
	}
	cluster.closed = true
	ours := cluster.kind
	defer ours.release()
	if _, recorded, err := ours.folder.read(); err == nil && !recorded {
		return nil // nothing was created
	}
	if cluster.options.Keep || ours.kept() {
		if err := ours.keep(); err != nil {
			return fmt.Errorf("the cluster %s is left behind and not kept: %w; run make clean", ours.name, err)
		}
		cluster.printer.Printf("the cluster is kept; reach it with: kubectl --kubeconfig %s get pods -A", ours.folder.kubeconfig())
		cluster.printer.Printf("delete it with: sharedpid clean --cluster-name %s", ours.name)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), CloseTime)
	defer cancel()
	return cluster.printer.Step(ctx, "delete cluster "+ours.name, ours.destroy)
}
