package provision

import (
	"fmt"
	"strings"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kind "sigs.k8s.io/kind/pkg/cluster"
	kindlog "sigs.k8s.io/kind/pkg/log"

	"sharedpid.example/helpers/provision/engine"
)

// library is what is used of kind's library, with one engine. None of it can be cancelled.
type library interface {
	// clusters returns the names of kind's clusters, whoever created them.
	clusters() ([]string, error)
	// nodes returns the names of a cluster's node containers.
	nodes(cluster string) ([]string, error)
	// create creates a cluster, each of whose nodes names its image, and writes its kubeconfig. One that fails leaves its nodes.
	create(cluster string, configuration *v1alpha4.Cluster, kubeconfig string) error
	// delete deletes a cluster, if it is there, and what stands of it in its kubeconfig.
	delete(cluster, kubeconfig string) error
}

// newLibrary opens a library that passes on its messages.
type newLibrary func(working *engine.Engine, messages func(string)) library

// kindLibrary is kind's library itself. It starts the engine by itself, in the environment of this process.
type kindLibrary struct {
	engine   *engine.Engine
	provider *kind.Provider
}

func newKindLibrary(working *engine.Engine, messages func(string)) library {
	options := map[string]kind.ProviderOption{
		"docker": kind.ProviderWithDocker(), "podman": kind.ProviderWithPodman(), "nerdctl": kind.ProviderWithNerdctl(""),
	}
	return kindLibrary{working, kind.NewProvider(options[working.Name], kind.ProviderWithLogger(logger{messages}))}
}

func (library kindLibrary) clusters() (names []string, err error) {
	err = library.engine.Lend(func() (err error) {
		names, err = library.provider.List()
		return err
	})
	return names, err
}

func (library kindLibrary) nodes(cluster string) (names []string, err error) {
	err = library.engine.Lend(func() error {
		nodes, err := library.provider.ListNodes(cluster)
		for _, node := range nodes {
			names = append(names, node.String())
		}
		return err
	})
	return names, err
}

func (library kindLibrary) create(cluster string, configuration *v1alpha4.Cluster, kubeconfig string) error {
	return library.engine.Lend(func() error {
		return library.provider.Create(cluster,
			kind.CreateWithV1Alpha4Config(configuration), kind.CreateWithKubeconfigPath(kubeconfig), kind.CreateWithRetain(true),
			kind.CreateWithDisplayUsage(false), kind.CreateWithDisplaySalutation(false))
	})
}

func (library kindLibrary) delete(cluster, kubeconfig string) error {
	return library.engine.Lend(func() error { return library.provider.Delete(cluster, kubeconfig) })
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
