package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// printable makes text of any origin safe to show: what is neither printable nor a line break or tab
// becomes a visible escape such as \x00 or \u202e. What is left has no character that XML 1.0 forbids,
// no byte that is not UTF-8, and nothing that moves a terminal's cursor or reverses a line. Escaping
// rather than dropping keeps what separates the entries of an environ file visible.
func printable(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.IndexFunc(text, isUnprintable) < 0 {
		return text
	}
	var clean strings.Builder
	clean.Grow(len(text))
	for len(text) > 0 {
		char, size := utf8.DecodeRuneInString(text)
		switch {
		case char == utf8.RuneError && size == 1:
			fmt.Fprintf(&clean, `\x%02x`, text[0])
		case char == utf8.RuneError:
			clean.WriteRune(char)
		case !isUnprintable(char):
			clean.WriteRune(char)
		default:
			quoted := strconv.QuoteRune(char)
			clean.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return clean.String()
}

// isUnprintable also holds for the replacement character, which may stand for a byte that is not UTF-8.
func isUnprintable(char rune) bool {
	if char < utf8.RuneSelf {
		return (char < ' ' || char == 0x7f) && char != '\n' && char != '\t'
	}
	return char == utf8.RuneError || !strconv.IsPrint(char)
}

// oneLine is printable text with every run of white space made one space.
func oneLine(text string) string { return strings.Join(strings.Fields(printable(text)), " ") }

// shorten cuts text to at most limit characters and shows that it did.
func shorten(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return strings.TrimRight(string([]rune(text)[:limit-1]), " ") + "…"
}

// limitBytes cuts text that is too long for a report of limited size, and says where the whole is.
func limitBytes(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	cut := len(cutBytes(text, limit))
	return fmt.Sprintf("%s\n[cut here: %d of %d bytes shown, the rest is in %s]\n", text[:cut], cut, len(text), runFile)
}

// cutBytes is the beginning of text, at most limit bytes and no half character.
func cutBytes(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// seconds writes a length of time as the plain decimal that every reader of JUnit understands.
func seconds(length float64) string {
	if math.IsNaN(length) || math.IsInf(length, 0) || length < 0 {
		length = 0
	}
	return strconv.FormatFloat(length, 'f', 3, 64)
}

// readableSeconds writes a length of time for people.
func readableSeconds(length float64) string {
	whole, err := time.ParseDuration(seconds(length) + "s")
	if err != nil { // longer than a duration can be
		return seconds(length) + " s"
	}
	if whole < time.Minute {
		return strconv.FormatFloat(whole.Seconds(), 'f', 1, 64) + " s"
	}
	return fmt.Sprintf("%d min %02d s", int(whole.Minutes()), int(whole.Seconds())%60)
}

// explanation is what stands below the cause of a failure, in this order, without what nobody knows.
func explanation(outcome Result) []namedText {
	observed := outcome.Observed
	if outcome.Verdict == Nonconformant {
		observed = cmp.Or(observed, outcome.Reason)
	}
	all := []namedText{
		{"Expected", cmp.Or(outcome.Expected, outcome.Statement)},
		{"Observed", observed},
		{"Next step", outcome.NextStep},
		{onRecord, recorded(outcome.Deviation)},
	}
	return slices.DeleteFunc(all, func(line namedText) bool { return line.value == "" })
}

// onRecord is what a report calls a deviation that was expected.
const onRecord = "On record"

// recorded says in one line what was expected of a trait beforehand, empty when nothing was.
func recorded(deviation *Deviation) string {
	if deviation == nil {
		return ""
	}
	return oneLine(fmt.Sprintf("%s %s: %s %s", deviation.Runtime, deviation.Versions, deviation.Reason, deviation.Link))
}

type namedText struct{ name, value string }

// evidenceText shows one observation as a person at a shell would have seen it, with at most limit bytes of its output.
func evidenceText(evidence Evidence, limit int) string {
	var text strings.Builder
	if evidence.Command != "" {
		fmt.Fprintf(&text, "$ %s\n", evidence.Command)
	}
	if evidence.Output != "" {
		text.WriteString(strings.TrimRight(limitBytes(evidence.Output, limit), "\n") + "\n")
	}
	if evidence.ExitCode != nil {
		fmt.Fprintf(&text, "exit code %d\n", *evidence.ExitCode)
	}
	if evidence.Errno != "" {
		fmt.Fprintf(&text, "refused with %s\n", evidence.Errno)
	}
	text.WriteString(evidenceTables(evidence, limit))
	return printable(text.String())
}

// evidenceTables shows the process list and the access matrix of one observation, as many rows as begin within limit bytes.
func evidenceTables(evidence Evidence, limit int) string {
	var text strings.Builder
	if len(evidence.Processes) > 0 {
		text.WriteString(limitedColumns(processRows(evidence.Processes), limit))
	}
	if len(evidence.Access) > 0 {
		rows := [][]string{{"CALLER", "TARGET", "OPERATION", "EXPECTED", "OBSERVED", "RULE"}}
		for _, access := range evidence.Access {
			rows = append(rows, []string{
				access.Caller, access.Target, access.Operation, access.Expected, access.Observed, access.Rule,
			})
		}
		text.WriteString(limitedColumns(rows, limit))
	}
	return text.String()
}

// processRows is a process list with its heading. Whose the processes are stands there only where somebody found out.
func processRows(processes []Process) [][]string {
	known := slices.ContainsFunc(processes, func(process Process) bool { return process.Container != "" })
	row := func(pid, ppid, uid, state, container, arguments string) []string {
		if !known {
			return []string{pid, ppid, uid, state, arguments}
		}
		return []string{pid, ppid, uid, state, container, arguments}
	}
	rows := [][]string{row("PID", "PPID", "UID", "STATE", "CONTAINER", "ARGUMENTS")}
	for _, process := range processes {
		rows = append(rows, row(strconv.Itoa(process.PID), strconv.Itoa(process.PPID), strconv.Itoa(process.UID),
			process.State, process.Container, strings.Join(process.Arguments, " ")))
	}
	return rows
}

// limitedColumns aligns the rows that begin within limit bytes, and says how many do not.
func limitedColumns(rows [][]string, limit int) string {
	size := 0
	for i, row := range rows {
		if size > limit {
			return fmt.Sprintf("%s[cut here: %d more rows are in %s]\n", columns(rows[:i]), len(rows)-i, runFile)
		}
		for j, cell := range row {
			row[j] = limitBytes(cell, limit)
			size += len(row[j])
		}
	}
	return columns(rows)
}

// evidenceTitle names one observation and where it was made.
func evidenceTitle(evidence Evidence) string {
	title := oneLine(evidence.Title)
	if title == "" {
		title = "observation"
	}
	if where := oneLine(evidence.Where); where != "" {
		title += " (" + where + ")"
	}
	return title
}

// columns aligns rows of cells, each cell made one line so that a row stays a row.
func columns(rows [][]string) string {
	var text strings.Builder
	aligned := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = oneLine(cell)
		}
		fmt.Fprintln(aligned, strings.Join(cells, "\t"))
	}
	aligned.Flush() // a strings.Builder does not fail
	lines := strings.Split(text.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

// evidenceOutput is everything that a verdict rests on as plain text of about limit bytes at most.
func evidenceOutput(outcome Result, limit int) string {
	var text strings.Builder
	write := func(title, content string) {
		// What would be cut off anyway is not worth being made printable: it may be megabytes.
		if text.Len() <= limit {
			fmt.Fprintf(&text, "== %s\n%s\n", title, content)
		}
	}
	for _, evidence := range outcome.Evidence {
		write(evidenceTitle(evidence), evidenceText(evidence, limit))
	}
	for _, evidence := range outcome.Control {
		write("control: "+evidenceTitle(evidence), evidenceText(evidence, limit))
	}
	if outcome.Diagnosis != "" {
		write("diagnosis", printable(limitBytes(outcome.Diagnosis, limit)))
	}
	return limitBytes(text.String(), limit)
}
