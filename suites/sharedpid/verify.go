package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/helpers/workspace"
	"sharedpid.example/reports"
	"sharedpid.example/reports/results"
	"sharedpid.example/suites"
)

// resultsFolder is where published results are by default, in the checkout.
const resultsFolder = "results"

// exitProblems is the exit code of commands that found something wrong with what they were given to verify or to publish.
const exitProblems = 1

// resultsSuite is what results are held to: this suite.
func resultsSuite() results.Suite {
	return results.Suite{
		Version: suites.Version, Releases: suites.Releases(),
		// Profile article is a part of core that proves little by itself.
		Profiles: map[string][]string{
			string(suite.Core): {string(suite.Article), string(suite.Core)},
			string(suite.Full): {string(suite.Article), string(suite.Core), string(suite.Full)},
		},
		Judge: func(run reports.Run) (reports.Run, error) { return suite.JudgeAgain(run, suites.Traits()) },
	}
}

func verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify [RESULTS]",
		Short: "Verify published results: forms, places, traits, and verdicts from what was seen",
		Long: `Verifies all results below a folder, results in the checkout by default: that each report has its form and its
place, names whose results these are, was made by the release of its folder, has every trait of the profile decided,
says what its traits amount to, and what the looks of the run beside it amount to when they are judged again. Each
problem is one line with the file and the next step.

Exit codes: 0 all results hold, 1 some do not, 2 there is nothing to verify.`,
		Args: takesAtMost("RESULTS"),
		RunE: func(command *cobra.Command, arguments []string) error {
			root, err := resultsRoot(arguments)
			if err != nil {
				return err
			}
			all, problems, notes, err := results.Verify(root, resultsSuite())
			if err != nil {
				return fmt.Errorf("%w: name the folder of all results, such as %s", err, resultsFolder)
			}
			for _, note := range notes {
				fmt.Fprintln(command.OutOrStdout(), "note:", note)
			}
			for _, problem := range problems {
				fmt.Fprintln(command.ErrOrStderr(), "problem:", problem)
			}
			if len(problems) > 0 {
				fmt.Fprintf(command.ErrOrStderr(), "%d results, problems: %d\n", len(all), len(problems))
				return exit(exitProblems)
			}
			if len(all) == 0 {
				return fmt.Errorf("%s has no results: sharedpid publish adds some", root)
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "%d results hold\n", len(all))
			return err
		},
	}
}

// takesAtMost returns what checks that a command was given one argument or none.
func takesAtMost(name string) cobra.PositionalArgs {
	return func(command *cobra.Command, given []string) error {
		if len(given) == 0 {
			return nil
		}
		return takes(name)(command, given)
	}
}

// resultsRoot is the folder of all results that was named, or that of the checkout.
func resultsRoot(arguments []string) (string, error) {
	if len(arguments) > 0 {
		return arguments[0], nil
	}
	root, err := workspace.Root()
	if err != nil {
		return "", fmt.Errorf("%w; or name the folder of all results", err)
	}
	return filepath.Join(root, resultsFolder), nil
}
