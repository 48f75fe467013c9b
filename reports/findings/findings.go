// Package findings writes the page about the runtimes of a run, in GitHub's dialect of Markdown.
package findings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
	"sharedpid.example/reports/internal/markup"
	"sharedpid.example/reports/internal/transcript"
)

const (
	// What an excerpt shows of an observation, of a text in it and of a process's arguments; the whole is in the run.
	observationLength = 8 << 10
	outputLength      = 400
	argumentsLength   = 60
)

// Render returns the page about the runtimes of a run: how each trait came out under each of them, every deviation with its
// evidence, source and consequence, and who may do what.
func Render(run reports.Run) ([]byte, error) {
	run = run.Complete()
	outcomes := run.Outcomes()
	var page strings.Builder
	page.WriteString("# What real runtimes make of a shared process namespace\n\n" +
		"Generated from a run by `make findings`. Change the list of known deviations and run again, not this page.\n")
	writeFacts(&page, run)
	page.WriteString("\n## Every trait under every runtime\n\n")
	observed := map[reports.Planned]string{} // what was seen, where the list of known deviations has words of its own
	for _, result := range run.Results {
		observed[result.Planned()] = result.Reason
	}
	names := map[string]string{}
	for _, target := range run.Targets {
		names[target.ID] = heading(target)
	}
	targets := reports.TargetColumns(run.Targets, outcomes)
	headings := make([]string, len(targets))
	for at, target := range targets {
		headings[at] = names[target]
	}
	markup.Grid(&page, headings, reports.Grid(outcomes, targets))
	shown := map[string]string{} // access matrices, by whose they are
	for _, target := range run.Targets {
		fmt.Fprintf(&page, "\n## %s\n", heading(target))
		var own []reports.Result
		for _, outcome := range outcomes {
			if outcome.Target == target.ID {
				own = append(own, outcome)
			}
		}
		fmt.Fprintf(&page, "\n%s.\n", reports.CountVerdicts(own))
		for _, outcome := range reports.ByAttention(own) {
			if outcome.Verdict != reports.Conformant && outcome.Verdict != reports.Unsupported {
				writeFinding(&page, outcome, observed[outcome.Planned()])
			}
		}
		writeUnsupported(&page, own)
		if matrix := accessTable(own); matrix != "" {
			page.WriteString("\n### Who may do what\n\n")
			if same, found := shown[matrix]; found {
				fmt.Fprintf(&page, "In every cell as under %s.\n", same)
				continue
			}
			shown[matrix] = heading(target)
			page.WriteString("Callers stand on the left. Bold is what differs from Linux; in brackets stands what forbids more than " +
				"Linux does by itself.\n\n" + matrix)
		}
	}
	return []byte(page.String()), nil
}

func heading(target reports.Target) string {
	return markup.Text(strings.TrimSpace(target.RuntimeName() + " " + target.Version()))
}

func writeFacts(page *strings.Builder, run reports.Run) {
	page.WriteByte('\n')
	facts := []reports.Line{
		{Name: "Verdict", Value: run.VerdictText() + ", " + run.Reason}, {Name: "Profile", Value: run.Profile},
		{Name: "May Pods share here", Value: run.PermissionText()},
		{Name: "Narrowed by", Value: run.NarrowedText()}, {Name: "Not looked at", Value: run.LeftOutText()},
		{Name: "Limits changed", Value: run.LimitsText()},
		{Name: "Adapted", Value: run.AdaptedText()},
		{Name: "Day", Value: run.Start.UTC().Format(time.DateOnly)}, {Name: "Kubernetes", Value: run.Cluster.KubernetesVersion},
	}
	for _, target := range run.Targets {
		facts = append(facts, reports.Line{Name: target.RuntimeName(), Value: fmt.Sprintf("%s under %s, kernel %s, cgroup %s",
			target.Version(), target.Runtime, target.Kernel, target.CgroupVersion)})
	}
	for _, fact := range facts {
		if fact.Value != "" {
			fmt.Fprintf(page, "- **%s:** %s\n", markup.Text(fact.Name), markup.Text(fact.Value))
		}
	}
}

// Entry is what the page says of a deviation that was recorded.
func Entry(deviation reports.Deviation) string {
	var text strings.Builder
	fmt.Fprintf(&text, "### %s\n\nInstead: %s.\n\n", markup.Text(deviation.Trait), markup.Text(deviation.Reason))
	if deviation.Consequence != "" {
		fmt.Fprintf(&text, "- **Consequence:** %s\n", markup.Text(deviation.Consequence))
	}
	fmt.Fprintf(&text, "- **See:** %s\n", markup.Link(deviation.Link))
	return text.String()
}

func writeFinding(page *strings.Builder, outcome reports.Result, observed string) {
	page.WriteByte('\n')
	switch outcome.Verdict {
	case reports.KnownDeviation:
		page.WriteString(Entry(*outcome.KnownDeviation))
	case reports.Resolved:
		fmt.Fprintf(page, "### %s\n\nResolved: %s.\n\n", markup.Text(outcome.Trait), markup.Text(outcome.Reason))
	default:
		fmt.Fprintf(page, "### %s\n\nNot in the list of known deviations: %s, %s.\n\n",
			markup.Text(outcome.Trait), markup.Text(outcome.VerdictText()), markup.Short(outcome.Reason, markup.Sentence))
	}
	fmt.Fprintf(page, "- **The trait:** %s\n", markup.Text(outcome.Statement))
	for _, source := range outcome.Sources {
		fmt.Fprintf(page, "- **It follows from:** %s\n", markup.Link(source))
	}
	if outcome.Verdict == reports.KnownDeviation {
		fmt.Fprintf(page, "- **Observed:** %s\n", markup.Short(observed, markup.Cell))
	}
	markup.Fold(page, excerpt(outcome))
}

// excerpt is an excerpt of what a verdict rests on: of an access matrix only what differs from the rules.
func excerpt(outcome reports.Result) string {
	var text strings.Builder
	write := func(prefix string, all []reports.Evidence) {
		for i, evidence := range all {
			if i+1 < len(all) && all[i+1].Title == evidence.Title && all[i+1].Where == evidence.Where {
				continue // the next look repeats it
			}
			evidence.Output = transcript.Limit(evidence.Output, outputLength)
			evidence.Access = slices.DeleteFunc(slices.Clone(evidence.Access), func(access reports.Access) bool {
				return access.Want == access.Observed
			})
			evidence.Processes = slices.Clone(evidence.Processes)
			for at := range evidence.Processes {
				evidence.Processes[at].Arguments = []string{legible.Shorten(strings.Join(evidence.Processes[at].Arguments, " "), argumentsLength)}
			}
			if shown := transcript.Of(evidence, observationLength); shown != "" {
				fmt.Fprintf(&text, "== %s%s\n%s", prefix, transcript.Title(evidence), shown)
			}
		}
	}
	write("", outcome.Evidence)
	write("control: ", outcome.Control)
	return text.String()
}

func writeUnsupported(page *strings.Builder, outcomes []reports.Result) {
	for _, outcome := range outcomes {
		if outcome.Verdict == reports.Unsupported {
			fmt.Fprintf(page, "\nUnsupported, %s: %s.\n", markup.Text(outcome.Trait), markup.Text(outcome.Reason))
		}
	}
}

// accessTable returns the largest access matrix of a target as a table: callers by targets, and in bold what differs
// from the kernel's rules. It is empty when there is none.
func accessTable(outcomes []reports.Result) string {
	var matrix []reports.Access
	for _, outcome := range outcomes {
		for _, evidence := range outcome.Evidence {
			if len(evidence.Access) > len(matrix) {
				matrix = evidence.Access
			}
		}
	}
	if len(matrix) == 0 {
		return ""
	}
	var callers, targets []string
	cells := map[[2]string][]reports.Access{}
	for _, access := range matrix {
		if !slices.Contains(callers, access.Caller) {
			callers = append(callers, access.Caller)
		}
		if !slices.Contains(targets, access.Target) {
			targets = append(targets, access.Target)
		}
		cell := [2]string{access.Caller, access.Target}
		cells[cell] = append(cells[cell], access)
	}
	var table strings.Builder
	table.WriteString("| |")
	for _, target := range targets {
		fmt.Fprintf(&table, " %s |", markup.Text(target))
	}
	fmt.Fprintf(&table, "\n|---|%s\n", strings.Repeat("---|", len(targets)))
	for _, caller := range callers {
		fmt.Fprintf(&table, "| %s |", markup.Text(caller))
		for _, target := range targets {
			fmt.Fprintf(&table, " %s |", accessCell(cells[[2]string{caller, target}]))
		}
		table.WriteByte('\n')
	}
	return table.String()
}

// accessCell says in a few words what one caller may do to one target.
func accessCell(accesses []reports.Access) string {
	byOutcome := map[string][]string{}
	var outcomes, differing []string
	for _, access := range accesses {
		if access.Observed != access.Want {
			differing = append(differing, fmt.Sprintf("**%s %s, on Linux %s**",
				markup.Text(access.Operation), markup.Text(access.Observed), markup.Text(access.Want)))
			continue
		}
		if byOutcome[access.Observed] == nil {
			outcomes = append(outcomes, access.Observed)
		}
		operation := access.Operation
		if access.Narrowed != "" {
			operation += " (" + access.Narrowed + ")"
		}
		byOutcome[access.Observed] = append(byOutcome[access.Observed], markup.Text(operation))
	}
	if len(outcomes) == 1 && len(differing) == 0 {
		return "all " + markup.Text(outcomes[0])
	}
	slices.SortFunc(outcomes, func(a, b string) int { return cmp.Compare(b, a) }) // "allowed" before the errnos
	var parts []string
	for _, outcome := range outcomes {
		parts = append(parts, fmt.Sprintf("%s: %s", markup.Text(outcome), strings.Join(byOutcome[outcome], ", ")))
	}
	return strings.Join(append(parts, differing...), "<br>")
}
