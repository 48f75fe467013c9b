// Package published writes report.yaml: what an implementation publishes of a run.
package published

import (
	"cmp"
	_ "embed"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

// SchemaVersion is the version of the form of a Report. It rises when a reader of an older report would
// misread a newer one. The form is described for machines in report.schema.json.
const SchemaVersion = 2

// Schema is the form of a Report as a JSON schema.
//
//go:embed report.schema.json
var Schema []byte

// Report is what an implementation publishes of a run: verdicts with their reasons and how to come by them again, without
// the evidence. It is written for those who compare implementations, so it says what was tested to the last version.
type Report struct {
	Kind            string            `json:"kind"` // always "SharedProcessNamespaceConformance"
	SchemaVersion   int               `json:"schemaVersion"`
	Date            string            `json:"date,omitempty"` // when the run began, RFC 3339
	Verdict         reports.Verdict   `json:"verdict"`
	Reason          string            `json:"reason"`
	Counts          Counts            `json:"counts"`
	MayShare        *Permission       `json:"mayShare,omitempty"` // whether Pods may share on this cluster at all
	Profile         string            `json:"profile"`            // which traits were to be decided
	Partial         bool              `json:"partial,omitempty"`  // the report is about a part of the profile or of the cluster only
	Narrowed        []string          `json:"narrowed,omitempty"` // options that narrowed the profile or the cluster
	LeftOut         []LeftOut         `json:"leftOut,omitempty"`  // nodes that were not looked at, or not to the end
	Limits          map[string]string `json:"limits,omitempty"`   // limits that differ from their defaults, by name
	Running         bool              `json:"running,omitempty"`  // the run had not finished when this was written
	Suite           Suite             `json:"suite"`
	Cluster         Cluster           `json:"cluster"`
	Images          []Image           `json:"images"` // of the Pods that were looked at
	Implementations []Implementation  `json:"implementations"`
	Traits          []Trait           `json:"traits"`
	Reproduce       []string          `json:"reproduce"` // commands, with the suite at its version
}

// Permission is what the API said to a dry run of the smallest Pod with the field and without.
type Permission struct {
	Answer reports.Answer `json:"answer"`
	Reason string         `json:"reason,omitempty"`
}

// LeftOut is a node, or a node under one RuntimeClass, that was not looked at or not to the end.
type LeftOut struct {
	Name   string `json:"name"`
	Reason string `json:"reason,omitempty"`
}

// Counts is how many traits on targets have each verdict. Zeros are there, so that readers need not ask.
type Counts struct {
	Conformant     int `json:"conformant"`
	Nonconformant  int `json:"nonconformant"`
	Inconclusive   int `json:"inconclusive"`
	Unsupported    int `json:"unsupported"`
	NotRun         int `json:"notRun"`
	KnownDeviation int `json:"knownDeviation"` // nonconformant, as the list of known deviations says
	Resolved       int `json:"resolved"`       // conformant, although that list says otherwise
}

// Suite says which suite decided, and in which run.
type Suite struct {
	Version string `json:"version"`
	Run     string `json:"run"`
}

// Cluster says what the implementations ran in.
type Cluster struct {
	Kubernetes string `json:"kubernetes,omitempty"`
	Origin     string `json:"origin,omitempty"` // created, kept or existing
	Engine     string `json:"engine,omitempty"`
	NodeImage  *Image `json:"nodeImage,omitempty"`
}

// Image is an image as it was asked for. One that was built locally has no digest that anybody else could pull.
type Image struct {
	Name      string `json:"name,omitempty"`
	Reference string `json:"reference"`
	Digest    string `json:"digest,omitempty"`
}

// Implementation is one node with one runtime, which the verdicts are about.
type Implementation struct {
	Target         string `json:"target"` // what verdicts call it
	Node           string `json:"node,omitempty"`
	RuntimeClass   string `json:"runtimeClass,omitempty"`
	RuntimeHandler string `json:"runtimeHandler,omitempty"`
	Runtime        string `json:"runtime,omitempty"`
	RuntimeVersion string `json:"runtimeVersion,omitempty"`
	Kubelet        string `json:"kubelet,omitempty"`
	Kernel         string `json:"kernel,omitempty"`
	CgroupVersion  string `json:"cgroupVersion,omitempty"`
	OSImage        string `json:"osImage,omitempty"`
	Architecture   string `json:"architecture,omitempty"`
	Counts         Counts `json:"counts"`
}

// Trait is one trait with its verdict on each implementation.
type Trait struct {
	Trait      string         `json:"trait"`
	Statement  string         `json:"statement,omitempty"`
	Profile    string         `json:"profile,omitempty"` // the smallest one that holds it
	Documented bool           `json:"documented"`        // the article claims it
	Verdicts   []TraitVerdict `json:"verdicts"`
}

// TraitVerdict is what became of a trait on one implementation.
type TraitVerdict struct {
	Target         string             `json:"target"`
	Verdict        reports.Verdict    `json:"verdict"`
	Kind           string             `json:"kind,omitempty"` // why it is inconclusive
	Reason         string             `json:"reason,omitempty"`
	Cause          string             `json:"cause,omitempty"`
	KnownDeviation *reports.Deviation `json:"knownDeviation,omitempty"` // what was on record about it beforehand
}

// reasonLength is how much of a reason is published; the whole is in the run.
const reasonLength = 1000

// New returns what is published of a run.
func New(run reports.Run) Report {
	run = run.Complete()
	outcomes := run.Outcomes()
	report := Report{
		Kind: "SharedProcessNamespaceConformance", SchemaVersion: SchemaVersion,
		Date: legible.Timestamp(run.Start), Verdict: run.Verdict, Reason: shortLine(run.Reason), Counts: newCounts(outcomes),
		Profile: legible.Line(run.Profile), Partial: run.Partial(), Running: run.Running,
		Suite: Suite{Version: legible.Line(run.SuiteVersion), Run: legible.Line(run.ID)},
		Cluster: Cluster{
			Kubernetes: legible.Line(run.Cluster.KubernetesVersion), Origin: legible.Line(run.Cluster.Origin),
			Engine: legible.Line(run.Cluster.Engine),
		},
		Images: []Image{}, Implementations: []Implementation{}, Traits: []Trait{},
		Reproduce: []string{cmp.Or(run.CommandLine(), "sharedpid run")},
	}
	if run.Cluster.NodeImage != "" {
		image := newImage("", run.Cluster.NodeImage)
		report.Cluster.NodeImage = &image
	}
	for _, option := range run.Narrowed {
		report.Narrowed = append(report.Narrowed, shortLine(option))
	}
	if run.Permission.Answer != "" {
		report.MayShare = &Permission{Answer: run.Permission.Answer, Reason: shortLine(run.Permission.Reason)}
	}
	for _, left := range run.LeftOut {
		report.LeftOut = append(report.LeftOut, LeftOut{Name: legible.Line(left.Name), Reason: shortLine(left.Reason)})
	}
	for name, limit := range run.Limits {
		if report.Limits == nil {
			report.Limits = map[string]string{}
		}
		report.Limits[legible.Line(name)] = legible.Line(limit)
	}
	for name, reference := range run.Images {
		report.Images = append(report.Images, newImage(name, reference))
	}
	slices.SortFunc(report.Images, func(a, b Image) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Reference, b.Reference))
	})
	byTarget := map[string][]reports.Result{}
	for _, outcome := range outcomes {
		byTarget[outcome.Target] = append(byTarget[outcome.Target], outcome)
	}
	for _, target := range run.Targets {
		counts := newCounts(byTarget[target.ID])
		target = target.Legible()
		report.Implementations = append(report.Implementations, Implementation{
			Target: target.ID, Node: target.Node, RuntimeClass: target.RuntimeClass, RuntimeHandler: target.RuntimeHandler,
			Runtime: target.Runtime, RuntimeVersion: target.RuntimeVersion, Kubelet: target.Kubelet, Kernel: target.Kernel,
			CgroupVersion: target.CgroupVersion, OSImage: target.OSImage, Architecture: target.Architecture,
			Counts: counts,
		})
	}
	for i, outcome := range outcomes {
		if i == 0 || outcome.Trait != outcomes[i-1].Trait {
			report.Traits = append(report.Traits, Trait{Trait: legible.Line(outcome.Trait)})
		}
		report.Traits[len(report.Traits)-1].add(outcome)
	}
	return report
}

// add takes up an outcome. What did not run knows nothing of its trait, so another target's outcome may have to say it.
func (trait *Trait) add(outcome reports.Result) {
	trait.Statement = cmp.Or(trait.Statement, shortLine(outcome.Statement))
	trait.Profile = cmp.Or(trait.Profile, legible.Line(outcome.Profile))
	trait.Documented = trait.Documented || outcome.Documented
	verdict := TraitVerdict{
		Target: legible.Line(outcome.Target), Verdict: outcome.Verdict, Kind: legible.Line(string(outcome.Kind)),
		Reason: shortLine(outcome.Reason), Cause: shortLine(outcome.Cause),
	}
	if recorded := outcome.KnownDeviation; recorded != nil {
		verdict.KnownDeviation = &reports.Deviation{
			Runtime: legible.Line(recorded.Runtime), Versions: legible.Line(recorded.Versions), Trait: legible.Line(recorded.Trait),
			Reason: shortLine(recorded.Reason), Consequence: shortLine(recorded.Consequence), Link: shortLine(recorded.Link),
		}
	}
	trait.Verdicts = append(trait.Verdicts, verdict)
}

func newCounts(outcomes []reports.Result) Counts {
	count := reports.CountVerdicts(outcomes)
	return Counts{
		Conformant: count[reports.Conformant], Nonconformant: count[reports.Nonconformant], Inconclusive: count[reports.Inconclusive],
		Unsupported: count[reports.Unsupported], NotRun: count[reports.NotRun],
		KnownDeviation: count[reports.KnownDeviation], Resolved: count[reports.Resolved],
	}
}

func newImage(name, reference string) Image {
	image := Image{Name: legible.Line(name), Reference: legible.Line(reference)}
	if _, digest, found := strings.Cut(image.Reference, "@"); found {
		image.Digest = digest
	}
	return image
}

func shortLine(text string) string {
	return legible.Shorten(legible.Line(legible.Cut(text, 8*reasonLength)), reasonLength)
}

// Render returns the report as YAML, which people read and review as well.
func Render(run reports.Run) ([]byte, error) {
	return yaml.Marshal(New(run))
}
