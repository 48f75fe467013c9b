package provision

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"sharedpid.example/fixtures/images"
	"sharedpid.example/fixtures/node"
	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/helpers/workspace"
)

// CreateRuntimeClasses creates a RuntimeClass for each handler that the nodes got, under the handler's name. Those that
// a kept cluster has from an earlier run stay. A cluster that exists gets none.
func (cluster *Cluster) CreateRuntimeClasses(ctx context.Context, client kubernetes.Interface) error {
	for _, handler := range cluster.handlers.Names() {
		class := &nodev1.RuntimeClass{
			ObjectMeta: metav1.ObjectMeta{Name: handler, Labels: map[string]string{"app.kubernetes.io/managed-by": "sharedpid"}},
			Handler:    handler,
		}
		_, err := client.NodeV1().RuntimeClasses().Create(ctx, class, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("RuntimeClass %s: %w", handler, err)
		}
	}
	return nil
}

// RuntimeVersions asks the runtimes of Options.Runtimes for their versions on a node, since no API tells, and returns
// them by the names of their RuntimeClasses. A runtime that does not tell is left out.
func (cluster *Cluster) RuntimeVersions(ctx context.Context, node string) map[string]string {
	versions := map[string]string{}
	for _, runtime := range cluster.runtimes {
		printed, err := cluster.Output(ctx, node, runtime.Version...)
		if version := runtimes.ParseVersion(printed); err == nil && version != "" {
			versions[runtime.Name] = version
		}
	}
	return versions
}

// Images resolves the sources of the test images for a node of the cluster: the local ones where the node holds them,
// and otherwise those of the registries. Outside of a checkout there are no local ones.
func (cluster *Cluster) Images(sources images.Sources, on corev1.Node) (map[string]string, error) {
	root, err := workspace.Root()
	if err != nil {
		return sources.Resolve("")
	}
	nodeImage, err := node.Reference(root, cluster.options.NodeVersions)
	if err != nil {
		return nil, err
	}
	testImage, err := images.LocalReference(root, images.Names()[0])
	if err != nil {
		return nil, err
	}
	holds := slices.ContainsFunc(on.Status.Images, func(image corev1.ContainerImage) bool {
		return slices.Contains(image.Names, testImage)
	})
	// A node lists some of its images only, and late. The local node image holds them all.
	sources.Local = holds || cluster.Description.NodeImage == nodeImage
	return sources.Resolve(root)
}
