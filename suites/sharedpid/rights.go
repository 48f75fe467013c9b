package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"sharedpid.example/helpers/suite"
)

func rightsCommand() *cobra.Command {
	var options options
	var account string
	command := &cobra.Command{
		Use:   "rights",
		Short: "Print the RBAC manifest of what a run asks of the API",
		Long: `Prints the RBAC objects that give a service account what a run of a profile asks of the API, and nothing else: for
kubectl apply. With a namespace nearly all of it is a Role in that namespace, for run --namespace; without one the run makes
namespaces of its own, whose names nobody knows beforehand, and all of it is a ClusterRole.`,
		Example: `  sharedpid rights --profile core --namespace NAME --service-account NAME/sharedpid | kubectl apply -f -`,
		Args:    takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.resolve(command); err != nil {
				return err
			}
			if account == "" {
				account = cmp.Or(options.namespace, "default") + "/sharedpid"
			}
			if err := checkNames(options.namespace, account); err != nil {
				return err
			}
			return writeManifest(command.OutOrStdout(), suite.Roles(options.selected, options.namespace, account))
		},
	}
	flags := command.Flags()
	options.addSelection(flags)
	flags.Lookup("profile").DefValue, options.profile = string(suite.Full), string(suite.Full)
	flags.StringVar(&options.namespace, "namespace", "", "for runs in the namespace `NAME` (default: in namespaces of their own)")
	flags.StringVar(&account, "service-account", "",
		"service account that gets the rights, as `NAMESPACE/NAME` (default: sharedpid in that namespace, or in default)")
	return command
}

func checkNames(namespace, account string) error {
	isName := func(name string) bool { return len(validation.IsDNS1123Label(name)) == 0 }
	if namespace != "" && !isName(namespace) {
		return fmt.Errorf("--namespace: %q is no name of a namespace", namespace)
	}
	of, name, found := strings.Cut(account, "/")
	if !found || !isName(of) || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return fmt.Errorf("--service-account: %q is not of the form NAMESPACE/NAME", account)
	}
	return nil
}

// writeManifest writes objects as YAML documents.
func writeManifest(to io.Writer, objects []runtime.Object) error {
	var documents [][]byte
	for _, object := range objects {
		document, err := yaml.Marshal(object)
		if err != nil {
			return err
		}
		documents = append(documents, document)
	}
	_, err := to.Write(bytes.Join(documents, []byte("---\n")))
	return err
}
