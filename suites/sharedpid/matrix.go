package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sharedpid.example/fixtures/node"
	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/provision"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports/directory"
	"sharedpid.example/reports/matrix"
)

// matrixReports is where the reports of the matrix go by default: a directory for each combination of versions, and the page.
const matrixReports = "reports/out/matrix"

// matrixPage is the page about all of them, in that directory.
const matrixPage = "matrix.md"

// matrixClusterName is the name of each of its clusters by default.
const matrixClusterName = "sharedpid-matrix"

func matrixCommand() *cobra.Command {
	var options options
	versions, cri := map[string]*[]string{}, ""
	command := &cobra.Command{
		Use:   "matrix [RUN ...]",
		Short: "Check the traits under one combination of versions after another, and write the page that says where each holds",
		Long: `Builds the local node image with one combination of versions after another, checks the traits on a cluster of each, and
writes the page that says where each trait holds. Which combinations: each version that is asked for with each of the other
parts, or without any the default versions and those that differ from them in one part or in the CRI. An image that was
not there before is removed after its run.

With runs, each given by its report directory or its run.json, nothing is run: the page about them goes to standard output.

Exit codes: the worst of the runs: 1 nonconformant, 2 set-up, 3 inconclusive or interrupted, 0 all conformant; 2 also for
bad input.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(command *cobra.Command, paths []string) error {
			if len(paths) > 0 {
				return printMatrix(command.OutOrStdout(), paths)
			}
			if options.cluster.ClusterName == "" {
				options.cluster.ClusterName = matrixClusterName
			}
			if err := options.resolve(command); err != nil {
				return err
			}
			combinations, err := combinationsOf(versions, cri)
			if err != nil {
				return err
			}
			return unlessInterrupted(command, runMatrix(command, options, combinations))
		},
	}
	flags := command.Flags()
	options.addSelection(flags)
	flags.Lookup("profile").DefValue, options.profile = string(suite.Core), string(suite.Core)
	flags.StringVar(&options.cluster.Engine, "engine", "", "container `ENGINE`: docker, podman or nerdctl (default: the first that works)")
	for _, part := range new(node.Versions).Parts() {
		versions[part.Name] = flags.StringArray(part.Name, nil,
			"`VERSION` of "+part.Name+" in the nodes: "+strings.Join(part.Known, ", ")+" or "+node.EveryKnown+" (repeatable)")
	}
	flags.StringVar(&cri, "cri", "", "`NAME` of what the kubelet speaks to: "+strings.Join(node.CRIs, " or ")+" (default: "+node.CRIs[0]+")")
	options.addCluster(flags)
	options.addRuntimes(flags)
	flags.StringVar(&options.knownDeviations, "known-deviations", "", "`FILE` that lists the known deviations, by runtimes and their versions")
	options.addRunning(flags, matrixReports)
	return command
}

// combinationsOf returns what is asked for by flags.
func combinationsOf(flags map[string]*[]string, cri string) ([]node.Versions, error) {
	asked := map[string][]string{}
	for name, versions := range flags {
		if len(*versions) > 0 {
			asked[name] = *versions
		}
	}
	if len(asked) == 0 && cri == "" {
		return node.OneByOne(), nil
	}
	combinations, err := node.Combinations(asked)
	for at := range combinations {
		combinations[at].CRI = cri
		if err == nil {
			err = combinations[at].Validate()
		}
	}
	return combinations, err
}

// runMatrix checks the traits under each combination, whatever becomes of the others, and writes the page after each.
func runMatrix(command *cobra.Command, options options, combinations []node.Versions) error {
	ctx, stderr := command.Context(), command.ErrOrStderr()
	printer := progress.NewPrinter(stderr)
	folder := options.reports(matrixReports)
	var codes []int
	var paths []string
	for number, versions := range combinations {
		printer.Printf("==> [%d/%d] %s", number+1, len(combinations), versions)
		path := filepath.Join(folder, versions.String())
		code, err := runCombination(ctx, options, versions, path, stderr)
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted: %w; what was run before is in %s", ctx.Err(), folder)
		}
		if err != nil {
			printer.Printf("error: %s: %v", versions, err)
			code = exitBadInput
		}
		codes, paths = append(codes, code), append(paths, path)
		if err := keepMatrix(filepath.Join(folder, matrixPage), paths); err != nil {
			return err
		}
	}
	printer.Printf("page: %s", filepath.Join(folder, matrixPage))
	return exitWith(worst(codes))
}

// runCombination checks the traits under one combination, and returns the exit code of the run.
func runCombination(
	ctx context.Context, options options, versions node.Versions, path string, stderr io.Writer,
) (code int, err error) {
	options.cluster.NodeVersions, options.reportDirectory = versions, path
	options.command, options.given = "run", argumentsFor(options, versions)
	there, err := provision.HasNodeImage(ctx, options.cluster)
	if err != nil {
		return 0, err
	}
	if !there {
		defer func() {
			if left := provision.RemoveNodeImage(context.WithoutCancel(ctx), options.cluster); left != nil && err == nil {
				err = left
			}
		}()
	}
	if err := provision.SetUp(ctx, options.cluster, progress.NewPrinter(stderr)); err != nil {
		return 0, err
	}
	return conform(ctx, options, stderr, nil)
}

// argumentsFor are those with which the command run checks one combination alone.
func argumentsFor(options options, versions node.Versions) []string {
	arguments, set := []string{"--profile=" + options.profile}, []string{"--profile", "--report-dir"}
	for _, part := range versions.Parts() {
		arguments, set = append(arguments, "--"+part.Name+"="+*part.Version), append(set, "--"+part.Name)
	}
	if versions.OtherCRI() {
		arguments, set = append(arguments, "--cri="+versions.CRI), append(set, "--cri")
	}
	return append(arguments, slices.DeleteFunc(slices.Clone(options.given), func(given string) bool {
		flag, _, _ := strings.Cut(given, "=")
		return slices.Contains(set, flag)
	})...)
}

// worst is the exit code of several runs: what one accuses counts most, and then what could not be run.
func worst(codes []int) int {
	for _, code := range []int{1, exitBadInput, exitUndecided} {
		if slices.Contains(codes, code) {
			return code
		}
	}
	return 0
}

// keepMatrix writes the page about the runs of some report directories. One without a run says so on the page.
func keepMatrix(page string, paths []string) error {
	var runs []matrix.Named
	for _, path := range paths {
		run, err := directory.Restore(path)
		if err != nil {
			run = setUpFailed(run, err)
		}
		runs = append(runs, matrix.Named{Name: filepath.Base(path), Run: run})
	}
	return os.WriteFile(page, matrix.Render(runs), 0o644)
}

// printMatrix writes the page about runs that are given by their paths.
func printMatrix(to io.Writer, paths []string) error {
	runs, err := readRuns(paths)
	if err != nil {
		return err
	}
	var named []matrix.Named
	for at, path := range paths {
		named = append(named, matrix.Named{Name: nameOfRun(path), Run: runs[at]})
	}
	_, err = to.Write(matrix.Render(named))
	return err
}

// nameOfRun is the name of the report directory of a run that is given by the directory or by its run.json.
func nameOfRun(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	if strings.HasSuffix(path, ".json") {
		path = filepath.Dir(path)
	}
	return filepath.Base(path)
}
