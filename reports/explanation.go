package reports

import (
	"fmt"
	"slices"

	"sharedpid.example/reports/internal/legible"
)

// Line is a text with its name, as a report lists it.
type Line struct{ Name, Value string }

// OnRecord is the name of the Line that says what is known of a trait beforehand.
const OnRecord = "On record"

// CauseAndReason says in one line what probably lies behind a failure, and what was seen.
func (result Result) CauseAndReason() string {
	cause, reason := legible.Line(result.Cause), legible.Line(result.Reason)
	if cause == "" || reason == "" {
		return cause + reason
	}
	return cause + ": " + reason
}

// Explanation is what stands below the cause of a failure, in its order, without what nobody knows: what is wanted, which
// is the statement, what was observed instead, which is the reason of a verdict that was observed, the next step, and
// what is on record.
func (result Result) Explanation() []Line {
	observed := ""
	switch result.Verdict {
	case Nonconformant:
		observed = result.Reason
	case Resolved:
		observed = "the trait as stated"
	}
	all := []Line{
		{"Wanted", result.Statement},
		{"Observed", observed},
		{"Next step", result.NextStep},
		{"Pods are left", result.Kept},
	}
	if result.KnownDeviation != nil {
		all = append(all, Line{OnRecord, result.KnownDeviation.String()})
	}
	return slices.DeleteFunc(all, func(line Line) bool { return line.Value == "" })
}

// String says in one line what was recorded beforehand.
func (deviation Deviation) String() string {
	return legible.Line(fmt.Sprintf("%s %s: %s %s", deviation.Runtime, deviation.Versions, deviation.Reason, deviation.Link))
}
