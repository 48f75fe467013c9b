package reports

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
)

//go:embed html/report.html
var htmlTemplate string

//go:embed html/report.css
var htmlStyle string

// htmlReport is parsed once: a run writes its report after every trait.
var htmlReport = template.Must(template.New(htmlFile).Funcs(template.FuncMap{
	"symbol": func(verdict Verdict) string { return htmlSymbols[verdict] },
	"class":  func(verdict Verdict) string { return strings.ReplaceAll(string(verdict), " ", "-") },
	"terms":  requirementTerms,
}).Parse(htmlTemplate))

// htmlSymbols are what tells verdicts apart without colours. They are letters of common fonts, not pictures.
var htmlSymbols = map[Verdict]string{Conformant: "✓", Nonconformant: "✕", Inconclusive: "?", Unsupported: "–", NotRun: "○", Expected: "≠", Vanished: "!"}

// htmlPage is what the template shows. It holds words and numbers only: html/template decides how each is escaped.
type htmlPage struct {
	Style    template.CSS
	Verdict  Verdict
	Reason   string
	Ended    string // why the run ended early
	Counts   []htmlCount
	Failed   []htmlResult // the first few that need somebody's attention
	More     int          // failures besides them
	Facts    []htmlFact
	Subjects []Subject
	Images   []htmlFact
	Claims   []htmlClaim
	Trees    []htmlReload
	Access   []accessMap
	Grid     *htmlGrid
	Timeline *timeline
	Filters  []htmlFilter
	Results  []htmlResult
	Meanings []htmlMeaning
}

// htmlMeaning is what a verdict says.
type htmlMeaning struct {
	Verdict Verdict
	Text    string
}

var htmlMeanings = []htmlMeaning{
	{Conformant, "Observed, and as the statement says."},
	{Nonconformant, "Observed, and not as the statement says."},
	{Inconclusive, "Could not be observed. Never a pass, and never blamed on the runtime."},
	{Unsupported, "The platform was seen to be unable to have it. Never counted as a pass."},
	{Expected, "Nonconformant, as a list of expected deviations says of this runtime."},
	{Vanished, "Conformant, although that list says otherwise: the list is out of date."},
	{NotRun, "The run ended before it was looked at."},
}

// htmlFact is a name with a value.
type htmlFact struct{ Name, Value string }

// htmlCount is how many outcomes have one verdict, and which part of a bar that is.
type htmlCount struct {
	Verdict  Verdict
	Number   int
	Offset   string
	Fraction string
}

// htmlFilter lets a reader keep the results with one value of a property. The stylesheet does it, without any script.
type htmlFilter struct {
	Property string // in the classes of results
	Name     string
	List     bool // a list to choose from, where buttons would be too many
	Choices  []string
}

// writeHTML returns the report for people: one file that loads nothing and runs nothing.
func writeHTML(run Run) ([]byte, error) {
	run = complete(run)
	outcomes := run.besideList()
	count := countVerdicts(outcomes)
	page := htmlPage{
		Verdict: run.Verdict, Reason: oneLine(run.Reason), Ended: oneLine(run.SetupError),
		Counts: htmlCounts(count), Facts: htmlFacts(run), Subjects: legibleSubjects(run.Subjects), Images: htmlImages(run.Images),
		Meanings: htmlMeanings,
	}
	filters := newHTMLFilters(run, outcomes)
	page.Results = htmlResults(run, outcomes, filters)
	page.Failed, page.More = htmlFailures(outcomes, page.Results)
	page.Claims = htmlClaims(outcomes, page.Results)
	page.Trees = htmlReloads(outcomes)
	page.Access = accessMaps(outcomes)
	page.Grid = newHTMLGrid(run.Subjects, outcomes, page.Results)
	page.Timeline = newTimeline(run, outcomes)
	page.Filters = filters.shown()
	page.Style = template.CSS(htmlStyle + filters.rules())
	var content bytes.Buffer
	if err := htmlReport.Execute(&content, page); err != nil {
		return nil, err
	}
	// Every text was made printable where it was taken up. Once more for the whole: no text that was forgotten there can
	// make the file malformed, or show a reader something else than it holds.
	return []byte(printable(content.String())), nil
}

// htmlFailures are the first few results that failed, the worst first, and how many more there are. What did not run is one
// matter and no list of failures.
func htmlFailures(outcomes []Result, results []htmlResult) (first []htmlResult, more int) {
	const shown = 8
	for _, verdict := range []Verdict{Nonconformant, Vanished, Inconclusive} {
		for i, outcome := range outcomes {
			if outcome.Verdict != verdict {
				continue
			}
			if len(first) < shown {
				first = append(first, results[i])
				first[len(first)-1].Reason = shorten(results[i].Reason, markdownCell)
			} else {
				more++
			}
		}
	}
	return first, more
}

func htmlCounts(count map[Verdict]int) []htmlCount {
	total := 0
	for _, number := range count {
		total += number
	}
	var counts []htmlCount
	offset := 0
	for _, verdict := range slices.Backward(verdictsByAttention) {
		if number := count[verdict]; number > 0 {
			counts = append(counts, htmlCount{
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

// htmlFacts says what was tested. What all subjects share is said here, the rest in their table.
func htmlFacts(run Run) []htmlFact {
	shared := func(value func(Subject) string) string {
		if len(run.Subjects) == 0 {
			return ""
		}
		first := value(run.Subjects[0])
		for _, subject := range run.Subjects {
			if value(subject) != first {
				return "several"
			}
		}
		return first
	}
	kubernetes := run.Cluster.KubernetesVersion
	if kubelet := shared(func(subject Subject) string { return subject.Kubelet }); kubelet != "" && kubelet != kubernetes {
		kubernetes += ", kubelet " + kubelet
	}
	facts := []htmlFact{
		{"Kubernetes", kubernetes},
		{"Runtime", shared(func(subject Subject) string {
			return strings.TrimSpace(subject.Runtime + " " + subject.RuntimeVersion)
		})},
		{"Kernel", shared(func(subject Subject) string { return subject.Kernel })},
		{"cgroup", shared(func(subject Subject) string { return subject.CgroupVersion })},
		{"Subject", listSome(subjectNames(run.Subjects), 3)},
		{"Node system", shared(func(subject Subject) string { return strings.TrimSpace(subject.OSImage + " " + subject.Architecture) })},
		{"Cluster", nameAndKind(run.Cluster.Name, run.Cluster.Origin)},
		{"Profile", run.Profile},
		{"Selection", run.Selection},
		{"Began", timestamp(run.Start)},
		{"Took", readableSeconds(run.Seconds)},
		{"Suite", run.SuiteVersion + ", run " + run.ID},
	}
	for i := range facts {
		facts[i].Value = oneLine(facts[i].Value)
	}
	return slices.DeleteFunc(facts, func(fact htmlFact) bool { return fact.Value == "" })
}

func subjectNames(subjects []Subject) []string {
	names := make([]string, len(subjects))
	for i, subject := range subjects {
		names[i] = subject.ID
	}
	return names
}

func nameAndKind(name, kind string) string {
	if kind == "" {
		return name
	}
	return strings.TrimSpace(fmt.Sprintf("%s (%s)", name, kind))
}

func htmlImages(images map[string]string) []htmlFact {
	var list []htmlFact
	for name, reference := range images {
		list = append(list, htmlFact{oneLine(name), oneLine(reference)})
	}
	slices.SortFunc(list, func(a, b htmlFact) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func legibleSubjects(subjects []Subject) []Subject {
	legible := slices.Clone(subjects)
	for i := range legible {
		subject := &legible[i]
		for _, field := range []*string{
			&subject.ID, &subject.Node, &subject.RuntimeClass, &subject.RuntimeHandler, &subject.RuntimeVersion, &subject.Runtime,
			&subject.Kubelet, &subject.Kernel, &subject.CgroupVersion, &subject.OSImage, &subject.Architecture,
		} {
			*field = oneLine(*field)
		}
	}
	return legible
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
