package deviations

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// versionRange are comparisons that all must hold. An empty range holds for every version.
type versionRange []comparison

type comparison struct {
	operator string
	bound    *version.Version
}

// operators stand in an order in which none begins with an earlier one.
var operators = []string{">=", "<=", ">", "<", "="}

// parseRange reads a range such as ">=1.5 <1.6".
func parseRange(text string) (versionRange, error) {
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

// parseVersion reads two numbers or more. What follows these, such as a commit, is not compared.
func parseVersion(text string) (*version.Version, error) { return version.ParseGeneric(text) }

func (versions versionRange) holds(actual *version.Version) bool {
	return !slices.ContainsFunc(versions, func(each comparison) bool {
		switch {
		case actual.LessThan(each.bound):
			return !strings.HasPrefix(each.operator, "<")
		case each.bound.LessThan(actual):
			return !strings.HasPrefix(each.operator, ">")
		}
		return !strings.HasSuffix(each.operator, "=")
	})
}
