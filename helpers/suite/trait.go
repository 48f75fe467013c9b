// Package suite is the engine: it puts fixtures on a cluster, has traits checked on every target, and keeps what was seen.
// It knows no trait and no fixture by name; those of this project are in package suites, and other modules bring their own.
package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Profile is a named selection of traits. Each one holds all traits of the one before.
type Profile string

const (
	// Article holds what the introduction to process namespace sharing claims.
	Article Profile = "article"
	// Core holds what every conformant runtime on a Linux node must show.
	Core Profile = "core"
	// Full adds what depends on the platform.
	Full Profile = "full"
)

// Profiles are all profiles, from the smallest to the largest.
var Profiles = []Profile{Article, Core, Full}

// Trait is one behaviour that Pods must show, and how to see whether they do.
type Trait struct {
	ID         string   // GROUP/NAME, stable
	Statement  string   // one sentence with MUST, MUST NOT or MAY of RFC 2119
	Profile    Profile  // the smallest profile that holds it
	Documented bool     // the article claims it
	Article    string   // the accurate statement where the article is loose
	Sources    []string // what the statement follows from: KEP, man page, specification
	// Requires is what the platform must support. The engine asks for it before it creates the trait's fixtures.
	Requires []Requirement
	// WhenNotStarted is asked when a Pod of the trait cannot start: what the platform may be unable to do. Once it is known to
	// be missing on a target, further traits that name it are unsupported at once.
	WhenNotStarted []Requirement
	// Fixtures are the Pods that Check itself looks at. They are created ahead.
	Fixtures []Fixture
	// Tries are Pods that Check only asks the API about, in the run's namespace, and that admission must let through for an answer.
	Tries []Fixture
	// Needs are the probes that Check rests on, each a *Probe.
	Needs []Need
	// Destroys are those fixtures, by name, whose processes Check ends or replaces. What probes see of them is looked at before.
	Destroys []Fixture
	Slow     bool // Check waits for the kubelet to act, so it is begun before those that only look
	// Check looks, then judges. A nil error is conformant; Violation, Inconclusive and Unsupported say otherwise, as do
	// the assertions of the judge. Any other error leaves the trait inconclusive.
	Check func(ctx context.Context, session *Session, judge Judge) error
	// Rights are what Check asks of the API beside Pods that are created, looked into and deleted.
	Rights []Right
	// Causes say what probably lies behind a failure of this trait; the first that fits counts.
	Causes []Cause
}

// Cause is what probably lies behind a failure, and what a person does next.
type Cause struct {
	Control  bool   // it is about a control that failed, and not about a violation
	Words    string // part of the reason, empty for any
	Cause    string
	NextStep string
}

// Requirement is something that the platform must support for a trait.
type Requirement struct {
	Name string
	// Missing returns why the platform does not support it, empty when it does.
	Missing func(ctx context.Context, session *Session) (string, error)
}

// Group is the part of the id before the slash.
func (trait Trait) Group() string {
	group, _, _ := strings.Cut(trait.ID, "/")
	return group
}

// Labels are what a trait can be selected by. It has the label of every profile that holds it.
func (trait Trait) Labels() map[string][]string {
	labels := map[string][]string{"group": {trait.Group()}, "documented": {fmt.Sprint(trait.Documented)}}
	for _, profile := range Profiles[max(0, slices.Index(Profiles, trait.Profile)):] {
		labels["profile"] = append(labels["profile"], string(profile))
	}
	return labels
}

// Controlled tells whether the trait, or a probe of it, looks at a Pod that does not share.
func (trait Trait) Controlled() bool {
	return slices.ContainsFunc(trait.AllFixtures(), func(fixture Fixture) bool { return fixture.Unshared })
}

// AllFixtures are the trait's own fixtures and those of its probes, each once: every Pod that is put on a cluster for it.
func (trait Trait) AllFixtures() []Fixture {
	var all []Fixture
	seen := map[string]bool{}
	add := func(fixtures []Fixture) {
		for _, fixture := range fixtures {
			if !seen[fixture.Name] {
				seen[fixture.Name] = true
				all = append(all, fixture)
			}
		}
	}
	add(trait.Fixtures)
	for _, need := range trait.Needs {
		add(need.fixtures())
	}
	return all
}

// Select returns the traits of a profile whose ids match one of the patterns of path.Match, or all of them without a
// pattern. An unknown profile and a pattern that matches nothing are errors.
func Select(traits []Trait, profile Profile, patterns []string) ([]Trait, error) {
	size := slices.Index(Profiles, profile)
	if size < 0 {
		return nil, fmt.Errorf("there is no profile %q; the profiles are article, core and full", profile)
	}
	matched := map[string]bool{}
	var selected []Trait
	for _, trait := range traits {
		if slices.Index(Profiles, trait.Profile) > size {
			continue
		}
		keep := len(patterns) == 0
		for _, pattern := range patterns {
			matches, err := path.Match(pattern, trait.ID)
			if err != nil {
				return nil, fmt.Errorf("%q is no pattern of trait ids, such as 'signals/*'", pattern)
			}
			matched[pattern] = matched[pattern] || matches
			keep = keep || matches
		}
		if keep {
			selected = append(selected, trait)
		}
	}
	for _, pattern := range patterns {
		if !matched[pattern] {
			return nil, unmatched(traits, profile, pattern)
		}
	}
	return selected, nil
}

// unmatched is the error of a pattern that no trait of the profile matches: it names the profile that would have one.
func unmatched(traits []Trait, profile Profile, pattern string) error {
	for _, wider := range Profiles[slices.Index(Profiles, profile)+1:] {
		for _, trait := range traits {
			if matches, _ := path.Match(pattern, trait.ID); matches && trait.Profile == wider {
				return fmt.Errorf("no trait of profile %s matches %q; one of profile %s does", profile, pattern, wider)
			}
		}
	}
	return fmt.Errorf("no trait of profile %s matches %q; sharedpid list --profile full shows all traits", profile, pattern)
}

// Validate says what is wrong with a set of traits: an id that stands there twice, a trait without a statement, source or
// check, fixtures of one name that differ, and a fixture that one trait destroys while another looks at it by itself.
func Validate(traits []Trait) error {
	var wrong []error
	seen := map[string]bool{}
	fixtures := map[string]Fixture{}
	destroyedBy := map[string]string{}
	for _, trait := range traits {
		switch {
		case seen[trait.ID]:
			wrong = append(wrong, fmt.Errorf("trait %s stands there twice", trait.ID))
		case !strings.Contains(trait.ID, "/"):
			wrong = append(wrong, fmt.Errorf("trait %q: the id is not GROUP/NAME", trait.ID))
		case !strings.Contains(trait.Statement, "MUST") && !strings.Contains(trait.Statement, "MAY"):
			wrong = append(wrong, fmt.Errorf("trait %s: the statement has no MUST, MUST NOT or MAY", trait.ID))
		case len(trait.Sources) == 0:
			wrong = append(wrong, fmt.Errorf("trait %s has no source", trait.ID))
		case trait.Check == nil:
			wrong = append(wrong, fmt.Errorf("trait %s has no check", trait.ID))
		case !slices.Contains(Profiles, trait.Profile):
			wrong = append(wrong, fmt.Errorf("trait %s: there is no profile %q", trait.ID, trait.Profile))
		}
		seen[trait.ID] = true
		for _, fixture := range trait.AllFixtures() {
			if other, found := fixtures[fixture.Name]; found && (other.Unshared != fixture.Unshared || other.Stable != fixture.Stable) {
				wrong = append(wrong, fmt.Errorf("trait %s: another fixture is called %s as well", trait.ID, fixture.Name))
			}
			fixtures[fixture.Name] = fixture
		}
		for _, fixture := range trait.Destroys {
			if other := destroyedBy[fixture.Name]; other != "" {
				wrong = append(wrong, fmt.Errorf("traits %s and %s both destroy the fixture %s", other, trait.ID, fixture.Name))
			}
			destroyedBy[fixture.Name] = trait.ID
		}
	}
	for _, trait := range traits {
		for _, fixture := range trait.Fixtures {
			if other := destroyedBy[fixture.Name]; other != "" && other != trait.ID {
				wrong = append(wrong,
					fmt.Errorf("trait %s looks at the fixture %s, which %s destroys: make the look a probe", trait.ID, fixture.Name, other))
			}
		}
	}
	return errors.Join(wrong...)
}

// byCost puts the traits that wait for the kubelet before those that only look, and each group in the order of its ids.
func byCost(traits []Trait) []Trait {
	ordered := slices.Clone(traits)
	slices.SortStableFunc(ordered, func(a, b Trait) int {
		if a.Slow != b.Slow {
			if a.Slow {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return ordered
}
