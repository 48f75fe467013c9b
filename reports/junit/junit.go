// Package junit writes a run as JUnit XML, in the dialect that GitLab, Jenkins, Prow and the common GitHub actions all read.
package junit

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
	"sharedpid.example/reports/internal/transcript"
)

const (
	// DefaultPackage is the import path of the Go test that decides the traits, as go test names it.
	DefaultPackage = "sharedpid.example/suites/sharedpid"
	// DefaultTest is that test's name. Every case is a subtest of it.
	DefaultTest = "TestConformance"
)

const (
	// GitLab reads no file above 30 MB, and drops it whole. Evidence of all cases together stays below this...
	evidenceTotal = 16 << 20
	// ...and that of one case below this, because people scroll through it.
	evidenceCase = 256 << 10
)

// Options say where the traits are decided.
type Options struct {
	Package string // import path of the Go test, DefaultPackage when empty
	Test    string // its name, DefaultTest when empty
	// File names the source file of a trait's outcome, relative to the checkout: GitLab and mikepenz/action-junit-report
	// link to it. Without it cases have no file.
	File func(outcome reports.Result) string
}

// A single level of suites: of nested ones, most readers see only the outermost or only the innermost.
type document struct {
	XMLName xml.Name `xml:"testsuites"`
	Name    string   `xml:"name,attr"`
	counts
	Suites []testSuite `xml:"testsuite"`
}

type counts struct {
	Tests    int    `xml:"tests,attr"`
	Failures int    `xml:"failures,attr"`
	Errors   int    `xml:"errors,attr"`
	Skipped  int    `xml:"skipped,attr"`
	Time     string `xml:"time,attr,omitempty"`
}

type testSuite struct {
	// dorny/test-reporter makes its headings from suite names and fails without them.
	Name string `xml:"name,attr"`
	counts
	Timestamp  string     `xml:"timestamp,attr,omitempty"`
	Hostname   string     `xml:"hostname,attr,omitempty"` // the node
	File       string     `xml:"file,attr,omitempty"`
	Properties []property `xml:"properties>property,omitempty"`
	Cases      []testCase `xml:"testcase"`
}

type testCase struct {
	Classname  string     `xml:"classname,attr"`
	Name       string     `xml:"name,attr"`
	File       string     `xml:"file,attr,omitempty"`
	Time       string     `xml:"time,attr,omitempty"`           // empty for what did not run
	Properties []property `xml:"properties>property,omitempty"` // Jenkins shows these
	Failure    *problem   `xml:"failure"`
	Error      *problem   `xml:"error"`
	Skipped    *problem   `xml:"skipped"`
	SystemOut  string     `xml:"system-out,omitempty"`
}

type property struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type problem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Content string `xml:",chardata"`
}

// Render returns the run as JUnit XML with the default options.
func Render(run reports.Run) ([]byte, error) { return RenderWith(run, Options{}) }

// RenderWith returns the run as JUnit XML. There is one suite for each target and trait group, and in it one case for each
// trait; subtests' parents have no row of their own, because readers would count them as tests.
func RenderWith(run reports.Run, options Options) ([]byte, error) {
	options.Package, options.Test = cmp.Or(options.Package, DefaultPackage), cmp.Or(options.Test, DefaultTest)
	run = run.Complete()
	whole := document{Name: options.Test}
	// First, because dorny/test-reporter shows only the first failure, and this one explains the others.
	if run.Problem() != "" {
		whole.Suites = append(whole.Suites, runSuite(run, options))
	}
	outcomes := run.Outcomes()
	sortForSuites(outcomes)
	var kinds map[string][]property
	if reports.TooManyTargets(outcomes) {
		kinds = sortByKind(outcomes, run.ByKind())
	}
	limit := evidenceLimit(outcomes)
	names := make(map[string]bool)
	for start := 0; start < len(outcomes); {
		end := start + 1
		for end < len(outcomes) && sameSuite(outcomes[start], outcomes[end]) {
			end++
		}
		suite := traitSuite(run, outcomes[start:end], options, limit, names)
		suite.Properties = append(suite.Properties, kinds[outcomes[start].Target]...)
		whole.Suites = append(whole.Suites, suite)
		start = end
	}
	for _, suite := range whole.Suites {
		whole.Tests += suite.Tests
		whole.Failures += suite.Failures
		whole.Errors += suite.Errors
		whole.Skipped += suite.Skipped
	}
	whole.Time = legible.Seconds(run.Seconds)
	content, err := xml.MarshalIndent(whole, "", "  ")
	if err != nil {
		return nil, err
	}
	return slices.Concat([]byte(xml.Header), content, []byte("\n")), nil
}

func sortForSuites(outcomes []reports.Result) {
	slices.SortStableFunc(outcomes, func(a, b reports.Result) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Group(), b.Group()), cmp.Compare(a.Trait, b.Trait))
	})
}

// sortByKind puts the suites of targets that differ from their kind before those of the kind, and returns properties for each target
// that say so.
func sortByKind(outcomes []reports.Result, groups []reports.KindOutcomes) map[string][]property {
	places := map[string]int{}
	for place, target := range reports.InOrder(groups) {
		places[target] = place
	}
	slices.SortStableFunc(outcomes, func(a, b reports.Result) int { return places[a.Target] - places[b.Target] })
	kinds := map[string][]property{}
	for _, group := range groups {
		for _, target := range group.Targets {
			kinds[target] = append(kinds[target], property{"target-kind", group.Label}, property{"target-kind-description", group.Kind.String()})
		}
		for _, outlier := range group.Outliers {
			kinds[outlier.Target] = append(kinds[outlier.Target], property{"differs-from-kind", outlier.Text()})
		}
	}
	return kinds
}

func sameSuite(a, b reports.Result) bool { return a.Target == b.Target && a.Group() == b.Group() }

// runSuite holds what is wrong with the run as a whole as a case of its own: it belongs to no trait, and hidden in an
// attribute of a suite nobody would show it. It has no file: what went wrong is in none.
func runSuite(run reports.Run, options Options) testSuite {
	return testSuite{
		Name:       "run",
		counts:     counts{Tests: 1, Errors: 1},
		Timestamp:  legible.Timestamp(run.Start),
		Properties: properties(run.Properties()),
		Cases: []testCase{{
			Classname: options.Package,
			Name:      options.Test,
			Error:     inconclusive("", run.Problem(), cmp.Or(legible.Text(run.SetupError), run.Problem())),
		}},
	}
}

func traitSuite(run reports.Run, outcomes []reports.Result, options Options, limit int, names map[string]bool) testSuite {
	first := outcomes[0]
	target, described := run.FindTarget(first.Target)
	target.ID = first.Target
	suite := testSuite{
		Name:       legible.Line(first.Group() + " on " + first.Target),
		File:       sourceFile(first, options),
		Properties: properties(run.Properties(), target.Properties()),
	}
	var length float64
	var start time.Time
	for _, outcome := range outcomes {
		each := traitCase(run, outcome, options, limit)
		each.Name = uniqueName(each, names)
		suite.Cases = append(suite.Cases, each)
		suite.count(each)
		length += max(outcome.Seconds, 0)
		if start.IsZero() || !outcome.Start.IsZero() && outcome.Start.Before(start) {
			start = outcome.Start
		}
	}
	if slices.ContainsFunc(outcomes, ran) {
		suite.Time = legible.Seconds(length)
	}
	suite.Timestamp = legible.Timestamp(start)
	if described {
		suite.Hostname = legible.Line(target.Node)
	}
	return suite
}

func ran(outcome reports.Result) bool { return outcome.Verdict != reports.NotRun }

func (suite *testSuite) count(each testCase) {
	suite.Tests++
	switch {
	case each.Failure != nil:
		suite.Failures++
	case each.Error != nil:
		suite.Errors++
	case each.Skipped != nil:
		suite.Skipped++
	}
}

func traitCase(run reports.Run, outcome reports.Result, options Options, limit int) testCase {
	each := testCase{
		// Package and Test of go test -json, as gotestsum writes them too: a name can be pasted after -run, and a
		// CI system keeps a test's history whichever way its file came about.
		Classname:  options.Package,
		Name:       goTestName(options.Test + "/" + outcome.Trait + "/" + outcome.Target),
		File:       sourceFile(outcome, options),
		Properties: properties(traitProperties(outcome)),
	}
	if ran(outcome) {
		each.Time = legible.Seconds(outcome.Seconds)
	}
	switch outcome.Verdict {
	case reports.Conformant:
	case reports.Unsupported, reports.KnownDeviation:
		// Reason twice: GitLab reads the content and Jenkins the message.
		each.Skipped = &problem{Message: legible.Line(outcome.Reason), Content: legible.Text(outcome.Reason)}
	case reports.Nonconformant, reports.Resolved:
		message := outcome.CauseAndReason()
		each.Failure = &problem{Message: message, Type: string(outcome.Verdict), Content: explain(message, outcome)}
	default:
		// An error and not a failure: nothing was observed that would be the runtime's fault.
		// Nor a skip, which every reader counts as good enough.
		kind, message := legible.Line(string(outcome.Kind)), outcome.CauseAndReason()
		if outcome.Verdict == reports.NotRun {
			kind = string(reports.NotRun)
			if run.SetupError != "" {
				message += ": " + legible.Line(run.SetupError)
			}
		}
		each.Error = inconclusive(kind, message, explain(message, outcome))
	}
	// Evidence of what went well is in run.json; here it would only use up the readers' size limit.
	if outcome.NeedsAttention() {
		each.SystemOut = transcript.Result(outcome, limit)
	}
	return each
}

// inconclusive begins as the Go test's message does, and then names the kind where one is known, in both places where
// readers look. The kind is the type of the error as well.
func inconclusive(kind, message, content string) *problem {
	prefix := string(reports.Inconclusive) + ": "
	if kind != "" {
		prefix += kind + ": "
	}
	return &problem{Message: prefix + legible.Line(message), Type: cmp.Or(kind, string(reports.Inconclusive)), Content: prefix + content}
}

// explain is the content of a failure: GitLab shows nothing else of it, so the message comes again first.
func explain(message string, outcome reports.Result) string {
	var text strings.Builder
	text.WriteString(message + "\n")
	for _, line := range outcome.Explanation() {
		fmt.Fprintf(&text, "%s: %s\n", line.Name, legible.Text(line.Value))
	}
	return text.String()
}

// evidenceLimit shares the room for evidence among the cases that have any.
func evidenceLimit(outcomes []reports.Result) int {
	failed := 0
	for _, outcome := range outcomes {
		if outcome.NeedsAttention() {
			failed++
		}
	}
	return min(evidenceCase, evidenceTotal/max(failed, 1))
}

// uniqueName returns the name of the case, with the suffix that Go gives a repeated subtest where the
// name is taken: of two cases with the same classname and name, GitLab drops one.
func uniqueName(each testCase, taken map[string]bool) string {
	name := each.Name
	for i := 1; taken[each.Classname+"/"+name]; i++ {
		name = fmt.Sprintf("%s#%02d", each.Name, i)
	}
	taken[each.Classname+"/"+name] = true
	return name
}

// goTestName spells a name as package testing does.
func goTestName(name string) string {
	var spelled strings.Builder
	for _, char := range name {
		switch {
		case unicode.IsSpace(char):
			spelled.WriteByte('_')
		case !strconv.IsPrint(char):
			quoted := strconv.QuoteRune(char)
			spelled.WriteString(quoted[1 : len(quoted)-1])
		default:
			spelled.WriteRune(char)
		}
	}
	return spelled.String()
}

func sourceFile(outcome reports.Result, options Options) string {
	if options.File == nil {
		return ""
	}
	return legible.Line(options.File(outcome))
}

func traitProperties(outcome reports.Result) []reports.Property {
	onRecord := ""
	if outcome.KnownDeviation != nil {
		onRecord = outcome.KnownDeviation.String()
	}
	return reports.NewProperties(
		"trait", outcome.Trait,
		"target", outcome.Target,
		"verdict", string(outcome.Verdict),
		"kind", string(outcome.Kind),
		"statement", outcome.Statement,
		"profile", outcome.Profile,
		"documented", strconv.FormatBool(outcome.Documented),
		"article-note", outcome.Article,
		"sources", strings.Join(outcome.Sources, " "),
		"namespace", outcome.Namespace,
		"on-record", onRecord,
	)
}

func properties(lists ...[]reports.Property) []property {
	var all []property
	for _, list := range lists {
		for _, each := range list {
			all = append(all, property(each))
		}
	}
	return all
}
