package reports

import (
	"fmt"
	"slices"
	"strings"
)

// GitHub shows no job summary above 1 MiB, and fails the step that wrote it. Each part stops before the page
// has its size, and says how much is left out.
const (
	markdownSubjectsEnd = 128 << 10
	markdownGridEnd     = 256 << 10
	markdownTraitsEnd   = 448 << 10
	markdownFailuresEnd = 832 << 10
	markdownArticleEnd  = 960 << 10
	// More evidence than this of one failure is for a file, not for a page.
	markdownEvidence = 24 << 10
	// A cell of a table, and a line of a failure, are no place for a log.
	markdownCell = 300
	markdownLine = 1200
	// More columns than this make no table that anybody reads.
	markdownColumns = 50
)

// symbols let an eye find the rows that matter; the word stands beside them.
var symbols = map[Verdict]string{
	Conformant: "✅", Nonconformant: "❌", Inconclusive: "⚠️", Unsupported: "➖", NotRun: "⏳", Expected: "☑️", Vanished: "❌",
}

// writeMarkdown returns the summary that a CI system shows on a job's page, in GitHub's dialect.
func writeMarkdown(run Run) ([]byte, error) {
	run = complete(run)
	outcomes := run.besideList()
	var page strings.Builder
	fmt.Fprintf(&page, "# %s Shared process namespace: %s\n\n%s.\n", symbols[run.Verdict], run.Verdict, markdownText(run.Reason))
	writeMarkdownFacts(&page, run)
	writeMarkdownSubjects(&page, run.Subjects)
	writeMarkdownGrid(&page, outcomes)
	writeMarkdownTraits(&page, outcomes)
	writeMarkdownFailures(&page, outcomes)
	writeMarkdownArticle(&page, outcomes)
	return []byte(page.String()), nil
}

// writeMarkdownFacts says what was tested, as a list.
func writeMarkdownFacts(page *strings.Builder, run Run) {
	cluster := markdownText(run.Cluster.Name)
	if origin := oneLine(run.Cluster.Origin); origin != "" {
		cluster += " (" + markdownText(origin) + ")"
	}
	page.WriteByte('\n')
	for _, fact := range []namedText{
		{"Traits", countText(countVerdicts(run.besideList()))},
		{"Profile", markdownText(run.Profile)},
		{"Selection", markdownText(run.Selection)},
		{"Kubernetes", markdownText(run.Cluster.KubernetesVersion)},
		{"Cluster", strings.TrimSpace(cluster)},
		{"Time", readableSeconds(run.Seconds)},
		{"Suite", strings.TrimSpace(markdownText(run.SuiteVersion) + ", run " + markdownText(run.ID))},
	} {
		if fact.value != "" {
			fmt.Fprintf(page, "- **%s:** %s\n", fact.name, fact.value)
		}
	}
}

func writeMarkdownSubjects(page *strings.Builder, subjects []Subject) {
	if len(subjects) == 0 {
		return
	}
	page.WriteString("\n| Subject | Runtime | Kernel | cgroup | OS image | Architecture |\n|---|---|---|---|---|---|\n")
	for i, subject := range subjects {
		if page.Len() > markdownSubjectsEnd {
			writeMarkdownRest(page, len(subjects)-i, "subjects")
			return
		}
		writeMarkdownRow(page, subject.ID, strings.TrimSpace(subject.Runtime+" "+subject.RuntimeHandler+" "+subject.RuntimeVersion), subject.Kernel, subject.CgroupVersion, subject.OSImage, subject.Architecture)
	}
}

// writeMarkdownGrid shows traits by subjects, when there are several.
func writeMarkdownGrid(page *strings.Builder, outcomes []Result) {
	if !severalSubjects(outcomes) {
		return
	}
	var subjects []string
	verdicts := make(map[Planned]Verdict)
	for _, outcome := range outcomes {
		subjects = append(subjects, outcome.Subject)
		// Of two results the one that needs attention more is shown.
		if verdict, found := verdicts[outcome.planned()]; !found || attention(outcome.Verdict) < attention(verdict) {
			verdicts[outcome.planned()] = outcome.Verdict
		}
	}
	slices.Sort(subjects)
	subjects = slices.Compact(subjects)
	left := max(len(subjects)-markdownColumns, 0)
	subjects = subjects[:len(subjects)-left]
	page.WriteString("\n## Traits by subject\n\n| Trait ")
	writeMarkdownRow(page, subjects...)
	page.WriteString("|---|" + strings.Repeat(":-:|", len(subjects)) + "\n")
	for i, outcome := range outcomes {
		if i > 0 && outcome.Trait == outcomes[i-1].Trait {
			continue
		}
		if page.Len() > markdownGridEnd {
			page.WriteString("\nMore traits are in " + runFile + ".\n")
			return
		}
		fmt.Fprintf(page, "| %s ", markdownText(shorten(oneLine(outcome.Trait), markdownCell)))
		for _, subject := range subjects {
			fmt.Fprintf(page, "| %s ", symbols[verdicts[Planned{outcome.Trait, subject}]])
		}
		page.WriteString("|\n")
	}
	var legend []string
	for _, verdict := range verdictsByAttention {
		legend = append(legend, fmt.Sprintf("%s %s", symbols[verdict], verdict))
	}
	fmt.Fprintf(page, "\n%s\n", strings.Join(legend, ", "))
	if left > 0 {
		writeMarkdownRest(page, left, "subjects")
	}
}

// writeMarkdownTraits writes one row for each trait and subject, what needs attention first.
func writeMarkdownTraits(page *strings.Builder, outcomes []Result) {
	if len(outcomes) == 0 {
		return
	}
	several := severalSubjects(outcomes)
	header, rule := "| Verdict | Trait |", "|---|---|"
	if several {
		header, rule = header+" Subject |", rule+"---|"
	}
	fmt.Fprintf(page, "\n## Traits\n\n%s Reason | Time |\n%s---|--:|\n", header, rule)
	for i, outcome := range byAttention(outcomes) {
		if page.Len() > markdownTraitsEnd {
			writeMarkdownRest(page, len(outcomes)-i, "rows")
			return
		}
		cells := []string{outcome.Trait}
		if several {
			cells = append(cells, outcome.Subject)
		}
		length := ""
		if outcome.Verdict != NotRun {
			length = readableSeconds(outcome.Seconds)
		}
		fmt.Fprintf(page, "| %s %s ", symbols[outcome.Verdict], outcome.Verdict)
		writeMarkdownRow(page, append(cells, outcome.Reason, length)...)
	}
}

func writeMarkdownRow(page *strings.Builder, cells ...string) {
	for _, cell := range cells {
		fmt.Fprintf(page, "| %s ", markdownText(shorten(oneLine(cell), markdownCell)))
	}
	page.WriteString("|\n")
}

func writeMarkdownRest(page *strings.Builder, count int, what string) {
	fmt.Fprintf(page, "\n%d more %s are in %s.\n", count, what, runFile)
}

// writeMarkdownFailures tells of each failure what a person needs to act, and folds the evidence away.
func writeMarkdownFailures(page *strings.Builder, outcomes []Result) {
	var failed []Result
	for _, outcome := range byAttention(outcomes) {
		if outcome.failed() && outcome.Verdict != NotRun {
			failed = append(failed, outcome)
		}
	}
	if len(failed) == 0 {
		return
	}
	page.WriteString("\n## What went wrong\n")
	for i, outcome := range failed {
		if page.Len() > markdownFailuresEnd {
			writeMarkdownRest(page, len(failed)-i, "failures")
			return
		}
		fmt.Fprintf(page, "\n### %s %s on %s: %s\n", symbols[outcome.Verdict], markdownText(outcome.Trait), markdownText(outcome.Subject), outcome.Verdict)
		fmt.Fprintf(page, "\n**%s**\n\n", markdownText(shorten(cause(outcome), markdownLine)))
		for _, line := range explanation(outcome) {
			fmt.Fprintf(page, "- **%s:** %s\n", line.name, markdownText(shorten(oneLine(line.value), markdownLine)))
		}
		writeMarkdownEvidence(page, evidenceOutput(outcome, markdownEvidence))
	}
}

// writeMarkdownEvidence folds text away as a block of code.
func writeMarkdownEvidence(page *strings.Builder, text string) {
	if text == "" {
		return
	}
	text = strings.TrimRight(text, "\n")
	fence := markdownFence(text)
	fmt.Fprintf(page, "\n<details><summary>Evidence</summary>\n\n%stext\n%s\n%s\n\n</details>\n", fence, text, fence)
}

// markdownFence is longer than every run of backticks in the text, so that no content ends the block.
func markdownFence(text string) string {
	longest, run := 2, 0
	for _, char := range text {
		if char != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return strings.Repeat("`", longest+1)
}

// writeMarkdownArticle puts the accurate statement beside each claim of the article that is loose.
func writeMarkdownArticle(page *strings.Builder, outcomes []Result) {
	noted := make(map[string]bool)
	for _, outcome := range outcomes {
		if outcome.Article == "" || noted[outcome.Trait] || page.Len() > markdownArticleEnd {
			continue
		}
		if len(noted) == 0 {
			page.WriteString("\n## Where the article is loose\n\n")
		}
		noted[outcome.Trait] = true
		fmt.Fprintf(page, "- **%s:** %s\n", markdownText(outcome.Trait), markdownText(shorten(outcome.Article, markdownLine)))
	}
}

// markdownText is one line of text in which nothing is markup: no emphasis, no link, not even a bare address, no HTML, no
// new cell of a table.
func markdownText(text string) string { return markdownEscapes.Replace(oneLine(text)) }

var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;",
	"|", "&#124;", "~", `\~`, "#", `\#`, "!", `\!`, "$", `\$`, "://", `\://`, "www.", `www\.`, "@", "&#64;",
)

// byAttention sorts outcomes so that those that need somebody's attention come first.
func byAttention(outcomes []Result) []Result {
	sorted := slices.Clone(outcomes)
	slices.SortStableFunc(sorted, func(a, b Result) int {
		return attention(a.Verdict) - attention(b.Verdict)
	})
	return sorted
}
