package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"sharedpid.example/fixtures/conditions"
	"sharedpid.example/fixtures/faults"
	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	directories "sharedpid.example/reports/directory"
	"sharedpid.example/reports/junit"
	"sharedpid.example/reports/readers"
	"sharedpid.example/reports/terminal"
)

// Where the conditions go by default.
const (
	conditionReports     = "reports/out/conditions"
	conditionClusterName = "sharedpid-conditions"
)

// What the report directory of the conditions holds.
const (
	conditionTableFile    = "conditions.md"
	conditionOutcomesFile = "conditions.json"
)

func conditionsCommand() *cobra.Command {
	var options options
	var names []string
	var times int
	command := &cobra.Command{
		Use:   "conditions",
		Short: "Prove that the suite accuses nobody wrongly on clusters with policies, missing rights and the like",
		Long: `Checks the traits on a cluster of its own in one state after another that is no fault of its runtime. In each, every
trait must say what the condition says, and nothing else.

Exit codes: 0 all as stated, 1 some not, 2 bad input or set-up, 3 interrupted.`,
		Args: takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			if options.cluster.ClusterName == "" {
				options.cluster.ClusterName = conditionClusterName
			}
			if err := options.resolve(command); err != nil {
				return err
			}
			if times < 1 {
				return fmt.Errorf("--times: %d times try nothing; give 1 or more", times)
			}
			selected, err := conditions.Select(names)
			if err != nil {
				return fmt.Errorf("--condition: %w", err)
			}
			return unlessInterrupted(command, runConditions(command, options, slices.Repeat(selected, times)))
		},
	}
	flags := command.Flags()
	options.addSelection(flags)
	flags.Lookup("profile").DefValue, options.profile = string(suite.Core), string(suite.Core)
	flags.StringArrayVar(&names, "condition", []string{"all"}, "`NAME` of a condition (repeatable), or all, standing or chaos")
	flags.IntVar(&times, "times", 1, "how often to try all of them, one after another: a `NUMBER`")
	options.addCluster(flags)
	options.addCreation(flags)
	options.addRunning(flags, conditionReports)
	return command
}

// runConditions tries conditions on one cluster, and leaves what is known after each.
func runConditions(command *cobra.Command, options options, selected []conditions.Condition) error {
	ctx, printer := command.Context(), progress.NewPrinter(command.ErrOrStderr())
	directory := options.reports(conditionReports)
	if err := keepConditions(directory, nil); err != nil {
		return err
	}
	if err := addRuntimes(ctx, &options, selected); err != nil {
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
	client, err := kubernetes.NewForConfig(cluster.Configuration)
	if err != nil {
		return err
	}
	if err := cluster.CreateRuntimeClasses(ctx, client); err != nil {
		return err
	}
	node, err := onlyNode(ctx, client, options.stretched.Nodes)
	if err != nil {
		return err
	}
	changed := conditions.Cluster{
		Client: client, Node: node,
		Rights: func(namespace, serviceAccount string) []runtime.Object {
			return suite.Roles(options.selected, namespace, serviceAccount)
		},
		OnNode: func(ctx context.Context, command ...string) (string, error) {
			return cluster.Output(ctx, node, command...)
		},
	}
	var outcomes []conditions.Outcome
	for number, condition := range selected {
		outcome, err := tryCondition(ctx, cluster, changed, options, condition, directory)
		if err != nil {
			return fmt.Errorf("condition %s: %w", condition.Name, err)
		}
		state := "as stated"
		if len(outcome.Wrong) > 0 {
			state = "NOT as stated"
		}
		printer.Printf("    [%d/%d] %s: %s, %s (%.1f s)", number+1, len(selected), condition.Name, state, outcome.Counts, outcome.Seconds)
		outcomes = append(outcomes, outcome)
		if err := keepConditions(directory, outcomes); err != nil {
			return err
		}
	}
	fmt.Fprint(command.ErrOrStderr(), conditions.Table(outcomes))
	if slices.ContainsFunc(outcomes, func(outcome conditions.Outcome) bool { return len(outcome.Wrong) > 0 }) {
		return exit(1)
	}
	return nil
}

// addRuntimes builds the runtimes that conditions check under, and gives them to the cluster.
func addRuntimes(ctx context.Context, options *options, selected []conditions.Condition) error {
	var names []string
	for _, condition := range selected {
		if condition.Runtime != "" && !slices.Contains(names, condition.Runtime) {
			names = append(names, condition.Runtime)
		}
	}
	if len(names) == 0 {
		return nil
	}
	odd, err := faults.Named(names)
	if err != nil {
		return err
	}
	return options.giveRuntimes(ctx, odd)
}

// onlyNode waits for the node of the cluster.
func onlyNode(ctx context.Context, client kubernetes.Interface, limit time.Duration) (string, error) {
	deadline, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	watch, err := client.CoreV1().Nodes().Watch(deadline, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	defer watch.Stop()
	for event := range watch.ResultChan() {
		node, found := event.Object.(*corev1.Node)
		ready := func(condition corev1.NodeCondition) bool {
			return condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue
		}
		if found && slices.ContainsFunc(node.Status.Conditions, ready) && len(node.Spec.Taints) == 0 {
			return node.Name, nil
		}
	}
	return "", errors.Join(errors.New("no node became ready"), ctx.Err())
}

// tryCondition brings a condition about, runs the suite, and undoes it. The reports of the run are left in a folder of the condition's name.
func tryCondition(
	ctx context.Context, cluster *provision.Cluster, changed conditions.Cluster, options options, condition conditions.Condition,
	directory string,
) (outcome conditions.Outcome, err error) {
	undo, err := condition.Apply(ctx, changed)
	defer func() {
		if undo != nil {
			err = errors.Join(err, undo(context.WithoutCancel(ctx)))
		}
	}()
	if err != nil {
		return outcome, err
	}
	asked, err := askedUnder(condition, cluster, changed.Node, options)
	if err != nil {
		return outcome, err
	}
	if condition.Between != nil {
		through, end, err := condition.Between(asked.Configuration)
		if err != nil {
			return outcome, err
		}
		defer end()
		asked.Configuration = through
	}
	noEffect := "the runtime ran no Pod"
	asked.Checked = func(ctx context.Context, target reports.Target, suffix, namespace string) {
		noEffect = ""
		if condition.Runtime == "" {
			return
		}
		odd, err := faults.Named([]string{condition.Runtime})
		if err == nil {
			_, err = cluster.Output(ctx, target.Node, odd[0].ProofCommand(namespace, suffix)...)
		}
		if err != nil {
			noEffect = err.Error()
		}
	}
	folder := filepath.Join(directory, condition.Name)
	var said bytes.Buffer
	asked.Progress = progress.NewPrinter(&said).Printf
	recorder, err := directories.OpenWith(folder, asked.Run, junit.Options{}, readers.ProgressFile)
	if err != nil {
		return outcome, err
	}
	asked.Recorder = recorder
	measured := forgetPeakMemory()
	run, failed := suite.Run(ctx, asked)
	if failed != nil && len(run.Results) == 0 {
		run = setUpFailed(asked.Run, failed)
	}
	if err := terminal.Render(&said, run, false); err != nil {
		return outcome, err
	}
	if err := recorder.CloseWith(run, map[string][]byte{readers.ProgressFile: said.Bytes()}); err != nil {
		return outcome, err
	}
	if ctx.Err() != nil {
		return outcome, failed
	}
	outcome = condition.OutcomeOf(run, failed)
	for _, problem := range readers.Problems(folder) {
		outcome.Wrong = append(outcome.Wrong, "the report "+problem)
	}
	if measured {
		condition.Took(&outcome, suite.PeakMemory())
	}
	if condition.Runtime != "" && noEffect != "" {
		outcome.Wrong = append(outcome.Wrong, "the runtime "+condition.Runtime+" had no effect: "+noEffect)
	}
	return outcome, nil
}

// askedUnder is what the suite is asked for under a condition.
func askedUnder(
	condition conditions.Condition, cluster *provision.Cluster, node string, options options,
) (suite.Options, error) {
	if condition.Patience > 0 {
		options.stretched = suite.DefaultLimits().Stretched(condition.Patience)
	}
	asked := options.suiteOptions(progress.NewPrinter(os.Stderr))
	asked.Configuration = rest.CopyConfig(cluster.Configuration)
	if condition.User != nil {
		asked.Configuration.Impersonate = *condition.User
	}
	asked.Traits = slices.DeleteFunc(slices.Clone(options.selected), func(trait suite.Trait) bool {
		return len(condition.Traits) > 0 && !slices.ContainsFunc(condition.Traits, func(pattern string) bool {
			matched, err := path.Match(pattern, trait.ID)
			return err == nil && matched
		})
	})
	if len(asked.Traits) == 0 {
		return asked, fmt.Errorf("none of the traits %q is selected", condition.Traits)
	}
	asked.Run = suite.NewRun(asked)
	asked.Run.Cluster = cluster.Description
	asked.Disposable = condition.Abandoned
	asked.Images = func(node corev1.Node) (map[string]string, error) {
		images, err := cluster.Images(options.images.sources, node)
		if condition.Image != "" && err == nil {
			images["busybox"] = condition.Image
		}
		return images, err
	}
	for _, class := range []string{condition.RuntimeClass, condition.Runtime} {
		if class != "" {
			asked.RuntimeClasses = []string{class}
		}
	}
	asked.Namespace, asked.Adaptation = condition.Namespace, condition.Adaptation
	if condition.NodeNamed {
		asked.Nodes = []string{node}
	}
	if condition.Image != "" {
		asked.Limits.ImagePull = min(asked.Limits.ImagePull, 12*time.Second) // pulls fail, and the kubelet tries again after 10 s
	}
	if condition.SetupError != "" {
		asked.Limits.Nodes = min(asked.Limits.Nodes, 5*time.Second) // the error is waited for
	}
	return asked, nil
}

// forgetPeakMemory has the largest resident set of this process counted anew, and tells whether it is.
func forgetPeakMemory() bool {
	debug.FreeOSMemory()
	const residentPeak = "5" // see proc_pid_clear_refs(5)
	return os.WriteFile("/proc/self/clear_refs", []byte(residentPeak), 0) == nil
}

// keepConditions leaves what is known of outcomes in the report directory.
func keepConditions(directory string, outcomes []conditions.Outcome) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	encoded, err := json.MarshalIndent(append([]conditions.Outcome{}, outcomes...), "", "  ")
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		conditionTableFile: []byte(conditions.Table(outcomes)), conditionOutcomesFile: append(encoded, '\n'),
	} {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
