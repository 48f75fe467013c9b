package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func listCommand() *cobra.Command {
	var options options
	command := &cobra.Command{
		Use:   "list",
		Short: "Print the traits of a profile with their statements and sources",
		Args:  takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.resolve(command); err != nil {
				return err
			}
			table := tabwriter.NewWriter(command.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, trait := range options.selected {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", trait.ID, trait.Profile, trait.Statement, trait.Sources[0])
			}
			return table.Flush()
		},
	}
	options.addSelection(command.Flags())
	return command
}
