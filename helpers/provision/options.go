package provision

import (
	"errors"
	"fmt"
	"regexp"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"sharedpid.example/fixtures/node"
	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/helpers/provision/engine"
	"sharedpid.example/helpers/strictyaml"
	"sharedpid.example/reports"
)

// DefaultClusterName is the name of the kind cluster when none is asked for.
const DefaultClusterName = "sharedpid"

// DefaultClusterConfig is the kind configuration in the checkout that is taken when none is asked for.
const DefaultClusterConfig = "kind-config.yaml"

// Options says which cluster to obtain. Every field may be empty: then a kind cluster is created, in the first engine
// that works, and deleted when it is closed.
type Options struct {
	// Kubeconfig and Context name a cluster that exists; with either of them, all other fields must be empty. An empty
	// Kubeconfig stands for the files that kubectl reads, an empty Context for the file's current one.
	Kubeconfig string
	Context    string
	// Inside takes the cluster that this process runs in, with the service account of its Pod; all other fields must be empty.
	Inside bool

	ClusterName   string        // of the kind cluster, DefaultClusterName when empty
	ClusterConfig string        // path of its kind configuration, DefaultClusterConfig in the checkout when empty
	Engine        string        // container engine: docker, podman or nerdctl
	NodeImage     string        // kind, local or a reference, see node.Select
	NodeVersions  node.Versions // of the parts of the local node image, which any of them asks for
	Worker        node.Versions // of a worker that it gets as well, of the local node image; none where no version is given
	Runtimes      []string      // names of OCI runtimes that its nodes get beside their own
	Handlers      runtimes.Set  // runtime handlers that its nodes get instead of Runtimes, such as faulty ones
	Keep          bool          // leaves it for the next run, until Clean
}

// Existing tells whether the options name a cluster that exists.
func (options Options) Existing() bool {
	return options.Kubeconfig != "" || options.Context != "" || options.Inside
}

// Validate returns an error of one line about whatever can be refused before anything is created or asked: unknown,
// malformed and contradicting options. It names the flag.
func (options Options) Validate() error {
	if options.Existing() {
		if err := options.checkOnlyExisting(); err != nil {
			return err
		}
		_, _, err := options.existing()
		return err
	}
	if len(options.Runtimes) > 0 && len(options.Handlers.Handlers) > 0 {
		return errors.New("--runtime: a cluster gets either these runtimes or faulty ones; leave one of them out")
	}
	if err := checkClusterName(options.clusterName()); err != nil {
		return fmt.Errorf("--cluster-name: %w", err)
	}
	if err := engine.Validate(options.Engine); err != nil {
		return fmt.Errorf("--engine: %w", err)
	}
	if err := node.Validate(options.NodeImage); err != nil {
		return fmt.Errorf("--node-image: %w", err)
	}
	if err := options.NodeVersions.Validate(); err != nil {
		return err
	}
	if options.NodeVersions.Given() && options.NodeImage != "" && options.NodeImage != "local" {
		return errors.New("--kubernetes, --containerd, --runc and --cri are about the local node image, and --node-image names another; " +
			"leave one of them out")
	}
	if options.NodeVersions.OtherCRI() && len(options.Runtimes)+len(options.Handlers.Handlers) > 0 {
		return fmt.Errorf("--cri %s has one runtime alone; further ones, which --runtime, faults and some conditions need, are containerd's",
			options.NodeVersions.CRI)
	}
	if _, err := runtimes.Select(options.Runtimes); err != nil {
		return fmt.Errorf("--runtime: %w", err)
	}
	if options.ClusterConfig != "" {
		if _, err := readClusterConfig(options.ClusterConfig); err != nil {
			return fmt.Errorf("--kind-config: %w", err)
		}
	}
	return nil
}

// checkOnlyExisting refuses what is about a cluster that is created.
func (options Options) checkOnlyExisting() error {
	names := "--kubeconfig or --context names one that exists; leave one of them out"
	if options.Inside {
		names = "outside of a checkout a Pod takes the cluster that it runs in; leave it out"
	}
	if len(options.Handlers.Handlers) > 0 {
		return errors.New("faulty runtimes are put into a cluster that is created for them, and not into one that exists; " +
			"leave out --kubeconfig and --context")
	}
	if len(options.Runtimes) > 0 {
		return errors.New("--runtime: runtimes are put into a cluster that is created for them; " +
			"on one that exists name its RuntimeClasses with --runtime-class")
	}
	type option struct {
		flag  string
		given bool
	}
	given := []option{
		{"--cluster-name", options.ClusterName != ""}, {"--kind-config", options.ClusterConfig != ""},
		{"--engine", options.Engine != ""}, {"--node-image", options.NodeImage != ""}, {"--keep", options.Keep},
	}
	given = append(given, option{"--cri", options.NodeVersions.CRI != ""})
	for _, part := range options.NodeVersions.Parts() {
		given = append(given, option{"--" + part.Name, *part.Version != ""})
	}
	for _, option := range given {
		if option.given {
			return fmt.Errorf("%s is about a cluster that is created, and %s", option.flag, names)
		}
	}
	return nil
}

// Description is what is known of the cluster before it was obtained.
func (options Options) Description() reports.Cluster {
	if !options.Existing() {
		return reports.Cluster{Name: options.clusterName()}
	}
	_, name, err := options.existing()
	if err != nil {
		name = options.Context
	}
	return reports.Cluster{Name: name, Origin: originExisting}
}

func (options Options) clusterName() string {
	if options.ClusterName == "" {
		return DefaultClusterName
	}
	return options.ClusterName
}

// clusterNames are those that kind takes. A name becomes part of a container's name and of a path as well, so that it
// may not begin with a dot or a dash, and kind's longest node name must still be a host name.
var clusterNames = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,49}$`)

func checkClusterName(name string) error {
	if clusterNames.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%q is no name of a cluster: want at most 50 of the characters a-z, 0-9, dot and dash, a letter or digit first", name)
}

// readClusterConfig reads a kind configuration strictly.
func readClusterConfig(path string) (*v1alpha4.Cluster, error) {
	var configuration v1alpha4.Cluster
	if err := strictyaml.Read(path, &configuration); err != nil {
		return nil, err
	}
	const kind, version = "Cluster", "kind.x-k8s.io/v1alpha4"
	if configuration.Kind != kind || configuration.APIVersion != version {
		return nil, fmt.Errorf("%s: want kind %s of apiVersion %s, not kind %q of apiVersion %q",
			path, kind, version, configuration.Kind, configuration.APIVersion)
	}
	return &configuration, nil
}
