// Package markdown writes the summary that a CI system shows on the page of a job, in GitHub's dialect of Markdown.
package markdown

import (
	"fmt"
	"strings"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
	"sharedpid.example/reports/internal/markup"
	"sharedpid.example/reports/internal/transcript"
)

// GitHub shows no job summary above 1 MiB, and fails the step that wrote it. Each part stops before the page
// has its size, and says how much is left out.
const (
	targetsEnd  = 128 << 10
	gridEnd     = 256 << 10
	tasksEnd    = 288 << 10
	traitsEnd   = 448 << 10
	failuresEnd = 832 << 10
	articleEnd  = 960 << 10
	// More evidence than this of one failure is for a file, not for a page.
	evidenceLength = 24 << 10
	// More columns than this make no table that anybody reads.
	gridColumns = 50
)

// Render returns the summary that a CI system shows on a job's page, in GitHub's dialect.
func Render(run reports.Run) ([]byte, error) {
	run = run.Complete()
	outcomes := run.Outcomes()
	var page strings.Builder
	fmt.Fprintf(&page, "# %s Shared process namespace: %s\n\n%s.\n", markup.Symbol(run.Verdict), markup.Text(run.VerdictText()),
		markup.Text(run.Reason))
	writeFacts(&page, run)
	shown := outcomes
	if reports.TooManyTargets(outcomes) {
		groups := run.ByKind()
		writeKinds(&page, groups)
		shown = reports.Merge(groups, outcomes)
		labelled, _ := reports.OfKinds(groups, outcomes)
		writeGrid(&page, "kind", nil, labelled)
	} else {
		writeTargets(&page, run.Targets)
		writeGrid(&page, "target", run.Targets, outcomes)
	}
	writeTasks(&page, run)
	writeTraits(&page, shown)
	writeFailures(&page, shown)
	writeArticle(&page, outcomes)
	return []byte(page.String()), nil
}

// writeFacts says what was tested, as a list.
func writeFacts(page *strings.Builder, run reports.Run) {
	cluster := markup.Text(run.Cluster.Name)
	if origin := legible.Line(run.Cluster.Origin); origin != "" {
		cluster += " (" + markup.Text(origin) + ")"
	}
	page.WriteByte('\n')
	for _, fact := range []reports.Line{
		{Name: "May Pods share here", Value: markup.Text(run.PermissionText())},
		{Name: "Traits", Value: reports.CountVerdicts(run.Outcomes()).String()},
		{Name: "Profile", Value: markup.Text(run.Profile)},
		{Name: "Narrowed by", Value: markup.Text(run.NarrowedText())},
		{Name: "Not looked at", Value: markup.Text(run.LeftOutText())},
		{Name: "Limits changed", Value: markup.Text(run.LimitsText())},
		{Name: "Adapted", Value: markup.Text(run.AdaptedText())},
		{Name: "Kubernetes", Value: markup.Text(run.Cluster.KubernetesVersion)},
		{Name: "Cluster", Value: strings.TrimSpace(cluster)},
		{Name: "Time", Value: legible.Duration(run.Seconds)},
		{Name: "Command", Value: markup.Short(run.CommandLine(), markup.Sentence)},
		{Name: "Suite", Value: strings.TrimSpace(markup.Text(run.SuiteVersion) + ", run " + markup.Text(run.ID))},
	} {
		if fact.Value != "" {
			fmt.Fprintf(page, "- **%s:** %s\n", fact.Name, fact.Value)
		}
	}
}

func writeTargets(page *strings.Builder, targets []reports.Target) {
	if len(targets) == 0 {
		return
	}
	page.WriteString("\n| Target | Runtime | Kernel | cgroup | OS image | Architecture |\n|---|---|---|---|---|---|\n")
	for i, target := range targets {
		if page.Len() > targetsEnd {
			writeRest(page, len(targets)-i, "targets")
			return
		}
		runtime := strings.TrimSpace(target.Runtime + " " + target.RuntimeHandler + " " + target.RuntimeVersion)
		markup.Row(page, target.ID, runtime, target.Kernel, target.CgroupVersion, target.OSImage, target.Architecture)
	}
}

// writeKinds shows how the targets of each kind came out, and those that differ from their kind, when there are too many for a table of each.
func writeKinds(page *strings.Builder, groups []reports.KindOutcomes) {
	const mostOutliers = 50
	outliers := 0
	for _, group := range groups {
		for _, outlier := range group.Outliers {
			if outliers++; outliers <= mostOutliers {
				if outliers == 1 {
					page.WriteString("\n## Targets that differ from their kind\n\n")
				}
				fmt.Fprintf(page, "- %s\n", markup.Short(outlier.Text(), markup.Sentence))
			}
		}
	}
	if outliers > mostOutliers {
		writeRest(page, outliers-mostOutliers, "targets")
	}
	page.WriteString("\n| Kind | Targets | What it is | Traits |\n|---|--:|---|---|\n")
	for i, group := range groups {
		if page.Len() > targetsEnd {
			writeRest(page, len(groups)-i, "kinds")
			return
		}
		markup.Row(page, group.Label, fmt.Sprint(len(group.Targets)), group.Kind.String(), group.Counts.String())
	}
}

// writeTasks says what works here of what people share a process namespace for.
func writeTasks(page *strings.Builder, run reports.Run) {
	answers := run.AnswerTasks()
	if len(answers) == 0 {
		return
	}
	page.WriteString("\n## What works here\n\n| Question | What the container needs | Works |\n|---|---|---|\n")
	for i, task := range answers {
		if page.Len() > tasksEnd {
			writeRest(page, len(answers)-i, "questions")
			return
		}
		question := task.Question
		for _, way := range task.Ways {
			works := way.Text()
			if way.Reason != "" {
				works += ": " + way.Reason
			}
			markup.Row(page, question, way.Needs, works)
			question = ""
		}
	}
}

// writeGrid shows traits by targets, or by kinds of them, when there are several.
func writeGrid(page *strings.Builder, by string, known []reports.Target, outcomes []reports.Result) {
	if !reports.SeveralTargets(outcomes) {
		return
	}
	targets := reports.TargetColumns(known, outcomes)
	rows := reports.Grid(outcomes, targets)
	shown := min(len(targets), gridColumns)
	fmt.Fprintf(page, "\n## Traits by %s\n\n| Trait ", by)
	markup.Row(page, targets[:shown]...)
	page.WriteString("|---|" + strings.Repeat(":-:|", shown) + "\n")
	for i, row := range rows {
		if page.Len() > gridEnd {
			writeRest(page, len(rows)-i, "traits")
			return
		}
		fmt.Fprintf(page, "| %s ", markup.Short(row.Trait, markup.Cell))
		for _, verdict := range row.Verdicts[:shown] {
			fmt.Fprintf(page, "| %s ", markup.Symbol(verdict))
		}
		page.WriteString("|\n")
	}
	var legend []string
	for _, verdict := range reports.VerdictsByAttention() {
		legend = append(legend, fmt.Sprintf("%s %s", markup.Symbol(verdict), verdict))
	}
	fmt.Fprintf(page, "\n%s\n", strings.Join(legend, ", "))
	if left := len(targets) - shown; left > 0 {
		writeRest(page, left, "targets")
	}
}

// writeTraits writes one row for each trait and target, what needs attention first.
func writeTraits(page *strings.Builder, outcomes []reports.Result) {
	if len(outcomes) == 0 {
		return
	}
	several := reports.SeveralTargets(outcomes)
	header, rule := "| Verdict | Trait |", "|---|---|"
	if several {
		header, rule = header+" Target |", rule+"---|"
	}
	fmt.Fprintf(page, "\n## Traits\n\n%s Reason | Time |\n%s---|--:|\n", header, rule)
	for i, outcome := range reports.ByAttention(outcomes) {
		if page.Len() > traitsEnd {
			writeRest(page, len(outcomes)-i, "rows")
			return
		}
		cells := []string{outcome.Trait}
		if several {
			cells = append(cells, outcome.Target)
		}
		length := ""
		if outcome.Verdict != reports.NotRun {
			length = legible.Duration(outcome.Seconds)
		}
		fmt.Fprintf(page, "| %s %s ", markup.Symbol(outcome.Verdict), markup.Text(outcome.VerdictText()))
		markup.Row(page, append(cells, outcome.Reason, length)...)
	}
}

func writeRest(page *strings.Builder, count int, what string) {
	fmt.Fprintf(page, "\n%d more %s are in %s.\n", count, what, reports.RunFile)
}

// writeFailures tells of each failure what a person needs to act, and folds the evidence away.
func writeFailures(page *strings.Builder, outcomes []reports.Result) {
	var failed []reports.Result
	for _, outcome := range reports.ByAttention(outcomes) {
		if outcome.NeedsAttention() && outcome.Verdict != reports.NotRun {
			failed = append(failed, outcome)
		}
	}
	if len(failed) == 0 {
		return
	}
	page.WriteString("\n## What went wrong\n")
	for i, outcome := range failed {
		if page.Len() > failuresEnd {
			writeRest(page, len(failed)-i, "failures")
			return
		}
		fmt.Fprintf(page, "\n### %s %s on %s: %s\n", markup.Symbol(outcome.Verdict),
			markup.Text(outcome.Trait), markup.Text(outcome.Target), markup.Text(outcome.VerdictText()))
		fmt.Fprintf(page, "\n**%s**\n\n", markup.Short(outcome.CauseAndReason(), markup.Sentence))
		for _, line := range outcome.Explanation() {
			fmt.Fprintf(page, "- **%s:** %s\n", line.Name, markup.Short(line.Value, markup.Sentence))
		}
		markup.Fold(page, transcript.Result(outcome, evidenceLength))
	}
}

// writeArticle puts the accurate statement beside each claim of the article that is loose.
func writeArticle(page *strings.Builder, outcomes []reports.Result) {
	noted := make(map[string]bool)
	for _, outcome := range outcomes {
		if outcome.Article == "" || noted[outcome.Trait] || page.Len() > articleEnd {
			continue
		}
		if len(noted) == 0 {
			page.WriteString("\n## Where the article is loose\n\n")
		}
		noted[outcome.Trait] = true
		fmt.Fprintf(page, "- **%s:** %s\n", markup.Text(outcome.Trait), markup.Short(outcome.Article, markup.Sentence))
	}
}
