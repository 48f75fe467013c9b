package reports

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/mattn/go-isatty"
)

var colours = map[Verdict]string{Conformant: "32", Nonconformant: "31", Inconclusive: "33", Unsupported: "36", NotRun: "33"}

// Colour tells whether a file is a terminal that wants colours, see https://no-color.org.
func Colour(file *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isatty.IsTerminal(file.Fd())
}

// WriteTerminal writes the short table that ends a run.
func WriteTerminal(to io.Writer, run Run, colour bool) error {
	paint := func(verdict Verdict) string {
		if !colour {
			return string(verdict)
		}
		return "\x1b[" + colours[verdict] + "m" + string(verdict) + "\x1b[0m"
	}
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, result := range run.Results {
		reason := ""
		if result.Verdict != Conformant {
			reason = firstLine(text(result.Reason))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%.1f s\t%s\n", paint(result.Verdict), result.Trait, result.Subject, result.Seconds, reason)
	}
	for _, planned := range run.NotRun() {
		fmt.Fprintf(table, "%s\t%s\t%s\t\t\n", paint(NotRun), planned.Trait, planned.Subject)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, phase := range run.Phases {
		fmt.Fprintf(to, "phase %s: %.1f s\n", phase.Name, phase.Seconds)
	}
	_, err := fmt.Fprintf(to, "%s: %s\n", paint(run.Verdict), text(run.Reason))
	return err
}

func firstLine(raw string) string {
	const longest = 120
	for i, r := range raw {
		if r == '\n' || i >= longest {
			return raw[:i] + " ..."
		}
	}
	return raw
}
