package reports

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The dialect is what the common readers agree on, see https://github.com/testmoapp/junitxml for the family.
type (
	// Readers differ on nested suites, so there is one level: a suite for each group of each subject.
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
		seconds    float64
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		// GitLab drops a case whose class name and name it has seen: the name holds trait and subject.
		ClassName string `xml:"classname,attr"`
		Name      string `xml:"name,attr"`
		// Some readers link a case to its source by this.
		File       string          `xml:"file,attr,omitempty"`
		Time       string          `xml:"time,attr"`
		Properties []junitProperty `xml:"properties>property,omitempty"`
		Failure    *junitOutcome   `xml:"failure"`
		Error      *junitOutcome   `xml:"error"`
		Skipped    *junitOutcome   `xml:"skipped"`
		SystemOut  *junitText      `xml:"system-out"`
	}
	// Some readers show the message and some the content, so the cause stands first in both.
	junitOutcome struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Content string `xml:",chardata"`
	}
	junitText struct {
		Content string `xml:",chardata"`
	}
)

// writeJUnit writes the JUnit report. Names are those of go test: TestConformance/GROUP/NAME/SUBJECT.
func writeJUnit(run Run) ([]byte, error) {
	suites := junitSuites{Name: "shared process namespace", Time: seconds(run.Seconds)}
	index := map[string]int{}
	suite := func(name string) *junitSuite {
		if _, found := index[name]; !found {
			index[name] = len(suites.Suites)
			suites.Suites = append(suites.Suites, junitSuite{
				Name: name, Timestamp: run.Start.UTC().Format(time.RFC3339), Properties: suiteProperties(run),
			})
		}
		return &suites.Suites[index[name]]
	}
	if run.SetupError != "" {
		// A failed set-up is a case of its own, or a reader that counts failures would see none.
		suite("setup").add(junitCase{ClassName: "setup", Name: "TestConformance", Error: outcome(Inconclusive, run.SetupError)}, 0)
	}
	for _, result := range run.Results {
		suite(result.Group()+" on "+result.Subject).add(resultCase(result), result.Seconds)
	}
	for _, planned := range run.NotRun() {
		suite(planned.Group()+" on "+planned.Subject).add(junitCase{
			ClassName: className(planned.Trait), Name: testName(planned.Trait, planned.Subject), File: sourceFile(planned.Trait),
			Error: outcome(Inconclusive, "not run: the run ended before it"),
		}, 0)
	}
	for i := range suites.Suites {
		each := &suites.Suites[i]
		each.Time = seconds(each.seconds)
		suites.Tests += each.Tests
		suites.Failures += each.Failures
		suites.Errors += each.Errors
		suites.Skipped += each.Skipped
	}
	buffer := bytes.NewBufferString(xml.Header)
	encoder := xml.NewEncoder(buffer)
	encoder.Indent("", "  ")
	if err := encoder.Encode(suites); err != nil {
		return nil, err
	}
	buffer.WriteByte('\n')
	return buffer.Bytes(), nil
}

func (suite *junitSuite) add(testCase junitCase, took float64) {
	testCase.Time = seconds(took)
	suite.seconds += took
	suite.Tests++
	switch {
	case testCase.Failure != nil:
		suite.Failures++
	case testCase.Error != nil:
		suite.Errors++
	case testCase.Skipped != nil:
		suite.Skipped++
	}
	suite.Cases = append(suite.Cases, testCase)
}

func resultCase(result Result) junitCase {
	testCase := junitCase{
		ClassName: className(result.Trait), Name: testName(result.Trait, result.Subject), File: sourceFile(result.Trait),
		Properties: []junitProperty{
			{"statement", text(result.Statement)}, {"profile", result.Profile}, {"documented", fmt.Sprint(result.Documented)},
		},
	}
	switch result.Verdict {
	case Conformant:
		return testCase
	case Unsupported:
		testCase.Skipped = outcome(Unsupported, result.Reason)
		return testCase
	case Nonconformant:
		testCase.Failure = outcome(Nonconformant, result.Reason, failureDetails(result)...)
	default:
		testCase.Error = outcome(Inconclusive, result.Reason, failureDetails(result)...)
	}
	// Evidence is for whoever looks into a failure; in a passing case it only makes the file large.
	testCase.SystemOut = &junitText{text(evidenceText(result))}
	return testCase
}

func outcome(verdict Verdict, reason string, details ...string) *junitOutcome {
	message := text(reason)
	if verdict == Inconclusive {
		message = "inconclusive: " + message
	}
	return &junitOutcome{
		Message: message, Type: string(verdict),
		Content: strings.Join(append([]string{message}, details...), "\n"),
	}
}

func failureDetails(result Result) []string {
	details := []string{"expected: " + text(result.Statement)}
	for _, detail := range []struct{ label, value string }{
		{"observed", result.Observed}, {"probable cause", result.Cause}, {"next step", result.NextStep},
	} {
		if detail.value != "" {
			details = append(details, detail.label+": "+text(detail.value))
		}
	}
	return details
}

func suiteProperties(run Run) []junitProperty {
	properties := []junitProperty{
		{"run", run.ID}, {"profile", run.Profile}, {"kubernetes", run.Cluster.KubernetesVersion},
	}
	for _, subject := range run.Subjects {
		properties = append(properties, junitProperty{"subject " + subject.ID, text(subject.Runtime + ", " + subject.Kernel)})
	}
	return properties
}

func className(trait string) string { return "suites." + group(trait) }

// testName is the name that go test -json gives the same case.
func testName(trait, subject string) string { return "TestConformance/" + trait + "/" + subject }

func sourceFile(trait string) string { return "suites/" + group(trait) + ".go" }

// seconds writes a decimal with a point and no exponent, which some readers do not take.
func seconds(value float64) string { return fmt.Sprintf("%.3f", value) }

// text makes a string one that XML 1.0 can hold: what a container prints may be anything.
func text(raw string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return r
		case r < 0x20 || r == 0x7f || r == 0xfffe || r == 0xffff || r == utf8.RuneError:
			return '?'
		}
		return r
	}, strings.ToValidUTF8(raw, "?"))
}
