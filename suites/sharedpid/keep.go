package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"sharedpid.example/helpers/incluster"
	"sharedpid.example/helpers/progress"
	"sharedpid.example/reports"
)

// keepFlags are where the result of a run goes beside its report directory, which is gone with the Pod that the run is in.
type keepFlags struct{ configMap, sonobuoy string }

func (flags *keepFlags) add(to *pflag.FlagSet) {
	to.StringVar(&flags.configMap, "result-config-map", "", "keep the verdict and the reports in the ConfigMap `NAME` of the run's --namespace as well")
	to.StringVar(&flags.sonobuoy, "sonobuoy-results", "", "leave the reports in `DIRECTORY` as Sonobuoy takes them from a plugin")
}

func (flags keepFlags) validate(namespace string) error {
	if flags.sonobuoy != "" {
		if is, err := os.Stat(flags.sonobuoy); err != nil || !is.IsDir() {
			return fmt.Errorf("--sonobuoy-results: %q is no directory; name the volume that Sonobuoy gives the plugin", flags.sonobuoy)
		}
	}
	switch {
	case flags.configMap == "":
		return nil
	case len(validation.IsDNS1123Subdomain(flags.configMap)) > 0:
		return fmt.Errorf("--result-config-map: %q is no name of a ConfigMap", flags.configMap)
	case namespace == "":
		return errors.New("--result-config-map: a run's own namespaces are deleted; name one that stays with --namespace")
	}
	return nil
}

func (flags keepFlags) keeper(namespace string) *keeper {
	return &keeper{flags: flags, namespace: namespace}
}

// keeper keeps the result of a run where flags say so.
type keeper struct {
	flags     keepFlags
	namespace string
	result    *incluster.Result // nil for none
}

// open proves that a ConfigMap can be written before the run.
func (keeper *keeper) open(ctx context.Context, configuration *rest.Config) error {
	if keeper.flags.configMap == "" {
		return nil
	}
	client, err := kubernetes.NewForConfig(configuration)
	if err != nil {
		return err
	}
	result, err := incluster.OpenResult(ctx, client, keeper.namespace, keeper.flags.configMap)
	if err == nil {
		keeper.result = result
	}
	return err
}

// keep keeps the result of a run that has ended, and says where.
func (keeper *keeper) keep(ctx context.Context, run reports.Run, printer *progress.Printer) error {
	var problems error
	if folder := keeper.flags.sonobuoy; folder != "" {
		problems = incluster.WriteSonobuoyResults(folder, run)
	}
	if keeper.result == nil {
		return problems
	}
	leftOut, err := keeper.result.Keep(ctx, run)
	if err != nil {
		return errors.Join(problems, err)
	}
	if len(leftOut) > 0 {
		printer.Printf("warning: the ConfigMap has no room for %s; mount a volume and name it with --report-dir", strings.Join(leftOut, ", "))
	}
	printer.Printf("the reports stay in a ConfigMap; fetch them with: %s", keeper.result.Command())
	return problems
}
