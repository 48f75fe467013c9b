package suites

import (
	"flag"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"sharedpid.example/fixtures/conditions"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

var updateConditions = flag.Bool("update-conditions", false, "write suites/CONDITIONS.md anew")

// conditionsPage describes every condition and what traits must say in it, in Markdown, made from the code alone.
func conditionsPage(all []conditions.Condition) string {
	var page strings.Builder
	page.WriteString("# The conditions\n\n" +
		"Generated from the code by `make catalogue`; a test fails when it is not current. Change a condition, not this page.\n" +
		"`make conditions` proves on a real cluster that the suite says this, and accuses nobody else. A trait that no line is about must be\n" +
		"conformant; of several lines about one trait the first counts.\n\n" +
		"| condition | the case | may Pods share here | traits | must be |\n|---|---|---|---|---|\n")
	for _, condition := range all {
		fmt.Fprintf(&page, "| %s | %s | %s | %s | %s |\n", condition.Name, condition.Sentence, answersOf(condition),
			code(condition.Traits, "all of core"), wantsOf(condition))
	}
	return page.String()
}

func answersOf(condition conditions.Condition) string {
	if condition.SetupError != "" {
		return "not asked"
	}
	var answers []string
	for _, answer := range condition.Answers {
		answers = append(answers, string(answer))
	}
	if len(answers) == 0 {
		return string(reports.MayShare)
	}
	return strings.Join(answers, " or ")
}

// code lists patterns, which have asterisks, as code.
func code(patterns []string, none string) string {
	if len(patterns) == 0 {
		return none
	}
	return "`" + strings.Join(patterns, "` `") + "`"
}

func wantsOf(condition conditions.Condition) string {
	if condition.SetupError != "" {
		return fmt.Sprintf("none is checked: the run ends with `%s`", condition.SetupError)
	}
	var lines []string
	for _, want := range condition.Wants {
		line := fmt.Sprintf("`%s` %s", want.Traits, want.Verdict)
		if want.Kind != "" {
			line += fmt.Sprintf(" (%s)", want.Kind)
		}
		if want.OrConformant {
			line += " or conformant"
		}
		if want.Words != "" {
			line += fmt.Sprintf(", with `%s`", want.Words)
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return "conformant"
	}
	return strings.Join(lines, "<br>")
}

func TestConditionsPageIsCurrent(t *testing.T) {
	comparePage(t, "CONDITIONS.md", conditionsPage(conditions.All()), *updateConditions)
}

func TestConditionsNameTraits(t *testing.T) {
	core, err := suite.Select(Traits(), suite.Core, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, condition := range conditions.All() {
		checked := slices.DeleteFunc(slices.Clone(core), func(trait suite.Trait) bool {
			matches := func(pattern string) bool { return matchesTrait(pattern, trait) }
			return len(condition.Traits) > 0 && !slices.ContainsFunc(condition.Traits, matches)
		})
		for _, pattern := range condition.Traits {
			if !slices.ContainsFunc(core, func(trait suite.Trait) bool { return matchesTrait(pattern, trait) }) {
				t.Errorf("%s checks %q, which is no trait of profile core", condition.Name, pattern)
			}
		}
		for _, want := range condition.Wants {
			if !slices.ContainsFunc(checked, func(trait suite.Trait) bool { return matchesTrait(want.Traits, trait) }) {
				t.Errorf("%s says what %q must be, which it does not check", condition.Name, want.Traits)
			}
		}
	}
}

func matchesTrait(pattern string, trait suite.Trait) bool {
	matched, err := path.Match(pattern, trait.ID)
	return err == nil && matched
}
