package suites

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// subject is one node under one RuntimeClass: every selected trait is decided on each.
type subject struct {
	reports.Subject
	hostname   string              // the node's label by which Pods are put on it
	suffix     string              // of the names of its Pods, empty when there is one subject
	deviations []reports.Deviation // that are expected of its runtime
	cores      int                 // that the node has for Pods
}

// label is the value of subjectLabel on the subject's Pods.
func (subject subject) label() string { return "subject" + subject.suffix }

// subjects returns every node under every RuntimeClass, or under the node's own runtime when there is no class.
func subjects(nodes []corev1.Node, classes []string) []subject {
	if len(classes) == 0 {
		classes = []string{""}
	}
	var all []subject
	for _, node := range nodes {
		for _, class := range classes {
			all = append(all, subject{Subject: describeNode(node, class), hostname: node.Labels[corev1.LabelHostname], cores: int(node.Status.Allocatable.Cpu().Value())})
		}
	}
	for i := range all {
		if len(all) > 1 {
			all[i].suffix = fmt.Sprintf("-%d", i+1)
		}
	}
	return all
}

func describeNode(node corev1.Node, class string) reports.Subject {
	info := node.Status.NodeInfo
	described := reports.Subject{
		ID: node.Name, Node: node.Name, RuntimeClass: class, Runtime: info.ContainerRuntimeVersion, Kubelet: info.KubeletVersion,
		Kernel: info.KernelVersion, OSImage: info.OSImage, Architecture: info.Architecture,
	}
	if class != "" {
		described.ID += "/" + class
	}
	return described
}

// selectNodes returns the nodes with those names, or all of them without a name.
func selectNodes(nodes []corev1.Node, names []string) ([]corev1.Node, error) {
	if len(names) == 0 {
		return nodes, nil
	}
	var selected []corev1.Node
	for _, name := range names {
		at := slices.IndexFunc(nodes, func(node corev1.Node) bool { return node.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("there is no node %q that takes Pods; kubectl get nodes shows what there is", name)
		}
		selected = append(selected, nodes[at])
	}
	return selected, nil
}

// createRuntimeClasses creates the RuntimeClasses of the handlers that a cluster of ours was given.
func createRuntimeClasses(ctx context.Context, client *pod.Client, handlers []string) error {
	for _, handler := range handlers {
		class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: handler, Labels: map[string]string{ownerLabel: owner}}, Handler: handler}
		if _, err := client.NodeV1().RuntimeClasses().Create(ctx, class, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("RuntimeClass %s: %w", handler, err)
		}
	}
	return nil
}

// findHandlers fills in the handler of each subject's RuntimeClass. A class that does not exist keeps none: the traits
// under it are inconclusive, and say so.
func findHandlers(ctx context.Context, client *pod.Client, subjects []subject) error {
	handlers := map[string]string{"": ""}
	for i := range subjects {
		class := subjects[i].RuntimeClass
		if _, found := handlers[class]; !found {
			object, err := client.NodeV1().RuntimeClasses().Get(ctx, class, metav1.GetOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("RuntimeClass %s: %w", class, err)
			}
			handlers[class] = object.Handler
		}
		subjects[i].RuntimeHandler = handlers[class]
	}
	return nil
}

// readVersions fills in the version of each subject's OCI runtime, by asking it on its node: no API tells. On a cluster
// that somebody else made, and of a runtime that cannot be asked, it stays unknown.
func (g *gate) readVersions(ctx context.Context) {
	selected, err := runtimes.Select(g.options.Runtimes)
	if err != nil {
		return
	}
	for i := range g.subjects {
		described := &g.subjects[i].Subject
		for _, runtime := range selected {
			if runtime.Name != described.RuntimeClass {
				continue
			}
			if printed, err := g.engine.Output(ctx, append([]string{"exec", described.Node}, runtime.Version...)...); err == nil {
				described.RuntimeVersion = runtimes.ParseVersion(printed)
			}
		}
	}
}

// cgroupVersion reads the version from the type of the file system at /sys/fs/cgroup, by its number in statfs(2).
func cgroupVersion(fileSystem string) string {
	switch fileSystem {
	case "63677270":
		return "v2"
	case "1021994", "27e0eb": // tmpfs above the controllers, or one controller
		return "v1"
	}
	return ""
}
