// Package matrix writes the page that says where each trait holds, traits by the versions of what ran the Pods, in GitHub's dialect
// of Markdown.
package matrix

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/markup"
)

// Named is a run with the name that the page calls it by.
type Named struct {
	Name string
	Run  reports.Run
}

// column is one target of a run, which the page calls by a number.
type column struct {
	number   int
	name     string
	run      reports.Run
	target   reports.Target
	outcomes []reports.Result
}

// Render returns the page about runs: what each of their targets is made of, which traits hold on all of them, and for each other one
// where it does not, with the reason.
func Render(runs []Named) []byte {
	var columns []column
	for _, named := range runs {
		run := named.Run.Complete()
		outcomes := run.Outcomes()
		for _, target := range run.Targets {
			own := slices.DeleteFunc(slices.Clone(outcomes), func(outcome reports.Result) bool { return outcome.Target != target.ID })
			columns = append(columns, column{number: len(columns) + 1, name: named.Name, run: run, target: target, outcomes: own})
		}
	}
	var page strings.Builder
	page.WriteString("# Where each trait holds\n\nGenerated from runs by `sharedpid matrix`: run it again, and do not change this page.\n" +
		"\n## What was run\n\n")
	markup.Row(&page, "", "Run", "Kubernetes", "Runtime", "RuntimeClass", "Kernel", "cgroup", "Profile", "Verdicts", "Day")
	page.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, column := range columns {
		target := column.target
		markup.Row(&page, strconv.Itoa(column.number), column.name, target.Kubelet, target.Runtime,
			strings.TrimSpace(target.RuntimeClass+" "+target.RuntimeVersion), target.Kernel, target.CgroupVersion, column.profile(),
			reports.CountVerdicts(column.outcomes).String(), column.run.Start.UTC().Format(time.DateOnly))
	}
	writeUnfinished(&page, runs)
	writeTraits(&page, columns)
	return []byte(page.String())
}

// profile is the profile of a column's run, and that it was narrowed where it was.
func (column column) profile() string {
	if column.run.Partial() {
		return column.run.Profile + ", in part"
	}
	return column.run.Profile
}

// writeUnfinished names the runs that have no column: they ended before there was a target.
func writeUnfinished(page *strings.Builder, runs []Named) {
	for _, named := range runs {
		if len(named.Run.Targets) == 0 {
			fmt.Fprintf(page, "\nNothing was checked in %s: %s.\n", markup.Text(named.Name), markup.Short(named.Run.Problem(), markup.Sentence))
		}
	}
}

// writeTraits writes the traits that do not hold everywhere, by columns and each with its reasons, and then the others.
func writeTraits(page *strings.Builder, columns []column) {
	byTrait := map[string][]cell{}
	for _, column := range columns {
		for _, outcome := range column.outcomes {
			byTrait[outcome.Trait] = append(byTrait[outcome.Trait], cell{column.number, outcome})
		}
	}
	var differing, holding []string
	for trait, cells := range byTrait {
		if slices.ContainsFunc(cells, func(cell cell) bool { return cell.outcome.Verdict != reports.Conformant }) {
			differing = append(differing, trait)
		} else {
			holding = append(holding, trait)
		}
	}
	slices.Sort(differing)
	slices.Sort(holding)
	if len(differing) > 0 {
		page.WriteString("\n## What does not hold everywhere\n\nAn empty field: the trait was not checked there.\n\n")
		writeGrid(page, len(columns), differing, byTrait)
		for _, trait := range differing {
			writeReasons(page, trait, byTrait[trait])
		}
	}
	if len(holding) > 0 {
		fmt.Fprintf(page, "\n## What holds everywhere\n\nConformant wherever it was checked, with how often of %d:\n\n", len(columns))
		for _, trait := range holding {
			fmt.Fprintf(page, "- %s (%d)\n", markup.Text(trait), len(byTrait[trait]))
		}
	}
}

// cell is the outcome of a trait in a column.
type cell struct {
	column  int
	outcome reports.Result
}

func writeGrid(page *strings.Builder, columns int, traits []string, byTrait map[string][]cell) {
	header := []string{"Trait"}
	for number := range columns {
		header = append(header, strconv.Itoa(number+1))
	}
	markup.Row(page, header...)
	page.WriteString(strings.Repeat("|---", len(header)) + "|\n")
	for _, trait := range traits {
		row := make([]string, len(header))
		row[0] = trait
		for _, cell := range byTrait[trait] {
			row[cell.column] = markup.Symbol(cell.outcome.Verdict)
		}
		markup.Row(page, row...)
	}
}

// writeReasons says of a trait why it does not hold where it does not: columns with one reason stand together.
func writeReasons(page *strings.Builder, trait string, cells []cell) {
	fmt.Fprintf(page, "\n### %s\n\n", markup.Text(trait))
	// What was not run has no statement.
	if at := slices.IndexFunc(cells, func(cell cell) bool { return cell.outcome.Statement != "" }); at >= 0 {
		fmt.Fprintf(page, "%s\n\n", markup.Text(cells[at].outcome.Statement))
	}
	var sentences []string
	numbers := map[string][]string{}
	for _, cell := range cells {
		if cell.outcome.Verdict == reports.Conformant {
			continue
		}
		sentence := reason(cell.outcome)
		if numbers[sentence] == nil {
			sentences = append(sentences, sentence)
		}
		numbers[sentence] = append(numbers[sentence], strconv.Itoa(cell.column))
	}
	for _, sentence := range sentences {
		fmt.Fprintf(page, "- **%s:** %s\n", strings.Join(numbers[sentence], ", "), sentence)
	}
}

// reason is what the page says of an outcome that is not conformant: of a known deviation what the list has, which does not change
// from run to run.
func reason(outcome reports.Result) string {
	words := fmt.Sprintf("%s %s, ", markup.Symbol(outcome.Verdict), markup.Text(string(outcome.Verdict)))
	if known := outcome.KnownDeviation; outcome.Verdict == reports.KnownDeviation && known != nil {
		return fmt.Sprintf("%s%s. See %s", words, markup.Text(known.Reason), markup.Link(known.Link))
	}
	return words + markup.Short(outcome.Reason, markup.Sentence)
}
