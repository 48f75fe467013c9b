package suites

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/semver"
	"sigs.k8s.io/yaml"

	"sharedpid.example/reports/results"
)

var updateRelease = flag.Bool("update-release", false, "write the list of the traits of Version, which is to be released")

// TestTraitsAreThoseOfTheRelease holds the traits to the list of the version that the suite says it is.
func TestTraitsAreThoseOfTheRelease(t *testing.T) {
	if semver.Canonical(Version) != Version {
		t.Fatalf("Version %q is not of the form v1.2.3 or v1.2.3-dev", Version)
	}
	if semver.Prerelease(Version) != "" {
		if semver.Prerelease(Version) != "-dev" || slices.ContainsFunc(Releases(), func(release results.Release) bool {
			return semver.Compare(release.Version, Version) > 0
		}) {
			t.Errorf("Version is %s: between releases it is the next one with -dev behind it", Version)
		}
		return
	}
	want, err := yaml.Marshal(released(Traits()))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("releases", Version+".yaml")
	if *updateRelease {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != string(want) {
		t.Errorf("the traits are not those of %s (%v): set Version in suites/version.go to the next version with -dev behind it; "+
			"or, where %[1]s is not released yet: make catalogue", Version, err)
	}
}

// TestVersionRule holds each release, and the present traits, to what their version may change of the one before.
func TestVersionRule(t *testing.T) {
	all := Releases()
	if len(all) == 0 || all[0].Version != Version {
		all = slices.Insert(all, 0, results.Release{Version: Version, Traits: released(Traits())})
	}
	for i := range len(all) - 1 {
		newer, older := all[i], all[i+1]
		for _, problem := range breaches(older, newer) {
			t.Errorf("%s after %s: %s", newer.Version, older.Version, problem)
		}
	}
}

func TestBreaches(t *testing.T) {
	before := []results.Trait{{ID: "a/b", Profile: "core", Statement: "It MUST."}}
	more := append(slices.Clone(before), results.Trait{ID: "a/c", Profile: "full", Statement: "It MUST NOT."})
	other := []results.Trait{{ID: "a/b", Profile: "core", Statement: "It MAY."}}
	for _, test := range []struct {
		older, newer string
		traits       []results.Trait
		want         string
	}{
		{"v1.2.3", "v1.2.4", before, ""},
		{"v1.2.3", "v1.2.4-dev", more, "a/c is new"},
		{"v1.2.3", "v1.3.0-dev", more, ""},
		{"v1.2.3", "v1.3.0", other, "a/b is gone or says something else"},
		{"v1.2.3", "v1.3.0", nil, "a/b is gone or says something else"},
		{"v1.2.3", "v2.0.0", other, ""},
		{"v0.1.0", "v0.2.0", other, ""},
		{"v0.1.0", "v0.1.1", other, "a/b is gone or says something else"},
	} {
		got := strings.Join(breaches(results.Release{Version: test.older, Traits: before}, results.Release{Version: test.newer, Traits: test.traits}), "; ")
		if !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s after %s with %v: %q, want %q", test.newer, test.older, test.traits, got, test.want)
		}
	}
}

// breaches are the ways in which a release changes more of the one before than its version may: a patch changes no list of traits,
// a minor version adds some, and only a major one changes or drops what a trait says. Before v1 a minor version may what a major one may.
func breaches(older, newer results.Release) []string {
	major := semver.Major(older.Version) != semver.Major(newer.Version)
	minor := major || semver.MajorMinor(older.Version) != semver.MajorMinor(newer.Version)
	mayChange := major || minor && semver.Major(older.Version) == "v0"
	var problems []string
	for _, trait := range older.Traits {
		if !mayChange && !slices.Contains(newer.Traits, trait) {
			problems = append(problems, fmt.Sprintf("%s is gone or says something else, which takes a new major version, or before v1 a minor one", trait.ID))
		}
	}
	for _, trait := range newer.Traits {
		isNew := !slices.ContainsFunc(older.Traits, func(old results.Trait) bool { return old.ID == trait.ID })
		if isNew && !minor {
			problems = append(problems, trait.ID+" is new, which takes a new minor version")
		}
	}
	return problems
}
