package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"

	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision"
	"sharedpid.example/helpers/suite"
)

func cleanCommand() *cobra.Command {
	var name string
	var existing provision.Options
	command := &cobra.Command{
		Use:   "clean",
		Short: "Delete what earlier runs left: clusters and files on this machine, or namespaces on a cluster that exists",
		Long: `Deletes the clusters and files that earlier runs left on this machine, and nothing else. With --kubeconfig or --context it
deletes the namespaces that runs left on that cluster, a day after they were made: those with the suite's labels whose
time, which stands in the label sharedpid/expires, is over.`,
		Args: takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			printer := progress.NewPrinter(command.ErrOrStderr())
			switch {
			case !existing.Existing():
				return provision.Clean(command.Context(), name, printer)
			case name != "":
				return errors.New("--cluster-name is about clusters of this machine, --kubeconfig about one that exists: give one of them")
			}
			return unlessInterrupted(command, sweep(command, existing, printer))
		},
	}
	flags := command.Flags()
	flags.StringVar(&name, "cluster-name", "", "`NAME` of the only cluster to delete (default: all of them, and files)")
	flags.StringVar(&existing.Kubeconfig, "kubeconfig", "", "kubeconfig `FILE` of a cluster that exists, on which namespaces are deleted")
	flags.StringVar(&existing.Context, "context", "", "context `NAME` in that kubeconfig, or in the one that kubectl reads")
	return command
}

// sweep deletes the namespaces that runs left on a cluster that exists.
func sweep(command *cobra.Command, existing provision.Options, printer *progress.Printer) error {
	cluster, err := provision.Obtain(command.Context(), existing, printer)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(cluster.Configuration)
	if err != nil {
		return err
	}
	deleted, stay, err := suite.Sweep(command.Context(), client, time.Now())
	for _, each := range deleted {
		printer.Printf("==> delete namespace %s", each)
	}
	for _, each := range stay {
		printer.Printf("%s", each)
	}
	if err != nil {
		return fmt.Errorf("%w; what is left can be deleted with the next sharedpid clean", err)
	}
	printer.Printf("%d namespaces deleted, %d stay", len(deleted), len(stay))
	return nil
}
