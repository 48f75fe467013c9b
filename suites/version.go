package suites

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
	"sigs.k8s.io/yaml"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports/results"
)

// Version is the version of the suite: of its traits, of its command and of its reports. CONTRIBUTING.md says what a version may
// change. Between releases it is the next one with "-dev" behind it.
const Version = "v0.3.0-dev"

// releases are the traits of every released version, by which results of that version are verified.
//
//go:embed releases
var releases embed.FS

// Releases returns all released versions, the newest first.
func Releases() []results.Release {
	files, err := fs.Glob(releases, "releases/*.yaml")
	if err != nil {
		panic(err)
	}
	var all []results.Release
	for _, file := range files {
		release := results.Release{Version: strings.TrimSuffix(path.Base(file), ".yaml")}
		content, err := releases.ReadFile(file)
		if err == nil {
			err = yaml.UnmarshalStrict(content, &release.Traits)
		}
		if err != nil {
			panic(fmt.Sprintf("%s: %v", file, err)) // it is part of the program
		}
		all = append(all, release)
	}
	slices.SortFunc(all, func(a, b results.Release) int {
		return cmp.Or(semver.Compare(b.Version, a.Version), cmp.Compare(a.Version, b.Version))
	})
	return all
}

// released is what a release of the traits would say of them.
func released(traits []suite.Trait) []results.Trait {
	var all []results.Trait
	for _, trait := range traits {
		all = append(all, results.Trait{ID: trait.ID, Profile: string(trait.Profile), Documented: trait.Documented, Statement: trait.Statement})
	}
	return all
}
