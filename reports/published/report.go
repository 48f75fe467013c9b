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
const SchemaVersion = 3

// Schema is the form of a Report as a JSON schema.
//
//go:embed report.schema.json
var Schema []byte

// Report is what an implementation publishes of a run: verdicts with their reasons and how to come by them again, without
// the evidence. It is written for those who compare implementations, so it says what was tested to the last version.
type Report struct {
	Kind           string            `json:"kind"` // always "SharedProcessNamespaceConformance"
	SchemaVersion  int               `json:"schemaVersion"`
	Implementation *Implementation   `json:"implementation,omitempty"` // whose results these are
	Anonymous      bool              `json:"anonymous,omitempty"`      // names of nodes, clusters and files are replaced
	Date           string            `json:"date,omitempty"`           // when the run began, RFC 3339
	Verdict        reports.Verdict   `json:"verdict"`
	Reason         string            `json:"reason"`
	Counts         Counts            `json:"counts"`
	MayShare       *Permission       `json:"mayShare,omitempty"` // whether Pods may share on this cluster at all
	Profile        string            `json:"profile"`            // which traits were to be decided
	Partial        bool              `json:"partial,omitempty"`  // the report is about a part of the profile or of the cluster only
	Narrowed       []string          `json:"narrowed,omitempty"` // options that narrowed the profile or the cluster
	Adapted        []string          `json:"adapted,omitempty"`  // what namespaces and Pods had since the cluster demands it
	LeftOut        []LeftOut         `json:"leftOut,omitempty"`  // nodes that were not looked at, or not to the end
	Limits         map[string]string `json:"limits,omitempty"`   // limits that differ from their defaults, by name
	Running        bool              `json:"running,omitempty"`  // the run had not finished when this was written
	Suite          Suite             `json:"suite"`
	Cluster        Cluster           `json:"cluster"`
	Images         []Image           `json:"images"`          // of the Pods that were looked at
	Kinds          []TargetKind      `json:"kinds,omitempty"` // of targets, when there are many: those with odd ones come first
	Targets        []Target          `json:"targets"`
	Traits         []Trait           `json:"traits"`
	Reproduce      []string          `json:"reproduce"` // commands, with the suite at its version
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

// Cluster says what the targets were in.
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

// Implementation says whose results these are: what its makers state, and what the suite read itself.
type Implementation struct {
	Stated reports.Implementation `json:"stated"`
	Read   *Runtime               `json:"read,omitempty"`
}

// Runtime is the runtime that all targets have, by the name that its RuntimeClass or the node has for it, and its version.
type Runtime struct {
	Runtime string `json:"runtime"`
	Version string `json:"version,omitempty"` // where it is one and the same, and could be read
}

// Version is the version of the implementation: the one that is stated, or else the one that was read. It is empty when there is neither.
func (implementation Implementation) Version() string {
	if implementation.Stated.Version == "" && implementation.Read != nil {
		return implementation.Read.Version
	}
	return implementation.Stated.Version
}

// Target is one node with one runtime, which the verdicts are about.
type Target struct {
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

// TargetKind is how the targets came out that have all in common of which anybody expects a difference.
type TargetKind struct {
	Kind        string    `json:"kind"` // a name for it in this report
	Description string    `json:"description"`
	Targets     []string  `json:"targets"`
	Counts      Counts    `json:"counts"`
	Outliers    []Outlier `json:"outliers,omitempty"`
}

// Outlier is a target with traits that came out otherwise than on most of its kind.
type Outlier struct {
	Target string   `json:"target"`
	Traits []string `json:"traits"`
}

// Trait is one trait with its verdict on each target.
type Trait struct {
	Trait      string         `json:"trait"`
	Statement  string         `json:"statement,omitempty"`
	Profile    string         `json:"profile,omitempty"` // the smallest one that holds it
	Documented bool           `json:"documented"`        // the article claims it
	Verdicts   []TraitVerdict `json:"verdicts"`
}

// TraitVerdict is what became of a trait on one target.
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
		Images: []Image{}, Targets: []Target{}, Traits: []Trait{},
		Reproduce: []string{cmp.Or(run.CommandLine(), "sharedpid run")},
	}
	if run.Cluster.NodeImage != "" {
		image := newImage("", run.Cluster.NodeImage)
		report.Cluster.NodeImage = &image
	}
	if stated := run.Implementation; stated != nil {
		report.Implementation = newImplementation(*stated, run)
	}
	for _, option := range run.Narrowed {
		report.Narrowed = append(report.Narrowed, shortLine(option))
	}
	for _, line := range run.Adapted {
		report.Adapted = append(report.Adapted, shortLine(line))
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
		report.Targets = append(report.Targets, Target{
			Target: target.ID, Node: target.Node, RuntimeClass: target.RuntimeClass, RuntimeHandler: target.RuntimeHandler,
			Runtime: target.Runtime, RuntimeVersion: target.RuntimeVersion, Kubelet: target.Kubelet, Kernel: target.Kernel,
			CgroupVersion: target.CgroupVersion, OSImage: target.OSImage, Architecture: target.Architecture,
			Counts: counts,
		})
	}
	if reports.TooManyTargets(outcomes) {
		report.Kinds = newKinds(run.ByKind())
	}
	for i, outcome := range outcomes {
		if i == 0 || outcome.Trait != outcomes[i-1].Trait {
			report.Traits = append(report.Traits, Trait{Trait: legible.Line(outcome.Trait)})
		}
		report.Traits[len(report.Traits)-1].add(outcome)
	}
	return report
}

func newKinds(groups []reports.KindOutcomes) []TargetKind {
	var kinds []TargetKind
	for _, group := range groups {
		kind := TargetKind{Kind: group.Label, Description: shortLine(group.Kind.String()), Counts: newCountsOf(group.Counts)}
		for _, target := range group.Targets {
			kind.Targets = append(kind.Targets, legible.Line(target))
		}
		for _, differs := range group.Outliers {
			outlier := Outlier{Target: legible.Line(differs.Target)}
			for _, outcome := range differs.Traits {
				outlier.Traits = append(outlier.Traits, legible.Line(outcome.Trait))
			}
			kind.Outliers = append(kind.Outliers, outlier)
		}
		kinds = append(kinds, kind)
	}
	return kinds
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

func newImplementation(stated reports.Implementation, run reports.Run) *Implementation {
	for _, field := range []*string{&stated.Organization, &stated.Project, &stated.URL, &stated.Contact, &stated.Version} {
		*field = shortLine(*field)
	}
	implementation := Implementation{Stated: stated}
	if runtime, version := run.ReadVersion(); runtime != "" {
		implementation.Read = &Runtime{Runtime: legible.Line(runtime), Version: legible.Line(version)}
	}
	return &implementation
}

func newCounts(outcomes []reports.Result) Counts { return newCountsOf(reports.CountVerdicts(outcomes)) }

func newCountsOf(count reports.Counts) Counts {
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
