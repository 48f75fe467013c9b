package suite

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sharedpid.example/reports"
)

// GoOn makes a run the continuation of an earlier one that was killed or interrupted: what that one decided stands and is not looked at
// again, what was inconclusive or not run is checked. It is an error when nothing is left, or when the two do not ask the same: their
// suite, profile, traits and arguments must be equal, but for those flags that change nothing about what is asked.
func (options Options) GoOn(before reports.Run, indifferent ...string) (Options, error) {
	arguments := func(all []string) []string {
		return slices.Sorted(slices.Values(slices.DeleteFunc(slices.Clone(all), func(argument string) bool {
			name, _, _ := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
			return slices.Contains(indifferent, name)
		})))
	}
	switch {
	case before.Command != options.Run.Command:
		return options, fmt.Errorf("the run was made by sharedpid %s; go on with that", before.Command)
	case before.SuiteVersion != options.SuiteVersion:
		return options, fmt.Errorf("the run was made by the suite %q and this is %q; go on with that one, or begin a new run",
			before.SuiteVersion, options.SuiteVersion)
	case !slices.Equal(arguments(before.Arguments), arguments(options.Arguments)):
		before.Arguments = arguments(before.Arguments)
		return options, fmt.Errorf("the run was made with other options; go on with those: %s --resume=DIRECTORY", before.CommandLine())
	}
	before.Results = slices.DeleteFunc(slices.Clone(before.Results), func(result reports.Result) bool { return result.Verdict == reports.Inconclusive })
	if len(before.Plan) > 0 && len(before.NotRun()) == 0 {
		return options, errors.New("nothing is left to decide: the run is whole")
	}
	decided := decidedIn(before)
	for i := range before.Results {
		before.Results[i].Kept = "" // what the earlier run left is removed
	}
	shared := func(look reports.Look) bool { return strings.Contains(look.By, attemptMark) }
	before.Looks = slices.DeleteFunc(slices.Clone(before.Looks), func(look reports.Look) bool {
		return !shared(look) && !decided[reports.Planned{Trait: look.By, Target: look.Target}]
	})
	options.Before = before
	known := options.Run
	known.ID, known.Start, known.Arguments = before.ID, before.Start, before.Arguments
	known.Phases = before.Phases
	known.Targets, known.Plan, known.Results, known.Looks = before.Targets, before.Plan, before.Results, before.Looks
	known.Resumed = append(slices.Clone(before.Resumed), options.Run.Start)
	options.Run = known
	return options, nil
}

// decidedIn says what a run has results of.
func decidedIn(run reports.Run) map[reports.Planned]bool {
	decided := map[reports.Planned]bool{}
	for _, result := range run.Results {
		decided[result.Planned()] = true
	}
	return decided
}

// undecided are the run's traits without those that the run that this one goes on with has decided on a target.
func (run *run) undecided(target *target) []Trait {
	return slices.DeleteFunc(slices.Clone(run.traits), func(trait Trait) bool {
		return run.decided[reports.Planned{Trait: trait.ID, Target: target.ID}]
	})
}

// goOn makes the targets' shared looks go on counting where the earlier run was: what rests on its attempts keeps them.
func (run *run) goOn() {
	targets := map[string]*target{}
	for _, target := range run.targets {
		targets[target.ID] = target
	}
	for _, look := range run.options.Before.Looks {
		name, attempt, shared := strings.Cut(look.By, attemptMark)
		if target := targets[look.Target]; shared && target != nil {
			if number, err := strconv.Atoi(attempt); err == nil {
				cell := target.cell(name)
				cell.attempts = max(cell.attempts, number)
			}
		}
	}
}
