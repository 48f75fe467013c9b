package reports

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	// goTest is the Go test that every case is a subtest of.
	goTest = "TestConformance"
	// GitLab reads no file above 30 MB, and drops it whole. Evidence of all cases together stays below this...
	junitEvidenceTotal = 16 << 20
	// ...and that of one case below this, because people scroll through it.
	junitEvidenceCase = 256 << 10
)

// suitesPackage is the import path of the traits, taken from this package's own so that it follows the module's name.
var suitesPackage = path.Join(path.Dir(reflect.TypeFor[Run]().PkgPath()), "suites")

// A single level of suites: of nested ones, most readers see only the outermost or only the innermost.
type junitSuites struct {
	XMLName xml.Name `xml:"testsuites"`
	Name    string   `xml:"name,attr"`
	junitCounts
	Suites []junitSuite `xml:"testsuite"`
}

type junitCounts struct {
	Tests    int    `xml:"tests,attr"`
	Failures int    `xml:"failures,attr"`
	Errors   int    `xml:"errors,attr"`
	Skipped  int    `xml:"skipped,attr"`
	Time     string `xml:"time,attr"`
}

type junitSuite struct {
	// dorny/test-reporter makes its headings from suite names and fails without them.
	Name string `xml:"name,attr"`
	junitCounts
	Timestamp  string          `xml:"timestamp,attr,omitempty"`
	Hostname   string          `xml:"hostname,attr,omitempty"` // the node
	File       string          `xml:"file,attr,omitempty"`
	Properties []junitProperty `xml:"properties>property,omitempty"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitCase struct {
	Classname string `xml:"classname,attr"`
	Name      string `xml:"name,attr"`
	// mikepenz/action-junit-report and GitLab link the case to this file.
	File       string          `xml:"file,attr,omitempty"`
	Time       string          `xml:"time,attr"`
	Properties []junitProperty `xml:"properties>property,omitempty"` // Jenkins shows these
	Failure    *junitProblem   `xml:"failure"`
	Error      *junitProblem   `xml:"error"`
	Skipped    *junitProblem   `xml:"skipped"`
	SystemOut  string          `xml:"system-out,omitempty"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Content string `xml:",chardata"`
}

// writeJUnit returns the run as JUnit XML, in the dialect that GitLab, Jenkins, Prow and the common GitHub
// actions all read. There is one suite for each subject and trait group, and in it one case for each
// trait; subtests' parents have no row of their own, because readers would count them as tests.
func writeJUnit(run Run) ([]byte, error) {
	document := junitSuites{Name: goTest}
	// First, because dorny/test-reporter shows only the first failure, and this one explains the others.
	if problem := runProblem(run); problem != "" {
		document.Suites = append(document.Suites, runSuite(run, problem))
	}
	outcomes := run.besideList()
	sortForSuites(outcomes)
	evidenceLimit := junitEvidenceLimit(outcomes)
	names := make(map[string]bool)
	for start := 0; start < len(outcomes); {
		end := start + 1
		for end < len(outcomes) && sameSuite(outcomes[start], outcomes[end]) {
			end++
		}
		document.Suites = append(document.Suites, traitSuite(run, outcomes[start:end], evidenceLimit, names))
		start = end
	}
	for _, suite := range document.Suites {
		document.Tests += suite.Tests
		document.Failures += suite.Failures
		document.Errors += suite.Errors
		document.Skipped += suite.Skipped
	}
	document.Time = seconds(run.Seconds)
	content, err := xml.MarshalIndent(document, "", "  ")
	if err != nil {
		return nil, err
	}
	return slices.Concat([]byte(xml.Header), content, []byte("\n")), nil
}

func sortForSuites(outcomes []Result) {
	slices.SortStableFunc(outcomes, func(a, b Result) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Group(), b.Group()), cmp.Compare(a.Trait, b.Trait))
	})
}

func sameSuite(a, b Result) bool { return a.Subject == b.Subject && a.Group() == b.Group() }

// runProblem says what is wrong with the run itself, empty when nothing is.
func runProblem(run Run) string {
	switch {
	case run.SetupError != "":
		return run.SetupError
	case len(run.Plan) == 0 && len(run.Results) == 0:
		// Readers take a file without a case for success.
		return "nothing was planned, so nothing was decided"
	default:
		return ""
	}
}

// runSuite holds a failed set-up as a case of its own: it belongs to no trait, and hidden in an
// attribute of a suite nobody would show it. No file: what went wrong is not in a file of suites/.
func runSuite(run Run, problem string) junitSuite {
	return junitSuite{
		Name:        "set-up",
		junitCounts: junitCounts{Tests: 1, Errors: 1, Time: seconds(0)},
		Timestamp:   timestamp(run.Start),
		Properties:  runProperties(run),
		Cases: []junitCase{{
			Classname: suitesPackage,
			Name:      goTest,
			Time:      seconds(0),
			Error:     inconclusiveProblem(problem, printable(problem)),
		}},
	}
}

func traitSuite(run Run, outcomes []Result, evidenceLimit int, names map[string]bool) junitSuite {
	first := outcomes[0]
	suite := junitSuite{
		Name:       oneLine(first.Group() + " on " + first.Subject),
		File:       sourceFile(first),
		Properties: append(runProperties(run), subjectProperties(run, first.Subject)...),
	}
	var length float64
	var start time.Time
	for _, outcome := range outcomes {
		each := traitCase(run, outcome, evidenceLimit)
		each.Name = uniqueName(each, names)
		suite.Cases = append(suite.Cases, each)
		suite.count(each)
		length += max(outcome.Seconds, 0)
		if start.IsZero() || !outcome.Start.IsZero() && outcome.Start.Before(start) {
			start = outcome.Start
		}
	}
	suite.Time = seconds(length)
	suite.Timestamp = timestamp(start)
	if subject, ok := findSubject(run, first.Subject); ok {
		suite.Hostname = oneLine(subject.Node)
	}
	return suite
}

func (suite *junitSuite) count(each junitCase) {
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

func traitCase(run Run, outcome Result, evidenceLimit int) junitCase {
	each := junitCase{
		// Package and Test of go test -json, as gotestsum writes them too: a name can be pasted after -run, and a
		// CI system keeps a test's history whichever way its file came about.
		Classname:  suitesPackage,
		Name:       goTestName(goTest + "/" + outcome.Trait + "/" + outcome.Subject),
		File:       sourceFile(outcome),
		Time:       seconds(outcome.Seconds),
		Properties: traitProperties(outcome),
	}
	switch outcome.Verdict {
	case Conformant:
	case Unsupported, Expected:
		// Reason twice: GitLab reads the content and Jenkins the message.
		each.Skipped = &junitProblem{Message: oneLine(outcome.Reason), Content: printable(outcome.Reason)}
	case Nonconformant, Vanished:
		message := cause(outcome)
		each.Failure = &junitProblem{Message: message, Type: string(outcome.Verdict), Content: explain(message, outcome)}
	default:
		// An error and not a failure: nothing was observed that would be the runtime's fault.
		// Nor a skip, which every reader counts as good enough.
		message := cause(outcome)
		if outcome.Verdict == NotRun {
			message = "not run: " + message
			if run.SetupError != "" {
				message += ": " + oneLine(run.SetupError)
			}
		}
		each.Error = inconclusiveProblem(message, explain(message, outcome))
	}
	// Evidence of what went well is in run.json; here it would only use up the readers' size limit.
	if outcome.failed() {
		each.SystemOut = evidenceOutput(outcome, evidenceLimit)
	}
	return each
}

// inconclusiveProblem begins as the Go test's message does, in both places where readers look.
func inconclusiveProblem(message, content string) *junitProblem {
	const prefix = "inconclusive: "
	return &junitProblem{Message: prefix + oneLine(message), Type: string(Inconclusive), Content: prefix + content}
}

// cause says in one line what probably lies behind a failure, and what was seen.
func cause(outcome Result) string {
	cause, reason := oneLine(outcome.Cause), oneLine(outcome.Reason)
	if cause == "" || reason == "" {
		return cause + reason
	}
	return cause + ": " + reason
}

// explain is the content of a failure: GitLab shows nothing else of it, so the message comes again first.
func explain(message string, outcome Result) string {
	var text strings.Builder
	text.WriteString(message + "\n")
	for _, line := range explanation(outcome) {
		fmt.Fprintf(&text, "%s: %s\n", line.name, printable(line.value))
	}
	return text.String()
}

// junitEvidenceLimit shares the room for evidence among the cases that have any.
func junitEvidenceLimit(outcomes []Result) int {
	failed := 0
	for _, outcome := range outcomes {
		if outcome.failed() {
			failed++
		}
	}
	return min(junitEvidenceCase, junitEvidenceTotal/max(failed, 1))
}

// uniqueName returns the name of the case, with the suffix that Go gives a repeated subtest where the
// name is taken: of two cases with the same classname and name, GitLab drops one.
func uniqueName(each junitCase, taken map[string]bool) string {
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

func sourceFile(outcome Result) string { return "suites/" + oneLine(outcome.Group()) + ".go" }

func timestamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

func findSubject(run Run, id string) (Subject, bool) {
	for _, subject := range run.Subjects {
		if subject.ID == id {
			return subject, true
		}
	}
	return Subject{}, false
}

func runProperties(run Run) []junitProperty {
	return properties(
		"run", run.ID,
		"suite-version", run.SuiteVersion,
		"profile", run.Profile,
		"selection", run.Selection,
		"cluster", run.Cluster.Name,
		"cluster-origin", run.Cluster.Origin,
		"kubernetes", run.Cluster.KubernetesVersion,
		"engine", run.Cluster.Engine,
		"node-image", run.Cluster.NodeImage,
	)
}

func subjectProperties(run Run, id string) []junitProperty {
	subject, _ := findSubject(run, id)
	return properties(
		"subject", id,
		"node", subject.Node,
		"runtime-class", subject.RuntimeClass,
		"runtime-handler", subject.RuntimeHandler,
		"runtime-version", subject.RuntimeVersion,
		"runtime", subject.Runtime,
		"kubelet", subject.Kubelet,
		"kernel", subject.Kernel,
		"cgroup-version", subject.CgroupVersion,
		"os-image", subject.OSImage,
		"architecture", subject.Architecture,
	)
}

func traitProperties(outcome Result) []junitProperty {
	return properties(
		"trait", outcome.Trait,
		"subject", outcome.Subject,
		"verdict", string(outcome.Verdict),
		"statement", outcome.Statement,
		"profile", outcome.Profile,
		"documented", strconv.FormatBool(outcome.Documented),
		"article-note", outcome.Article,
		"sources", strings.Join(outcome.Sources, " "),
		"namespace", outcome.Namespace,
		"on-record", recorded(outcome.Deviation),
	)
}

// properties pairs names with values and leaves out those without a value.
func properties(pairs ...string) []junitProperty {
	var list []junitProperty
	for i := 0; i+1 < len(pairs); i += 2 {
		if value := oneLine(pairs[i+1]); value != "" {
			list = append(list, junitProperty{Name: pairs[i], Value: value})
		}
	}
	return list
}
