// Package reports holds the result model of a run and the writers that turn it into files.
// Every writer is a pure function of one Run, so that a report never says what the model does not.
package reports

import (
	"strings"
	"time"
)

// SchemaVersion is the version of the JSON form of Run. It rises when a reader of an older
// file would misread a newer one.
const SchemaVersion = 1

// Verdict is what a run concludes about one trait of one subject, or about itself as a whole.
type Verdict string

const (
	// Conformant means observed, and as the trait's statement says.
	Conformant Verdict = "conformant"
	// Nonconformant means observed, and not as the trait's statement says.
	Nonconformant Verdict = "nonconformant"
	// Inconclusive means it could not be observed. It is never a pass and never blamed on the runtime.
	Inconclusive Verdict = "inconclusive"
	// Unsupported means that the platform was seen to be unable to have the trait. It is not counted as a pass.
	Unsupported Verdict = "unsupported"
	// NotRun is what a report says of a planned trait that has no result. It never stands in Result.Verdict.
	NotRun Verdict = "not run"
	// Expected is what a report says of a nonconformant result that a list of expected deviations has. It never
	// stands in Result.Verdict.
	Expected Verdict = "expected"
	// Vanished is what a report says of a conformant result that a list of expected deviations calls nonconformant.
	// It never stands in Result.Verdict.
	Vanished Verdict = "vanished"
)

// Run is everything that one run of the suite learned. All reports are functions of it.
type Run struct {
	SchemaVersion int       `json:"schemaVersion"`
	ID            string    `json:"id"`
	SuiteVersion  string    `json:"suiteVersion"`
	Profile       string    `json:"profile"`
	Selection     string    `json:"selection,omitempty"` // what narrowed the profile (traits, labels), empty when nothing did
	Start         time.Time `json:"start"`
	Seconds       float64   `json:"seconds"` // from Start to the last write
	// Verdict and Reason are the overall verdict; Conclude sets them.
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason"`
	// SetupError is the reason why the run ended before its plan was done, empty when it did not.
	SetupError string            `json:"setupError,omitempty"`
	Cluster    Cluster           `json:"cluster"`
	Images     map[string]string `json:"images,omitempty"` // test image name to the reference used
	Subjects   []Subject         `json:"subjects"`
	Plan       []Planned         `json:"plan"`
	Results    []Result          `json:"results"`
	Phases     []Phase           `json:"phases,omitempty"`
	// PeakMemoryBytes is the largest resident set that the suite's process had.
	PeakMemoryBytes int64 `json:"peakMemoryBytes,omitempty"`
}

// Cluster says which cluster was looked at and how it was obtained.
type Cluster struct {
	Name              string `json:"name"`
	KubernetesVersion string `json:"kubernetesVersion"`
	Origin            string `json:"origin"` // "created", "kept" or "existing"
	Engine            string `json:"engine,omitempty"`
	NodeImage         string `json:"nodeImage,omitempty"`
}

// Subject is one node under one runtime handler: where a trait was looked at.
type Subject struct {
	ID             string `json:"id"` // unique in a run: the node's name, with "/RUNTIMECLASS" when one was asked for
	Node           string `json:"node"`
	RuntimeClass   string `json:"runtimeClass,omitempty"`
	RuntimeHandler string `json:"runtimeHandler,omitempty"`
	RuntimeVersion string `json:"runtimeVersion,omitempty"` // of the handler's OCI runtime, as it prints it, where known
	Runtime        string `json:"runtime"`                  // as the node reports it, such as containerd://2.4.2
	Kubelet        string `json:"kubelet"`
	Kernel         string `json:"kernel"`
	CgroupVersion  string `json:"cgroupVersion,omitempty"` // "v1" or "v2"
	OSImage        string `json:"osImage"`
	Architecture   string `json:"architecture"`
}

// Planned is one trait on one subject that the run set out to decide.
type Planned struct {
	Trait   string `json:"trait"`
	Subject string `json:"subject"`
}

// Result is the verdict on one trait on one subject, and what it rests on.
type Result struct {
	Trait      string     `json:"trait"`   // stable id, GROUP/NAME
	Subject    string     `json:"subject"` // Subject.ID
	Statement  string     `json:"statement"`
	Profile    string     `json:"profile"` // the smallest profile the trait is in: article, core or full
	Documented bool       `json:"documented"`
	Article    string     `json:"article,omitempty"` // the accurate statement where the article is loose
	Sources    []string   `json:"sources,omitempty"`
	Verdict    Verdict    `json:"verdict"`
	Reason     string     `json:"reason"`              // one line: what was observed, or why it was not
	Expected   string     `json:"expected,omitempty"`  // on failure: what the statement asks for
	Observed   string     `json:"observed,omitempty"`  // on failure: what was seen instead
	Cause      string     `json:"cause,omitempty"`     // on failure: what probably causes it
	NextStep   string     `json:"nextStep,omitempty"`  // on failure: what a person does next
	Diagnosis  string     `json:"diagnosis,omitempty"` // on failure: Pod, events and logs as gathered before clean-up
	Namespace  string     `json:"namespace,omitempty"` // where its Pods were
	Start      time.Time  `json:"start"`
	Seconds    float64    `json:"seconds"`
	Requests   int        `json:"requests,omitempty"` // to the API, this trait's own
	Evidence   []Evidence `json:"evidence"`
	Control    []Evidence `json:"control,omitempty"` // the same look at a Pod that does not share
	// Deviation is what was recorded beforehand about this trait under this runtime, nil when nothing was. It turns
	// a nonconformant result into an expected one, and a conformant one into a record that has become wrong.
	Deviation *Deviation `json:"deviation,omitempty"`
}

// Deviation is one entry of a list of expected deviations.
type Deviation struct {
	Runtime     string `json:"runtime"`            // that of Subject.RuntimeName
	Versions    string `json:"versions,omitempty"` // range of its versions that the entry is about, such as ">=1.5 <1.6"; empty for all
	Trait       string `json:"trait"`
	Reason      string `json:"reason"`                // what the runtime does instead
	Consequence string `json:"consequence,omitempty"` // for a user of the runtime
	Link        string `json:"link"`                  // where it is written that the runtime does so, or that it must not
}

// Evidence is one raw observation.
type Evidence struct {
	Title     string    `json:"title"`               // what it shows: "processes before SIGHUP"
	Where     string    `json:"where,omitempty"`     // POD/CONTAINER it was seen from, or "API"
	Command   string    `json:"command,omitempty"`   // as a person would type it there
	Output    string    `json:"output,omitempty"`    // verbatim; may hold anything a container printed
	ExitCode  *int      `json:"exitCode,omitempty"`  // of Command
	Errno     string    `json:"errno,omitempty"`     // EACCES, EPERM, ... when the look was refused
	Processes []Process `json:"processes,omitempty"` // when the look was a process list
	Access    []Access  `json:"access,omitempty"`    // when the look was an access matrix
}

// Process is one row of a process list.
type Process struct {
	PID       int      `json:"pid"`
	PPID      int      `json:"ppid"`
	UID       int      `json:"uid"`
	State     string   `json:"state"`
	Container string   `json:"container,omitempty"` // whose process it is, where known; "pause" for the sandbox's
	Arguments []string `json:"arguments"`           // empty for a zombie
}

// Access is one cell of the access matrix: one caller, one target, one operation.
type Access struct {
	Caller    string `json:"caller"`
	Target    string `json:"target"`
	Operation string `json:"operation"`
	Expected  string `json:"expected"`           // "allowed" or an errno
	Observed  string `json:"observed"`           // "allowed" or an errno
	Rule      string `json:"rule"`               // why that is expected, one sentence
	Narrowed  string `json:"narrowed,omitempty"` // what was detected to forbid more than the rule does: "yama", "apparmor", "selinux", "hidepid"
}

// Phase is one step of a run with its length, for people who watch the time.
type Phase struct {
	Name    string    `json:"name"`
	Start   time.Time `json:"start"`
	Seconds float64   `json:"seconds"`
}

// RuntimeName is the name by which a list of expected deviations calls the subject's runtime: that of its RuntimeClass,
// or without one that of the node's container runtime, such as containerd.
func (subject Subject) RuntimeName() string {
	if subject.RuntimeClass != "" {
		return subject.RuntimeClass
	}
	name, _, _ := strings.Cut(subject.Runtime, "://")
	return name
}

// Version is the version of the runtime that RuntimeName names, empty when it is not known.
func (subject Subject) Version() string {
	if subject.RuntimeClass != "" {
		return subject.RuntimeVersion
	}
	_, version, _ := strings.Cut(subject.Runtime, "://")
	return version
}

// Group returns the part of a trait's id before the slash.
func (result Result) Group() string { return group(result.Trait) }

// Group returns the part of a trait's id before the slash.
func (planned Planned) Group() string { return group(planned.Trait) }

func group(trait string) string {
	for i := range trait {
		if trait[i] == '/' {
			return trait[:i]
		}
	}
	return trait
}
