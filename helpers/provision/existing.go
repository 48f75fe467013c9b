package provision

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// existing returns how to reach a cluster that exists, from a kubeconfig file (with an empty path the ones that kubectl
// would read) and a context in it (with an empty name its current one), and the name of the context. Nothing is written.
func existing(kubeconfig, contextName string) (*rest.Config, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	rules.WarnIfAllMissing = false
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: contextName})
	source := "--kubeconfig " + kubeconfig
	if kubeconfig == "" {
		source = "--context " + contextName
	}
	configuration, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", source, err)
	}
	if contextName == "" {
		raw, err := loader.RawConfig()
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", source, err)
		}
		contextName = raw.CurrentContext
	}
	return configuration, contextName, nil
}

// versionTime is how long the API may take to tell its version.
const versionTime = 10 * time.Second

// Version asks the API for its version, such as v1.37.2: the shortest proof that it answers. The error says what to check.
func Version(ctx context.Context, configuration *rest.Config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	client, err := kubernetes.NewForConfig(configuration)
	if err != nil {
		return "", err
	}
	content, err := client.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	var info version.Info
	if err == nil {
		err = json.Unmarshal(content, &info)
	}
	if err != nil {
		return "", fmt.Errorf("the API at %s does not answer: %w; check that the cluster runs and the kubeconfig is its own",
			configuration.Host, err)
	}
	return info.GitVersion, nil
}
