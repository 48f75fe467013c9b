package pod

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Diagnose gathers what a person asks for first when a Pod misbehaved: state, events and logs of a namespace. What
// cannot be had is named in the text.
func (client *Client) Diagnose(ctx context.Context, namespace string) string {
	var text strings.Builder
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Sprintf("namespace %s: %v\n", namespace, err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		fmt.Fprintf(&text, "Pod %s/%s on %s: %s\n", namespace, pod.Name, pod.Spec.NodeName, describe(pod))
		for _, container := range pod.Spec.Containers {
			logs, err := (&Pod{client, namespace, pod.Name}).Logs(ctx, container.Name, false)
			if err != nil {
				logs = err.Error()
			}
			fmt.Fprintf(&text, "logs of %s:\n%s\n", container.Name, strings.TrimSpace(logs))
		}
	}
	events, err := client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return text.String() + err.Error()
	}
	for _, event := range events.Items {
		fmt.Fprintf(&text, "event %s %s: %s: %s\n", event.Type, event.InvolvedObject.Name, event.Reason, event.Message)
	}
	return text.String()
}
