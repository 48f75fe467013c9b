// Package cluster obtains the cluster that is looked at: one created by kind, one kept from an earlier run, or
// one that exists already.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/support"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kind "sigs.k8s.io/kind/pkg/cluster"
	kindexec "sigs.k8s.io/kind/pkg/exec"
	kindlog "sigs.k8s.io/kind/pkg/log"
	"sigs.k8s.io/yaml"

	"sharedpid.example/fixtures/handlers"
	"sharedpid.example/helpers/engine"
)

// Kind creates and deletes one cluster through kind's library. It implements the cluster provider of
// e2e-framework, whose own one needs a kind binary and adopts clusters that it did not create.
//
// It knows its clusters by a record below the user's cache directory: a cluster without one is somebody else's.
type Kind struct {
	engine    *engine.Engine
	image     string
	handlers  handlers.Set
	name      string
	directory string // of the cluster's record and kubeconfig
	provider  *kind.Provider
	lock      *os.File
}

var _ support.E2EClusterProvider = (*Kind)(nil)

// record says which cluster of a name is ours.
type record struct {
	Engine string `json:"engine"`
	Image  string `json:"image"`
	// Handlers are the names of the runtime handlers that its nodes got, Folder is where they came from.
	Handlers []string  `json:"handlers,omitempty"`
	Folder   string    `json:"folder,omitempty"`
	Created  time.Time `json:"created"`
	Ready    bool      `json:"ready"` // the creation went through
	Kept     bool      `json:"kept"`  // it outlives its run, until make clean
}

// NewKind returns the provider of the cluster with that name, in that engine, whose nodes run that image and offer
// those runtime handlers beside their own. It holds the name for this process: a second run under the same name is refused until Close.
func NewKind(working *engine.Engine, name, image string, set handlers.Set, messages func(string)) (*Kind, error) {
	cache, err := engine.CacheDirectory()
	if err != nil {
		return nil, err
	}
	directory := filepath.Join(cache, "clusters", name)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(directory, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("another run is using the cluster %s; wait for it, or choose another name with -cluster-name", name)
	}
	options := map[string]kind.ProviderOption{
		"docker": kind.ProviderWithDocker(), "podman": kind.ProviderWithPodman(), "nerdctl": kind.ProviderWithNerdctl(""),
	}
	provider := kind.NewProvider(options[working.Name], kind.ProviderWithLogger(logger{messages}))
	return &Kind{engine: working, image: image, handlers: set, name: name, directory: directory, provider: provider, lock: lock}, nil
}

// Close lets go of the cluster's name.
func (cluster *Kind) Close() error { return cluster.lock.Close() }

// Find tells whether the cluster exists, ready for use, with the wanted image and handlers. A cluster of the name that is not ours is an error;
// one of ours that cannot be used is deleted, and replaced says why.
func (cluster *Kind) Find(ctx context.Context) (found bool, replaced string, err error) {
	names, err := cluster.provider.List()
	if err != nil {
		return false, "", fmt.Errorf("list of kind's clusters: %w", err)
	}
	ours, err := cluster.readRecord()
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return false, "", err
	}
	if !slices.Contains(names, cluster.name) {
		return false, "", cluster.forget()
	}
	if missing || ours.Engine != cluster.engine.Name {
		return false, "", fmt.Errorf("a kind cluster named %s exists that this project did not create; choose another name with -cluster-name, or delete it yourself", cluster.name)
	}
	switch {
	case !ours.Ready:
		replaced = "its creation was cut short"
	case ours.Image != cluster.image:
		replaced = "it has another node image"
	case ours.Folder != cluster.handlers.Folder || !slices.Equal(ours.Handlers, cluster.handlers.Names()):
		replaced = "it has other runtime handlers"
	case !cluster.nodesRun(ctx):
		replaced = "its nodes no longer run"
	default:
		return true, "", nil
	}
	if ctx.Err() != nil { // and not the nodes that failed to answer
		return false, "", ctx.Err()
	}
	return false, replaced, cluster.Destroy(ctx)
}

// nodesRun tells whether every node runs a command. The engine's own word is not enough: after a restart of the
// machine it lists a cluster's containers still, at times as running.
func (cluster *Kind) nodesRun(ctx context.Context) bool {
	nodes, err := cluster.provider.ListNodes(cluster.name)
	if err != nil {
		return false
	}
	for _, node := range nodes {
		if _, err := cluster.engine.Output(ctx, "exec", node.String(), "true"); err != nil {
			return false
		}
	}
	return len(nodes) > 0
}

// Keep makes the cluster outlive its run: the next one finds it.
func (cluster *Kind) Keep() error {
	ours, err := cluster.readRecord()
	if err != nil {
		return err
	}
	ours.Kept = true
	return cluster.writeRecord(ours)
}

// Kept tells whether Keep was called for the cluster, in this run or an earlier one.
func (cluster *Kind) Kept() bool {
	ours, err := cluster.readRecord()
	return err == nil && ours.Kept
}

// WithName sets the cluster's name.
func (cluster *Kind) WithName(name string) support.E2EClusterProvider {
	cluster.name = name
	return cluster
}

// WithVersion is the framework's way to choose a Kubernetes version; here the node image decides it.
func (cluster *Kind) WithVersion(string) support.E2EClusterProvider { return cluster }

// WithPath is the framework's way to name a binary; the library needs none.
func (cluster *Kind) WithPath(string) support.E2EClusterProvider { return cluster }

// WithOpts applies options.
func (cluster *Kind) WithOpts(options ...support.ClusterOpts) support.E2EClusterProvider {
	for _, option := range options {
		option(cluster)
	}
	return cluster
}

// SetDefaults has nothing to set.
func (cluster *Kind) SetDefaults() support.E2EClusterProvider { return cluster }

// Create creates the cluster with kind's default configuration.
func (cluster *Kind) Create(ctx context.Context, _ ...string) (string, error) {
	return cluster.create(ctx, &v1alpha4.Cluster{})
}

// CreateWithConfig creates the cluster with the configuration in a file, to which what this host needs is
// added, and returns the path of its kubeconfig. When ctx ends midway, what was made is deleted.
func (cluster *Kind) CreateWithConfig(ctx context.Context, path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var configuration v1alpha4.Cluster
	if err := yaml.UnmarshalStrict(content, &configuration); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return cluster.create(ctx, &configuration)
}

func (cluster *Kind) create(ctx context.Context, configuration *v1alpha4.Cluster) (string, error) {
	configuration.KubeadmConfigPatches = append(configuration.KubeadmConfigPatches, cluster.engine.Host.KubeadmPatches()...)
	configuration.ContainerdConfigPatches = append(configuration.ContainerdConfigPatches, cluster.engine.Host.ContainerdPatches()...)
	cluster.addHandlers(configuration)
	ours := record{
		Engine: cluster.engine.Name, Image: cluster.image, Created: time.Now(),
		Handlers: cluster.handlers.Names(), Folder: cluster.handlers.Folder,
	}
	if err := cluster.writeRecord(ours); err != nil {
		return "", err
	}
	created := make(chan error, 1)
	go func() {
		created <- cluster.provider.Create(cluster.name,
			kind.CreateWithV1Alpha4Config(configuration), kind.CreateWithNodeImage(cluster.image),
			kind.CreateWithKubeconfigPath(cluster.GetKubeconfig()), kind.CreateWithRetain(true),
			kind.CreateWithDisplayUsage(false), kind.CreateWithDisplaySalutation(false))
	}()
	var err error
	select {
	case err = <-created:
	case <-ctx.Done():
		err = ctx.Err()
		cluster.stopCreation(created)
	}
	if err != nil {
		return "", fmt.Errorf("cluster %s: %w", cluster.name, withOutput(err))
	}
	ours.Ready = true
	return cluster.GetKubeconfig(), cluster.writeRecord(ours)
}

// addHandlers gives every node the runtime handlers.
func (cluster *Kind) addHandlers(configuration *v1alpha4.Cluster) {
	if cluster.handlers.Folder == "" {
		return
	}
	configuration.ContainerdConfigPatches = append(configuration.ContainerdConfigPatches, cluster.handlers.ContainerdPatches(cluster.engine.Host.SystemdCgroup())...)
	if len(configuration.Nodes) == 0 {
		configuration.Nodes = []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole}}
	}
	for i := range configuration.Nodes {
		configuration.Nodes[i].ExtraMounts = append(configuration.Nodes[i].ExtraMounts, v1alpha4.Mount{
			HostPath: cluster.handlers.Folder, ContainerPath: handlers.Directory, Readonly: true,
		})
	}
}

// withOutput adds to an error of kind's the last words of the command that failed: its own text only quotes
// the command line.
func withOutput(err error) error {
	failed := kindexec.RunErrorForError(err)
	if failed == nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(failed.Output)), "\n")
	return fmt.Errorf("%s %s: %w: %s", failed.Command[0], failed.Command[min(1, len(failed.Command)-1)], failed.Inner, lines[len(lines)-1])
}

// stopCreation ends a creation, which kind's library cannot cancel: without its nodes it fails at its next step.
func (cluster *Kind) stopCreation(created <-chan error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		cluster.killNodes(ctx)
		select {
		case <-created:
			return
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// killNodes ends the node containers at once; without it podman waits ten seconds for each to stop by itself.
func (cluster *Kind) killNodes(ctx context.Context) {
	nodes, err := cluster.provider.ListNodes(cluster.name)
	if err != nil {
		return
	}
	for _, node := range nodes {
		_, _ = cluster.engine.Output(ctx, "kill", node.String())
	}
}

// Destroy deletes the cluster, its kubeconfig and its record.
func (cluster *Kind) Destroy(ctx context.Context) error {
	if _, err := cluster.readRecord(); err != nil {
		return fmt.Errorf("cluster %s is not ours to delete: %w", cluster.name, err)
	}
	cluster.killNodes(ctx)
	if err := cluster.provider.Delete(cluster.name, cluster.GetKubeconfig()); err != nil {
		return fmt.Errorf("cluster %s could not be deleted: %w; run make clean", cluster.name, err)
	}
	return cluster.forget()
}

func (cluster *Kind) forget() error {
	for _, file := range []string{cluster.GetKubeconfig(), cluster.recordPath()} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// GetKubeconfig returns the path of the cluster's own kubeconfig.
func (cluster *Kind) GetKubeconfig() string { return filepath.Join(cluster.directory, "kubeconfig") }

// GenerateKubeconfig returns the path of the kubeconfig, which does not change while the cluster lives.
func (cluster *Kind) GenerateKubeconfig(...string) (string, error) {
	return cluster.GetKubeconfig(), nil
}

// GetKubectlContext returns the name of the context in the kubeconfig.
func (cluster *Kind) GetKubectlContext() string { return "kind-" + cluster.name }

// ExportLogs writes the logs of every node into a folder.
func (cluster *Kind) ExportLogs(_ context.Context, folder string) error {
	return cluster.provider.CollectLogs(cluster.name, folder)
}

// WaitForControlPlane has nothing to wait for: creation returns when the control plane answers, and the runner
// waits for what its Pods need.
func (cluster *Kind) WaitForControlPlane(context.Context, klient.Client) error { return nil }

// KubernetesRestConfig returns how to reach the cluster, nil when its kubeconfig cannot be read.
func (cluster *Kind) KubernetesRestConfig() *rest.Config {
	configuration, err := clientcmd.BuildConfigFromFlags("", cluster.GetKubeconfig())
	if err != nil {
		return nil
	}
	return configuration
}

func (cluster *Kind) recordPath() string { return filepath.Join(cluster.directory, "record.json") }

func (cluster *Kind) readRecord() (record, error) {
	var ours record
	content, err := os.ReadFile(cluster.recordPath())
	if err != nil {
		return ours, err
	}
	if err := json.Unmarshal(content, &ours); err != nil {
		return ours, fmt.Errorf("%s: %w", cluster.recordPath(), err)
	}
	return ours, nil
}

func (cluster *Kind) writeRecord(ours record) error {
	content, err := json.Marshal(ours)
	if err != nil {
		return err
	}
	return os.WriteFile(cluster.recordPath(), content, 0o600)
}

// Recorded returns the names of the clusters that were created and not deleted.
func Recorded() ([]string, error) {
	cache, err := engine.CacheDirectory()
	if err != nil {
		return nil, err
	}
	records, err := filepath.Glob(filepath.Join(cache, "clusters", "*", "record.json"))
	var names []string
	for _, path := range records {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	return names, err
}

// RecordedEngine returns the name of the engine in which a recorded cluster was created.
func RecordedEngine(name string) (string, error) {
	cache, err := engine.CacheDirectory()
	if err != nil {
		return "", err
	}
	ours, err := (&Kind{directory: filepath.Join(cache, "clusters", name)}).readRecord()
	return ours.Engine, err
}

// logger passes on kind's messages, without their ornaments.
type logger struct{ messages func(string) }

func (logger logger) Warn(message string) { logger.messages(message) }
func (logger logger) Warnf(format string, values ...any) {
	logger.messages(fmt.Sprintf(format, values...))
}
func (logger logger) Error(message string) { logger.messages(message) }
func (logger logger) Errorf(format string, values ...any) {
	logger.messages(fmt.Sprintf(format, values...))
}
func (logger logger) V(level kindlog.Level) kindlog.InfoLogger { return infoLogger{logger, level == 0} }

type infoLogger struct {
	logger  logger
	enabled bool
}

func (info infoLogger) Enabled() bool { return info.enabled }
func (info infoLogger) Infof(format string, values ...any) {
	info.Info(fmt.Sprintf(format, values...))
}
func (info infoLogger) Info(message string) {
	if ascii := strings.TrimSpace(strings.Map(asciiOnly, message)); info.enabled && ascii != "" {
		info.logger.messages(ascii)
	}
}

func asciiOnly(r rune) rune {
	if r > 126 {
		return -1
	}
	return r
}
