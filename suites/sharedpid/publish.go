package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"sharedpid.example/reports/results"
)

func publishCommand() *cobra.Command {
	var folder, implementedBy string
	var anonymous, page bool
	command := &cobra.Command{
		Use:   "publish RUN",
		Short: "Add a run to the published results, after verifying it",
		Long: `Writes what an implementation publishes of a run, which is given by its report directory or its run.json, into the
folder results/VERSION/ORGANIZATION-PROJECT: report.yaml under another name, and run.json as its evidence. The page of
all results is written anew. A run that sharedpid verify would refuse is not published, and each reason is one line.

Exit codes: 0 published, 1 the run cannot be published, 2 bad input.`,
		Example: `  sharedpid publish reports/out/conformance --implementation FILE

  # without the names of nodes and files, and therefore without evidence
  sharedpid publish reports/out/conformance --implementation FILE --anonymous

  # the page alone
  sharedpid publish --page`,
		Args: takesAtMost("RUN"),
		RunE: func(command *cobra.Command, arguments []string) error {
			if folder == "" {
				var err error
				if folder, err = resultsRoot(nil); err != nil {
					return fmt.Errorf("--results: %w", err)
				}
			}
			if page {
				if len(arguments) > 0 {
					return errors.New("--page: the page is written of what is published, and takes no RUN")
				}
				return results.WritePage(folder)
			}
			if len(arguments) == 0 {
				return takes("RUN")(command, nil)
			}
			runs, err := readRuns(arguments)
			if err != nil {
				return err
			}
			run := runs[0]
			if implementedBy != "" {
				if run.Implementation, err = readImplementation(implementedBy); err != nil {
					return err
				}
			}
			path, problems, err := results.Publish(folder, run, anonymous, resultsSuite())
			if err != nil {
				return err
			}
			for _, problem := range problems {
				fmt.Fprintln(command.ErrOrStderr(), "problem:", problem)
			}
			if len(problems) > 0 {
				return exit(exitProblems)
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "published: %s, and what is beside it; look at README.md there, then commit %s\n", path,
				filepath.Clean(folder))
			return err
		},
	}
	flags := command.Flags()
	flags.StringVar(&folder, "results", "", "`FOLDER` of all results (default: "+resultsFolder+" in the checkout)")
	flags.StringVar(&implementedBy, "implementation", "",
		"YAML `FILE` that says whose results these are, in place of what the run says: organization, project, url, contact, and version")
	flags.BoolVar(&anonymous, "anonymous", false, "replace the names of nodes, of the cluster and of files, and publish no evidence, which has them")
	flags.BoolVar(&page, "page", false, "write the page of all results anew, and nothing else")
	return command
}
