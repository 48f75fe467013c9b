package reports

import (
	"cmp"
	"fmt"
	"strings"
)

// directionSymbols let an eye find the changes that matter; the word stands beside them.
var directionSymbols = map[Direction]string{Worse: "❌", Changed: "🔁", Removed: "➖", Added: "➕", Better: "✅"}

// Text returns the difference for a terminal or a log.
func (difference Difference) Text() string {
	var text strings.Builder
	fmt.Fprintf(&text, "from run %s to run %s\n", difference.Old, difference.New)
	for _, fact := range difference.Facts {
		fmt.Fprintf(&text, "  %s: %s -> %s\n", fact.Name, cmp.Or(fact.Old, "none"), cmp.Or(fact.New, "none"))
	}
	for _, direction := range directions {
		if count := difference.Count(direction); count > 0 {
			fmt.Fprintf(&text, "\n%s (%d)\n", direction, count)
		}
		for _, change := range difference.Changes {
			if change.Direction == direction {
				fmt.Fprintf(&text, "  %s on %s: %s", oneLine(change.Trait), oneLine(change.Subject), change.verdicts(" -> "))
				if change.Reason != "" && change.New != Conformant {
					fmt.Fprintf(&text, ": %s", shorten(change.Reason, markdownCell))
				}
				text.WriteByte('\n')
			}
		}
	}
	fmt.Fprintf(&text, "\n%s\n", difference.counts())
	return text.String()
}

// Markdown returns the difference for a CI system's page, in GitHub's dialect.
func (difference Difference) Markdown() string {
	var page strings.Builder
	title := "nothing got worse"
	if worse := difference.Count(Worse); worse > 0 {
		title = fmt.Sprintf("%d got worse", worse)
	}
	fmt.Fprintf(&page, "# Shared process namespace: %s\n\nFrom run %s to run %s: %s.\n", title,
		markdownText(difference.Old.String()), markdownText(difference.New.String()), difference.counts())
	if len(difference.Facts) > 0 {
		page.WriteString("\n| What differs | Old | New |\n|---|---|---|\n")
		for i, fact := range difference.Facts {
			if page.Len() > markdownSubjectsEnd {
				fmt.Fprintf(&page, "\n%d more differences are left out.\n", len(difference.Facts)-i)
				break
			}
			writeMarkdownRow(&page, fact.Name, fact.Old, fact.New)
		}
	}
	if len(difference.Changes) > 0 {
		page.WriteString("\n| Change | Trait | Subject | Verdict | Reason |\n|---|---|---|---|---|\n")
	}
	for i, change := range difference.Changes {
		if page.Len() > markdownFailuresEnd {
			fmt.Fprintf(&page, "\n%d more changes are left out.\n", len(difference.Changes)-i)
			break
		}
		reason := change.Reason
		if change.New == Conformant {
			reason = ""
		}
		fmt.Fprintf(&page, "| %s %s ", directionSymbols[change.Direction], change.Direction)
		writeMarkdownRow(&page, change.Trait, change.Subject, change.verdicts(" → "), reason)
	}
	return page.String()
}

// String names a run for people.
func (name RunName) String() string {
	if name.Start == "" {
		return fmt.Sprintf("%s (%s)", name.ID, name.Verdict)
	}
	return fmt.Sprintf("%s (%s, %s)", name.ID, name.Start, name.Verdict)
}

func (change VerdictChange) verdicts(to string) string {
	switch change.Direction {
	case Added:
		return string(change.New)
	case Removed:
		return "was " + string(change.Old)
	}
	return string(change.Old) + to + string(change.New)
}

// counts says how many changes there are of each kind, the worst always.
func (difference Difference) counts() string {
	parts := []string{fmt.Sprintf("%d %s", difference.Count(Worse), Worse)}
	for _, direction := range directions[1:] {
		if count := difference.Count(direction); count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, direction))
		}
	}
	return strings.Join(append(parts, fmt.Sprintf("%d the same", difference.Same)), ", ")
}
