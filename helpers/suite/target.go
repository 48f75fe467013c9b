package suite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"sharedpid.example/reports"
)

// target is one node under one RuntimeClass: every trait is checked on each.
type target struct {
	reports.Target
	suffix     string              // of the names of its Pods, empty when there is one target
	deviations []reports.Deviation // that are known of its runtime
	cores      int                 // that the node has for Pods
	tolerated  bool                // its node was named, so that its taints are tolerated

	mutex sync.Mutex
	cells map[string]*cell // shared looks, by name
}

// label is the value of TargetLabel on the target's Pods.
func (target *target) label() string { return "target" + target.suffix }

// cell returns the place of a shared look.
func (target *target) cell(name string) *cell {
	target.mutex.Lock()
	defer target.mutex.Unlock()
	if target.cells == nil {
		target.cells = map[string]*cell{}
	}
	if target.cells[name] == nil {
		target.cells[name] = newCell()
	}
	return target.cells[name]
}

// knownDeviation returns the entry about a trait, nil when there is none.
func (target *target) knownDeviation(trait string) *reports.Deviation {
	at := slices.IndexFunc(target.deviations, func(entry reports.Deviation) bool { return entry.Trait == trait })
	if at < 0 {
		return nil
	}
	return &target.deviations[at]
}

// targetsOf returns every node under every RuntimeClass, or under the node's own runtime when there is no class.
func targetsOf(nodes []corev1.Node, classes []string, named bool) []*target {
	if len(classes) == 0 {
		classes = []string{""}
	}
	var all []*target
	for _, node := range nodes {
		for _, class := range classes {
			all = append(all, &target{Target: describeNode(node, class), cores: int(node.Status.Allocatable.Cpu().Value()), tolerated: named})
		}
	}
	for i := range all {
		all[i].suffix = suffix(i, len(all))
	}
	return all
}

// suffix is what the names of the Pods of a target end in, by its place among all targets of a run.
func suffix(place, targets int) string {
	if targets == 1 {
		return ""
	}
	return fmt.Sprintf("-%d", place+1)
}

func describeNode(node corev1.Node, class string) reports.Target {
	info := node.Status.NodeInfo
	described := reports.Target{
		ID: node.Name, Node: node.Name, RuntimeClass: class, Runtime: info.ContainerRuntimeVersion, Kubelet: info.KubeletVersion,
		Kernel: info.KernelVersion, OSImage: info.OSImage, Architecture: info.Architecture,
	}
	if class != "" {
		described.ID += "/" + class
	}
	return described
}

// readyNodes waits until the nodes that come up are ready, and returns those that take the run's Pods, in the order of
// their names, and those that are left out with the reason. Named nodes are taken with their taints; without names the
// nodes are those that take ordinary Pods. A named node that is missing, and a cluster without any node, are errors.
func readyNodes(
	ctx context.Context, client kubernetes.Interface, names []string, limit time.Duration,
) (ready []corev1.Node, left []reports.LeftOut, err error) {
	var comingUp []string
	var missing error
	err = poll(ctx, shortestPause, limit, func(ctx context.Context) (bool, error) {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		if missing = checkNames(nodes.Items, names); missing != nil {
			return true, nil
		}
		ready, left, comingUp = nil, nil, nil
		for _, node := range nodes.Items {
			selected := slices.Contains(names, node.Name)
			why, waits := unusable(node, selected)
			switch {
			case len(names) > 0 && !selected:
				left = append(left, reports.LeftOut{Name: node.Name, Reason: "not selected"})
			case why == "":
				ready = append(ready, node)
			default:
				left = append(left, reports.LeftOut{Name: node.Name, Reason: why})
				if waits {
					comingUp = append(comingUp, node.Name)
				}
			}
		}
		return len(comingUp) == 0 && len(ready) > 0, nil
	})
	switch {
	case missing != nil:
		return nil, nil, missing
	case ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	case err != nil && !wait.Interrupted(err):
		return nil, nil, fmt.Errorf("the cluster's nodes: %w", err)
	case len(ready) == 0 && len(left) == 0:
		return nil, nil, fmt.Errorf("the cluster has no node within %s", limit)
	case len(ready) == 0:
		return nil, nil, fmt.Errorf("no node takes Pods within %s: %s %s", limit, left[0].Name, left[0].Reason)
	}
	return ready, left, nil
}

func checkNames(nodes []corev1.Node, names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(nodes, func(node corev1.Node) bool { return node.Name == name }) {
			return fmt.Errorf("there is no node %q; kubectl get nodes shows what there is", name)
		}
	}
	return nil
}

// unusable returns why a node does not take the run's Pods, empty when it does, and whether it is about to: a node that
// comes up has told so itself, and one that is lost tells nothing.
func unusable(node corev1.Node, named bool) (why string, comingUp bool) {
	if system := node.Labels[corev1.LabelOSStable]; system != "" && system != "linux" {
		return "runs " + system, false
	}
	state := corev1.ConditionFalse
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			state = condition.Status
		}
	}
	if state != corev1.ConditionTrue {
		return "is not ready", state == corev1.ConditionFalse && !node.Spec.Unschedulable
	}
	if named {
		return "", false
	}
	if node.Spec.Unschedulable {
		return "is cordoned", false
	}
	for _, taint := range node.Spec.Taints {
		if taint.Effect != corev1.TaintEffectPreferNoSchedule {
			// The control plane takes this one away right after the node has become ready.
			return "has the taint " + taint.ToString(), strings.HasPrefix(taint.Key, "node.kubernetes.io/not-ready")
		}
	}
	return "", false
}

// findHandlers fills in the handler of each target's RuntimeClass. A class that does not exist keeps none: the traits
// under it are inconclusive, and say so.
func findHandlers(ctx context.Context, client kubernetes.Interface, targets []*target) error {
	handlers := map[string]string{"": ""}
	for _, target := range targets {
		class := target.RuntimeClass
		if _, found := handlers[class]; !found {
			object, err := client.NodeV1().RuntimeClasses().Get(ctx, class, metav1.GetOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("RuntimeClass %s: %w", class, err)
			}
			handlers[class] = object.Handler
		}
		target.RuntimeHandler = handlers[class]
	}
	return nil
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
