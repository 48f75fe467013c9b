// Package diff says what changed between two runs, trait by target.
package diff

import (
	"cmp"
	"maps"
	"slices"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

// Direction is what a change of a verdict means.
type Direction string

const (
	// Worse means that something holds no longer, is now seen not to hold, or can no longer be decided.
	Worse Direction = "worse"
	// Better is the way back from there.
	Better Direction = "better"
	// Changed means that neither verdict is better: what could not be observed is not better than what was seen to fail.
	Changed Direction = "changed"
	// Added means that the old run did not plan it.
	Added Direction = "added"
	// Removed means that the new run did not plan it.
	Removed Direction = "removed"
)

// directions are all of them, the one that needs somebody's attention most first.
var directions = []Direction{Worse, Changed, Removed, Added, Better}

// Difference is what changed between two runs.
type Difference struct {
	Old, New RunName
	Facts    []FactChange // versions and other things that the runs differ in
	Changes  []VerdictChange
	Same     int // traits on targets with the same verdict
}

// RunName says which run it is.
type RunName struct {
	ID, Start string
	Verdict   string // with what a reader has to know beside it, as Run.VerdictText has it
	Problem   string // what is wrong with the run as a whole, empty when nothing is
}

// FactChange is one property with its value in each run, empty where a run does not have it.
type FactChange struct{ Name, Old, New string }

// VerdictChange is one trait on one target, named as the new run does where it has it.
type VerdictChange struct {
	Trait, Target string
	Direction     Direction
	Old, New      reports.Verdict // empty where a run did not plan it
	Undecided     bool            // the old run had decided it, and the new one has not
	Kind          reports.Kind    // of an inconclusive verdict that Reason is about
	Reason        string          // of the new verdict, or of the old one where there is no new one
}

// Compare says what changed from one run to another, trait by target. Targets are matched by their ids; then, since nodes are
// renamed, by their RuntimeClasses where each run has one target left with that class; then the last ones, where
// each run has one left. A run that ended before it knew its targets had all of the other's before it. Runs that share no
// trait on a target are a reports.InputError: a gate that compares nothing is none.
func Compare(old, new reports.Run) (Difference, error) {
	old, new = old.Complete(), new.Complete()
	old.Plan, new.Plan = planOver(old, new.Targets), planOver(new, old.Targets)
	difference := Difference{Old: nameRun(old), New: nameRun(new)}
	matched := matchTargets(old, new)
	difference.Facts = compareFacts(old, new, matched)
	before, after := map[reports.Planned]reports.Result{}, map[reports.Planned]reports.Result{}
	for _, outcome := range old.Outcomes() {
		keepWorst(before, outcome, cmp.Or(matched[outcome.Target], outcome.Target))
	}
	for _, outcome := range new.Outcomes() {
		keepWorst(after, outcome, outcome.Target)
	}
	compared := 0
	for planned, now := range after {
		was, found := before[planned]
		if found {
			compared++
		}
		if found && was.Verdict == now.Verdict {
			difference.Same++
			continue
		}
		change := VerdictChange{
			Trait: planned.Trait, Target: planned.Target, Direction: Added, New: now.Verdict, Kind: now.Kind, Reason: now.CauseAndReason(),
		}
		if found {
			change.Old, change.Direction = was.Verdict, direction(was.Verdict, now.Verdict)
			change.Undecided = decided(was.Verdict) && !decided(now.Verdict)
		}
		difference.Changes = append(difference.Changes, change)
	}
	for planned, was := range before {
		if _, found := after[planned]; !found {
			difference.Changes = append(difference.Changes, VerdictChange{
				Trait: planned.Trait, Target: planned.Target, Direction: Removed, Old: was.Verdict, Undecided: decided(was.Verdict),
				Kind: was.Kind, Reason: was.CauseAndReason(),
			})
		}
	}
	slices.SortFunc(difference.Changes, func(a, b VerdictChange) int {
		return cmp.Or(slices.Index(directions, a.Direction)-slices.Index(directions, b.Direction),
			cmp.Compare(a.Trait, b.Trait), cmp.Compare(a.Target, b.Target))
	})
	if compared == 0 {
		return difference, reports.NewInputError("the runs have no trait on a target in common, " +
			"so there is nothing to compare: compare runs of one profile")
	}
	return difference, nil
}

// Worse tells whether anything got worse, which is what a gate fails on.
func (difference Difference) Worse() bool { return difference.Count(Worse) > 0 }

// Undecided is how many traits on targets the old run had decided and the new one has not, besides those that are worse: a gate
// cannot tell of them that they did not get worse.
func (difference Difference) Undecided() int {
	count := 0
	for _, change := range difference.Changes {
		if change.Undecided && change.Direction != Worse {
			count++
		}
	}
	return count
}

// Count returns how many changes have a direction.
func (difference Difference) Count(direction Direction) int {
	count := 0
	for _, change := range difference.Changes {
		if change.Direction == direction {
			count++
		}
	}
	return count
}

func nameRun(run reports.Run) RunName {
	return RunName{ID: legible.Line(run.ID), Start: legible.Timestamp(run.Start), Verdict: run.VerdictText(), Problem: run.Problem()}
}

// keepWorst keeps, of several outcomes of one trait on one target, the one that needs attention most.
func keepWorst(outcomes map[reports.Planned]reports.Result, outcome reports.Result, target string) {
	at := reports.Planned{Trait: outcome.Trait, Target: target}
	if kept, found := outcomes[at]; !found || outcome.Verdict.Attention() < kept.Verdict.Attention() {
		outcomes[at] = outcome
	}
}

// standing orders verdicts by how good they are. What was seen to fail and what could not be seen are apart from each other
// only downwards, see direction. A list of known deviations does not change what was seen.
var standing = map[reports.Verdict]int{
	reports.Conformant: 3, reports.Resolved: 3, reports.Unsupported: 2, reports.Inconclusive: 1, reports.NotRun: 1,
	reports.Nonconformant: 0, reports.KnownDeviation: 0,
}

func direction(old, new reports.Verdict) Direction {
	switch was, is := standing[old], standing[new]; {
	case is < was:
		return Worse
	case is == was, is == 1:
		return Changed
	default:
		return Better
	}
}

// decided tells whether a verdict is one that was observed.
func decided(verdict reports.Verdict) bool { return standing[verdict] != standing[reports.NotRun] }

// planOver is the plan of a run. One that ended before it knew its targets planned its traits for each of these.
func planOver(run reports.Run, targets []reports.Target) []reports.Planned {
	if len(run.Targets)+len(run.Results) > 0 || len(targets) == 0 {
		return run.Plan
	}
	var plan []reports.Planned
	for _, target := range targets {
		for _, planned := range run.Plan {
			plan = append(plan, reports.Planned{Trait: planned.Trait, Target: target.ID})
		}
	}
	return plan
}

// matchTargets returns the new run's name for each of the old run's targets that it has.
func matchTargets(old, new reports.Run) map[string]string {
	olds, news := targetsOf(old), targetsOf(new)
	matched := map[string]string{}
	match := func(old, new string) {
		matched[old] = new
		delete(olds, old)
		delete(news, new)
	}
	for _, id := range slices.Sorted(maps.Keys(olds)) {
		if _, found := news[id]; found {
			match(id, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(olds)) {
		before, after := withClass(olds, olds[id].RuntimeClass), withClass(news, olds[id].RuntimeClass)
		if len(before) == 1 && len(after) == 1 {
			match(id, after[0])
		}
	}
	if len(olds) == 1 && len(news) == 1 {
		match(slices.Collect(maps.Keys(olds))[0], slices.Collect(maps.Keys(news))[0])
	}
	return matched
}

// targetsOf are the targets that a run says something about, by id. One that it could not describe has its id only.
func targetsOf(run reports.Run) map[string]reports.Target {
	targets := map[string]reports.Target{}
	for _, outcome := range run.Outcomes() {
		target, _ := run.FindTarget(outcome.Target)
		target.ID = outcome.Target
		targets[outcome.Target] = target
	}
	return targets
}

func withClass(targets map[string]reports.Target, class string) []string {
	var ids []string
	for id, target := range targets {
		if target.RuntimeClass == class {
			ids = append(ids, id)
		}
	}
	return ids
}

// compareFacts lists what the runs and their matched targets differ in.
func compareFacts(old, new reports.Run, matched map[string]string) []FactChange {
	changes := changedFacts("", old.Properties(), new.Properties(), "run", "command")
	for _, name := range slices.Sorted(maps.Keys(merged(old.Images, new.Images))) {
		if old.Images[name] != new.Images[name] {
			changes = append(changes, FactChange{"image " + legible.Line(name), legible.Line(old.Images[name]), legible.Line(new.Images[name])})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(matched)) {
		was, is := targetProperties(old, id), targetProperties(new, matched[id])
		changes = append(changes, changedFacts(legible.Line(matched[id])+": ", was, is, "target")...)
	}
	return changes
}

func targetProperties(run reports.Run, id string) []reports.Property {
	target, _ := run.FindTarget(id)
	return target.Properties()
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, b)
	return all
}

// changedFacts compares properties by name, but those that differ between any two runs.
func changedFacts(prefix string, old, new []reports.Property, but ...string) []FactChange {
	value := func(list []reports.Property, name string) string {
		for _, property := range list {
			if property.Name == name {
				return property.Value
			}
		}
		return ""
	}
	var changes []FactChange
	seen := map[string]bool{}
	for _, property := range slices.Concat(old, new) {
		name := property.Name
		if was, is := value(old, name), value(new, name); was != is && !seen[name] && !slices.Contains(but, name) {
			changes = append(changes, FactChange{prefix + name, was, is})
		}
		seen[name] = true
	}
	return changes
}
