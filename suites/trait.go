// Package suites holds the traits of Pods that share a process namespace, one file a group, and the gate that
// decides them on a cluster.
package suites

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/onsi/gomega"
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

// Trait is one behaviour that a Pod with a shared process namespace must show.
type Trait struct {
	ID         string   // GROUP/NAME, stable
	Statement  string   // one sentence with MUST, MUST NOT or MAY of RFC 2119
	Profile    Profile  // the smallest profile that holds it
	Documented bool     // the article claims it
	Article    string   // the accurate statement where the article is loose
	Sources    []string // what the statement follows from: KEP, man page, specification
	Scenes     []Scene  // the Pods that Check looks at, created ahead
	Slow       bool     // Check waits for the kubelet to act, so it is begun before those that only look
	// Check looks and asserts. A failed assertion makes the trait nonconformant; an error means that it could
	// not be looked at, and makes it inconclusive.
	Check func(ctx context.Context, stage *Stage, g gomega.Gomega) error
	// Causes say what probably lies behind a failure of this trait; the first that fits counts.
	Causes []Cause
}

// Cause is what probably lies behind a failure whose reason holds certain words, and what a person does next.
type Cause struct {
	Words    string // part of the reason, empty for any
	Cause    string
	NextStep string
}

// Group is the part of the id before the slash, and the name of the file that the trait stands in.
func (trait Trait) Group() string {
	group, _, _ := strings.Cut(trait.ID, "/")
	return group
}

// Traits returns all traits, in the order of their ids.
func Traits() []Trait {
	all := slices.Concat(namespaceTraits, visibilityTraits, signalTraits, filesystemTraits, credentialTraits, lifecycleTraits, initTraits, joinerTraits, admissionTraits, nodeTraits)
	slices.SortFunc(all, func(a, b Trait) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Select returns the traits of a profile whose ids match one of the patterns of path.Match, or all of them
// without a pattern. An unknown profile and a pattern that matches nothing are errors.
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
				return nil, fmt.Errorf("trait pattern %q: %w", pattern, err)
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
			return nil, fmt.Errorf("no trait of profile %s matches %q; -list shows the traits", profile, pattern)
		}
	}
	return selected, nil
}
