package pod

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Diagnose gathers what a person asks for first when a Pod misbehaved: its state, its events, and the logs of the named
// containers. Of other containers, such as those that a cluster injects, it has the names and the states alone: their logs are not
// the caller's to publish. What cannot be had is named in the text.
func (pod *Pod) Diagnose(ctx context.Context, containers ...string) string {
	var text strings.Builder
	status, err := pod.Status(ctx)
	if err != nil {
		return err.Error() + "\n"
	}
	fmt.Fprintf(&text, "Pod %s/%s on %s: %s\n", pod.Namespace, pod.Name, status.Spec.NodeName, Describe(status))
	for _, name := range containerNames(status) {
		if !slices.Contains(containers, name) {
			fmt.Fprintf(&text, "container %s is not the suite's: its logs are left out\n", name)
			continue
		}
		logs, err := pod.Logs(ctx, name, false)
		if err != nil {
			logs = err.Error()
		}
		fmt.Fprintf(&text, "logs of %s:\n%s\n", name, strings.TrimSpace(logs))
	}
	events, err := Retry(ctx, func(ctx context.Context) (*corev1.EventList, error) {
		return pod.client.CoreV1().Events(pod.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod.Name})
	})
	if err != nil {
		return text.String() + pod.failed(ctx, "listing its events", err).Error() + "\n"
	}
	for _, event := range events.Items {
		fmt.Fprintf(&text, "event %s: %s: %s\n", event.Type, event.Reason, event.Message)
	}
	return text.String()
}

// containerNames are those of the Pod's containers of all kinds.
func containerNames(pod *corev1.Pod) []string {
	var names []string
	for _, container := range pod.Spec.InitContainers {
		names = append(names, container.Name)
	}
	for _, container := range pod.Spec.Containers {
		names = append(names, container.Name)
	}
	for _, container := range pod.Spec.EphemeralContainers {
		names = append(names, container.Name)
	}
	return names
}
