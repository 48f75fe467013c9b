package diff

import (
	"cmp"
	"fmt"
	"strings"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
	"sharedpid.example/reports/internal/markup"
)

// GitHub shows no job summary above 1 MiB: each part of the page stops before that.
const (
	factsEnd   = 128 << 10
	changesEnd = 832 << 10
)

// directionSymbols let an eye find the changes that matter; the word stands beside them.
var directionSymbols = map[Direction]string{Worse: "❌", Changed: "🔁", Removed: "➖", Added: "➕", Better: "✅"}

// Text returns the difference for a terminal or a log.
func (difference Difference) Text() string {
	var text strings.Builder
	fmt.Fprintf(&text, "from run %s to run %s\n", difference.Old, difference.New)
	for _, problem := range difference.problems() {
		fmt.Fprintf(&text, "  %s\n", problem)
	}
	for _, fact := range difference.Facts {
		fmt.Fprintf(&text, "  %s: %s -> %s\n", fact.Name, cmp.Or(fact.Old, "none"), cmp.Or(fact.New, "none"))
	}
	for _, direction := range directions {
		if count := difference.Count(direction); count > 0 {
			fmt.Fprintf(&text, "\n%s (%d)\n", direction, count)
		}
		for _, change := range difference.Changes {
			if change.Direction == direction {
				fmt.Fprintf(&text, "  %s on %s: %s", legible.Line(change.Trait), legible.Line(change.Target), change.verdicts(" -> "))
				if change.Reason != "" && change.New != reports.Conformant {
					fmt.Fprintf(&text, ": %s", legible.Shorten(change.Reason, markup.Cell))
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
	} else if undecided := difference.Undecided(); undecided > 0 {
		title = fmt.Sprintf("%d are no longer decided", undecided)
	}
	fmt.Fprintf(&page, "# Shared process namespace: %s\n\nFrom run %s to run %s: %s.\n", title,
		markup.Text(difference.Old.String()), markup.Text(difference.New.String()), difference.counts())
	for _, problem := range difference.problems() {
		fmt.Fprintf(&page, "\n**%s**\n", markup.Text(problem))
	}
	if len(difference.Facts) > 0 {
		page.WriteString("\n| What differs | Old | New |\n|---|---|---|\n")
		for i, fact := range difference.Facts {
			if page.Len() > factsEnd {
				fmt.Fprintf(&page, "\n%d more differences are left out.\n", len(difference.Facts)-i)
				break
			}
			markup.Row(&page, fact.Name, fact.Old, fact.New)
		}
	}
	if len(difference.Changes) > 0 {
		page.WriteString("\n| Change | Trait | Target | Verdict | Reason |\n|---|---|---|---|---|\n")
	}
	for i, change := range difference.Changes {
		if page.Len() > changesEnd {
			fmt.Fprintf(&page, "\n%d more changes are left out.\n", len(difference.Changes)-i)
			break
		}
		reason := change.Reason
		if change.New == reports.Conformant {
			reason = ""
		}
		fmt.Fprintf(&page, "| %s %s ", directionSymbols[change.Direction], change.Direction)
		markup.Row(&page, change.Trait, change.Target, change.verdicts(" → "), reason)
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
	text := func(verdict reports.Verdict) string {
		return reports.Result{Verdict: verdict, Kind: change.Kind}.VerdictText()
	}
	switch change.Direction {
	case Added:
		return text(change.New)
	case Removed:
		return "was " + text(change.Old)
	}
	return string(change.Old) + to + text(change.New)
}

// problems say what is wrong with the runs as wholes.
func (difference Difference) problems() []string {
	var problems []string
	for _, run := range []struct {
		which string
		name  RunName
	}{{"old", difference.Old}, {"new", difference.New}} {
		if run.name.Problem != "" {
			problems = append(problems, fmt.Sprintf("of the %s run: %s", run.which, run.name.Problem))
		}
	}
	return problems
}

// counts says how many changes there are of each kind, the worst always.
func (difference Difference) counts() string {
	parts := []string{fmt.Sprintf("%d %s", difference.Count(Worse), Worse)}
	for _, direction := range directions[1:] {
		if count := difference.Count(direction); count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, direction))
		}
	}
	parts = append(parts, fmt.Sprintf("%d the same", difference.Same))
	if undecided := difference.Undecided(); undecided > 0 {
		parts = append(parts, fmt.Sprintf("of all these %d that the old run had decided and the new one has not", undecided))
	}
	return strings.Join(parts, ", ")
}
