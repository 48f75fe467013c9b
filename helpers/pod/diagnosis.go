package pod

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Diagnose gathers what a person asks for first when a Pod misbehaved: its state, events and logs. What cannot
// be had is named in the text.
func (pod *Pod) Diagnose(ctx context.Context) string {
	var text strings.Builder
	status, err := pod.Status(ctx)
	if err != nil {
		return fmt.Sprintf("Pod %s/%s: %v\n", pod.Namespace, pod.Name, err)
	}
	fmt.Fprintf(&text, "Pod %s/%s on %s: %s\n", pod.Namespace, pod.Name, status.Spec.NodeName, describe(status))
	for _, container := range status.Spec.Containers {
		logs, err := pod.Logs(ctx, container.Name, false)
		if err != nil {
			logs = err.Error()
		}
		fmt.Fprintf(&text, "logs of %s:\n%s\n", container.Name, strings.TrimSpace(logs))
	}
	events, err := pod.client.CoreV1().Events(pod.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod.Name})
	if err != nil {
		return text.String() + err.Error() + "\n"
	}
	for _, event := range events.Items {
		fmt.Fprintf(&text, "event %s: %s: %s\n", event.Type, event.Reason, event.Message)
	}
	return text.String()
}
