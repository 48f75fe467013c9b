// Soak proves that runs leave nothing behind and agree: it makes many of them on one kept cluster, and after each counts what there is on
// the node. It fails when a verdict differs between runs, or when something grows from run to run. Arguments are given to the runs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/spf13/pflag"

	"sharedpid.example/helpers/provision/engine"
	"sharedpid.example/reports"
	"sharedpid.example/reports/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	problems, err := soak(ctx, os.Args[1:])
	switch {
	case errors.Is(err, pflag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	case problems > 0:
		os.Exit(1)
	}
}

// What the report directory holds beside the reports of each run.
const (
	tableFile = "soak.md"
	runsFile  = "soak.json"
)

// plan is what is run, and where.
type plan struct {
	command, cluster, folder string
	core, full               int // runs of each profile
	arguments                []string
	engine                   *engine.Engine
}

func soak(ctx context.Context, arguments []string) (problems int, err error) {
	var plan plan
	flags := pflag.NewFlagSet("soak", pflag.ContinueOnError)
	flags.IntVar(&plan.core, "core", 20, "make this `NUMBER` of runs of profile core")
	flags.IntVar(&plan.full, "full", 0, "make this `NUMBER` of runs of profile full, after those")
	flags.StringVar(&plan.command, "command", "bin/sharedpid", "the `PROGRAM` that makes them")
	flags.StringVar(&plan.cluster, "cluster-name", "sharedpid-soak", "`NAME` of the cluster, which is deleted at the end")
	flags.StringVar(&plan.folder, "report-dir", "reports/out/soak", "`DIRECTORY` for all that was counted, and the reports of each run")
	if err := flags.Parse(arguments); err != nil {
		return 0, err
	}
	if plan.core < 0 || plan.full < 0 || plan.core+plan.full < 2 {
		return 0, fmt.Errorf("--core and --full: %d and %d runs compare nothing; give 2 or more", plan.core, plan.full)
	}
	plan.arguments = flags.Args()
	if plan.engine, err = engine.Detect(ctx, ""); err != nil {
		return 0, err
	}
	defer func() {
		cleaned := exec.Command(plan.command, "clean", "--cluster-name="+plan.cluster)
		cleaned.Stderr = os.Stderr
		err = errors.Join(err, cleaned.Run())
	}()
	var all []counted
	for number := range plan.core + plan.full {
		each, err := plan.run(ctx, number+1)
		if err != nil {
			return 0, fmt.Errorf("run %d: %w", number+1, err)
		}
		all = append(all, each)
		if err := plan.keep(all); err != nil {
			return 0, err
		}
		fmt.Printf("[%d/%d] %s, %.0f s: %s\n", number+1, plan.core+plan.full, each.Profile, each.Seconds, each.line())
	}
	fmt.Print(table(all))
	found, err := plan.problems(all)
	for _, problem := range found {
		fmt.Println("PROBLEM:", problem)
	}
	fmt.Printf("%d runs, %d problems\n", len(all), len(found))
	return len(found), err
}

// run makes one run, and counts what there is afterwards.
func (plan *plan) run(ctx context.Context, number int) (counted, error) {
	profile := "core"
	if number > plan.core {
		profile = "full"
	}
	folder := plan.reports(number)
	command := exec.CommandContext(ctx, plan.command, append([]string{
		"run", "--keep", "--cluster-name=" + plan.cluster, "--profile=" + profile, "--report-dir=" + folder,
	}, plan.arguments...)...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	said, err := command.CombinedOutput()
	if code := command.ProcessState.ExitCode(); err != nil && code != 1 && code != 3 { // verdicts are compared afterwards
		return counted{}, fmt.Errorf("%w: %s", err, said[max(0, len(said)-2000):])
	}
	run, err := reports.Read(filepath.Join(folder, reports.RunFile))
	if err != nil {
		return counted{}, err
	}
	figures, err := plan.settled(ctx)
	if err != nil {
		return counted{}, err
	}
	figures["peak memory of the run, MiB"] = float64(run.PeakMemoryBytes >> 20)
	return counted{Run: number, Profile: profile, Seconds: run.Seconds, Verdict: run.Complete().Verdict, Figures: figures}, nil
}

// reports is where the reports of a run are.
func (plan *plan) reports(number int) string { return filepath.Join(plan.folder, strconv.Itoa(number)) }

// keep leaves what is known after each run.
func (plan *plan) keep(all []counted) error {
	encoded, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(plan.folder, tableFile), []byte(table(all)), 0o644),
		os.WriteFile(filepath.Join(plan.folder, runsFile), append(encoded, '\n'), 0o644),
	)
}

// problems are the verdicts that differ, and what grew, of the runs of each profile.
func (plan *plan) problems(all []counted) (problems []string, err error) {
	byProfile := map[string][]counted{}
	for _, each := range all {
		byProfile[each.Profile] = append(byProfile[each.Profile], each)
	}
	for _, profile := range []string{"core", "full"} {
		if len(byProfile[profile]) == 0 {
			continue
		}
		var runs []reports.Run
		for _, each := range byProfile[profile] {
			run, err := reports.Read(filepath.Join(plan.reports(each.Run), reports.RunFile))
			if err != nil {
				return nil, err
			}
			runs = append(runs, run)
		}
		statistics, err := bench.Compare(runs...)
		if err != nil {
			return nil, err
		}
		if err := statistics.Write(os.Stdout); err != nil {
			return nil, err
		}
		for _, each := range statistics.Differing {
			problems = append(problems, fmt.Sprintf("%s on %s is %v", each.Trait, each.Target, each.Verdicts))
		}
		problems = append(problems, growth(byProfile[profile])...)
	}
	return problems, nil
}
