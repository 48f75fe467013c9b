package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// ConformanceReportVersion is the version of the form of a ConformanceReport. It rises when a reader of an older report would
// misread a newer one. The form is described for machines in conformance-report.schema.json.
const ConformanceReportVersion = 1

// ConformanceReport is what an implementation publishes of a run: verdicts with their reasons and how to come by them again, without
// the evidence. It is written for those who compare implementations, so it says what was tested to the last version.
type ConformanceReport struct {
	Kind            string                 `json:"kind"` // always "SharedProcessNamespaceConformance"
	SchemaVersion   int                    `json:"schemaVersion"`
	Date            string                 `json:"date,omitempty"` // when the run began, RFC 3339
	Verdict         Verdict                `json:"verdict"`
	Reason          string                 `json:"reason"`
	Counts          ReportCounts           `json:"counts"`
	Profile         string                 `json:"profile"`             // which traits were to be decided
	Selection       string                 `json:"selection,omitempty"` // what narrowed the profile: such a report is about a part of it only
	Suite           ReportSuite            `json:"suite"`
	Cluster         ReportCluster          `json:"cluster"`
	Images          []ReportImage          `json:"images"` // of the Pods that were looked at
	Implementations []ReportImplementation `json:"implementations"`
	Traits          []ReportTrait          `json:"traits"`
	Reproduce       []string               `json:"reproduce"` // commands, in a checkout of the suite at its version
}

// ReportCounts is how many traits on subjects have each verdict. Zeros are there, so that readers need not ask.
type ReportCounts struct {
	Conformant    int `json:"conformant"`
	Nonconformant int `json:"nonconformant"`
	Inconclusive  int `json:"inconclusive"`
	Unsupported   int `json:"unsupported"`
	NotRun        int `json:"notRun"`
	Expected      int `json:"expected"` // nonconformant, as a list of expected deviations says
	Vanished      int `json:"vanished"` // conformant, although that list says otherwise
}

// ReportSuite says which suite decided, and in which run.
type ReportSuite struct {
	Version string `json:"version"`
	Run     string `json:"run"`
}

// ReportCluster says what the implementations ran in.
type ReportCluster struct {
	Kubernetes string       `json:"kubernetes,omitempty"`
	Origin     string       `json:"origin,omitempty"` // created, kept or existing
	Engine     string       `json:"engine,omitempty"`
	NodeImage  *ReportImage `json:"nodeImage,omitempty"`
}

// ReportImage is an image as it was asked for. One that was built locally has no digest that anybody else could pull.
type ReportImage struct {
	Name      string `json:"name,omitempty"`
	Reference string `json:"reference"`
	Digest    string `json:"digest,omitempty"`
}

// ReportImplementation is one node with one runtime, which the verdicts are about.
type ReportImplementation struct {
	Subject        string       `json:"subject"` // what verdicts call it
	Node           string       `json:"node,omitempty"`
	RuntimeClass   string       `json:"runtimeClass,omitempty"`
	RuntimeHandler string       `json:"runtimeHandler,omitempty"`
	Runtime        string       `json:"runtime,omitempty"`
	RuntimeVersion string       `json:"runtimeVersion,omitempty"`
	Kubelet        string       `json:"kubelet,omitempty"`
	Kernel         string       `json:"kernel,omitempty"`
	CgroupVersion  string       `json:"cgroupVersion,omitempty"`
	OSImage        string       `json:"osImage,omitempty"`
	Architecture   string       `json:"architecture,omitempty"`
	Counts         ReportCounts `json:"counts"`
}

// ReportTrait is one trait with its verdict on each implementation.
type ReportTrait struct {
	Trait      string          `json:"trait"`
	Statement  string          `json:"statement,omitempty"`
	Profile    string          `json:"profile,omitempty"` // the smallest one that holds it
	Documented bool            `json:"documented"`        // the article claims it
	Verdicts   []ReportVerdict `json:"verdicts"`
}

// ReportVerdict is what became of a trait on one implementation.
type ReportVerdict struct {
	Subject   string     `json:"subject"`
	Verdict   Verdict    `json:"verdict"`
	Reason    string     `json:"reason,omitempty"`
	Cause     string     `json:"cause,omitempty"`
	Deviation *Deviation `json:"deviation,omitempty"` // what was on record about it beforehand
}

// reportReason is how much of a reason is published; the whole is in the run.
const reportReason = 1000

// NewConformanceReport returns what is published of a run.
func NewConformanceReport(run Run) ConformanceReport {
	run = complete(run)
	outcomes := run.besideList()
	report := ConformanceReport{
		Kind: "SharedProcessNamespaceConformance", SchemaVersion: ConformanceReportVersion,
		Date: timestamp(run.Start), Verdict: run.Verdict, Reason: reportText(run.Reason), Counts: newReportCounts(outcomes),
		Profile: oneLine(run.Profile), Selection: reportText(run.Selection),
		Suite: ReportSuite{Version: oneLine(run.SuiteVersion), Run: oneLine(run.ID)},
		Cluster: ReportCluster{
			Kubernetes: oneLine(run.Cluster.KubernetesVersion), Origin: oneLine(run.Cluster.Origin), Engine: oneLine(run.Cluster.Engine),
		},
		Images: []ReportImage{}, Implementations: []ReportImplementation{}, Traits: []ReportTrait{}, Reproduce: reproduction(run),
	}
	if run.Cluster.NodeImage != "" {
		image := newReportImage("", run.Cluster.NodeImage)
		report.Cluster.NodeImage = &image
	}
	for name, reference := range run.Images {
		report.Images = append(report.Images, newReportImage(name, reference))
	}
	slices.SortFunc(report.Images, func(a, b ReportImage) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Reference, b.Reference))
	})
	bySubject := map[string][]Result{}
	for _, outcome := range outcomes {
		bySubject[outcome.Subject] = append(bySubject[outcome.Subject], outcome)
	}
	for _, subject := range legibleSubjects(run.Subjects) {
		report.Implementations = append(report.Implementations, ReportImplementation{
			Subject: subject.ID, Node: subject.Node, RuntimeClass: subject.RuntimeClass, RuntimeHandler: subject.RuntimeHandler,
			Runtime: subject.Runtime, RuntimeVersion: subject.RuntimeVersion, Kubelet: subject.Kubelet, Kernel: subject.Kernel,
			CgroupVersion: subject.CgroupVersion, OSImage: subject.OSImage, Architecture: subject.Architecture,
		})
	}
	for i, subject := range run.Subjects {
		report.Implementations[i].Counts = newReportCounts(bySubject[subject.ID])
	}
	for i, outcome := range outcomes {
		if i == 0 || outcome.Trait != outcomes[i-1].Trait {
			report.Traits = append(report.Traits, ReportTrait{Trait: oneLine(outcome.Trait)})
		}
		report.Traits[len(report.Traits)-1].add(outcome)
	}
	return report
}

// add takes up an outcome. What did not run knows nothing of its trait, so another subject's outcome may have to say it.
func (trait *ReportTrait) add(outcome Result) {
	trait.Statement = cmp.Or(trait.Statement, reportText(outcome.Statement))
	trait.Profile = cmp.Or(trait.Profile, oneLine(outcome.Profile))
	trait.Documented = trait.Documented || outcome.Documented
	verdict := ReportVerdict{Subject: oneLine(outcome.Subject), Verdict: outcome.Verdict, Reason: reportText(outcome.Reason), Cause: reportText(outcome.Cause)}
	if recorded := outcome.Deviation; recorded != nil {
		verdict.Deviation = &Deviation{
			Runtime: oneLine(recorded.Runtime), Versions: oneLine(recorded.Versions), Trait: oneLine(recorded.Trait),
			Reason: reportText(recorded.Reason), Consequence: reportText(recorded.Consequence), Link: reportText(recorded.Link),
		}
	}
	trait.Verdicts = append(trait.Verdicts, verdict)
}

func newReportCounts(outcomes []Result) ReportCounts {
	count := countVerdicts(outcomes)
	return ReportCounts{count[Conformant], count[Nonconformant], count[Inconclusive], count[Unsupported], count[NotRun], count[Expected], count[Vanished]}
}

func newReportImage(name, reference string) ReportImage {
	image := ReportImage{Name: oneLine(name), Reference: oneLine(reference)}
	if _, digest, found := strings.Cut(image.Reference, "@"); found {
		image.Digest = digest
	}
	return image
}

func reportText(text string) string {
	return shorten(oneLine(cutBytes(text, 8*reportReason)), reportReason)
}

// reproduction is the commands that make such a run again: on a kind cluster, or on the cluster that existed.
func reproduction(run Run) []string {
	var flags []string
	add := func(name, value string) { flags = append(flags, "-"+name, shellQuote(oneLine(value))) }
	for pattern := range strings.SplitSeq(run.Selection, ",") {
		if pattern != "" {
			add("trait", pattern)
		}
	}
	var classes []string
	for _, subject := range run.Subjects {
		if subject.RuntimeClass != "" && !slices.Contains(classes, subject.RuntimeClass) {
			classes = append(classes, subject.RuntimeClass)
			add("runtime-class", subject.RuntimeClass)
		}
	}
	if run.Cluster.Origin != "existing" {
		command := "make e2e PROFILE=" + shellQuote(oneLine(run.Profile))
		if len(flags) > 0 {
			command += " ARGS=" + shellQuote(strings.Join(flags, " "))
		}
		return []string{command}
	}
	add("context", run.Cluster.Name)
	return []string{
		"make bin",
		fmt.Sprintf("bin/sharedpid -test.run '^TestConformance$' -profile %s %s", shellQuote(oneLine(run.Profile)), strings.Join(flags, " ")),
	}
}

// shellQuote makes text one word for a shell, whatever it holds.
func shellQuote(text string) string {
	plain := func(char rune) bool {
		return char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9' || strings.ContainsRune("-_./:@=", char)
	}
	if text != "" && strings.IndexFunc(text, func(char rune) bool { return !plain(char) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// writeConformanceReport returns the report as YAML, which people read and review as well.
func writeConformanceReport(run Run) ([]byte, error) {
	return yaml.Marshal(NewConformanceReport(run))
}
