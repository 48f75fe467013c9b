package incluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applyv1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/reports/directory"
)

// What the ConfigMap of a result holds.
const (
	VerdictKey  = "verdict"        // the run's, or underWay
	ExitCodeKey = "exit-code"      // of sharedpid run
	LeftOutKey  = "left-out"       // reports that are too large for it, when there are any
	ReportsKey  = "reports.tar.gz" // the files of the report directory
)

// underWay is the verdict while the run goes on, and after one that was killed.
const underWay = "the run is under way, or was killed"

// maximalArchive is how much of a ConfigMap, of which the API takes 1 MiB, the reports may fill.
const maximalArchive = 1000 << 10

// keepTime is how long it may take to write the ConfigMap, also after the run has been interrupted.
const keepTime = 30 * time.Second

// Result keeps the result of a run in a ConfigMap, which stays when the run's Pod is gone.
type Result struct {
	client          kubernetes.Interface
	namespace, name string
}

// OpenResult makes or takes the ConfigMap, which tells then that a run is under way. It proves before the run that the result can be kept.
func OpenResult(ctx context.Context, client kubernetes.Interface, namespace, name string) (*Result, error) {
	result := &Result{client, namespace, name}
	return result, result.apply(ctx, applyv1.ConfigMap(name, namespace).WithData(map[string]string{VerdictKey: underWay}))
}

// Keep puts the result into the ConfigMap, in a time of its own when ctx has ended. It returns the names of the reports for which it has
// no room.
func (result *Result) Keep(ctx context.Context, run reports.Run) (leftOut []string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	archive, leftOut, err := directory.Archive(run, maximalArchive)
	if err != nil {
		return nil, err
	}
	data := map[string]string{VerdictKey: string(run.Complete().Verdict), ExitCodeKey: fmt.Sprint(run.ExitCode())}
	if len(leftOut) > 0 {
		data[LeftOutKey] = strings.Join(leftOut, "\n") + "\n"
	}
	return leftOut, result.apply(ctx, applyv1.ConfigMap(result.name, result.namespace).
		WithData(data).WithBinaryData(map[string][]byte{ReportsKey: archive}))
}

// apply replaces what the ConfigMap holds.
func (result *Result) apply(ctx context.Context, object *applyv1.ConfigMapApplyConfiguration) error {
	object.WithLabels(map[string]string{suite.OwnerLabel: suite.Owner})
	_, err := pod.Retry(ctx, func(ctx context.Context) (struct{}, error) {
		_, err := result.client.CoreV1().ConfigMaps(result.namespace).Apply(ctx, object, metav1.ApplyOptions{FieldManager: suite.Owner, Force: true})
		return struct{}{}, err
	})
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no namespace %s for the ConfigMap %s; create it", result.namespace, result.name)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the result cannot be kept: %w; apply what sharedpid job prints, or leave out --result-config-map", err)
	}
	return fmt.Errorf("the result cannot be kept in the ConfigMap %s of namespace %s: %w", result.name, result.namespace, err)
}

// Command is what a person types to have the reports.
func (result *Result) Command() string {
	return fmt.Sprintf(`kubectl get configmap %s --namespace %s --output 'jsonpath={.binaryData.reports\.tar\.gz}' | base64 -d | tar -xz`,
		result.name, result.namespace)
}
