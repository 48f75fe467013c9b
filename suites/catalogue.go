package suites

import (
	"fmt"
	"strings"
)

// Catalogue returns the page that describes every trait, in Markdown, made from the traits alone.
func Catalogue(traits []Trait) string {
	var page strings.Builder
	page.WriteString("# The traits\n\nGenerated from the code by `make catalogue`; a test fails when it is not current. Change a trait, not this page.\n" +
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
		if trait.controlled() {
			page.WriteString("- has a control: the same look at a Pod that does not share\n")
		}
		for _, source := range trait.Sources {
			fmt.Fprintf(&page, "- source: <%s>\n", source)
		}
		for _, cause := range trait.Causes {
			fmt.Fprintf(&page, "- when it fails%s: probably %s; %s\n", about(cause.Words), cause.Cause, cause.NextStep)
		}
	}
	return page.String()
}

func about(words string) string {
	if words == "" {
		return ""
	}
	return fmt.Sprintf(" with %q", words)
}

// controlled tells whether the trait looks at a Pod that does not share as well.
func (trait Trait) controlled() bool {
	for _, scene := range trait.Scenes {
		if scene.Unshared {
			return true
		}
	}
	return false
}
