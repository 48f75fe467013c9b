package cluster

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Existing returns how to reach a cluster that exists, from a kubeconfig file (with an empty name the ones that
// kubectl would read) and a context in it (with an empty name its current one). Nothing is written.
func Existing(kubeconfig, contextName string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	rules.WarnIfAllMissing = false
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: contextName})
	configuration, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	return configuration, nil
}

// Version asks the API for its version: the shortest proof that it answers.
func Version(ctx context.Context, configuration *rest.Config) (string, error) {
	brief := rest.CopyConfig(configuration)
	brief.Timeout = 10 * time.Second
	client, err := kubernetes.NewForConfig(brief)
	if err != nil {
		return "", err
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return "", fmt.Errorf("the API at %s does not answer: %w; check that the cluster runs and the kubeconfig is its own", configuration.Host, err)
	}
	return version.GitVersion, ctx.Err()
}

// ReadyNodes waits for a node that is ready and takes ordinary Pods, and returns all that do, in the order of their
// names.
func ReadyNodes(ctx context.Context, client kubernetes.Interface) ([]corev1.Node, error) {
	last := "no node"
	var ready []corev1.Node
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		for _, node := range nodes.Items {
			if why := unusable(node); why != "" {
				last = node.Name + " " + why
				continue
			}
			ready = append(ready, node)
		}
		return len(ready) > 0, nil
	})
	if err != nil {
		return nil, fmt.Errorf("no node takes Pods: %w; last seen: %s", err, last)
	}
	return ready, nil
}

// unusable returns why a node takes no ordinary Pod, empty when it does.
func unusable(node corev1.Node) string {
	if node.Spec.Unschedulable {
		return "is cordoned"
	}
	if system := node.Labels[corev1.LabelOSStable]; system != "" && system != "linux" {
		return "runs " + system
	}
	for _, taint := range node.Spec.Taints {
		if taint.Effect != corev1.TaintEffectPreferNoSchedule {
			return "has the taint " + taint.ToString()
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return ""
		}
	}
	return "is not ready"
}
