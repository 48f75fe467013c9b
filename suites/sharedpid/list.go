package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sharedpid.example/suites"
)

func listCommand() *cobra.Command {
	var options options
	command := &cobra.Command{
		Use:   "list",
		Short: "Print the traits of a profile with their Pod Security levels, statements and sources",
		Args:  takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.resolve(command); err != nil {
				return err
			}
			table := tabwriter.NewWriter(command.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, trait := range options.selected {
				security, err := suites.PodSecurityOf(trait)
				if err != nil {
					return err
				}
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", trait.ID, trait.Profile, security.Level, trait.Statement, trait.Sources[0])
			}
			return table.Flush()
		},
	}
	options.addSelection(command.Flags())
	return command
}
