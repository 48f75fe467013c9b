package incluster

import (
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
	"sharedpid.example/reports/directory"
)

// Folders that Sonobuoy gives to a plugin.
const (
	SonobuoyFilesFolder = "/tmp/sonobuoy/config"
	sonobuoyResults     = "/tmp/sonobuoy/results"
)

// The files that Sonobuoy takes the results of a plugin from: the second one names the first.
const (
	sonobuoyArchive = "sharedpid.tar.gz"
	sonobuoyDone    = "done"
)

// Plugin is a run as a plugin of Sonobuoy.
type Plugin struct {
	Image     string            // of the suite
	Arguments []string          // of sharedpid run, beside those that the plugin needs itself
	Files     map[string]string // contents of the files that the arguments name, by their names in SonobuoyFilesFolder
}

// pluginDefinition is what Sonobuoy takes with --plugin.
type pluginDefinition struct {
	Config struct {
		Driver       string `json:"driver"`
		PluginName   string `json:"plugin-name"`
		ResultFormat string `json:"result-format"`
		Description  string `json:"description"`
	} `json:"sonobuoy-config"`
	Spec      corev1.Container  `json:"spec"`
	ConfigMap map[string]string `json:"config-map,omitempty"`
}

// Definition is the plugin's definition, to be written as YAML. Sonobuoy runs it with a service account of its own.
func (plugin Plugin) Definition() any {
	var definition pluginDefinition
	definition.Config.Driver, definition.Config.PluginName, definition.Config.ResultFormat = "Job", suite.Owner, "junit"
	definition.Config.Description = "Conformance of Pods whose containers share a process namespace"
	definition.Spec = corev1.Container{
		Name: "plugin", Image: plugin.Image, SecurityContext: restricted(),
		Args: append(append([]string{"run"}, plugin.Arguments...),
			"--report-dir="+sonobuoyResults+"/reports", "--sonobuoy-results="+sonobuoyResults),
		VolumeMounts: []corev1.VolumeMount{{Name: "results", MountPath: sonobuoyResults}},
	}
	definition.ConfigMap = plugin.Files
	return definition
}

// WriteSonobuoyResults leaves a run in a folder as Sonobuoy takes it.
func WriteSonobuoyResults(folder string, run reports.Run) error {
	const noLimit = 1 << 40
	content, _, err := directory.Archive(run, noLimit)
	if err != nil {
		return err
	}
	archive := filepath.Join(folder, sonobuoyArchive)
	err = os.WriteFile(archive, content, 0o644)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, sonobuoyDone), []byte(archive), 0o644)
	}
	if err != nil {
		return fmt.Errorf("cannot leave the results for Sonobuoy: %w; give the volume of %s more room", err, folder)
	}
	return nil
}
