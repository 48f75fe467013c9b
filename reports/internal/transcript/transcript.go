// Package transcript shows evidence as plain text, as a person at a shell would have seen it.
package transcript

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

// Result is everything that a verdict rests on as plain text of about limit bytes at most.
func Result(outcome reports.Result, limit int) string {
	var text strings.Builder
	write := func(title, content string) {
		// What would be cut off anyway is not worth being made legible: it may be megabytes.
		if text.Len() <= limit {
			fmt.Fprintf(&text, "== %s\n%s\n", title, content)
		}
	}
	for _, evidence := range outcome.Evidence {
		write(Title(evidence), Of(evidence, limit))
	}
	for _, evidence := range outcome.Control {
		write("control: "+Title(evidence), Of(evidence, limit))
	}
	if diagnosis := Diagnosis(outcome, limit); diagnosis != "" {
		write("diagnosis", diagnosis)
	}
	return Limit(text.String(), limit)
}

// Diagnosis is what was gathered before clean-up, and the stack of a check that failed itself, each with at most limit bytes.
func Diagnosis(outcome reports.Result, limit int) string {
	diagnosis := Limit(outcome.Diagnosis, limit)
	if outcome.Stack != "" {
		diagnosis = strings.TrimSpace(diagnosis+"\n\nstack of the check:\n"+Limit(outcome.Stack, limit)) + "\n"
	}
	return legible.Text(diagnosis)
}

// Of shows one observation as a person at a shell would have seen it, with at most limit bytes of its output.
func Of(evidence reports.Evidence, limit int) string {
	var text strings.Builder
	if evidence.Command != "" {
		fmt.Fprintf(&text, "$ %s\n", evidence.Command)
	}
	if evidence.Output != "" {
		text.WriteString(strings.TrimRight(Limit(evidence.Output, limit), "\n") + "\n")
	}
	if evidence.ExitCode != nil {
		fmt.Fprintf(&text, "exit code %d\n", *evidence.ExitCode)
	}
	if evidence.Errno != "" {
		fmt.Fprintf(&text, "refused with %s\n", evidence.Errno)
	}
	text.WriteString(Tables(evidence, limit))
	return legible.Text(text.String())
}

// Tables shows the process list and the access matrix of one observation, as many rows as begin within limit bytes.
func Tables(evidence reports.Evidence, limit int) string {
	var text strings.Builder
	if len(evidence.Processes) > 0 {
		text.WriteString(limitedColumns(processRows(evidence.Processes), limit))
	}
	if len(evidence.Access) > 0 {
		rows := [][]string{{"CALLER", "TARGET", "OPERATION", "WANT", "OBSERVED", "RULE"}}
		for _, access := range evidence.Access {
			rows = append(rows, []string{
				access.Caller, access.Target, access.Operation, access.Want, access.Observed, access.Rule,
			})
		}
		text.WriteString(limitedColumns(rows, limit))
	}
	return text.String()
}

// processRows is a process list with its heading. Whose the processes are stands there only where somebody found out.
func processRows(processes []reports.Process) [][]string {
	known := slices.ContainsFunc(processes, func(process reports.Process) bool { return process.Container != "" })
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
			return fmt.Sprintf("%s[cut here: %d more rows are in %s]\n", columns(rows[:i]), len(rows)-i, reports.RunFile)
		}
		for j, cell := range row {
			row[j] = Limit(cell, limit)
			size += len(row[j])
		}
	}
	return columns(rows)
}

// columns aligns rows of cells, each cell made one line so that a row stays a row.
func columns(rows [][]string) string {
	var text strings.Builder
	aligned := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = legible.Line(cell)
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

// Title names one observation and where it was made.
func Title(evidence reports.Evidence) string {
	title := legible.Line(evidence.Title)
	if title == "" {
		title = "observation"
	}
	if where := legible.Line(evidence.Where); where != "" {
		title += " (" + where + ")"
	}
	return title
}

// Limit cuts text that is too long for a report of limited size, and says where the whole is.
func Limit(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	cut := len(legible.Cut(text, limit))
	return fmt.Sprintf("%s\n[cut here: %d of %d bytes shown, the rest is in %s]\n", text[:cut], cut, len(text), reports.RunFile)
}
