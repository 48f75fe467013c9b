package pod

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sharedpid.example/reports"
)

// Pod is one Pod of a cluster.
type Pod struct {
	client          *Client
	watch           *Watch
	created         *corev1.Pod
	Namespace, Name string
}

// Create creates the Pod, which has a name and a namespace of its own, in the namespace that is watched. It does so once, also
// where it has to ask again because an answer was lost.
func (client *Client) Create(ctx context.Context, watch *Watch, pod *corev1.Pod) (*Pod, error) {
	made := client.Open(watch, pod.Namespace, pod.Name)
	// The API notes who wrote an object, so that a Pod which is already there is known to be this one or another.
	manager := "sharedpid-" + string(uuid.NewUUID())
	var err error
	made.created, err = Retry(ctx, func(ctx context.Context) (*corev1.Pod, error) {
		created, err := client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{FieldManager: manager})
		if !apierrors.IsAlreadyExists(err) {
			return created, err
		}
		there, unread := client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if unread != nil {
			return nil, unread
		}
		if slices.ContainsFunc(there.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool { return entry.Manager == manager }) {
			return there, nil
		}
		return nil, err
	})
	if err != nil {
		return nil, made.failed(ctx, "creating it", err)
	}
	return made, nil
}

// Open returns a Pod that somebody else creates, such as a controller, in the namespace that is watched. It asks nothing.
func (client *Client) Open(watch *Watch, namespace, name string) *Pod {
	return &Pod{client: client, watch: watch, Namespace: namespace, Name: name}
}

// Created returns the Pod as the API stored it when Create created it: with defaults, and with what admission changed. It is
// nil for a Pod from Open.
func (pod *Pod) Created() *corev1.Pod { return pod.created }

// Status returns the Pod as the API has it now.
func (pod *Pod) Status(ctx context.Context) (*corev1.Pod, error) {
	status, err := Retry(ctx, func(ctx context.Context) (*corev1.Pod, error) {
		return pod.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	})
	if err != nil {
		return nil, pod.failed(ctx, "asking for its status", err)
	}
	return status, nil
}

// Last returns the Pod as the watch last saw it, also after it is gone: a wait may miss the states before its end. It is nil
// for a Pod that was never seen.
func (pod *Pod) Last() *corev1.Pod { return pod.watch.state(pod.Name).last }

// Describe returns the state of the Pod as last seen in one line.
func (pod *Pod) Describe() string { return Describe(pod.Last()) }

// ContainerIDs returns the names of the Pod's containers by the ids that the runtime gave them, as last seen; none once the
// Pod is gone.
func (pod *Pod) ContainerIDs() map[string]string {
	names := map[string]string{}
	for _, each := range statuses(pod.watch.state(pod.Name).current) {
		if _, id, found := strings.Cut(each.ContainerID, "://"); found {
			names[id] = each.Name
		}
	}
	return names
}

// Container returns the status of the named container of any kind, empty while the kubelet has not reported one.
func Container(pod *corev1.Pod, name string) corev1.ContainerStatus {
	for _, status := range statuses(pod) {
		if status.Name == name {
			return status
		}
	}
	return corev1.ContainerStatus{}
}

// statuses are those of a Pod's containers of all kinds, none of nil.
func statuses(pod *corev1.Pod) []corev1.ContainerStatus {
	if pod == nil {
		return nil
	}
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses)
}

// Describe returns the state of a Pod in one line.
func Describe(pod *corev1.Pod) string {
	if pod == nil {
		return "no such Pod"
	}
	parts := []string{string(pod.Status.Phase)}
	if pod.DeletionTimestamp != nil {
		parts[0] += " (being deleted)"
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			parts = append(parts, condition.Reason+": "+condition.Message)
		}
	}
	for _, status := range statuses(pod) {
		state := "unknown"
		switch {
		case status.State.Running != nil:
			state = "running"
		case status.State.Terminated != nil:
			state = fmt.Sprintf("exited %d %s", status.State.Terminated.ExitCode, status.State.Terminated.Reason)
		case status.State.Waiting != nil:
			state = "waiting: " + status.State.Waiting.Reason
		}
		parts = append(parts, fmt.Sprintf("%s %s (%d restarts)", status.Name, state, status.RestartCount))
	}
	return strings.Join(parts, ", ")
}

// Delete asks for the Pod's deletion with its own grace period, and does not wait for it. That the Pod is gone already is
// an error, unless an earlier attempt of the same call may have deleted it.
func (pod *Pod) Delete(ctx context.Context) error {
	attempts := 0
	_, err := Retry(ctx, func(ctx context.Context) (struct{}, error) {
		attempts++
		err := pod.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{})
		if attempts > 1 && apierrors.IsNotFound(err) {
			err = nil
		}
		return struct{}{}, err
	})
	if err != nil {
		return pod.failed(ctx, "deleting it", err)
	}
	return nil
}

// AddEphemeral adds ephemeral containers to the Pod. Their names must be new to it.
func (pod *Pod) AddEphemeral(ctx context.Context, containers ...corev1.EphemeralContainer) error {
	attempts := 0
	_, err := Retry(ctx, func(ctx context.Context) (*corev1.Pod, error) {
		attempts++
		pods := pod.client.CoreV1().Pods(pod.Namespace)
		status, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		added := func(there corev1.EphemeralContainer) bool {
			return slices.ContainsFunc(containers, func(each corev1.EphemeralContainer) bool { return each.Name == there.Name })
		}
		if attempts > 1 && slices.ContainsFunc(status.Spec.EphemeralContainers, added) {
			return status, nil // all of them are added in one request, whose answer was lost
		}
		status.Spec.EphemeralContainers = append(status.Spec.EphemeralContainers, containers...)
		return pods.UpdateEphemeralContainers(ctx, pod.Name, status, metav1.UpdateOptions{})
	})
	if err != nil {
		return pod.failed(ctx, "adding ephemeral containers", err)
	}
	return nil
}

// Resize changes a limit of a container while the Pod runs. Asked twice it changes nothing more.
func (pod *Pod) Resize(ctx context.Context, container string, name corev1.ResourceName, limit resource.Quantity) error {
	_, err := Retry(ctx, func(ctx context.Context) (*corev1.Pod, error) {
		pods := pod.client.CoreV1().Pods(pod.Namespace)
		status, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		for i := range status.Spec.Containers {
			if each := &status.Spec.Containers[i]; each.Name == container {
				if each.Resources.Limits == nil {
					each.Resources.Limits = corev1.ResourceList{}
				}
				each.Resources.Limits[name] = limit
			}
		}
		return pods.UpdateResize(ctx, pod.Name, status, metav1.UpdateOptions{})
	})
	if err != nil {
		return pod.failed(ctx, "resizing container "+container, err)
	}
	return nil
}

// Logs returns the first 64 KiB of what the container wrote, of its previous run if asked for.
func (pod *Pod) Logs(ctx context.Context, container string, previous bool) (string, error) {
	const largest = 64 << 10
	output, err := Retry(ctx, func(ctx context.Context) ([]byte, error) {
		limit := int64(largest)
		return pod.client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name,
			&corev1.PodLogOptions{Container: container, Previous: previous, LimitBytes: &limit}).DoRaw(ctx)
	})
	for _, gone := range logsGone {
		if err == nil && strings.HasPrefix(string(output), gone) {
			err = kinded{reports.Lost, fmt.Errorf("they are gone: %s", output)}
		}
	}
	if err != nil {
		return "", pod.failed(ctx, "reading the logs of container "+container, err)
	}
	return string(output), nil
}

// logsGone are the kubelet's words for logs that are gone: it sends them in the place of the logs, as if the container had written them.
var logsGone = []string{
	"unable to retrieve container logs for ", "failed to try resolving symlinks in path ", "failed to open log file ",
}
