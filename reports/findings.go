package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	// What an excerpt shows of an observation, of a text in it and of a process's arguments; the whole is in the run.
	findingObservation = 8 << 10
	findingOutput      = 400
	findingArguments   = 60
)

// Findings returns the page about the runtimes of a run, in Markdown: how each trait came out under each of them,
// every deviation with its evidence, source and consequence, and who may do what.
func Findings(run Run) []byte {
	run = complete(run)
	outcomes := run.besideList()
	var page strings.Builder
	fmt.Fprintf(&page, "# What real runtimes make of a shared process namespace\n\nGenerated from a run by `make findings`. Change the list of expected deviations and run again, not this page.\n")
	writeFindingFacts(&page, run)
	page.WriteString("\n## Every trait under every runtime\n\n")
	names := map[string]string{}
	for _, subject := range run.Subjects {
		names[subject.ID] = findingHeading(subject)
	}
	writeFindingGrid(&page, run.Subjects, outcomes, names)
	shown := map[string]string{} // access matrices, by whose they are
	for _, subject := range run.Subjects {
		fmt.Fprintf(&page, "\n## %s\n", findingHeading(subject))
		var own []Result
		for _, outcome := range outcomes {
			if outcome.Subject == subject.ID {
				own = append(own, outcome)
			}
		}
		fmt.Fprintf(&page, "\n%s.\n", countText(countVerdicts(own)))
		for _, outcome := range byAttention(own) {
			if outcome.Verdict != Conformant && outcome.Verdict != Unsupported {
				writeFinding(&page, outcome)
			}
		}
		writeFindingUnsupported(&page, own)
		if matrix := findingAccess(own); matrix != "" {
			page.WriteString("\n### Who may do what\n\n")
			if same, found := shown[matrix]; found {
				fmt.Fprintf(&page, "In every cell as under %s.\n", same)
				continue
			}
			shown[matrix] = findingHeading(subject)
			page.WriteString("Callers stand on the left. Bold is what differs from Linux; in brackets stands what forbids more than Linux does by itself.\n\n" + matrix)
		}
	}
	return []byte(page.String())
}

func findingHeading(subject Subject) string {
	return markdownText(strings.TrimSpace(subject.RuntimeName() + " " + subject.Version()))
}

func writeFindingFacts(page *strings.Builder, run Run) {
	page.WriteByte('\n')
	facts := []namedText{
		{"Profile", run.Profile}, {"Selection", run.Selection}, {"Day", run.Start.UTC().Format("2006-01-02")}, {"Kubernetes", run.Cluster.KubernetesVersion},
	}
	for _, subject := range run.Subjects {
		facts = append(facts, namedText{subject.RuntimeName(), fmt.Sprintf("%s under %s, kernel %s, cgroup %s", subject.Version(), subject.Runtime, subject.Kernel, subject.CgroupVersion)})
	}
	for _, fact := range facts {
		if fact.value != "" {
			fmt.Fprintf(page, "- **%s:** %s\n", markdownText(fact.name), markdownText(fact.value))
		}
	}
}

// writeFindingGrid writes traits by subjects; the words for what is not conformant stand in the cells.
func writeFindingGrid(page *strings.Builder, known []Subject, outcomes []Result, names map[string]string) {
	subjects := subjectColumns(known, outcomes)
	page.WriteString("| Trait |")
	for _, subject := range subjects {
		fmt.Fprintf(page, " %s |", names[subject])
	}
	fmt.Fprintf(page, "\n|---|%s\n", strings.Repeat("---|", len(subjects)))
	for _, row := range grid(outcomes, subjects) {
		fmt.Fprintf(page, "| %s |", markdownText(row.trait))
		for _, verdict := range row.verdicts {
			switch verdict {
			case "":
				page.WriteString("  |")
			case Conformant:
				fmt.Fprintf(page, " %s |", symbols[verdict])
			default:
				fmt.Fprintf(page, " %s %s |", symbols[verdict], verdict)
			}
		}
		page.WriteByte('\n')
	}
}

// FindingText is what the page says of a deviation that was recorded.
func FindingText(deviation Deviation) string {
	var text strings.Builder
	fmt.Fprintf(&text, "### %s\n\nInstead: %s.\n\n", markdownText(deviation.Trait), markdownText(deviation.Reason))
	if deviation.Consequence != "" {
		fmt.Fprintf(&text, "- **Consequence:** %s\n", markdownText(deviation.Consequence))
	}
	fmt.Fprintf(&text, "- **See:** <%s>\n", deviation.Link)
	return text.String()
}

func writeFinding(page *strings.Builder, outcome Result) {
	page.WriteByte('\n')
	switch outcome.Verdict {
	case Expected:
		page.WriteString(FindingText(*outcome.Deviation))
	case Vanished:
		fmt.Fprintf(page, "### %s\n\nVanished: %s.\n\n", markdownText(outcome.Trait), markdownText(oneLine(outcome.Reason)))
	default:
		fmt.Fprintf(page, "### %s\n\nNot in the list of expected deviations: %s, %s.\n\n",
			markdownText(outcome.Trait), outcome.Verdict, markdownText(shorten(oneLine(outcome.Reason), markdownLine)))
	}
	fmt.Fprintf(page, "- **The trait:** %s\n", markdownText(outcome.Statement))
	for _, source := range outcome.Sources {
		fmt.Fprintf(page, "- **It follows from:** <%s>\n", source)
	}
	if outcome.Observed != "" {
		fmt.Fprintf(page, "- **Observed:** %s\n", markdownText(shorten(oneLine(outcome.Observed), markdownCell)))
	}
	writeMarkdownEvidence(page, findingEvidence(outcome))
}

// findingEvidence is an excerpt of what a verdict rests on: of an access matrix only what differs from the rules.
func findingEvidence(outcome Result) string {
	var text strings.Builder
	write := func(prefix string, all []Evidence) {
		for i, evidence := range all {
			if i+1 < len(all) && all[i+1].Title == evidence.Title && all[i+1].Where == evidence.Where {
				continue // the next look repeats it
			}
			evidence.Output = limitBytes(evidence.Output, findingOutput)
			evidence.Access = slices.DeleteFunc(slices.Clone(evidence.Access), func(access Access) bool { return access.Expected == access.Observed })
			evidence.Processes = slices.Clone(evidence.Processes)
			for at := range evidence.Processes {
				evidence.Processes[at].Arguments = []string{shorten(strings.Join(evidence.Processes[at].Arguments, " "), findingArguments)}
			}
			if shown := evidenceText(evidence, findingObservation); shown != "" {
				fmt.Fprintf(&text, "== %s%s\n%s", prefix, evidenceTitle(evidence), shown)
			}
		}
	}
	write("", outcome.Evidence)
	write("control: ", outcome.Control)
	return text.String()
}

func writeFindingUnsupported(page *strings.Builder, outcomes []Result) {
	for _, outcome := range outcomes {
		if outcome.Verdict == Unsupported {
			fmt.Fprintf(page, "\nUnsupported, %s: %s.\n", markdownText(outcome.Trait), markdownText(oneLine(outcome.Reason)))
		}
	}
}

// findingAccess returns the largest access matrix of a subject as a table: callers by targets, and in bold what differs
// from the kernel's rules. It is empty when there is none.
func findingAccess(outcomes []Result) string {
	var matrix []Access
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
	cells := map[[2]string][]Access{}
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
		fmt.Fprintf(&table, " %s |", markdownText(target))
	}
	fmt.Fprintf(&table, "\n|---|%s\n", strings.Repeat("---|", len(targets)))
	for _, caller := range callers {
		fmt.Fprintf(&table, "| %s |", markdownText(caller))
		for _, target := range targets {
			fmt.Fprintf(&table, " %s |", findingCell(cells[[2]string{caller, target}]))
		}
		table.WriteByte('\n')
	}
	return table.String()
}

// findingCell says in a few words what one caller may do to one target.
func findingCell(accesses []Access) string {
	byOutcome := map[string][]string{}
	var outcomes, differing []string
	for _, access := range accesses {
		if access.Observed != access.Expected {
			differing = append(differing, fmt.Sprintf("**%s %s, on Linux %s**", markdownText(access.Operation), markdownText(access.Observed), markdownText(access.Expected)))
			continue
		}
		if byOutcome[access.Observed] == nil {
			outcomes = append(outcomes, access.Observed)
		}
		operation := access.Operation
		if access.Narrowed != "" {
			operation += " (" + access.Narrowed + ")"
		}
		byOutcome[access.Observed] = append(byOutcome[access.Observed], markdownText(operation))
	}
	if len(outcomes) == 1 && len(differing) == 0 {
		return "all " + markdownText(outcomes[0])
	}
	slices.SortFunc(outcomes, func(a, b string) int { return cmp.Compare(b, a) }) // "allowed" before the errnos
	var parts []string
	for _, outcome := range outcomes {
		parts = append(parts, fmt.Sprintf("%s: %s", markdownText(outcome), strings.Join(byOutcome[outcome], ", ")))
	}
	return strings.Join(append(parts, differing...), "<br>")
}
