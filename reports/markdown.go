package reports

import (
	"bytes"
	"fmt"
	"strings"
)

// writeMarkdown writes the summary that a CI system shows on a job's page.
func writeMarkdown(run Run) ([]byte, error) {
	var page bytes.Buffer
	fmt.Fprintf(&page, "# Shared process namespace: %s\n\n%s.\n\n", run.Verdict, cell(run.Reason))
	fmt.Fprintf(&page, "Profile %s on Kubernetes %s (cluster %s, %s), %.1f s.\n\n",
		cell(run.Profile), cell(run.Cluster.KubernetesVersion), cell(run.Cluster.Name), cell(run.Cluster.Origin), run.Seconds)
	if len(run.Subjects) > 0 {
		page.WriteString("| subject | runtime | kernel | cgroup | OS image |\n|---|---|---|---|---|\n")
		for _, subject := range run.Subjects {
			fmt.Fprintf(&page, "| %s | %s | %s | %s | %s |\n", cell(subject.ID), cell(subject.Runtime), cell(subject.Kernel), cell(subject.CgroupVersion), cell(subject.OSImage))
		}
		page.WriteByte('\n')
	}
	page.WriteString("| verdict | trait | subject | statement | time |\n|---|---|---|---|---|\n")
	for _, result := range run.Results {
		fmt.Fprintf(&page, "| %s | %s | %s | %s | %.1f s |\n", result.Verdict, cell(result.Trait), cell(result.Subject), cell(result.Statement), result.Seconds)
	}
	for _, planned := range run.NotRun() {
		fmt.Fprintf(&page, "| %s | %s | %s | | |\n", NotRun, cell(planned.Trait), cell(planned.Subject))
	}
	for _, result := range run.Results {
		if result.Verdict != Conformant {
			writeFailure(&page, result)
		}
	}
	writeLooseness(&page, run)
	return page.Bytes(), nil
}

func writeFailure(page *bytes.Buffer, result Result) {
	fmt.Fprintf(page, "\n## %s: %s\n\n%s\n", cell(result.Trait), result.Verdict, cell(result.Reason))
	for _, detail := range []struct{ label, value string }{
		{"Expected", result.Statement}, {"Probable cause", result.Cause}, {"Next step", result.NextStep},
	} {
		if detail.value != "" {
			fmt.Fprintf(page, "\n- %s: %s\n", detail.label, cell(detail.value))
		}
	}
	writeBlock(page, evidenceText(result))
	if result.Diagnosis != "" {
		writeBlock(page, result.Diagnosis)
	}
}

// writeLooseness says where the article's words are loose, so that its reader is not misled.
func writeLooseness(page *bytes.Buffer, run Run) {
	var notes []string
	for _, result := range run.Results {
		if result.Article != "" {
			notes = append(notes, fmt.Sprintf("- %s: %s\n", cell(result.Trait), cell(result.Article)))
		}
	}
	if len(notes) > 0 {
		fmt.Fprintf(page, "\n## Where the article is loose\n\n%s", strings.Join(notes, ""))
	}
}

// cell makes text safe inside a table cell or a line: no markup of its own, one line.
func cell(raw string) string {
	return strings.NewReplacer("\n", " ", "\t", " ", "\\", "\\\\", "|", "\\|", "<", "&lt;", "&", "&amp;", "`", "\\`",
		"*", "\\*", "[", "\\[", "#", "\\#").Replace(text(raw))
}

// writeBlock writes text as an indented code block: no content can end it.
func writeBlock(page *bytes.Buffer, raw string) {
	const longest = 16 << 10
	if len(raw) > longest {
		raw = raw[:longest] + "\n(cut)"
	}
	page.WriteByte('\n')
	for line := range strings.Lines(text(raw)) {
		page.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
	}
}

// evidenceText is what a result rests on, as a terminal would show it.
func evidenceText(result Result) string {
	var out strings.Builder
	for _, part := range []struct {
		name     string
		evidence []Evidence
	}{{"evidence", result.Evidence}, {"control", result.Control}} {
		for _, each := range part.evidence {
			fmt.Fprintf(&out, "%s: %s\n%s $ %s\n", part.name, each.Title, each.Where, each.Command)
			for _, process := range each.Processes {
				fmt.Fprintf(&out, "%7d %7d %6d %s %s\n", process.PID, process.PPID, process.UID, process.State, strings.Join(process.Arguments, " "))
			}
			if each.Output != "" {
				out.WriteString(strings.TrimRight(each.Output, "\n") + "\n")
			}
			if each.ExitCode != nil && *each.ExitCode != 0 {
				fmt.Fprintf(&out, "(exit code %d %s)\n", *each.ExitCode, each.Errno)
			}
		}
	}
	return out.String()
}
