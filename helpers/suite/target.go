package suite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// target is one node under one RuntimeClass: every trait is checked on each.
type target struct {
	reports.Target
	suffix     string              // of the names of its Pods, empty when there is one target
	deviations []reports.Deviation // that are known of its runtime

	node        corev1.Node         // as it was when the run began
	tolerations []corev1.Toleration // of its Pods: those of its RuntimeClass, and one of every taint where its node was named

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

// forget lets go of the shared looks: nothing is checked on the target any more, and a run may have thousands of targets.
func (target *target) forget() {
	target.mutex.Lock()
	defer target.mutex.Unlock()
	target.cells = nil
}

// knownDeviation returns the entry about a trait, nil when there is none.
func (target *target) knownDeviation(trait string) *reports.Deviation {
	at := slices.IndexFunc(target.deviations, func(entry reports.Deviation) bool { return entry.Trait == trait })
	if at < 0 {
		return nil
	}
	return &target.deviations[at]
}

// suffix is what the names of the Pods of a target end in, by its place among all targets of a run.
func suffix(place, targets int) string {
	if targets == 1 {
		return ""
	}
	return fmt.Sprintf("-%d", place+1)
}

func describeNode(node corev1.Node, class nodev1.RuntimeClass) reports.Target {
	info := node.Status.NodeInfo
	described := reports.Target{
		ID: node.Name, Node: node.Name, RuntimeClass: class.Name, RuntimeHandler: class.Handler, Runtime: info.ContainerRuntimeVersion,
		Kubelet: info.KubeletVersion, Kernel: info.KernelVersion, OSImage: info.OSImage, Architecture: info.Architecture,
		NodeUID: string(node.UID),
	}
	if class.Name != "" {
		described.ID += "/" + class.Name
	}
	return described
}

// nodeSelection says on which nodes traits are checked. The zero value is all that take ordinary Pods, or one of each kind of many.
type nodeSelection struct {
	names  []string         // of the only nodes, whose taints are tolerated; empty for all
	labels labels.Selector  // that the nodes must have, nil for any
	each   Sampling         // of those which are left
	only   []reports.Target // of an earlier run, which goes on there; empty for a run of its own
}

// Sampling says which nodes of one kind are looked at.
type Sampling string

const (
	// SampleMany looks at all nodes, but of more than manyNodes at one of each kind.
	SampleMany Sampling = ""
	// AllNodes looks at all nodes.
	AllNodes Sampling = "all"
	// OneOfEachKind looks at one node of each kind: container runtime, kubelet, kernel, OS image and architecture.
	OneOfEachKind Sampling = "one-of-each-kind"
)

// manyNodes is above how many nodes one of each kind is looked at, unless it is said otherwise.
const manyNodes = 20

// findTargets waits until the nodes that come up are ready, and returns those that take the run's Pods under each RuntimeClass, in
// the order of their names, and what is left out with the reason: a node, or a node under one class. Named nodes are taken with
// their taints; without names the nodes are those that take ordinary Pods of the class. A named node that is missing, and a
// cluster without any target, are errors.
func findTargets(
	ctx context.Context, client kubernetes.Interface, selection nodeSelection, classes []nodev1.RuntimeClass, limit time.Duration,
) ([]*target, []reports.LeftOut, error) {
	var seen nodeSurvey
	var missing error
	err := poll(ctx, shortestPause, limit, func(ctx context.Context) (bool, error) {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		if missing = selection.check(nodes.Items); missing != nil {
			return true, nil
		}
		seen = survey(nodes.Items, selection, classes)
		return !seen.comingUp && len(seen.targets) > 0, nil
	})
	switch {
	case missing != nil:
		return nil, nil, missing
	case ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	case err != nil && !wait.Interrupted(err):
		return nil, nil, fmt.Errorf("the cluster's nodes: %w", err)
	case len(seen.targets) == 0:
		return nil, nil, seen.noTarget(limit)
	}
	targets, alike := selection.sample(seen.targets)
	left := append(seen.left, alike...)
	if len(selection.only) > 0 {
		if targets, left, err = goOn(seen.targets, seen.left, selection.only); err != nil {
			return nil, nil, err
		}
	}
	for i, target := range targets {
		target.suffix = suffix(i, len(targets))
	}
	return targets, left, nil
}

// sample returns the targets that are looked at, and those that are left out since another one is like them: the first of each kind is
// looked at. Nodes that were named are all wanted.
func (selection nodeSelection) sample(targets []*target) (kept []*target, left []reports.LeftOut) {
	nodes := map[string]bool{}
	for _, target := range targets {
		nodes[target.Node] = true
	}
	if selection.each == AllNodes || selection.each == SampleMany && (len(nodes) <= manyNodes || len(selection.names) > 0) {
		return targets, nil
	}
	first := map[reports.TargetKind]*target{}
	for _, target := range targets {
		if like := first[target.Kind()]; like != nil {
			left = append(left, reports.LeftOut{Name: target.ID, Reason: likeNode + like.Node})
			continue
		}
		first[target.Kind()] = target
		kept = append(kept, target)
	}
	return kept, left
}

// likeNode begins the reason of a node that is left out since one of each kind is looked at.
const likeNode = "is like node "

// goOn returns the targets of an earlier run among those that there are, in its order, and what is left out. A target that is missing, or
// whose node is another one, means that the run cannot go on.
func goOn(targets []*target, left []reports.LeftOut, only []reports.Target) ([]*target, []reports.LeftOut, error) {
	var kept []*target
	for _, before := range only {
		at := slices.IndexFunc(targets, func(target *target) bool { return target.ID == before.ID })
		gone := slices.IndexFunc(left, func(left reports.LeftOut) bool { return left.Name == before.ID || left.Name == before.Node })
		switch {
		case at >= 0 && targets[at].NodeUID != before.NodeUID:
			return nil, nil, fmt.Errorf("the run cannot go on: node %s is another one than when it began; "+
				"name the cluster that it began on, or begin a new run without --resume", before.Node)
		case at >= 0:
			targets[at].Target = before // with what was learned of it
			kept = append(kept, targets[at])
		case gone >= 0:
			return nil, nil, fmt.Errorf("the run cannot go on: %s %s; wait for it, or begin a new run without --resume", before.ID, left[gone].Reason)
		default:
			return nil, nil, fmt.Errorf("the run cannot go on: there is no node %s; "+
				"name the cluster that it began on, or begin a new run without --resume", before.Node)
		}
	}
	first := map[reports.TargetKind]string{}
	for _, target := range kept {
		if first[target.Kind()] == "" {
			first[target.Kind()] = target.Node
		}
	}
	for _, target := range targets {
		if slices.Contains(kept, target) {
			continue
		}
		reason := "was not among the nodes when the run began"
		if like := first[target.Kind()]; like != "" {
			reason = likeNode + like
		}
		left = append(left, reports.LeftOut{Name: target.ID, Reason: reason})
	}
	return kept, left, nil
}

// nodeSurvey is what one look at the nodes shows.
type nodeSurvey struct {
	targets  []*target
	left     []reports.LeftOut
	comingUp bool // a node that would be a target is not ready yet
}

const notSelected = "is not selected"

func survey(nodes []corev1.Node, selection nodeSelection, classes []nodev1.RuntimeClass) nodeSurvey {
	var seen nodeSurvey
	leave := func(name, why string, comingUp bool) {
		seen.left = append(seen.left, reports.LeftOut{Name: name, Reason: why})
		seen.comingUp = seen.comingUp || comingUp
	}
	for _, node := range nodes {
		named := slices.Contains(selection.names, node.Name)
		if len(selection.names) > 0 && !named || !selection.fits(node) {
			leave(node.Name, notSelected, false)
			continue
		}
		if why, comingUp := unusable(node, named); why != "" {
			leave(node.Name, why, comingUp)
			continue
		}
		for _, class := range classes {
			found := targetOn(node, class, named)
			if why, comingUp := found.unfit(class); why != "" {
				leave(found.ID, why, comingUp)
			} else {
				seen.targets = append(seen.targets, found)
			}
		}
	}
	return seen
}

// noTarget says why there is no target, by the first node that might have been one.
func (seen nodeSurvey) noTarget(limit time.Duration) error {
	asked := slices.DeleteFunc(slices.Clone(seen.left), func(left reports.LeftOut) bool { return left.Reason == notSelected })
	if len(asked) == 0 {
		return fmt.Errorf("the cluster has no node within %s", limit)
	}
	others := ""
	if len(asked) > 1 {
		others = fmt.Sprintf("; %d more are left out as well", len(asked)-1)
	}
	return fmt.Errorf("no node takes Pods within %s: %s %s%s", limit, asked[0].Name, asked[0].Reason, others)
}

// targetOn returns a node under a RuntimeClass, which has no name for the node's own runtime.
func targetOn(node corev1.Node, class nodev1.RuntimeClass, named bool) *target {
	made := &target{Target: describeNode(node, class), node: node}
	if named {
		made.tolerations = append(made.tolerations, corev1.Toleration{Operator: corev1.TolerationOpExists})
	}
	if class.Scheduling != nil {
		made.tolerations = append(made.tolerations, class.Scheduling.Tolerations...)
	}
	return made
}

// unfit returns why a usable node takes no Pods of the target, empty when it does, and whether it is about to.
func (target *target) unfit(class nodev1.RuntimeClass) (why string, comingUp bool) {
	if class.Scheduling != nil {
		selector := labels.Set(class.Scheduling.NodeSelector)
		if !selector.AsSelectorPreValidated().Matches(labels.Set(target.node.Labels)) {
			return fmt.Sprintf("is not among the nodes of RuntimeClass %s (scheduling.nodeSelector %s)", class.Name, selector), false
		}
	}
	for _, taint := range target.node.Spec.Taints {
		if taint.Effect != corev1.TaintEffectPreferNoSchedule && !target.tolerates(taint) {
			return "has the taint " + taint.ToString(), slices.Contains(taintsOfAStart, taint.Key)
		}
	}
	return "", false
}

func (target *target) tolerates(taint corev1.Taint) bool {
	return slices.ContainsFunc(target.tolerations, func(toleration corev1.Toleration) bool {
		return toleration.ToleratesTaint(klog.Background(), &taint, true)
	})
}

// taintsOfAStart are those that the control plane takes away when a node has come up.
var taintsOfAStart = []string{
	corev1.TaintNodeNotReady, corev1.TaintNodeNetworkUnavailable,
	"node.cloudprovider.kubernetes.io/uninitialized", // of cloud-provider/api
}

// check returns an error when the selection names a node that there is not, or wants labels that no node has.
func (selection nodeSelection) check(nodes []corev1.Node) error {
	for _, name := range selection.names {
		if !slices.ContainsFunc(nodes, func(node corev1.Node) bool { return node.Name == name }) {
			return fmt.Errorf("there is no node %q; kubectl get nodes shows what there is", name)
		}
	}
	if selection.labels != nil && !slices.ContainsFunc(nodes, selection.fits) {
		return fmt.Errorf("none of the %d nodes has the labels %q; kubectl get nodes --show-labels shows what they have",
			len(nodes), selection.labels.String())
	}
	return nil
}

// fits tells whether a node has the labels that are wanted.
func (selection nodeSelection) fits(node corev1.Node) bool {
	return selection.labels == nil || selection.labels.Matches(labels.Set(node.Labels))
}

// unusable returns why a node takes Pods under no RuntimeClass, empty when it does, and whether it is about to: a node that
// comes up has told so itself, and one that is lost tells nothing.
func unusable(node corev1.Node, named bool) (why string, comingUp bool) {
	if system := node.Labels[corev1.LabelOSStable]; system != "" && system != "linux" {
		return "runs " + system, false
	}
	if node.DeletionTimestamp != nil {
		return "is being deleted", false
	}
	if ready := readiness(node); ready.Status != corev1.ConditionTrue {
		return notReady(ready), ready.Status != corev1.ConditionUnknown && (named || !node.Spec.Unschedulable)
	}
	if node.Spec.Unschedulable && !named {
		return "is cordoned", false
	}
	return "", false
}

// notReady says that a node is not ready, with the kubelet's or the control plane's reason.
func notReady(ready corev1.NodeCondition) string {
	return strings.TrimSuffix("is not ready: "+ready.Message, ": ")
}

// readiness is the node's condition Ready, empty while a node that has just registered has none.
func readiness(node corev1.Node) corev1.NodeCondition {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition
		}
	}
	return corev1.NodeCondition{}
}

// runtimeClasses returns the RuntimeClasses of those names, or without names one without a name for the nodes' own runtime. A
// class that does not exist has nothing but its name: the traits under it are inconclusive, and say so.
func runtimeClasses(ctx context.Context, client kubernetes.Interface, names []string) ([]nodev1.RuntimeClass, error) {
	if len(names) == 0 {
		return []nodev1.RuntimeClass{{}}, nil
	}
	var classes []nodev1.RuntimeClass
	for _, name := range names {
		class, err := pod.Retry(ctx, func(ctx context.Context) (*nodev1.RuntimeClass, error) {
			return client.NodeV1().RuntimeClasses().Get(ctx, name, metav1.GetOptions{})
		})
		switch {
		case apierrors.IsNotFound(err):
			class = &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
		case err != nil:
			return nil, fmt.Errorf("RuntimeClass %s: %w", name, err)
		}
		classes = append(classes, *class)
	}
	return classes, nil
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
