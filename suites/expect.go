package suites

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/yaml"

	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/reports"
)

// deviation is one entry of a list of expected deviations.
type deviation struct {
	reports.Deviation
	versions versionRange
}

// containerRuntimes are the names under which nodes report what runs their containers.
var containerRuntimes = []string{"containerd", "cri-o"}

// readDeviations reads the list in a file. Which runtimes may stand in it are the suite's own, those of the asked
// RuntimeClasses, and a node's container runtime. An error is one line that names the file and the entry.
func readDeviations(path string, classes []string) ([]deviation, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var entries []reports.Deviation
	if err := yaml.UnmarshalStrict(content, &entries); err != nil {
		return nil, fmt.Errorf("%s: %s", path, strings.Join(strings.Fields(err.Error()), " "))
	}
	if entries == nil {
		return nil, fmt.Errorf("%s: holds no list; an empty one is []", path)
	}
	var list []deviation
	for number, entry := range entries {
		read := deviation{Deviation: entry}
		if err := checkDeviation(entry, classes); err != nil {
			return nil, fmt.Errorf("%s, entry %d: %w", path, number+1, err)
		}
		if read.versions, err = parseVersions(entry.Versions); err != nil {
			return nil, fmt.Errorf("%s, entry %d: %w", path, number+1, err)
		}
		if slices.ContainsFunc(list, func(other deviation) bool {
			return other.Runtime == entry.Runtime && other.Trait == entry.Trait && other.Versions == entry.Versions
		}) {
			return nil, fmt.Errorf("%s, entry %d: %s of %s stands there twice", path, number+1, entry.Trait, entry.Runtime)
		}
		list = append(list, read)
	}
	return list, nil
}

func checkDeviation(entry reports.Deviation, classes []string) error {
	for _, field := range []struct{ name, value string }{{"runtime", entry.Runtime}, {"trait", entry.Trait}, {"reason", entry.Reason}, {"link", entry.Link}} {
		if strings.TrimSpace(field.value) == "" {
			return fmt.Errorf("%s is missing", field.name)
		}
	}
	if known := slices.Concat(runtimes.Names(), containerRuntimes, classes); !slices.Contains(known, entry.Runtime) {
		return fmt.Errorf("there is no runtime %q; known are %s", entry.Runtime, strings.Join(slices.Compact(slices.Sorted(slices.Values(known))), ", "))
	}
	if !slices.ContainsFunc(Traits(), func(trait Trait) bool { return trait.ID == entry.Trait }) {
		return fmt.Errorf("there is no trait %q; -list -profile full shows the traits", entry.Trait)
	}
	if link, err := url.Parse(entry.Link); err != nil || link.Host == "" {
		return fmt.Errorf("the link %q is no address", entry.Link)
	}
	return nil
}

// versionRange are comparisons that all must hold; none holds for every version.
type versionRange []comparison

type comparison struct {
	operator string
	version  *version.Version
}

// operators are tried in this order: one may begin with another.
var operators = []string{">=", "<=", ">", "<", "="}

// parseVersions reads a range such as ">=1.5 <1.6".
func parseVersions(text string) (versionRange, error) {
	var all versionRange
	for _, word := range strings.Fields(text) {
		at := slices.IndexFunc(operators, func(operator string) bool { return strings.HasPrefix(word, operator) })
		if at < 0 {
			return nil, fmt.Errorf("the version range %q is malformed at %q; an example is \">=1.5 <1.6\"", text, word)
		}
		bound, err := parseVersion(strings.TrimPrefix(word, operators[at]))
		if err != nil {
			return nil, fmt.Errorf("the version range %q is malformed at %q: %w", text, word, err)
		}
		all = append(all, comparison{operators[at], bound})
	}
	return all, nil
}

// parseVersion reads two numbers or more, as runtimes have them; what follows these is not compared.
func parseVersion(text string) (*version.Version, error) { return version.ParseGeneric(text) }

func (versions versionRange) hold(actual *version.Version) bool {
	return !slices.ContainsFunc(versions, func(each comparison) bool {
		switch {
		case actual.LessThan(each.version):
			return !strings.HasPrefix(each.operator, "<")
		case each.version.LessThan(actual):
			return !strings.HasPrefix(each.operator, ">")
		}
		return !strings.HasSuffix(each.operator, "=")
	})
}

// expectedOf returns the entries of a list that are about a subject's runtime in its version.
func expectedOf(list []deviation, subject reports.Subject) ([]reports.Deviation, error) {
	var expected []reports.Deviation
	for _, entry := range list {
		if entry.Runtime != subject.RuntimeName() {
			continue
		}
		if len(entry.versions) > 0 {
			actual, err := parseVersion(subject.Version())
			if err != nil {
				return nil, fmt.Errorf("-expect has versions of %s, and which one %s has cannot be told here; leave versions out of the entries", entry.Runtime, subject.ID)
			}
			if !entry.versions.hold(actual) {
				continue
			}
		}
		expected = append(expected, entry.Deviation)
	}
	return expected, nil
}

// expected returns the entry about a trait, nil when there is none.
func (subject subject) expected(trait string) *reports.Deviation {
	at := slices.IndexFunc(subject.deviations, func(entry reports.Deviation) bool { return entry.Trait == trait })
	if at < 0 {
		return nil
	}
	return &subject.deviations[at]
}
