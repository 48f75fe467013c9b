package reports

import (
	"fmt"
	"slices"
	"strings"
)

// htmlButtons is how many choices a filter shows as buttons; more are a list.
const htmlButtons = 12

// htmlFilters give each value of a filtered property its number. Numbers stand in classes and in the stylesheet, so
// that no name, whoever chose it, becomes part of a rule.
type htmlFilters struct {
	verdict, group, node, runtime htmlFilter
	subjects                      map[string]Subject
}

func newHTMLFilters(run Run, outcomes []Result) *htmlFilters {
	filters := &htmlFilters{
		verdict:  htmlFilter{Property: "verdict", Name: "Verdict"},
		group:    htmlFilter{Property: "group", Name: "Group"},
		node:     htmlFilter{Property: "node", Name: "Node"},
		runtime:  htmlFilter{Property: "runtime", Name: "Runtime"},
		subjects: make(map[string]Subject, len(run.Subjects)),
	}
	for _, subject := range run.Subjects {
		filters.subjects[subject.ID] = subject
	}
	count := countVerdicts(outcomes)
	for _, verdict := range verdictsByAttention {
		if count[verdict] > 0 {
			filters.verdict.Choices = append(filters.verdict.Choices, string(verdict))
		}
	}
	for _, outcome := range outcomes {
		filters.group.add(outcome.Group())
		filters.node.add(filters.nodeOf(outcome))
		filters.runtime.add(filters.runtimeOf(outcome))
	}
	for _, filter := range []*htmlFilter{&filters.group, &filters.node, &filters.runtime} {
		slices.Sort(filter.Choices)
		filter.List = len(filter.Choices) > htmlButtons
	}
	return filters
}

func (filter *htmlFilter) add(choice string) {
	if choice = oneLine(choice); !slices.Contains(filter.Choices, choice) {
		filter.Choices = append(filter.Choices, choice)
	}
}

// number is the place of a value among the choices.
func (filter *htmlFilter) number(choice string) int {
	return slices.Index(filter.Choices, oneLine(choice))
}

// nodeOf is the node that an outcome is about; a subject that nobody described is taken for a node.
func (filters *htmlFilters) nodeOf(outcome Result) string {
	if subject, found := filters.subjects[outcome.Subject]; found {
		return subject.Node
	}
	return outcome.Subject
}

func (filters *htmlFilters) runtimeOf(outcome Result) string {
	subject, found := filters.subjects[outcome.Subject]
	if !found {
		return "unknown"
	}
	if subject.RuntimeClass == "" {
		return subject.Runtime
	}
	return subject.RuntimeClass + " under " + subject.Runtime
}

func (filters *htmlFilters) all() []htmlFilter {
	return []htmlFilter{filters.verdict, filters.group, filters.node, filters.runtime}
}

// shown are the filters that tell results apart.
func (filters *htmlFilters) shown() []htmlFilter {
	return slices.DeleteFunc(filters.all(), func(filter htmlFilter) bool { return len(filter.Choices) < 2 })
}

// rules hide what the choices do not name. A choice other than all sets a variable that hides every result, and unsets it for those
// that have the chosen value; a result is shown while no variable hides it. So each result is tried against the rules
// of its own values only, which matters where there are thousands.
func (filters *htmlFilters) rules() string {
	var rules strings.Builder
	display := "block"
	for _, filter := range filters.shown() {
		display = fmt.Sprintf("var(--%s,%s)", filter.Property, display)
		fmt.Fprintf(&rules, ".filters:has(#filter-%[1]s :checked:not([value=\"\"])) + .results > .result{--%[1]s:none}\n", filter.Property)
		for i := range filter.Choices {
			fmt.Fprintf(&rules, ".filters:has(#filter-%[1]s [value=\"%[2]d\"]:checked) + .results > .%[1]s-%[2]d{--%[1]s:initial}\n", filter.Property, i)
		}
	}
	fmt.Fprintf(&rules, ".result{display:%s}\n", display)
	return rules.String()
}

// classes are those of a result, by which the rules know its values.
func (filters *htmlFilters) classes(outcome Result) string {
	return fmt.Sprintf("verdict-%d group-%d node-%d runtime-%d", filters.verdict.number(string(outcome.Verdict)),
		filters.group.number(outcome.Group()), filters.node.number(filters.nodeOf(outcome)), filters.runtime.number(filters.runtimeOf(outcome)))
}
