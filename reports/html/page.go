// Package html writes the report for people: one file that loads nothing and runs nothing.
package html

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

//go:embed report.html
var templateText string

//go:embed report.css
var style string

// report is parsed once: a run writes its report after every trait.
var report = template.Must(template.New("report.html").Funcs(template.FuncMap{
	"symbol": func(verdict reports.Verdict) string { return symbols[verdict] },
	"class":  func(verdict reports.Verdict) string { return strings.ReplaceAll(string(verdict), " ", "-") },
	"terms":  requirementTerms,
}).Parse(templateText))

// symbols are what tells verdicts apart without colours. They are letters of common fonts, not pictures.
var symbols = map[reports.Verdict]string{
	reports.Conformant: "✓", reports.Nonconformant: "✕", reports.Inconclusive: "?", reports.Unsupported: "–", reports.NotRun: "○",
	reports.KnownDeviation: "≠", reports.Resolved: "!",
}

// pageContent is what the template shows. It holds words and numbers only: html/template decides how each is escaped.
type pageContent struct {
	Style    template.CSS
	Verdict  reports.Verdict
	Words    string // the verdict with what a reader has to know beside it
	Running  bool
	Partial  bool
	Reason   string
	Narrowed string
	LeftOut  []reports.LeftOut
	LeftMore int // nodes that were left out besides them
	Counts   []share
	Failed   []shownResult // the first few that need somebody's attention
	More     int           // failures besides them
	Facts    []fact
	Targets  []reports.Target
	Images   []fact
	Tasks    *shownTasks // nil without any
	Claims   []claim
	Changes  []processChange
	Access   []accessMap
	Grid     *gridTable
	Timeline *timeline
	Filters  []filter
	Results  []shownResult
	Meanings []meaning
}

// meaning is what a verdict says.
type meaning struct {
	Verdict reports.Verdict
	Text    string
}

var meanings = []meaning{
	{reports.Conformant, "Observed, and as the statement says."},
	{reports.Nonconformant, "Observed, and not as the statement says."},
	{reports.Inconclusive, "Could not be observed. Never a pass, and never blamed on the runtime."},
	{reports.Unsupported, "The platform was seen to be unable to have it. Never counted as a pass."},
	{reports.KnownDeviation, "Nonconformant, as the list of known deviations says of this runtime."},
	{reports.Resolved, "Conformant, although that list says otherwise: the list is out of date."},
	{reports.NotRun, "The run has not come to it, or ended before."},
}

// fact is a name with a value.
type fact struct{ Name, Value string }

// share is how many outcomes have one verdict, and which part of a bar that is.
type share struct {
	Verdict  reports.Verdict
	Number   int
	Offset   string
	Fraction string
}

// filter lets a reader keep the results with one value of a property. The stylesheet does it, without any script.
type filter struct {
	Property string // in the classes of results
	Name     string
	List     bool // a list to choose from, where buttons would be too many
	Choices  []string
}

// Render returns the report for people as a page of HTML.
func Render(run reports.Run) ([]byte, error) {
	run = run.Complete()
	outcomes := run.Outcomes()
	count := reports.CountVerdicts(outcomes)
	var groups []reports.KindOutcomes // by kind, when targets are too many to stand side by side
	if reports.TooManyTargets(outcomes) {
		groups = run.ByKind()
	}
	page := pageContent{
		Verdict: run.Verdict, Words: run.VerdictText(), Running: run.Running, Partial: run.Partial(),
		Reason: legible.Line(run.Reason), Narrowed: run.NarrowedText(),
		Counts: sharesOf(count), Facts: factsOf(run, groups), Targets: legibleTargets(run.Targets), Images: imagesOf(run.Images),
		Meanings: meanings,
	}
	page.LeftOut, page.LeftMore = leftOut(run.LeftOut)
	shown, targets, columns := outcomes, run.Targets, outcomes
	if len(outcomes) > mostResults && groups != nil {
		shown, targets, columns = alike(groups, outcomes)
		page.Targets = legibleTargets(kindTargets(groups))
	}
	filters := newFilters(targets, shown)
	page.Results = newResults(run, shown, filters)
	page.Failed, page.More = failuresOf(shown, page.Results)
	page.Tasks = newTasks(run, shown, page.Results)
	page.Claims = newClaims(shown, page.Results, outcomes)
	page.Changes = processChanges(shown, page.Results)
	page.Access = accessMaps(shown)
	page.Grid = newGrid(run.Targets, columns, page.Results)
	page.Timeline = newTimeline(run, outcomes)
	page.Filters = filters.shown()
	page.Style = template.CSS(style + filters.rules())
	var content bytes.Buffer
	if err := report.Execute(&content, page); err != nil {
		return nil, err
	}
	// Every text was made printable where it was taken up. Once more for the whole: no text that was forgotten there can
	// make the file malformed, or show a reader something else than it holds.
	return []byte(legible.Text(content.String())), nil
}

// failuresOf are the first few results that failed, the worst first, and how many more there are. What did not run is one
// matter and no list of failures.
func failuresOf(outcomes []reports.Result, results []shownResult) (first []shownResult, more int) {
	const shown = 8
	const failureLength = 300 // characters of a reason
	for _, verdict := range []reports.Verdict{reports.Nonconformant, reports.Resolved, reports.Inconclusive} {
		for i, outcome := range outcomes {
			if outcome.Verdict != verdict {
				continue
			}
			if len(first) < shown {
				first = append(first, results[i])
				first[len(first)-1].Reason = legible.Shorten(results[i].Reason, failureLength)
			} else {
				more++
			}
		}
	}
	return first, more
}

func sharesOf(count map[reports.Verdict]int) []share {
	total := 0
	for _, number := range count {
		total += number
	}
	var counts []share
	offset := 0
	for _, verdict := range slices.Backward(reports.VerdictsByAttention()) {
		if number := count[verdict]; number > 0 {
			counts = append(counts, share{
				Verdict: verdict, Number: number,
				Offset: percent(offset, total), Fraction: percent(number, total),
			})
			offset += number
		}
	}
	return counts
}

func percent(part, whole int) string {
	return strconv.FormatFloat(100*float64(part)/float64(max(whole, 1)), 'f', 2, 64)
}

// factsOf says what was tested. What all targets share is said here, the rest in their table.
func factsOf(run reports.Run, groups []reports.KindOutcomes) []fact {
	shared := func(value func(reports.Target) string) string {
		if len(run.Targets) == 0 {
			return ""
		}
		first := value(run.Targets[0])
		for _, target := range run.Targets {
			if value(target) != first {
				return "several"
			}
		}
		return first
	}
	kubernetes := run.Cluster.KubernetesVersion
	if kubelet := shared(func(target reports.Target) string { return target.Kubelet }); kubelet != "" && kubelet != kubernetes {
		kubernetes += ", kubelet " + kubelet
	}
	facts := []fact{
		{"May Pods share here", run.PermissionText()},
		{"Kubernetes", kubernetes},
		{"Runtime", shared(func(target reports.Target) string {
			return strings.TrimSpace(target.Runtime + " " + target.RuntimeVersion)
		})},
		{"Kernel", shared(func(target reports.Target) string { return target.Kernel })},
		{"cgroup", shared(func(target reports.Target) string { return target.CgroupVersion })},
		{"Target", legible.List(targetNames(run.Targets), 3)},
		{"Node system", shared(func(target reports.Target) string {
			return strings.TrimSpace(target.OSImage + " " + target.Architecture)
		})},
		{"Cluster", nameAndKind(run.Cluster.Name, run.Cluster.Origin)},
		{"Profile", run.Profile},
		{"Narrowed by", run.NarrowedText()},
		{"Not looked at", run.LeftOutText()},
		{"Limits changed", run.LimitsText()},
		{"Adapted", run.AdaptedText()},
		{"Began", legible.Timestamp(run.Start)},
		{"Took", legible.Duration(run.Seconds)},
		{"Command", legible.Shorten(run.CommandLine(), sentenceLength)},
		{"Suite", run.SuiteVersion + ", run " + run.ID},
	}
	facts = append(kindFacts(groups), facts...)
	for i := range facts {
		facts[i].Value = legible.Line(facts[i].Value)
	}
	return slices.DeleteFunc(facts, func(fact fact) bool { return fact.Value == "" })
}

// kindFacts say how the targets of each kind came out, after those that differ from their kind.
func kindFacts(groups []reports.KindOutcomes) []fact {
	const most = 10
	var outliers, kinds []fact
	for _, group := range groups {
		for _, outlier := range group.Outliers {
			outliers = append(outliers, fact{"Outlier", outlier.Text()})
		}
		kinds = append(kinds, fact{"Alike", legible.Shorten(group.Text()+" ("+group.Kind.String()+")", sentenceLength)})
	}
	if more := len(outliers) - most; more > 0 {
		outliers = append(outliers[:most], fact{"Outliers besides", strconv.Itoa(more)})
	}
	if more := len(kinds) - most; more > 0 {
		kinds = append(kinds[:most], fact{"Kinds besides", strconv.Itoa(more)})
	}
	return append(outliers, kinds...)
}

func targetNames(targets []reports.Target) []string {
	names := make([]string, len(targets))
	for i, target := range targets {
		names[i] = target.ID
	}
	return names
}

func nameAndKind(name, kind string) string {
	if kind == "" {
		return name
	}
	return strings.TrimSpace(fmt.Sprintf("%s (%s)", name, kind))
}

func imagesOf(images map[string]string) []fact {
	var list []fact
	for name, reference := range images {
		list = append(list, fact{legible.Line(name), legible.Line(reference)})
	}
	slices.SortFunc(list, func(a, b fact) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func legibleTargets(targets []reports.Target) []reports.Target {
	shown := make([]reports.Target, len(targets))
	for i, target := range targets {
		shown[i] = target.Legible()
	}
	return shown
}

// leftOut are the first nodes that were left out, and how many more there are.
func leftOut(all []reports.LeftOut) (shown []reports.LeftOut, more int) {
	const most = 200
	for _, left := range all[:min(len(all), most)] {
		shown = append(shown, reports.LeftOut{Name: legible.Line(left.Name), Reason: sentence(left.Reason)})
	}
	return shown, len(all) - len(shown)
}

// statementPart is a piece of a statement; RFC 2119's words are set apart, since they say how much is asked.
type statementPart struct {
	Text string
	Term bool
}

func requirementTerms(statement string) []statementPart {
	var parts []statementPart
	rest := statement
	for rest != "" {
		at, term := len(rest), ""
		for _, each := range []string{"MUST NOT", "MUST", "SHOULD NOT", "SHOULD", "MAY"} {
			if found := strings.Index(rest, each); found >= 0 && found < at {
				at, term = found, each
			}
		}
		if at > 0 {
			parts = append(parts, statementPart{Text: rest[:at]})
		}
		if term != "" {
			parts = append(parts, statementPart{Text: term, Term: true})
		}
		rest = rest[at+len(term):]
	}
	return parts
}
