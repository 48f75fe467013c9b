package suites

import (
	"fmt"
	"strings"

	"sharedpid.example/helpers/suite"
)

// Catalogue returns the page that describes every trait, in Markdown, made from the traits alone.
func Catalogue(traits []suite.Trait) string {
	var page strings.Builder
	page.WriteString("# The traits\n\n" +
		"Generated from the code by `make catalogue`; a test fails when it is not current. Change a trait, not this page.\n" +
		"Profiles hold one another: `core` has all of `article`, and `full` all of `core`.\n")
	group := ""
	for _, trait := range traits {
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
	return page.String()
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
