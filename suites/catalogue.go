package suites

import (
	"fmt"
	"strings"

	podsecurity "k8s.io/pod-security-admission/api"

	"sharedpid.example/helpers/suite"
)

// Catalogue returns the page that describes every trait, in Markdown, made from the traits and their manifests alone. An error says that a
// manifest cannot be read.
func Catalogue(traits []suite.Trait) (string, error) {
	var page strings.Builder
	page.WriteString("# The traits\n\n" +
		"Generated from the code by `make catalogue`; a test fails when it is not current. Change a trait, not this page.\n" +
		"Profiles hold one another: `core` has all of `article`, and `full` all of `core`.\n\n" +
		"The Pod Security level of a trait is the highest that a namespace may enforce so that it admits all Pods of the trait.\n\n")
	levels, err := levelsTable(traits)
	if err != nil {
		return "", err
	}
	page.WriteString(levels)
	group := ""
	for _, trait := range traits {
		security, err := PodSecurityOf(trait)
		if err != nil {
			return "", err
		}
		if trait.Group() != group {
			group = trait.Group()
			fmt.Fprintf(&page, "\n## %s\n", group)
		}
		fmt.Fprintf(&page, "\n### %s\n\n%s\n\n- profile: `%s`\n", trait.ID, trait.Statement, trait.Profile)
		if trait.Documented {
			page.WriteString("- claimed by the article\n")
		}
		if trait.Article != "" {
			fmt.Fprintf(&page, "- where the article is loose: %s\n", trait.Article)
		}
		if trait.Controlled() {
			page.WriteString("- looks at a Pod that does not share as well\n")
		}
		fmt.Fprintf(&page, "- Pod Security level: `%s`", security.Level)
		if security.Level == podsecurity.LevelPrivileged {
			fmt.Fprintf(&page, ", for baseline forbids %s", strings.Join(security.Beyond, ", "))
		}
		page.WriteString("\n")
		for _, requirement := range trait.Requires {
			fmt.Fprintf(&page, "- requires: %s\n", requirement.Name)
		}
		for _, source := range trait.Sources {
			fmt.Fprintf(&page, "- source: <%s>\n", source)
		}
		for _, cause := range trait.Causes {
			fmt.Fprintf(&page, "- when %s: probably %s; %s\n", about(cause), cause.Cause, cause.NextStep)
		}
	}
	return page.String(), nil
}

// levelsTable says how many traits of each profile a namespace admits at which Pod Security level.
func levelsTable(traits []suite.Trait) (string, error) {
	var table strings.Builder
	table.WriteString("| profile | traits | at restricted | at baseline | at privileged |\n|---|---|---|---|---|\n")
	for _, profile := range suite.Profiles {
		selected, err := suite.Select(traits, profile, nil)
		if err != nil {
			return "", err
		}
		admits := map[podsecurity.Level]int{}
		for _, trait := range selected {
			security, err := PodSecurityOf(trait)
			if err != nil {
				return "", err
			}
			admits[security.Level]++
		}
		restricted := admits[podsecurity.LevelRestricted]
		fmt.Fprintf(&table, "| `%s` | %d | %d | %d | %d |\n", profile, len(selected), restricted, restricted+admits[podsecurity.LevelBaseline],
			len(selected))
	}
	return table.String(), nil
}

// about says of which failures a cause is one.
func about(cause suite.Cause) string {
	about := "it fails"
	if cause.Control {
		about = "the control fails"
	}
	if cause.Words != "" {
		about += fmt.Sprintf(" with %q", cause.Words)
	}
	return about
}
