package html

import (
	"cmp"
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
	"sharedpid.example/reports/internal/transcript"
)

const (
	// Evidence of failures together stays below this...
	failedTotal = 4 << 20
	// ...and that of everything else below this, so that a report of hundreds of targets opens at once.
	heldTotal = 3 << 20
	// One result shows no more than this: people scroll through it.
	failedEach = 256 << 10
	heldEach   = 24 << 10
	// What an observation costs besides its text.
	observationSize = 300
	// mostOpened is how many failures are unfolded from the start.
	mostOpened = 12
	// sentenceLength is how much is shown of a text that should be a sentence.
	sentenceLength = 1200
)

// shownResult is one trait on one target.
type shownResult struct {
	ID, Words                     string // id of the element, for links; the verdict with its kind
	Trait, Group, Name, Target    string
	Verdict                       reports.Verdict
	Open                          bool
	Values                        string // classes of what it can be filtered by
	Statement, Article, Namespace string
	Profile, Took                 string
	Reason                        string
	Explanation                   []fact
	Sources                       []link
	Deviation                     *shownDeviation
	Evidence, Control             []shownEvidence
	Left                          int // observations that are not shown
	Diagnosis                     string
}

// link is a link to what a statement follows from; Address is empty where the text is no address of the web.
type link struct{ Address, Text string }

// shownDeviation is what was recorded beforehand, and what it means for this verdict.
type shownDeviation struct {
	Meaning, Runtime, Reason, Consequence string
	Link                                  link
}

// shownEvidence is what was seen under one title from one place, as a terminal would show it.
type shownEvidence struct {
	Title, Where string
	Looks        []shownLook
}

// shownLook is one command with what it printed, and how it ended.
type shownLook struct {
	Command, Output, Exit, Errno string
}

func newResults(run reports.Run, outcomes []reports.Result, filters *filterSet) []shownResult {
	failed := 0
	for _, outcome := range outcomes {
		if outcome.NeedsAttention() {
			failed++
		}
	}
	failedLimit := min(failedEach, failedTotal/max(failed, 1))
	heldLimit := min(heldEach, heldTotal/max(len(outcomes)-failed, 1))
	several := reports.SeveralTargets(outcomes)
	identifiers := make(map[string]int)
	results := make([]shownResult, 0, len(outcomes))
	for _, outcome := range outcomes {
		limit := heldLimit
		if outcome.NeedsAttention() {
			limit = failedLimit
		}
		result := newResult(outcome, limit)
		result.ID = elementID(outcome, identifiers)
		result.Open = outcome.NeedsAttention() && outcome.Verdict != reports.NotRun && failed <= mostOpened
		if !several {
			result.Target = ""
		}
		result.Values = filters.classes(outcome)
		results = append(results, result)
	}
	return results
}

func newResult(outcome reports.Result, limit int) shownResult {
	result := shownResult{
		Trait: legible.Line(outcome.Trait), Group: legible.Line(outcome.Group()), Target: legible.Line(outcome.Target),
		Verdict: outcome.Verdict, Words: outcome.VerdictText(),
		Statement: sentence(outcome.Statement), Article: sentence(outcome.Article),
		Namespace: legible.Line(outcome.Namespace), Profile: legible.Line(outcome.Profile),
	}
	result.Name = strings.TrimPrefix(strings.TrimPrefix(result.Trait, result.Group), "/")
	if outcome.Verdict != reports.NotRun {
		result.Took = legible.Duration(outcome.Seconds)
	}
	result.Reason = sentence(outcome.Reason)
	if outcome.NeedsAttention() || outcome.Verdict == reports.KnownDeviation {
		result.Explanation = explanationOf(outcome)
		result.Diagnosis = fitEscaped(transcript.Diagnosis(outcome, limit), limit/2)
	}
	for _, source := range outcome.Sources {
		result.Sources = append(result.Sources, newLink(source))
	}
	if outcome.KnownDeviation != nil {
		result.Deviation = newDeviation(outcome)
	}
	var left int
	result.Evidence, result.Left = observations(outcome.Evidence, limit/2)
	result.Control, left = observations(outcome.Control, limit/2)
	result.Left += left
	return result
}

func sentence(text string) string {
	return legible.Shorten(legible.Line(legible.Cut(text, 4*sentenceLength)), sentenceLength)
}

func explanationOf(outcome reports.Result) []fact {
	var facts []fact
	if outcome.Cause != "" {
		facts = append(facts, fact{"Probable cause", sentence(outcome.Cause)})
	}
	for _, line := range outcome.Explanation() {
		// The statement, the reason and what is on record stand above already.
		if line.Value != outcome.Statement && line.Value != outcome.Reason && line.Name != reports.OnRecord {
			facts = append(facts, fact{line.Name, sentence(line.Value)})
		}
	}
	return facts
}

func newLink(source string) link {
	source = legible.Line(source)
	rest, found := strings.CutPrefix(source, "https://")
	if !found {
		// Only addresses that a browser asks for by https become links; the rest is text.
		return link{Text: source}
	}
	return link{Address: source, Text: strings.TrimSuffix(rest, "/")}
}

func newDeviation(outcome reports.Result) *shownDeviation {
	recorded := outcome.KnownDeviation
	meaning := "A deviation is known here."
	switch outcome.Verdict {
	case reports.KnownDeviation:
		meaning = "This deviation is known: it is on record."
	case reports.Resolved:
		meaning = "A deviation was known here and is resolved: the record is out of date."
	}
	return &shownDeviation{
		Meaning: meaning, Runtime: legible.Line(recorded.Runtime + " " + recorded.Versions), Reason: sentence(recorded.Reason),
		Consequence: sentence(recorded.Consequence), Link: newLink(recorded.Link),
	}
}

// observations shows observations until the limit is used up, and says how many it left out.
func observations(all []reports.Evidence, limit int) (shown []shownEvidence, left int) {
	for i, evidence := range all {
		if limit <= 0 {
			return shown, len(all) - i
		}
		look := newLook(evidence, limit)
		limit -= escapedLength(look.Output) + escapedLength(look.Command) + observationSize
		if i == 0 || evidence.Title != all[i-1].Title || evidence.Where != all[i-1].Where {
			shown = append(shown, shownEvidence{Title: sentence(cmp.Or(evidence.Title, "observation")), Where: sentence(evidence.Where)})
		}
		last := &shown[len(shown)-1]
		last.Looks = append(last.Looks, look)
	}
	return shown, 0
}

func newLook(evidence reports.Evidence, limit int) shownLook {
	evidence = withoutDrawn(evidence)
	output := strings.TrimRight(legible.Cut(evidence.Output, limit+1), "\n")
	if output != "" {
		output += "\n"
	}
	look := shownLook{
		Command: fitEscaped(legible.Text(legible.Cut(evidence.Command, limit+1)), limit),
		Output:  fitEscaped(legible.Text(output+transcript.Tables(evidence, limit)), limit),
		Errno:   sentence(evidence.Errno),
	}
	if evidence.ExitCode != nil {
		look.Exit = strconv.Itoa(*evidence.ExitCode)
	}
	return look
}

// withoutDrawn keeps, of a large access matrix, what a reader has to look at: all cells are drawn, and listed with their rules.
func withoutDrawn(evidence reports.Evidence) reports.Evidence {
	const small = 16
	if len(evidence.Access) <= small {
		return evidence
	}
	all := evidence.Access
	evidence.Access = nil
	for _, cell := range all {
		if cell.Observed != cell.Want || cell.Narrowed != "" {
			evidence.Access = append(evidence.Access, cell)
		}
	}
	evidence.Output += fmt.Sprintf("%d of %d cells are as uids and capabilities say; all are drawn under \"Who may do what\".\n",
		len(all)-len(evidence.Access), len(all))
	return evidence
}

// fitEscaped cuts printable text so that it takes about limit bytes once it is escaped, and says that it did.
func fitEscaped(text string, limit int) string {
	escaped := escapedLength(text)
	if escaped <= limit {
		return text
	}
	shown := legible.Cut(text, int(float64(len(text))*float64(limit)/float64(escaped)))
	for escapedLength(shown) > limit { // what must be escaped may stand at the front
		shown = legible.Cut(shown, len(shown)/2)
	}
	return shown + "\n[cut here: the rest is in " + reports.RunFile + "]"
}

func escapedLength(text string) int { return len(template.HTMLEscapeString(text)) }

// elementID is a trait and target as an address inside the page, the same in every report that has them.
func elementID(outcome reports.Result, taken map[string]int) string {
	var id strings.Builder
	id.WriteString("trait")
	separate := true
	for _, char := range legible.Cut(strings.ToLower(outcome.Trait+"-"+outcome.Target), 200) {
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
