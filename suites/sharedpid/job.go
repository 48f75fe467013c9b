package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"sharedpid.example/helpers/incluster"
)

func jobCommand() *cobra.Command {
	var options options
	var image string
	command := &cobra.Command{
		Use:   "job",
		Short: "Print the manifest of a Job that makes a run inside of the cluster",
		Long: `Prints a service account, exactly the rights that a run in one namespace needs, and a Job that makes it: for kubectl apply.
The Job's Pod meets the restricted level of the Pod Security Standards, with a read-only root and no shell. Files that flags
name are read now and go with it as a ConfigMap; what --adapt says is heeded by the Job's own Pod as well. The verdict and
the reports stay in the ConfigMap ` + incluster.ResultName + ` of that namespace.`,
		Example: `  sharedpid job --namespace team --suite-image registry.example.com/sharedpid:v1 --profile core | kubectl apply -f -
  kubectl logs --namespace team --follow job/sharedpid`,
		Args: takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.resolve(command); err != nil {
				return err
			}
			if options.namespace == "" {
				return errors.New("--namespace: name the namespace that the Job runs in, and that takes its Pods")
			}
			arguments, files, err := options.inside(image, incluster.FilesFolder)
			if err != nil {
				return err
			}
			job := incluster.Job{Namespace: options.namespace, Image: image, Arguments: arguments, Files: files,
				Traits: options.selected, Adaptation: options.adapted}
			return writeManifest(command.OutOrStdout(), job.Objects())
		},
	}
	options.addInside(command, &image)
	return command
}

func sonobuoyCommand() *cobra.Command {
	var options options
	var image string
	command := &cobra.Command{
		Use:   "sonobuoy",
		Short: "Print the definition of a Sonobuoy plugin that makes a run",
		Long: `Prints the definition of a plugin for sonobuoy run --plugin FILE. The run has the rights of Sonobuoy's service account, and
namespaces of its own unless --namespace names one. Sonobuoy reads junit.xml, and its archive has all of the reports.`,
		Example: `  sharedpid sonobuoy --suite-image registry.example.com/sharedpid:v1 --profile core >sharedpid.yaml
  sonobuoy run --plugin sharedpid.yaml --wait`,
		Args: takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.resolve(command); err != nil {
				return err
			}
			arguments, files, err := options.inside(image, incluster.SonobuoyFilesFolder)
			if err != nil {
				return err
			}
			if options.namespace != "" {
				arguments = append(arguments, "--namespace="+options.namespace)
			}
			definition, err := yaml.Marshal(incluster.Plugin{Image: image, Arguments: arguments, Files: files}.Definition())
			if err != nil {
				return err
			}
			_, err = command.OutOrStdout().Write(definition)
			return err
		},
	}
	options.addInside(command, &image)
	return command
}

// addInside registers the flags of a run inside of the cluster that it looks at.
func (options *options) addInside(command *cobra.Command, image *string) {
	flags := command.Flags()
	flags.StringVar(image, "suite-image", "", "`REFERENCE` of the suite's own image, as the nodes pull it")
	options.addSelection(flags)
	options.addOnExisting(flags)
	options.addPace(flags)
	options.addImplementation(flags)
}

// inside returns the arguments of the same run in a container, but for the namespace, and the contents of the files that they name, which
// lie in a folder there.
func (options *options) inside(image, folder string) (arguments []string, files map[string]string, err error) {
	if image == "" {
		return nil, nil, errors.New("--suite-image: name the suite's own image, as the nodes pull it")
	}
	if _, err := name.ParseReference(image); err != nil {
		return nil, nil, fmt.Errorf("--suite-image: %q is no reference of the form [HOST/]REPOSITORY[:TAG][@DIGEST]", image)
	}
	files = map[string]string{}
	for _, argument := range options.given {
		flag, value, _ := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
		switch flag {
		case "suite-image", "namespace":
			continue
		case "adapt", "known-deviations", "implementation":
			content, err := os.ReadFile(value)
			if err != nil {
				return nil, nil, fmt.Errorf("--%s: %w", flag, err)
			}
			files[flag+".yaml"] = string(content)
			argument = "--" + flag + "=" + folder + "/" + flag + ".yaml"
		}
		arguments = append(arguments, argument)
	}
	return arguments, files, nil
}
