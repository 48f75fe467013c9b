package reports

import (
	"cmp"
	"errors"
	"maps"
	"slices"
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
	Same     int // traits on subjects with the same verdict
}

// RunName says which run it is.
type RunName struct {
	ID, Start string
	Verdict   Verdict
}

// FactChange is one property with its value in each run, empty where a run does not have it.
type FactChange struct{ Name, Old, New string }

// VerdictChange is one trait on one subject, named as the new run does where it has it.
type VerdictChange struct {
	Trait, Subject string
	Direction      Direction
	Old, New       Verdict // empty where a run did not plan it
	Reason         string  // of the new verdict, or of the old one where there is no new one
}

// Compare says what changed from one run to another, trait by subject. Subjects are matched by their ids; then, since nodes are
// renamed, by their RuntimeClasses where each run has one subject left with that class; then the last ones, where
// each run has one left. Runs that share no trait on a subject are an error: a gate that compares nothing is none.
func Compare(old, new Run) (Difference, error) {
	old, new = complete(old), complete(new)
	difference := Difference{Old: nameRun(old), New: nameRun(new)}
	matched := matchSubjects(old, new)
	difference.Facts = compareFacts(old, new, matched)
	before, after := map[Planned]Result{}, map[Planned]Result{}
	for _, outcome := range old.besideList() {
		keepWorst(before, outcome, cmp.Or(matched[outcome.Subject], outcome.Subject))
	}
	for _, outcome := range new.besideList() {
		keepWorst(after, outcome, outcome.Subject)
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
		change := VerdictChange{Trait: planned.Trait, Subject: planned.Subject, Direction: Added, New: now.Verdict, Reason: cause(now)}
		if found {
			change.Old, change.Direction = was.Verdict, direction(was.Verdict, now.Verdict)
		}
		difference.Changes = append(difference.Changes, change)
	}
	for planned, was := range before {
		if _, found := after[planned]; !found {
			difference.Changes = append(difference.Changes, VerdictChange{
				Trait: planned.Trait, Subject: planned.Subject, Direction: Removed, Old: was.Verdict, Reason: cause(was),
			})
		}
	}
	slices.SortFunc(difference.Changes, func(a, b VerdictChange) int {
		return cmp.Or(slices.Index(directions, a.Direction)-slices.Index(directions, b.Direction), cmp.Compare(a.Trait, b.Trait), cmp.Compare(a.Subject, b.Subject))
	})
	if compared == 0 {
		return difference, errors.New("the runs have no trait on a subject in common, so there is nothing to compare: compare runs of one profile")
	}
	return difference, nil
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

func nameRun(run Run) RunName {
	return RunName{ID: oneLine(run.ID), Start: timestamp(run.Start), Verdict: run.Verdict}
}

// keepWorst keeps, of several outcomes of one trait on one subject, the one that needs attention most.
func keepWorst(outcomes map[Planned]Result, outcome Result, subject string) {
	at := Planned{Trait: outcome.Trait, Subject: subject}
	if kept, found := outcomes[at]; !found || attention(outcome.Verdict) < attention(kept.Verdict) {
		outcomes[at] = outcome
	}
}

// standing orders verdicts by how good they are. What was seen to fail and what could not be seen are apart from each other
// only downwards, see direction. A list of expected deviations does not change what was seen.
var standing = map[Verdict]int{Conformant: 3, Vanished: 3, Unsupported: 2, Inconclusive: 1, NotRun: 1, Nonconformant: 0, Expected: 0}

func direction(old, new Verdict) Direction {
	switch was, is := standing[old], standing[new]; {
	case is < was:
		return Worse
	case is == was, is == 1:
		return Changed
	default:
		return Better
	}
}

// matchSubjects returns the new run's name for each of the old run's subjects that it has.
func matchSubjects(old, new Run) map[string]string {
	olds, news := subjectsOf(old), subjectsOf(new)
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

// subjectsOf are the subjects that a run says something about, by id. One that it could not describe has its id only.
func subjectsOf(run Run) map[string]Subject {
	subjects := map[string]Subject{}
	for _, outcome := range run.besideList() {
		subject, _ := findSubject(run, outcome.Subject)
		subject.ID = outcome.Subject
		subjects[outcome.Subject] = subject
	}
	return subjects
}

func withClass(subjects map[string]Subject, class string) []string {
	var ids []string
	for id, subject := range subjects {
		if subject.RuntimeClass == class {
			ids = append(ids, id)
		}
	}
	return ids
}

// compareFacts lists what the runs and their matched subjects differ in.
func compareFacts(old, new Run, matched map[string]string) []FactChange {
	changes := changedFacts("", runProperties(old), runProperties(new), "run")
	for _, name := range slices.Sorted(maps.Keys(merged(old.Images, new.Images))) {
		if old.Images[name] != new.Images[name] {
			changes = append(changes, FactChange{"image " + oneLine(name), oneLine(old.Images[name]), oneLine(new.Images[name])})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(matched)) {
		changes = append(changes, changedFacts(oneLine(matched[id])+": ", subjectProperties(old, id), subjectProperties(new, matched[id]), "subject")...)
	}
	return changes
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
func changedFacts(prefix string, old, new []junitProperty, but ...string) []FactChange {
	value := func(list []junitProperty, name string) string {
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
