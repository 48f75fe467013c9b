package reports

import (
	"cmp"
	"fmt"
	"html/template"
	"strconv"
	"strings"
)

const (
	// Evidence of failures together stays below this...
	htmlFailedTotal = 4 << 20
	// ...and that of everything else below this, so that a report of hundreds of subjects opens at once.
	htmlHeldTotal = 3 << 20
	// One result shows no more than this: people scroll through it.
	htmlFailedEach = 256 << 10
	htmlHeldEach   = 24 << 10
	// What an observation costs besides its text.
	htmlObservation = 300
	// htmlOpened is how many failures are unfolded from the start.
	htmlOpened = 12
	// htmlLine is how much is shown of a text that should be a sentence.
	htmlLine = 1200
)

// htmlResult is one trait on one subject.
type htmlResult struct {
	ID                            string // of the element, for links
	Trait, Group, Name, Subject   string
	Verdict                       Verdict
	Open                          bool
	Values                        string // classes of what it can be filtered by
	Statement, Article, Namespace string
	Profile, Took                 string
	Reason                        string
	Explanation                   []htmlFact
	Sources                       []htmlSource
	Deviation                     *htmlDeviation
	Evidence, Control             []htmlEvidence
	Left                          int // observations that are not shown
	Diagnosis                     string
}

// htmlSource is a link to what a statement follows from; Address is empty where the text is no address of the web.
type htmlSource struct{ Address, Text string }

// htmlDeviation is what was recorded beforehand, and what it means for this verdict.
type htmlDeviation struct {
	Meaning, Runtime, Reason, Consequence string
	Link                                  htmlSource
}

// htmlEvidence is what was seen under one title from one place, as a terminal would show it.
type htmlEvidence struct {
	Title, Where string
	Looks        []htmlLook
}

// htmlLook is one command with what it printed, and how it ended.
type htmlLook struct {
	Command, Output, Exit, Errno string
}

func htmlResults(run Run, outcomes []Result, filters *htmlFilters) []htmlResult {
	failed := 0
	for _, outcome := range outcomes {
		if outcome.failed() {
			failed++
		}
	}
	failedLimit := min(htmlFailedEach, htmlFailedTotal/max(failed, 1))
	heldLimit := min(htmlHeldEach, htmlHeldTotal/max(len(outcomes)-failed, 1))
	several := severalSubjects(outcomes)
	identifiers := make(map[string]int)
	results := make([]htmlResult, 0, len(outcomes))
	for _, outcome := range outcomes {
		limit := heldLimit
		if outcome.failed() {
			limit = failedLimit
		}
		result := newHTMLResult(outcome, limit)
		result.ID = elementID(outcome, identifiers)
		result.Open = outcome.failed() && outcome.Verdict != NotRun && failed <= htmlOpened
		if !several {
			result.Subject = ""
		}
		result.Values = filters.classes(outcome)
		results = append(results, result)
	}
	return results
}

func newHTMLResult(outcome Result, limit int) htmlResult {
	result := htmlResult{
		Trait: oneLine(outcome.Trait), Group: oneLine(outcome.Group()), Subject: oneLine(outcome.Subject), Verdict: outcome.Verdict,
		Statement: sentence(outcome.Statement), Article: sentence(outcome.Article), Namespace: oneLine(outcome.Namespace), Profile: oneLine(outcome.Profile),
	}
	result.Name = strings.TrimPrefix(strings.TrimPrefix(result.Trait, result.Group), "/")
	if outcome.Verdict != NotRun {
		result.Took = readableSeconds(outcome.Seconds)
	}
	result.Reason = sentence(outcome.Reason)
	if outcome.failed() || outcome.Verdict == Expected {
		result.Explanation = htmlExplanation(outcome)
		result.Diagnosis = fitEscaped(printable(cutBytes(outcome.Diagnosis, limit)), limit/2)
	}
	for _, source := range outcome.Sources {
		result.Sources = append(result.Sources, newHTMLSource(source))
	}
	if outcome.Deviation != nil {
		result.Deviation = newHTMLDeviation(outcome)
	}
	var left int
	result.Evidence, result.Left = htmlObservations(outcome.Evidence, limit/2)
	result.Control, left = htmlObservations(outcome.Control, limit/2)
	result.Left += left
	return result
}

func sentence(text string) string { return shorten(oneLine(cutBytes(text, 4*htmlLine)), htmlLine) }

func htmlExplanation(outcome Result) []htmlFact {
	var facts []htmlFact
	if outcome.Cause != "" {
		facts = append(facts, htmlFact{"Probable cause", sentence(outcome.Cause)})
	}
	for _, line := range explanation(outcome) {
		// The statement, the reason and what is on record stand above already.
		if line.value != outcome.Statement && line.value != outcome.Reason && line.name != onRecord {
			facts = append(facts, htmlFact{line.name, sentence(line.value)})
		}
	}
	return facts
}

func newHTMLSource(source string) htmlSource {
	source = oneLine(source)
	rest, found := strings.CutPrefix(source, "https://")
	if !found {
		// Only addresses that a browser asks for by https become links; the rest is text.
		return htmlSource{Text: source}
	}
	return htmlSource{Address: source, Text: strings.TrimSuffix(rest, "/")}
}

func newHTMLDeviation(outcome Result) *htmlDeviation {
	recorded := outcome.Deviation
	meaning := "A deviation was expected here."
	switch outcome.Verdict {
	case Expected:
		meaning = "This deviation was expected: it is on record."
	case Vanished:
		meaning = "A deviation was expected here and is gone: the record is out of date."
	}
	return &htmlDeviation{
		Meaning: meaning, Runtime: oneLine(recorded.Runtime + " " + recorded.Versions), Reason: sentence(recorded.Reason),
		Consequence: sentence(recorded.Consequence), Link: newHTMLSource(recorded.Link),
	}
}

// htmlObservations shows observations until the limit is used up, and says how many it left out.
func htmlObservations(all []Evidence, limit int) (shown []htmlEvidence, left int) {
	for i, evidence := range all {
		if limit <= 0 {
			return shown, len(all) - i
		}
		look := newHTMLLook(evidence, limit)
		limit -= escapedLength(look.Output) + escapedLength(look.Command) + htmlObservation
		if i == 0 || evidence.Title != all[i-1].Title || evidence.Where != all[i-1].Where {
			shown = append(shown, htmlEvidence{Title: sentence(cmp.Or(evidence.Title, "observation")), Where: sentence(evidence.Where)})
		}
		last := &shown[len(shown)-1]
		last.Looks = append(last.Looks, look)
	}
	return shown, 0
}

func newHTMLLook(evidence Evidence, limit int) htmlLook {
	evidence = withoutDrawn(evidence)
	output := strings.TrimRight(cutBytes(evidence.Output, limit+1), "\n")
	if output != "" {
		output += "\n"
	}
	look := htmlLook{
		Command: fitEscaped(printable(cutBytes(evidence.Command, limit+1)), limit),
		Output:  fitEscaped(printable(output+evidenceTables(evidence, limit)), limit),
		Errno:   sentence(evidence.Errno),
	}
	if evidence.ExitCode != nil {
		look.Exit = strconv.Itoa(*evidence.ExitCode)
	}
	return look
}

// withoutDrawn keeps, of a large access matrix, what a reader has to look at: all cells are drawn, and listed with their rules.
func withoutDrawn(evidence Evidence) Evidence {
	const small = 16
	if len(evidence.Access) <= small {
		return evidence
	}
	all := evidence.Access
	evidence.Access = nil
	for _, cell := range all {
		if cell.Observed != cell.Expected || cell.Narrowed != "" {
			evidence.Access = append(evidence.Access, cell)
		}
	}
	evidence.Output += fmt.Sprintf("%d of %d cells are as uids and capabilities say; all are drawn under \"Who may do what\".\n", len(all)-len(evidence.Access), len(all))
	return evidence
}

// fitEscaped cuts printable text so that it takes about limit bytes once it is escaped, and says that it did.
func fitEscaped(text string, limit int) string {
	escaped := escapedLength(text)
	if escaped <= limit {
		return text
	}
	shown := cutBytes(text, int(float64(len(text))*float64(limit)/float64(escaped)))
	for escapedLength(shown) > limit { // what must be escaped may stand at the front
		shown = cutBytes(shown, len(shown)/2)
	}
	return shown + "\n[cut here: the rest is in " + runFile + "]"
}

func escapedLength(text string) int { return len(template.HTMLEscapeString(text)) }

// elementID is a trait and subject as an address inside the page, the same in every report that has them.
func elementID(outcome Result, taken map[string]int) string {
	var id strings.Builder
	id.WriteString("trait")
	separate := true
	for _, char := range cutBytes(strings.ToLower(outcome.Trait+"-"+outcome.Subject), 200) {
		if char < 'a' || char > 'z' {
			if char < '0' || char > '9' {
				separate = true
				continue
			}
		}
		if separate {
			id.WriteByte('-')
			separate = false
		}
		id.WriteRune(char)
	}
	taken[id.String()]++
	if number := taken[id.String()]; number > 1 {
		fmt.Fprintf(&id, "--%d", number) // no other id has two dashes
	}
	return id.String()
}
