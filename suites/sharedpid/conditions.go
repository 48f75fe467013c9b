package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"sharedpid.example/fixtures/conditions"
	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision"
	"sharedpid.example/helpers/suite"
)

// Where the conditions go by default.
const (
	conditionReports     = "reports/out/conditions"
	conditionClusterName = "sharedpid-conditions"
)

func conditionsCommand() *cobra.Command {
	var options options
	var names []string
	command := &cobra.Command{
		Use:   "conditions",
		Short: "Prove that the suite accuses nobody wrongly on clusters with policies, missing rights and the like",
		Long: `Checks the traits on a cluster of its own in one state after another that is no fault of its runtime. In each, every
trait must say what the condition says, and nothing else.

Exit codes: 0 all as stated, 1 some not, 2 bad input or set-up, 3 interrupted.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if options.cluster.ClusterName == "" {
				options.cluster.ClusterName = conditionClusterName
			}
			if err := options.resolve(command); err != nil {
				return err
			}
			selected, err := conditions.Select(names)
			if err != nil {
				return fmt.Errorf("--condition: %w", err)
			}
			return runConditions(command, options, selected)
		},
	}
	flags := command.Flags()
	options.addSelection(flags)
	flags.Lookup("profile").DefValue, options.profile = string(suite.Core), string(suite.Core)
	flags.StringArrayVar(&names, "condition", []string{"all"}, "`name` of a condition, or all (repeatable)")
	options.addCluster(flags)
	options.addCreation(flags)
	options.addRunning(flags, conditionReports)
	return command
}

func runConditions(command *cobra.Command, options options, selected []conditions.Condition) error {
	ctx, printer := command.Context(), progress.NewPrinter(command.ErrOrStderr())
	directory := options.reports(conditionReports)
	if err := os.MkdirAll(directory, 0o755); err != nil {
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
	outcomes, err := tryConditions(ctx, cluster, options, selected, printer)
	if err != nil {
		return err
	}
	return tellConditions(command, directory, outcomes)
}

func tryConditions(
	ctx context.Context, cluster *provision.Cluster, options options, selected []conditions.Condition, printer *progress.Printer,
) ([]conditions.Outcome, error) {
	client, err := kubernetes.NewForConfig(cluster.Configuration)
	if err != nil {
		return nil, err
	}
	node, err := onlyNode(ctx, client, options.stretched.Nodes)
	if err != nil {
		return nil, err
	}
	changed := conditions.Cluster{Client: client, Node: node}
	var outcomes []conditions.Outcome
	for number, condition := range selected {
		outcome, err := tryCondition(ctx, cluster, changed, options, condition)
		if err != nil {
			return outcomes, fmt.Errorf("condition %s: %w", condition.Name, err)
		}
		state := "as stated"
		if len(outcome.Wrong) > 0 {
			state = "NOT as stated"
		}
		printer.Printf("    [%d/%d] %s: %s, %s (%.1f s)", number+1, len(selected), condition.Name, state, outcome.Counts, outcome.Seconds)
		outcomes = append(outcomes, outcome)
	}
	return outcomes, nil
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

// tryCondition brings a condition about, runs the suite, and undoes it.
func tryCondition(
	ctx context.Context, cluster *provision.Cluster, changed conditions.Cluster, options options, condition conditions.Condition,
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
	asked := options.suiteOptions(progress.NewPrinter(os.Stderr))
	asked.Progress = nil
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
	asked.Run = suite.NewRun(asked)
	asked.Run.Cluster = cluster.Description
	asked.Images = func(node corev1.Node) (map[string]string, error) {
		images, err := cluster.Images(options.images.sources, node)
		if condition.Image != "" && err == nil {
			images["busybox"] = condition.Image
		}
		return images, err
	}
	if condition.RuntimeClass != "" {
		asked.RuntimeClasses = []string{condition.RuntimeClass}
	}
	if condition.NodeNamed {
		asked.Nodes = []string{changed.Node}
	}
	if condition.SetupError != "" {
		asked.Limits.Nodes = min(asked.Limits.Nodes, 5*time.Second) // the error is waited for
	}
	run, failed := suite.Run(ctx, asked)
	if ctx.Err() != nil {
		return outcome, failed
	}
	return condition.OutcomeOf(run, failed), nil
}

// tellConditions prints the outcomes and leaves them in the report directory.
func tellConditions(command *cobra.Command, directory string, outcomes []conditions.Outcome) error {
	table := conditions.Table(outcomes)
	encoded, err := json.MarshalIndent(outcomes, "", "  ")
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"conditions.md": []byte(table), "conditions.json": append(encoded, '\n')} {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprint(command.ErrOrStderr(), table)
	if slices.ContainsFunc(outcomes, func(outcome conditions.Outcome) bool { return len(outcome.Wrong) > 0 }) {
		return exit(1)
	}
	return nil
}
