package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"sharedpid.example/fixtures/node"
	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/reports/diff"
	"sharedpid.example/reports/directory"
	"sharedpid.example/reports/junit"
	"sharedpid.example/reports/terminal"
	"sharedpid.example/suites"
)

// Where an upgrade goes by default.
const (
	upgradeReports     = "reports/out/upgrade"
	upgradeClusterName = "sharedpid-upgrade"
)

// The runs of an upgrade, each with a folder of reports.
const (
	beforeUpgrade = "before"
	duringUpgrade = "during"
	afterUpgrade  = "after"
)

func upgradeCommand() *cobra.Command {
	var options options
	var from node.Versions
	command := &cobra.Command{
		Use:   "upgrade",
		Short: "Check Pods on a node of other versions than the control plane, and while that node is upgraded",
		Long: `Creates a cluster of two nodes: a control plane of the newer versions and a worker of the older ones, as in the middle of
an upgrade. It checks the traits on both, gives the worker the newer kubelet, containerd and runc under Pods that run there,
looks at these Pods again, checks the traits once more, and compares. The node images that are missing are built first.

Exit codes: 0 all three runs are conformant and nothing got worse, 1 something is nonconformant or got worse, 2 bad input or
set-up, 3 inconclusive or interrupted.`,
		Args: takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			if options.cluster.ClusterName == "" {
				options.cluster.ClusterName = upgradeClusterName
			}
			if err := options.resolve(command); err != nil {
				return err
			}
			var err error
			if options.cluster.NodeVersions, options.cluster.Worker, err = upgradeVersions(options.cluster.NodeVersions, from); err != nil {
				return err
			}
			return unlessInterrupted(command, runUpgrade(command, options))
		},
	}
	flags := command.Flags()
	options.addSelection(flags)
	flags.Lookup("profile").DefValue, options.profile = string(suite.Core), string(suite.Core)
	flags.StringVar(&options.cluster.ClusterName, "cluster-name", "", "`NAME` of the kind cluster (default: "+upgradeClusterName+")")
	flags.StringVar(&options.cluster.Engine, "engine", "", "container `ENGINE`: docker, podman or nerdctl (default: the first that works)")
	addVersions(flags, &from, "from-", "the worker before the upgrade", "the last but one")
	addVersions(flags, &options.cluster.NodeVersions, "", "the control plane, and of the worker after the upgrade", "the last")
	options.addRunning(flags, upgradeReports)
	return command
}

func addVersions(flags *pflag.FlagSet, versions *node.Versions, prefix, of, byDefault string) {
	for _, part := range versions.Parts() {
		flags.StringVar(part.Version, prefix+part.Name, "",
			fmt.Sprintf("`VERSION` of %s in %s: %s (default: %s)", part.Name, of, strings.Join(part.Known, ", "), byDefault))
	}
}

// upgradeVersions puts the defaults in the place of what was left open: the last versions, and before the last but one. A worker that is
// newer than it becomes, or the same, is refused: a kubelet may not be newer than its API.
func upgradeVersions(to, from node.Versions) (completeTo, completeFrom node.Versions, err error) {
	newer, older := to.Parts(), from.Parts()
	for i := range newer {
		known := newer[i].Known
		places := [2]int{len(known) - 1, len(known) - 2}
		for j, given := range []struct{ flag, version string }{
			{newer[i].Name, *newer[i].Version}, {"from-" + older[i].Name, *older[i].Version},
		} {
			if given.version == "" {
				continue
			}
			if places[j] = slices.Index(known, given.version); places[j] < 0 {
				return to, from, fmt.Errorf("--%s: version %q is not known; the known ones are %s",
					given.flag, given.version, strings.Join(known, ", "))
			}
			if j == 0 && *older[i].Version == "" {
				places[1] = max(0, places[0]-1)
			}
		}
		if places[1] > places[0] {
			return to, from, fmt.Errorf("--from-%s: %s is newer than %s, and an upgrade goes the other way",
				older[i].Name, known[places[1]], known[places[0]])
		}
		*newer[i].Version, *older[i].Version = known[places[0]], known[places[1]]
	}
	if to == from {
		return to, from, errors.New("the worker has the versions of the upgrade already; name older ones with --from-kubernetes, " +
			"--from-containerd or --from-runc")
	}
	return to, from, nil
}

// upgraded is an upgrade under way.
type upgraded struct {
	options options
	cluster *provision.Cluster
	client  kubernetes.Interface
	nodes   []string
	worker  string
	printer *progress.Printer
	stderr  io.Writer
	failed  error // why the worker was not upgraded
}

// runUpgrade checks before, during and after the upgrade of a worker, and compares.
func runUpgrade(command *cobra.Command, options options) error {
	ctx, stderr := command.Context(), command.ErrOrStderr()
	printer := progress.NewPrinter(stderr)
	if err := provision.SetUp(ctx, options.cluster, printer); err != nil {
		return err
	}
	cluster, err := provision.Obtain(ctx, options.cluster, printer)
	if err != nil {
		return err
	}
	defer func() {
		if left := cluster.Close(ctx); left != nil {
			printer.Printf("warning: %v", left)
		}
	}()
	upgrade := &upgraded{options: options, cluster: cluster, printer: printer, stderr: stderr}
	if upgrade.client, err = kubernetes.NewForConfig(cluster.Configuration); err != nil {
		return err
	}
	if upgrade.nodes, upgrade.worker, err = twoNodes(ctx, upgrade.client, options.stretched.Nodes); err != nil {
		return err
	}
	before, err := upgrade.check(ctx, beforeUpgrade, options.selected, upgrade.nodes)
	if err != nil {
		return err
	}
	during, err := upgrade.check(ctx, duringUpgrade, suites.UpgradeTraits(upgrade.replace), []string{upgrade.worker})
	if err != nil {
		return err
	}
	if upgrade.failed != nil {
		return upgrade.failed
	}
	after, err := upgrade.check(ctx, afterUpgrade, options.selected, upgrade.nodes)
	if err != nil {
		return err
	}
	difference, err := diff.Compare(before, after)
	if err != nil {
		return err
	}
	fmt.Fprint(stderr, difference.Text())
	return exitWith(upgradeCode(difference, before, during, after))
}

// upgradeCode is the exit code of an upgrade: 1 where something is nonconformant or got worse, else the worst of the runs.
func upgradeCode(difference diff.Difference, runs ...reports.Run) int {
	code := 0
	if difference.Undecided() > 0 {
		code = exitUndecided
	}
	for _, run := range runs {
		if run.ExitCode() == 1 {
			return 1
		}
		code = max(code, run.ExitCode())
	}
	if difference.Worse() {
		return 1
	}
	return code
}

// twoNodes waits until the cluster has both nodes, and returns their names, and that of the worker. A kubelet registers its node some time
// after it has joined.
func twoNodes(ctx context.Context, client kubernetes.Interface, limit time.Duration) (all []string, worker string, err error) {
	err = wait.PollUntilContextTimeout(ctx, time.Second, limit, true, func(ctx context.Context) (bool, error) {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		all, worker = nil, ""
		for _, each := range nodes.Items {
			all = append(all, each.Name)
			if _, found := each.Labels["node-role.kubernetes.io/control-plane"]; !found {
				worker = each.Name
			}
		}
		return len(all) == 2 && worker != "", nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		err = fmt.Errorf("the cluster has no control plane and worker within %s, but the nodes %q", limit, all)
	}
	return all, worker, err
}

// check checks traits on nodes and leaves the reports of a run.
func (upgrade *upgraded) check(ctx context.Context, name string, traits []suite.Trait, nodes []string) (reports.Run, error) {
	options := upgrade.options
	options.selected, options.nodes = traits, nodes
	if name == duringUpgrade {
		options.profile = "upgrade"
	}
	asked := options.suiteOptions(upgrade.printer)
	path := filepath.Join(options.reports(upgradeReports), name)
	recorder, err := directory.OpenWith(path, asked.Run, junit.Options{File: sourceFile})
	if err != nil {
		return asked.Run, err
	}
	asked.Recorder = recorder
	asked = options.on(upgrade.cluster, asked)
	asked.Disposable = false // the next run finds no Pods of this one
	run, err := checkWithClasses(ctx, upgrade.cluster, asked)
	run.Seconds = time.Since(run.Start).Seconds()
	if written := recorder.Close(run); written != nil {
		return run, fmt.Errorf("the reports in %s are not those of this run: %w", path, written)
	}
	if rendered := terminal.Render(upgrade.stderr, run, terminal.Colour(os.Stderr)); rendered != nil {
		return run, rendered
	}
	upgrade.printer.Printf("reports of the run %s the upgrade: %s", name, path)
	return run, err
}

// replace upgrades the worker, and waits until its new kubelet has told that it is ready with the new container runtime.
func (upgrade *upgraded) replace(ctx context.Context) (err error) {
	defer func() { upgrade.failed = err }()
	begun := time.Now().Truncate(time.Second)
	if err := upgrade.cluster.Upgrade(ctx, upgrade.worker); err != nil {
		return err
	}
	to := upgrade.options.cluster.NodeVersions
	var last string
	err = wait.PollUntilContextTimeout(ctx, time.Second, upgrade.options.stretched.Nodes, true, func(ctx context.Context) (bool, error) {
		node, err := upgrade.client.CoreV1().Nodes().Get(ctx, upgrade.worker, metav1.GetOptions{})
		if err != nil {
			last = err.Error()
			return false, nil
		}
		last = notUpgraded(node, begun, to)
		return last == "", nil
	})
	if err != nil {
		return fmt.Errorf("node %s is not ready after the upgrade: %s", upgrade.worker, last)
	}
	printed, err := upgrade.cluster.Output(ctx, upgrade.worker, "runc", "--version")
	if err == nil && !strings.Contains(printed, to.Runc) {
		err = fmt.Errorf("runc of node %s is not %s after the upgrade: %s", upgrade.worker, to.Runc, printed)
	}
	return err
}

// notUpgraded says what a node has not told since a time: that it is ready, with a kubelet and a containerd of these versions. It is empty
// when it has.
func notUpgraded(node *corev1.Node, since time.Time, to node.Versions) string {
	info := node.Status.NodeInfo
	for _, condition := range node.Status.Conditions {
		if condition.Type != corev1.NodeReady {
			continue
		}
		switch {
		case condition.LastHeartbeatTime.Time.Before(since):
			return "its kubelet has told nothing since"
		case condition.Status != corev1.ConditionTrue:
			return condition.Message
		case info.KubeletVersion != "v"+to.Kubernetes:
			return "its kubelet is " + info.KubeletVersion
		case !strings.HasPrefix(info.ContainerRuntimeVersion, "containerd://"+to.Containerd):
			return "its container runtime is " + info.ContainerRuntimeVersion
		}
		return ""
	}
	return "it has no condition Ready"
}
