package html

import (
	"fmt"
	"slices"
	"strings"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

// mostButtons is how many choices a filter shows as buttons; more are a list.
const mostButtons = 12

// filterSet give each value of a filtered property its number. Numbers stand in classes and in the stylesheet, so
// that no name, whoever chose it, becomes part of a rule.
type filterSet struct {
	verdict, group, node, runtime filter
	targets                       map[string]reports.Target
}

func newFilters(targets []reports.Target, outcomes []reports.Result) *filterSet {
	filters := &filterSet{
		verdict: filter{Property: "verdict", Name: "Verdict"},
		group:   filter{Property: "group", Name: "Group"},
		node:    filter{Property: "node", Name: "Node"},
		runtime: filter{Property: "runtime", Name: "Runtime"},
		targets: make(map[string]reports.Target, len(targets)),
	}
	for _, target := range targets {
		filters.targets[target.ID] = target
	}
	count := reports.CountVerdicts(outcomes)
	for _, verdict := range reports.VerdictsByAttention() {
		if count[verdict] > 0 {
			filters.verdict.Choices = append(filters.verdict.Choices, string(verdict))
		}
	}
	for _, outcome := range outcomes {
		filters.group.add(outcome.Group())
		filters.node.add(filters.nodeOf(outcome))
		filters.runtime.add(filters.runtimeOf(outcome))
	}
	for _, filter := range []*filter{&filters.group, &filters.node, &filters.runtime} {
		slices.Sort(filter.Choices)
		filter.List = len(filter.Choices) > mostButtons
	}
	return filters
}

func (filter *filter) add(choice string) {
	if choice = legible.Line(choice); !slices.Contains(filter.Choices, choice) {
		filter.Choices = append(filter.Choices, choice)
	}
}

// number is the place of a value among the choices.
func (filter *filter) number(choice string) int {
	return slices.Index(filter.Choices, legible.Line(choice))
}

// nodeOf is the node that an outcome is about; a target that nobody described is taken for a node.
func (filters *filterSet) nodeOf(outcome reports.Result) string {
	if target, found := filters.targets[outcome.Target]; found {
		return target.Node
	}
	return outcome.Target
}

func (filters *filterSet) runtimeOf(outcome reports.Result) string {
	target, found := filters.targets[outcome.Target]
	if !found {
		return "unknown"
	}
	if target.RuntimeClass == "" {
		return target.Runtime
	}
	return target.RuntimeClass + " under " + target.Runtime
}

func (filters *filterSet) all() []filter {
	return []filter{filters.verdict, filters.group, filters.node, filters.runtime}
}

// shown are the filters that tell results apart.
func (filters *filterSet) shown() []filter {
	return slices.DeleteFunc(filters.all(), func(filter filter) bool { return len(filter.Choices) < 2 })
}

// rules hide what the choices do not name. A choice other than all sets a variable that hides every result, and unsets it for those
// that have the chosen value; a result is shown while no variable hides it. So each result is tried against the rules
// of its own values only, which matters where there are thousands.
func (filters *filterSet) rules() string {
	var rules strings.Builder
	display := "block"
	for _, filter := range filters.shown() {
		display = fmt.Sprintf("var(--%s,%s)", filter.Property, display)
		fmt.Fprintf(&rules, ".filters:has(#filter-%[1]s :checked:not([value=\"\"])) + .results > .result{--%[1]s:none}\n", filter.Property)
		for i := range filter.Choices {
			fmt.Fprintf(&rules, ".filters:has(#filter-%[1]s [value=\"%[2]d\"]:checked) + .results > .%[1]s-%[2]d{--%[1]s:initial}\n",
				filter.Property, i)
		}
	}
	fmt.Fprintf(&rules, ".result{display:%s}\n", display)
	return rules.String()
}

// classes are those of a result, by which the rules know its values.
func (filters *filterSet) classes(outcome reports.Result) string {
	return fmt.Sprintf("verdict-%d group-%d node-%d runtime-%d", filters.verdict.number(string(outcome.Verdict)),
		filters.group.number(outcome.Group()), filters.node.number(filters.nodeOf(outcome)), filters.runtime.number(filters.runtimeOf(outcome)))
}
