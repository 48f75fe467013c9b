package provision

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"sharedpid.example/helpers/workspace"
)

// Inside tells whether a run that names no cluster is to take the one that this process runs in: it is in a Pod, and outside of a
// checkout, without which no cluster is created. A CI job in a checkout creates one, although it may be a Pod as well.
func Inside() bool {
	_, err := workspace.Root()
	return err != nil && os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

// nameInside is what reports call the cluster that the run is in.
const nameInside = "the run's own"

// existing returns how to reach the cluster that the options name, and what reports call it.
func (options Options) existing() (*rest.Config, string, error) {
	if !options.Inside {
		return existing(options.Kubeconfig, options.Context)
	}
	configuration, err := rest.InClusterConfig()
	if err != nil {
		return nil, "", fmt.Errorf("this is a Pod without a service account's token (%w): set automountServiceAccountToken, "+
			"or name a cluster with --kubeconfig", err)
	}
	return configuration, nameInside, nil
}

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
		return nil, "", fmt.Errorf("%s: %s", source, kubeconfigProblem(err))
	}
	if err := usable(configuration); err != nil {
		return nil, "", fmt.Errorf("%s: %w", source, err)
	}
	if contextName == "" {
		raw, err := loader.RawConfig()
		if err != nil {
			return nil, "", fmt.Errorf("%s: %s", source, kubeconfigProblem(err))
		}
		contextName = raw.CurrentContext
	}
	return configuration, contextName, nil
}

// usable says what keeps a client from being made of a configuration. Nobody is asked.
func usable(configuration *rest.Config) error {
	if address, _, err := rest.DefaultServerUrlFor(configuration); err != nil || address.Scheme != "https" && address.Scheme != "http" {
		return fmt.Errorf("%q is no address of a server: want one such as https://example.com:6443", configuration.Host)
	}
	if _, err := kubernetes.NewForConfig(configuration); err != nil {
		return fmt.Errorf("%s; mend what it has of certificates and keys", kubeconfigProblem(err))
	}
	return nil
}

var (
	// noKubeconfig is what client-go says of a file that holds something else.
	noKubeconfig = regexp.MustCompile(`couldn't get version/kind|cannot unmarshal|is registered for version|yaml: `)
	// loading repeats the name of the file.
	loading = regexp.MustCompile(`^(error loading config file "[^"]*": |invalid configuration: )+`)
)

// kubeconfigProblem says in one line why client-go can make nothing of a kubeconfig.
func kubeconfigProblem(err error) string {
	text := loading.ReplaceAllString(strings.Join(strings.Fields(err.Error()), " "), "")
	switch {
	case clientcmd.IsEmptyConfig(err):
		return "no cluster to reach stands there: want a kubeconfig with a current context, or one named with --context"
	case noKubeconfig.MatchString(text):
		return "is no kubeconfig: want YAML with kind Config of apiVersion v1"
	case strings.Contains(text, "illegal base64 data"):
		return "what stands in a field whose name ends in -data is no base64 (" + text + "); mend it"
	}
	return text
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
	if err == nil && (json.Unmarshal(content, &info) != nil || info.GitVersion == "") || apierrors.IsNotFound(err) {
		return "", fmt.Errorf("what answers at %s is no API of Kubernetes; check that the kubeconfig names its address", configuration.Host)
	}
	if apierrors.IsUnauthorized(err) {
		return "", fmt.Errorf("the API at %s does not accept %s", configuration.Host, credentials(configuration))
	}
	if err != nil {
		check := "the cluster runs and the kubeconfig is its own"
		if configuration.BearerTokenFile != "" {
			check = "Pods reach the Service kubernetes: kube-proxy or what stands in for it, and network policies"
		}
		return "", fmt.Errorf("the API at %s does not answer: %w; check that %s", configuration.Host, oneLine{err}, check)
	}
	return info.GitVersion, nil
}

// oneLine is an error in one line: a credential plugin that is missing is told of in many.
type oneLine struct{ error }

func (err oneLine) Error() string { return strings.Join(strings.Fields(err.error.Error()), " ") }

func (err oneLine) Unwrap() error { return err.error }

// credentials says what an API did not accept, and what to do about it.
func credentials(configuration *rest.Config) string {
	if configuration.BearerTokenFile != "" {
		return "the token in " + configuration.BearerTokenFile + ": it has expired, or its service account was deleted; start the Pod anew"
	}
	return "the kubeconfig's credentials: they have expired, or are another cluster's; log in again"
}
