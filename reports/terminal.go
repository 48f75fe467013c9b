package reports

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-isatty"
)

// colours are the terminal's own, so that they fit its background.
var colours = map[Verdict]string{Conformant: "32", Nonconformant: "31", Inconclusive: "33", Unsupported: "36", NotRun: "35", Expected: "36", Vanished: "31"}

// terminalReason is how much of a reason fits in a line of the table; the whole is in the reports.
const terminalReason = 100

// Colour reports whether what is written to the file should be coloured: it is a terminal that knows
// colours, and nobody asked for none (no-color.org).
func Colour(file *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" &&
		(isatty.IsTerminal(file.Fd()) || isatty.IsCygwinTerminal(file.Fd()))
}

// WriteTerminal writes the short table that ends a run: each trait with its verdict, time and, where it is not conformant,
// the reason; then how long the phases took, the counts and the overall verdict.
func WriteTerminal(to io.Writer, run Run, colour bool) error {
	run = complete(run)
	outcomes := run.besideList()
	paint := painter(colour)
	var text strings.Builder
	writeTerminalTable(&text, run.Subjects, outcomes, paint)
	writeTerminalPhases(&text, run.Phases)
	fmt.Fprintf(&text, "%s\n", countText(countVerdicts(outcomes)))
	fmt.Fprintf(&text, "%s: %s\n", paint(run.Verdict), oneLine(run.Reason))
	_, err := io.WriteString(to, text.String())
	return err
}

func painter(colour bool) func(Verdict) string {
	if !colour {
		return func(verdict Verdict) string { return string(verdict) }
	}
	return func(verdict Verdict) string { return "\x1b[" + colours[verdict] + "m" + string(verdict) + "\x1b[0m" }
}

func writeTerminalTable(text *strings.Builder, known []Subject, outcomes []Result, paint func(Verdict) string) {
	if len(outcomes) == 0 {
		return
	}
	several := severalSubjects(outcomes)
	if wantsGrid(outcomes) {
		writeTerminalGrid(text, known, outcomes, paint)
		outcomes = slices.DeleteFunc(slices.Clone(outcomes), func(outcome Result) bool { return outcome.Verdict == Conformant })
	}
	var traits, subjects int
	for _, outcome := range outcomes {
		traits = max(traits, utf8.RuneCountInString(oneLine(outcome.Trait)))
		subjects = max(subjects, utf8.RuneCountInString(oneLine(outcome.Subject)))
	}
	for _, outcome := range outcomes {
		length := ""
		if outcome.Verdict != NotRun {
			length = readableSeconds(outcome.Seconds)
		}
		// Padded by hand: a tabwriter would count the colours as characters.
		padding := strings.Repeat(" ", len(Nonconformant)-len(outcome.Verdict))
		fmt.Fprintf(text, "%s%s  %-*s", paint(outcome.Verdict), padding, traits, oneLine(outcome.Trait))
		if several {
			fmt.Fprintf(text, "  %-*s", subjects, oneLine(outcome.Subject))
		}
		fmt.Fprintf(text, "  %7s", length)
		if reason := oneLine(outcome.Reason); outcome.Verdict != Conformant && reason != "" {
			fmt.Fprintf(text, "  %s", shorten(reason, terminalReason))
		}
		text.WriteByte('\n')
	}
}

// writeTerminalGrid writes a row for each trait with a column for each subject.
func writeTerminalGrid(text *strings.Builder, known []Subject, outcomes []Result, paint func(Verdict) string) {
	subjects := subjectColumns(known, outcomes)
	rows := grid(outcomes, subjects)
	traits := 0
	for _, row := range rows {
		traits = max(traits, utf8.RuneCountInString(oneLine(row.trait)))
	}
	header := fmt.Sprintf("%-*s", traits, "")
	for _, subject := range subjects {
		header += fmt.Sprintf("  %-*s", len(Nonconformant), oneLine(subject))
	}
	fmt.Fprintln(text, strings.TrimRight(header, " "))
	for _, row := range rows {
		fmt.Fprintf(text, "%-*s", traits, oneLine(row.trait))
		for number, verdict := range row.verdicts {
			if number > 0 {
				width := max(len(Nonconformant), utf8.RuneCountInString(oneLine(subjects[number-1])))
				text.WriteString(strings.Repeat(" ", width-len(row.verdicts[number-1])))
			}
			fmt.Fprintf(text, "  %s", paint(verdict))
		}
		text.WriteByte('\n')
	}
}

func writeTerminalPhases(text *strings.Builder, phases []Phase) {
	var parts []string
	for _, phase := range phases {
		parts = append(parts, fmt.Sprintf("%s %s", oneLine(phase.Name), readableSeconds(phase.Seconds)))
	}
	if len(parts) > 0 {
		fmt.Fprintf(text, "phases: %s\n", strings.Join(parts, ", "))
	}
}
