// Package reports holds the result model of a run: what was learned, what it amounts to, and how it is read from a file.
//
// Each form of a report is a package below this one. A form is a pure function of one Run, so that a report never says
// what the model does not. What every form must say alike is decided here: the outcomes of a run beside the list of
// known deviations, their counts and their order, and the words for them.
package reports

import (
	"encoding/json"
	"strings"
	"time"
)

// SchemaVersion is the version of the JSON form of Run. It rises when a reader of an older
// file would misread a newer one.
const SchemaVersion = 2

// Verdict is what a run concludes about one trait of one target, or about itself as a whole.
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
	// KnownDeviation is what a report says of a nonconformant result that the list of known deviations has. It never
	// stands in Result.Verdict.
	KnownDeviation Verdict = "known deviation"
	// Resolved is what a report says of a conformant result that the list of known deviations calls nonconformant.
	// It never stands in Result.Verdict.
	Resolved Verdict = "resolved"
)

// Kind says why a result is inconclusive.
type Kind string

const (
	// Control means that a control did not show the opposite, so that the look at the Pod that shares proves nothing.
	Control Kind = "control"
	// Precondition means that what the trait needs was not there: a file, a worker, a program of the image.
	Precondition Kind = "precondition"
	// Ambiguous means that processes of several Pods were seen where the Pod's own had to be told apart.
	Ambiguous Kind = "ambiguous"
	// Refused means that admission, a quota, RBAC or a policy refused a request.
	Refused Kind = "refused"
	// Changed means that admission changed the Pod: it is another one than the trait is about.
	Changed Kind = "changed"
	// NotStarted means that a container or a sandbox cannot come up: image, configuration, runtime handler.
	NotStarted Kind = "not started"
	// Lost means that the node, the API or an answer was lost.
	Lost Kind = "lost"
	// OutOfTime means that what was waited for did not come within its limit.
	OutOfTime Kind = "out of time"
	// Killed means that the shell of a look was ended by SIGKILL.
	Killed Kind = "killed"
	// Interrupted means that the run was ended from outside.
	Interrupted Kind = "interrupted"
	// Defect means that the check itself failed: a defect of the suite.
	Defect Kind = "defect"
)

// Run is everything that one run of the suite learned. All reports are functions of it.
type Run struct {
	SchemaVersion int    `json:"schemaVersion"`
	ID            string `json:"id"`
	SuiteVersion  string `json:"suiteVersion"`
	Profile       string `json:"profile"`
	// Implementation says whose results these are, nil where nobody says so.
	Implementation *Implementation `json:"implementation,omitempty"`
	// Narrowed are the options that narrowed the profile or the cluster, or changed what a statement asks for, as they were given;
	// empty when nothing did.
	Narrowed []string `json:"narrowed,omitempty"`
	// Adapted is what namespaces and Pods had beside what fixtures say, since the cluster demands it; empty for nothing.
	Adapted []string `json:"adapted,omitempty"`
	// LeftOut is what of the cluster was not looked at, or not to the end, and why.
	LeftOut []LeftOut `json:"leftOut,omitempty"`
	// Permission says whether Pods may share on this cluster at all; empty before the API was asked.
	Permission Permission `json:"permission,omitzero"`
	// Command is the subcommand that made the run, such as run or faults, and Arguments are those that it was given: together they
	// reproduce it.
	Command   string   `json:"command,omitempty"`
	Arguments []string `json:"arguments,omitempty"`
	// Limits are the limits that differ from their defaults, by name.
	Limits map[string]string `json:"limits,omitempty"`
	// Running says that the run had not ended when this was written.
	Running bool      `json:"running,omitempty"`
	Start   time.Time `json:"start"`
	// Resumed are the times at which the run was gone on with after it had been killed or interrupted.
	Resumed []time.Time `json:"resumed,omitempty"`
	Seconds float64     `json:"seconds"` // from Start to the last write
	// Verdict and Reason are the overall verdict; Conclude sets them.
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason"`
	// SetupError is the reason why the run ended before its plan was done, empty when it did not.
	SetupError string            `json:"setupError,omitempty"`
	Cluster    Cluster           `json:"cluster"`
	Images     map[string]string `json:"images,omitempty"` // test image name to the reference used
	Targets    []Target          `json:"targets"`
	Plan       []Planned         `json:"plan"`
	// Tasks are what the run's traits answer for people who share a process namespace to do something, nil for nothing.
	Tasks   *Tasks   `json:"tasks,omitempty"`
	Results []Result `json:"results"`
	Phases  []Phase  `json:"phases,omitempty"`
	// Looks are the questions to the cluster and its answers: what judging the run again rests on.
	Looks []Look `json:"looks,omitempty"`
	// PeakMemoryBytes is the largest resident set that the suite's process had.
	PeakMemoryBytes int64 `json:"peakMemoryBytes,omitempty"`
}

// LeftOut is a node, or a node under one RuntimeClass, that was not looked at or not to the end.
type LeftOut struct {
	Name   string `json:"name"`   // the node's, or Target.ID where another class may have the node
	Reason string `json:"reason"` // what is so of it: tainted, not ready, not the RuntimeClass's, not selected, like another one, lost midway
}

// Partial tells whether the run was about a part of the profile or of the cluster only.
func (run Run) Partial() bool { return len(run.Narrowed)+len(run.LeftOut) > 0 }

// Look is one question to the cluster with its answer. Those of one asker on one target stand in the order in which they
// were asked.
type Look struct {
	Target   string          `json:"target"`   // Target.ID
	By       string          `json:"by"`       // id of the trait, or name of the probe, that asked
	Question string          `json:"question"` // what was asked of whom, such as "exec article/shell: kill -URG 7"
	Answer   json.RawMessage `json:"answer,omitempty"`
	Kind     Kind            `json:"kind,omitempty"`  // why there is no answer
	Error    string          `json:"error,omitempty"` // the same in words
}

// Cluster says which cluster was looked at and how it was obtained.
type Cluster struct {
	Name              string `json:"name"`
	KubernetesVersion string `json:"kubernetesVersion"`
	Origin            string `json:"origin"` // "created", "kept" or "existing"
	Engine            string `json:"engine,omitempty"`
	NodeImage         string `json:"nodeImage,omitempty"`
}

// Target is one node under one runtime handler: where a trait was looked at.
type Target struct {
	ID             string `json:"id"` // unique in a run: the node's name, with "/RUNTIMECLASS" when one was asked for
	Node           string `json:"node"`
	NodeUID        string `json:"nodeUID,omitempty"` // by which a node is known from another one of its name
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

// Planned is one trait on one target that the run set out to decide.
type Planned struct {
	Trait  string `json:"trait"`
	Target string `json:"target"`
}

// Result is the verdict on one trait on one target, and what it rests on.
type Result struct {
	Trait      string     `json:"trait"`  // stable id, GROUP/NAME
	Target     string     `json:"target"` // Target.ID
	Statement  string     `json:"statement"`
	Profile    string     `json:"profile"` // the smallest profile the trait is in: article, core or full
	Documented bool       `json:"documented"`
	Article    string     `json:"article,omitempty"` // the accurate statement where the article is loose
	Sources    []string   `json:"sources,omitempty"`
	Verdict    Verdict    `json:"verdict"`
	Kind       Kind       `json:"kind,omitempty"`      // why it is inconclusive, empty otherwise
	Reason     string     `json:"reason"`              // one line: what was observed, or why it was not
	Cause      string     `json:"cause,omitempty"`     // on failure: what probably causes it
	NextStep   string     `json:"nextStep,omitempty"`  // on failure: what a person does next
	Kept       string     `json:"kept,omitempty"`      // on failure: the command that shows its Pods, where they are left after the run
	Diagnosis  string     `json:"diagnosis,omitempty"` // on failure: Pod, events and logs as gathered before clean-up
	Stack      string     `json:"stack,omitempty"`     // of a check that failed itself
	Namespace  string     `json:"namespace,omitempty"` // where its Pods were
	Start      time.Time  `json:"start"`
	Seconds    float64    `json:"seconds"`
	Requests   int        `json:"requests,omitempty"` // to the API, this trait's own
	Evidence   []Evidence `json:"evidence"`
	Control    []Evidence `json:"control,omitempty"` // the same look at a Pod that does not share
	// KnownDeviation is what was recorded beforehand about this trait under this runtime, nil when nothing was. It turns
	// a nonconformant result into a known deviation, and a conformant one into a resolved one.
	KnownDeviation *Deviation `json:"knownDeviation,omitempty"`
}

// Deviation is one entry of the list of known deviations.
type Deviation struct {
	Runtime     string `json:"runtime"`            // that of Target.RuntimeName
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

// Allowed is what Access.Want and Access.Observed hold where nothing refuses.
const Allowed = "allowed"

// Access is one cell of the access matrix: one caller, one target, one operation.
type Access struct {
	Caller    string `json:"caller"`
	Target    string `json:"target"`
	Operation string `json:"operation"`
	Want      string `json:"want"`     // "allowed" or an errno
	Observed  string `json:"observed"` // "allowed" or an errno
	Rule      string `json:"rule"`     // why that is wanted, one sentence
	// Narrowed is what was detected to forbid more than the rule does: "yama", "apparmor", "selinux", "hidepid".
	Narrowed string `json:"narrowed,omitempty"`
}

// Phase is one step of a run with its length, for people who watch the time.
type Phase struct {
	Name    string    `json:"name"`
	Start   time.Time `json:"start"`
	Seconds float64   `json:"seconds"`
}

// RuntimeName is the name by which the list of known deviations calls the target's runtime: that of its RuntimeClass,
// or without one that of the node's container runtime, such as containerd.
func (target Target) RuntimeName() string {
	if target.RuntimeClass != "" {
		return target.RuntimeClass
	}
	name, _, _ := strings.Cut(target.Runtime, "://")
	return name
}

// Version is the version of the runtime that RuntimeName names, empty when it is not known.
func (target Target) Version() string {
	if target.RuntimeClass != "" {
		return target.RuntimeVersion
	}
	_, version, _ := strings.Cut(target.Runtime, "://")
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
