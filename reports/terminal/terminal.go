// Package terminal writes the short table that ends a run.
package terminal

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-isatty"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

// colours are the terminal's own, so that they fit its background.
var colours = map[reports.Verdict]string{
	reports.Conformant: "32", reports.Nonconformant: "31", reports.Inconclusive: "33", reports.Unsupported: "36", reports.NotRun: "35",
	reports.KnownDeviation: "36", reports.Resolved: "31",
}

// reasonLength is how much of a reason fits in a line of the table; the whole is in the reports.
const reasonLength = 100

// columnWidth is that of a verdict in a grid: the longest one fits.
const columnWidth = len(reports.KnownDeviation)

// Colour reports whether what is written to the file should be coloured: it is a terminal that knows
// colours, and nobody asked for none (no-color.org).
func Colour(file *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" &&
		(isatty.IsTerminal(file.Fd()) || isatty.IsCygwinTerminal(file.Fd()))
}

// Render writes the short table that ends a run: each trait with its verdict, time and, where it is not conformant,
// the reason; then what was left out, how long the phases took, the counts and the overall verdict. Its error is that
// of the writer.
func Render(to io.Writer, run reports.Run, colour bool) error {
	run = run.Complete()
	outcomes := run.Outcomes()
	paint := painter(colour)
	var text strings.Builder
	writeNote(&text, "may Pods share here", run.PermissionText())
	shown, grouped := outcomes, reports.TooManyTargets(outcomes)
	if grouped {
		shown = writeKinds(&text, run.ByKind(), outcomes)
	}
	writeTable(&text, run.Targets, shown, grouped, paint)
	writeNote(&text, "narrowed by", run.NarrowedText())
	writeNote(&text, "not looked at", run.LeftOutText())
	writeNote(&text, "limits changed", run.LimitsText())
	writeNote(&text, "adapted", run.AdaptedText())
	writePhases(&text, run.Phases)
	fmt.Fprintf(&text, "%s\n", reports.CountVerdicts(outcomes).String())
	fmt.Fprintf(&text, "%s: %s\n", paint(run.Verdict, run.VerdictText()), legible.Line(run.Reason))
	_, err := io.WriteString(to, text.String())
	return err
}

// painter returns what colours a text as the verdict that it tells of.
func painter(colour bool) func(reports.Verdict, string) string {
	if !colour {
		return func(_ reports.Verdict, text string) string { return text }
	}
	return func(verdict reports.Verdict, text string) string {
		return "\x1b[" + colours[verdict] + "m" + text + "\x1b[0m"
	}
}

func writeNote(text *strings.Builder, name, value string) {
	if value != "" {
		fmt.Fprintf(text, "%s: %s\n", name, value)
	}
}

// mostOutliers is how many targets are named that differ from their kind; the others are in the reports.
const mostOutliers = 10

// writeKinds writes how the targets of each kind came out, outliers first, and returns what is not conformant with targets that came out
// alike as one.
func writeKinds(text *strings.Builder, groups []reports.KindOutcomes, outcomes []reports.Result) []reports.Result {
	for _, group := range groups {
		for i, outlier := range group.Outliers {
			if i == mostOutliers {
				fmt.Fprintf(text, "%d more differ from %s\n", len(group.Outliers)-i, group.Label)
				break
			}
			fmt.Fprintln(text, outlier.Text())
		}
	}
	for _, group := range groups {
		fmt.Fprintf(text, "%s (%s)\n", group.Text(), legible.Shorten(group.Kind.String(), reasonLength))
	}
	return slices.DeleteFunc(reports.Merge(groups, outcomes), func(outcome reports.Result) bool { return outcome.Verdict == reports.Conformant })
}

func writeTable(text *strings.Builder, known []reports.Target, outcomes []reports.Result, grouped bool, paint func(reports.Verdict, string) string) {
	ran := func(outcome reports.Result) bool { return outcome.Verdict != reports.NotRun }
	if !slices.ContainsFunc(outcomes, ran) {
		return // one line says so, and the counts say of how many
	}
	several := grouped || reports.SeveralTargets(outcomes)
	if reports.FitsGrid(outcomes) && !grouped {
		writeGrid(text, known, outcomes, paint)
		outcomes = slices.DeleteFunc(slices.Clone(outcomes), func(outcome reports.Result) bool { return outcome.Verdict == reports.Conformant })
	}
	var verdicts, traits, targets, lengths int
	for _, outcome := range outcomes {
		verdicts = max(verdicts, utf8.RuneCountInString(outcome.VerdictText()))
		traits = max(traits, utf8.RuneCountInString(legible.Line(outcome.Trait)))
		targets = max(targets, utf8.RuneCountInString(legible.Line(outcome.Target)))
		lengths = max(lengths, len(duration(outcome)))
	}
	for _, outcome := range outcomes {
		// Padded by hand: a tabwriter would count the colours as characters.
		verdict := outcome.VerdictText()
		padding := strings.Repeat(" ", verdicts-utf8.RuneCountInString(verdict))
		fmt.Fprintf(text, "%s%s  %-*s", paint(outcome.Verdict, verdict), padding, traits, legible.Line(outcome.Trait))
		if several {
			fmt.Fprintf(text, "  %-*s", targets, legible.Line(outcome.Target))
		}
		fmt.Fprintf(text, "  %*s", lengths, duration(outcome))
		if reason := legible.Line(outcome.Reason); outcome.Verdict != reports.Conformant && reason != "" {
			fmt.Fprintf(text, "  %s", legible.Shorten(reason, reasonLength))
		}
		text.WriteByte('\n')
	}
}

// duration is how long an outcome took, empty for what did not run.
func duration(outcome reports.Result) string {
	if outcome.Verdict == reports.NotRun {
		return ""
	}
	return legible.Duration(outcome.Seconds)
}

// writeGrid writes a row for each trait with a column for each target.
func writeGrid(text *strings.Builder, known []reports.Target, outcomes []reports.Result, paint func(reports.Verdict, string) string) {
	targets := reports.TargetColumns(known, outcomes)
	rows := reports.Grid(outcomes, targets)
	traits := 0
	for _, row := range rows {
		traits = max(traits, utf8.RuneCountInString(legible.Line(row.Trait)))
	}
	header := fmt.Sprintf("%-*s", traits, "")
	for _, target := range targets {
		header += fmt.Sprintf("  %-*s", columnWidth, legible.Line(target))
	}
	fmt.Fprintln(text, strings.TrimRight(header, " "))
	for _, row := range rows {
		fmt.Fprintf(text, "%-*s", traits, legible.Line(row.Trait))
		for number, verdict := range row.Verdicts {
			if number > 0 {
				width := max(columnWidth, utf8.RuneCountInString(legible.Line(targets[number-1])))
				text.WriteString(strings.Repeat(" ", width-len(row.Verdicts[number-1])))
			}
			fmt.Fprintf(text, "  %s", paint(verdict, string(verdict)))
		}
		text.WriteByte('\n')
	}
}

func writePhases(text *strings.Builder, phases []reports.Phase) {
	var parts []string
	for _, phase := range phases {
		if legible.Duration(phase.Seconds) == legible.Duration(0) {
			continue // what took no time, such as to reach a cluster that does not answer, is no news
		}
		parts = append(parts, fmt.Sprintf("%s %s", legible.Line(phase.Name), legible.Duration(phase.Seconds)))
	}
	if len(parts) > 0 {
		fmt.Fprintf(text, "phases: %s\n", strings.Join(parts, ", "))
	}
}
