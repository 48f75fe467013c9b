// Package deviations reads the list of known deviations: which traits are nonconformant under which runtime, in which
// of its versions, and why. A run with the list fails on a deviation that is not known, and on a known one that is
// resolved.
package deviations

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"sharedpid.example/helpers/strictyaml"
	"sharedpid.example/reports"
)

// Known is what the entries of a list may name.
type Known struct {
	Runtimes []string // names of runtimes: OCI runtimes and RuntimeClasses; those of nodes are known anyway
	Traits   []string // ids
}

// nodeRuntimes are the names under which nodes report what runs their containers.
var nodeRuntimes = []string{"containerd", "cri-o"}

// List is a list of known deviations. The zero List has none.
type List struct{ entries []entry }

type entry struct {
	reports.Deviation
	versions versionRange
}

// Read reads the list in a YAML file. An entry that names an unknown runtime, trait or field, lacks one, or stands there
// twice is an error of one line, which names the file and the entry.
func Read(path string, known Known) (List, error) {
	var deviations []reports.Deviation
	if err := strictyaml.Read(path, &deviations); err != nil {
		return List{}, err
	}
	if deviations == nil {
		return List{}, fmt.Errorf("%s: holds no list; an empty one is []", path)
	}
	var list List
	for number, deviation := range deviations {
		read, err := known.read(deviation)
		if err == nil && list.has(deviation) {
			err = fmt.Errorf("%s of %s stands there twice", deviation.Trait, deviation.Runtime)
		}
		if err != nil {
			return List{}, fmt.Errorf("%s, entry %d: %w", path, number+1, err)
		}
		list.entries = append(list.entries, read)
	}
	return list, nil
}

func (list List) has(deviation reports.Deviation) bool {
	return slices.ContainsFunc(list.entries, func(other entry) bool {
		return other.Runtime == deviation.Runtime && other.Trait == deviation.Trait && other.Versions == deviation.Versions
	})
}

func (known Known) read(deviation reports.Deviation) (entry, error) {
	for _, field := range []struct{ name, value string }{
		{"runtime", deviation.Runtime}, {"trait", deviation.Trait}, {"reason", deviation.Reason}, {"link", deviation.Link},
	} {
		if strings.TrimSpace(field.value) == "" {
			return entry{}, fmt.Errorf("%s is missing", field.name)
		}
	}
	if runtimes := slices.Concat(known.Runtimes, nodeRuntimes); !slices.Contains(runtimes, deviation.Runtime) {
		slices.Sort(runtimes)
		return entry{}, fmt.Errorf("there is no runtime %q; known are %s", deviation.Runtime, strings.Join(slices.Compact(runtimes), ", "))
	}
	if !slices.Contains(known.Traits, deviation.Trait) {
		return entry{}, fmt.Errorf("there is no trait %q; sharedpid list --profile full shows the traits", deviation.Trait)
	}
	// Reports make a link of it, which must not run anything.
	if link, err := url.Parse(deviation.Link); err != nil || link.Host == "" || link.Scheme != "http" && link.Scheme != "https" {
		return entry{}, fmt.Errorf("the link %q is no address that begins with https:// or http://", deviation.Link)
	}
	versions, err := parseRange(deviation.Versions)
	return entry{deviation, versions}, err
}

// Of returns the deviations that are known of a target's runtime in its version, in the list's order. A range of
// versions and a target whose version is unknown are an error: whether the entry is about it cannot be told.
func (list List) Of(target reports.Target) ([]reports.Deviation, error) {
	var deviations []reports.Deviation
	for _, entry := range list.entries {
		if entry.Runtime != target.RuntimeName() {
			continue
		}
		if len(entry.versions) > 0 {
			actual, err := parseVersion(target.Version())
			if err != nil {
				return nil, fmt.Errorf("--known-deviations: an entry has versions of %s, and %s does not tell which version it has; "+
					"leave versions out of the entries about %[1]s", entry.Runtime, target.ID)
			}
			if !entry.versions.holds(actual) {
				continue
			}
		}
		deviations = append(deviations, entry.Deviation)
	}
	return deviations, nil
}
