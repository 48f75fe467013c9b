package suite

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// Options is what a run is asked for. Configuration and Traits are needed, the rest has defaults.
type Options struct {
	Configuration *rest.Config
	Run           reports.Run // what is known of the run before, see NewRun; one without an id stands for nothing
	Traits        []Trait     // to be checked, see Select
	Profile       string      // that the traits are of
	SuiteVersion  string
	Arguments     []string // of the command, which reproduce the run
	Narrowed      []string // of these, what narrowed the profile

	// Images returns the reference of each test image by its name, for a cluster that has such a node. Without it the
	// manifests' own names are used.
	Images func(node corev1.Node) (map[string]string, error)
	// Namespace exists and takes all fixtures; what the run made there is removed, and nothing else. When it is empty, the run makes
	// namespaces of its own. The command's flag for it is --namespace, which errors name.
	Namespace string
	Nodes     []string // to check the traits on, their taints tolerated, instead of all nodes that take ordinary Pods
	// NodeLabels are what the nodes must have, nil for any.
	NodeLabels labels.Selector
	// Sampling says which nodes of one kind are looked at.
	Sampling Sampling
	// Before is the run that this one goes on with, see GoOn; one without an id is none.
	Before reports.Run
	// Adaptation is what the cluster demands of namespaces and Pods.
	Adaptation     Adaptation
	RuntimeClasses []string // to check the traits under, on the nodes that they select, instead of the nodes' own runtime
	// RuntimeVersion returns the version of the OCI runtime behind a target's RuntimeClass, empty when it is not known.
	RuntimeVersion func(ctx context.Context, target reports.Target) string
	// KnownDeviations returns what is known beforehand of a target's runtime.
	KnownDeviations func(target reports.Target) ([]reports.Deviation, error)

	Limits            Limits  // DefaultLimits when zero
	Parallel          int     // traits of one target that are checked at once
	Starting          int     // Pods of all targets that come up at once
	Execs             int     // of all targets at once
	RequestsPerSecond float32 // to the API

	// KeepFailed leaves the Pods of traits that are nonconformant or inconclusive, and their namespace, after the run.
	KeepFailed bool
	// Kubectl is how a person calls kubectl for the cluster; "kubectl" when empty.
	Kubectl string
	// Failed is called when a trait is nonconformant or inconclusive and its Pods are still there, one at a time. The target's Pods
	// stay until it returns. Nil for nothing.
	Failed func(ctx context.Context, result reports.Result)

	// Disposable says that the cluster is deleted after the run, and the run's namespaces with it.
	Disposable bool

	Recorder Recorder                           // of what is learned while the run goes on, nil for none
	Progress func(format string, values ...any) // one line for a person, nil for none
	// Checked is called when a target's traits are checked and its Pods are still there, nil for nothing. The names of the
	// target's Pods end in suffix. It may be called for several targets at the same time.
	Checked func(ctx context.Context, target reports.Target, suffix, namespace string)

	connect func(*rest.Config, pod.Limits) (*pod.Client, error) // another one in tests
}

// Recorder keeps what a run learns while it goes on, so that it is known when the run is killed. Its methods may be called
// at the same time.
type Recorder interface {
	// Record is given all that is known: when the targets are known, when more is known of them, and before the clean-up.
	Record(run reports.Run)
	// Add is given each result when it is there, and what it rests on. An error ends the run.
	Add(result reports.Result, looks []reports.Look) error
}

// Run checks the traits on every target of the cluster and returns all that was learned, whatever happened. It creates
// namespaces of its own and removes them, unless it is given one. The error says why the plan was not done: what is wrong with the
// options, why no target was reached, or that ctx ended.
func Run(ctx context.Context, options Options) (reports.Run, error) {
	run := newRun(options)
	err := explainSetUp(run.do(ctx))
	if run.namespace != nil {
		run.noteLosses(ctx)
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("interrupted (%w): what did not run is reported as not run; run again to go on", context.Cause(ctx))
	}
	run.update(func(known *reports.Run) {
		known.Running = false
		if err != nil {
			known.SetupError = err.Error()
		}
	})
	run.record()
	run.cleanUp()
	return run.snapshot(), err
}

// run is one run under way.
type run struct {
	options   Options
	traits    []Trait // in the order in which they are begun
	client    *pod.Client
	targets   []*target
	decided   map[reports.Planned]bool // by the run that this one goes on with
	namespace *namespace               // nil before there are Pods
	end       context.CancelFunc       // ends the checks before their plan is done

	mutex     sync.Mutex // guards the rest
	described int        // targets of which more was learned
	known     reports.Run
	looks     []reports.Look
	recorded  int               // looks that the recorder was given
	failed    error             // of the recorder
	doubted   map[string]bool   // names of nodes under which something was not answered
	losses    map[string]string // how nodes were lost before a trait began, by name
	kept      map[string]bool   // names of Pods, and of their controllers, that are left after the run
	failing   sync.Mutex        // held while Options.Failed is called
	unbegun   atomic.Int64      // nodes on which nothing was begun yet
}

func newRun(options Options) *run {
	if options.Limits == (Limits{}) {
		options.Limits = DefaultLimits()
	}
	ordinary := max(8, 4*runtime.NumCPU())
	for _, each := range []*int{&options.Parallel, &options.Starting, &options.Execs} {
		if *each == 0 {
			*each = ordinary
		}
	}
	if options.RequestsPerSecond == 0 {
		options.RequestsPerSecond = 100
	}
	if options.connect == nil {
		options.connect = pod.NewClient
	}
	if options.Run.ID == "" {
		options.Run = NewRun(options)
	}
	options.Kubectl = cmp.Or(options.Kubectl, "kubectl")
	return &run{
		options: options, traits: byCost(options.Traits), known: options.Run, looks: options.Run.Looks, recorded: len(options.Run.Looks),
		decided: decidedIn(options.Before), doubted: map[string]bool{}, losses: map[string]string{}, kept: map[string]bool{},
	}
}

// NewRun returns what is known of a run before it has a cluster: what it is asked, and what it will check.
func NewRun(options Options) reports.Run {
	known := reports.Run{
		SchemaVersion: reports.SchemaVersion, ID: strings.ToLower(rand.Text()[:8]), SuiteVersion: options.SuiteVersion,
		Profile: options.Profile, Narrowed: options.Narrowed, Arguments: options.Arguments, Limits: options.Limits.Changed(), Adapted: options.Adaptation.Lines(),
		Start: time.Now().UTC(), Running: true,
		Targets: []reports.Target{}, Plan: []reports.Planned{}, Results: []reports.Result{},
	}
	for _, trait := range options.Traits {
		known.Plan = append(known.Plan, reports.Planned{Trait: trait.ID, Target: unknownTarget})
	}
	return known
}

// unknownTarget stands in the plan until the nodes are known.
const unknownTarget = "node"

// do reaches the cluster, plans, and checks. An error leaves what is planned not run.
func (run *run) do(ctx context.Context) error {
	if err := run.reach(ctx); err != nil {
		return err
	}
	run.warnOfRights(ctx)
	var err error
	run.namespace, err = newNamespace(ctx, run.client, run.options, run.known.ID)
	if err != nil {
		return err
	}
	run.namespace.images = run.known.Images
	permission := run.askPermission(ctx)
	run.update(func(known *reports.Run) { known.Permission = permission })
	run.printf("    may Pods share here: %s", reports.Run{Permission: permission}.PermissionText())
	ctx, run.end = context.WithCancel(ctx)
	defer run.end()
	run.phase("profile "+run.options.Profile, func() { run.checkAll(ctx) })
	run.mutex.Lock()
	defer run.mutex.Unlock()
	return run.failed
}

// warnOfRights names the rights that are missing. What comes of it the traits say: some need none of them, and an API that does not answer
// this may answer the rest.
func (run *run) warnOfRights(ctx context.Context) {
	missing, err := run.missingRights(ctx)
	if err != nil {
		run.printf("warning: %v", err)
	}
	for _, each := range missing {
		run.printf("warning: %s; next step: %s", each.What, each.NextStep)
	}
}

// plan finds the targets, and what is to be known of them before their traits are checked.
func (run *run) plan(ctx context.Context) error {
	if run.known.Cluster.KubernetesVersion == "" {
		version, err := run.client.Discovery().ServerVersion()
		if err != nil {
			return fmt.Errorf("the API at %s does not answer: %w", run.options.Configuration.Host, err)
		}
		run.update(func(known *reports.Run) { known.Cluster.KubernetesVersion = version.GitVersion })
	}
	classes, err := runtimeClasses(ctx, run.client, run.options.RuntimeClasses)
	if err != nil {
		return err
	}
	var left []reports.LeftOut
	run.phase("node ready", func() {
		run.targets, left, err = findTargets(ctx, run.client, nodeSelection{
			names: run.options.Nodes, labels: run.options.NodeLabels, each: run.options.Sampling, only: run.options.Before.Targets,
		}, classes, run.options.Limits.Nodes)
	})
	if err != nil {
		return err
	}
	run.goOn()
	for _, line := range leftOutLines(left) {
		run.printf("    %s", line)
	}
	images := map[string]string{}
	if run.options.Images != nil {
		if images, err = run.options.Images(run.targets[0].node); err != nil {
			return err
		}
	}
	for _, target := range run.targets {
		if run.options.RuntimeVersion != nil {
			target.RuntimeVersion = run.options.RuntimeVersion(ctx, target.Target)
		}
		if run.options.KnownDeviations != nil {
			if target.deviations, err = run.options.KnownDeviations(target.Target); err != nil {
				return err
			}
		}
	}
	run.update(func(known *reports.Run) {
		known.Images = images
		known.Targets, known.Plan = nil, nil
		known.LeftOut = left
		for _, target := range run.targets {
			known.Targets = append(known.Targets, target.Target)
			for _, trait := range run.options.Traits {
				known.Plan = append(known.Plan, reports.Planned{Trait: trait.ID, Target: target.ID})
			}
		}
	})
	run.record()
	return nil
}

// check looks at one trait on one target, comes to its verdict, and keeps it. A trait that the end of the run cut short has
// no result: it stays "not run".
func (run *run) check(ctx context.Context, trait Trait, target *target) {
	start := time.Now()
	result := reports.Result{
		Trait: trait.ID, Target: target.ID, Statement: trait.Statement, Profile: string(trait.Profile),
		Documented: trait.Documented, Article: trait.Article, Sources: trait.Sources,
		Start: start.UTC(), Namespace: run.namespace.name, KnownDeviation: target.knownDeviation(trait.ID),
	}
	var requests atomic.Int64
	counted := pod.CountRequests(ctx, &requests)
	session := &Session{run: run, target: target, limits: run.options.Limits, by: trait.ID, needs: needNames(trait)}
	var begun bool
	outcome := Conclude(func(judge Judge) error {
		if err := session.lostNode(counted); err != nil {
			return err
		}
		begun = true
		limit := run.options.Limits.Trait
		limited, cancel := context.WithTimeoutCause(counted, limit, Undecided(reports.OutOfTime, "the trait was not decided within %s", limit))
		defer cancel()
		if needs := run.needsOf(trait.Destroys); len(needs) > 0 {
			seal(limited, session, needs)
		}
		return check(limited, trait, session, judge)
	})
	if ctx.Err() != nil && outcome.Verdict == reports.Inconclusive {
		return
	}
	outcome = run.unlessEvicted(trait, target, outcome)
	run.doubt(target, outcome)
	apply(&result, outcome, trait)
	failed := begun && (result.Verdict == reports.Nonconformant || result.Verdict == reports.Inconclusive)
	if failed && run.options.KeepFailed {
		result.Kept = run.keep(trait, target)
	}
	result.Evidence, result.Control = append([]reports.Evidence{}, session.evidence...), session.control
	if failed {
		diagnosing, cancel := context.WithTimeout(ctx, run.options.Limits.Exec)
		result.Diagnosis = run.namespace.diagnose(diagnosing, trait, target)
		cancel()
	}
	result.Requests, result.Seconds = int(requests.Load()), time.Since(start).Seconds()
	run.add(result, session.looks)
	if failed && run.options.Failed != nil && ctx.Err() == nil {
		run.failing.Lock()
		defer run.failing.Unlock()
		run.options.Failed(ctx, result)
	}
}

// check asks for what the trait requires, and checks it.
func check(ctx context.Context, trait Trait, session *Session, judge Judge) error {
	for _, requirement := range trait.Requires {
		missing, err := requirement.Missing(ctx, session)
		if err != nil {
			return err
		}
		if missing != "" {
			return &Unsupported{missing}
		}
	}
	for _, requirement := range trait.WhenNotStarted {
		if missing, known := requirement.known(ctx, session); known && missing != "" {
			return &Unsupported{missing}
		}
	}
	err := trait.Check(ctx, session, judge)
	if outcome := outcomeOf(err); outcome.Kind != reports.NotStarted {
		return err
	}
	for _, requirement := range trait.WhenNotStarted {
		// What cannot be told now leaves the trait as it is: not started.
		if missing, asked := requirement.ask(ctx, session); asked == nil && missing != "" {
			return &Unsupported{missing}
		}
	}
	return err
}

func needNames(trait Trait) map[string]bool {
	names := map[string]bool{}
	for _, need := range trait.Needs {
		names[need.probeName()] = true
	}
	return names
}

// needsOf are the probes of all traits of the run that look at one of the fixtures.
func (run *run) needsOf(fixtures []Fixture) []Need {
	found := map[string]Need{}
	for _, trait := range run.traits {
		for _, need := range trait.Needs {
			for _, fixture := range need.fixtures() {
				if slices.ContainsFunc(fixtures, func(destroyed Fixture) bool { return destroyed.Name == fixture.Name }) {
					found[need.probeName()] = need
				}
			}
		}
	}
	var needs []Need
	for _, name := range slices.Sorted(maps.Keys(found)) {
		needs = append(needs, found[name])
	}
	return needs
}

// manyTargets is above how many targets progress names what failed, and else one trait in a hundred.
const manyTargets = 6

// leftOutLines say what is left out, in a line for each, or of many in a line for each reason.
func leftOutLines(left []reports.LeftOut) []string {
	var lines []string
	if len(left) <= manyNodes {
		for _, each := range left {
			lines = append(lines, fmt.Sprintf("%s is left out: it %s", each.Name, each.Reason))
		}
		return lines
	}
	count := map[string]int{}
	var reasons []string
	for _, each := range left {
		if count[each.Reason] == 0 {
			reasons = append(reasons, each.Reason)
		}
		count[each.Reason]++
	}
	for _, reason := range reasons {
		lines = append(lines, fmt.Sprintf("%d nodes are left out, each of which %s", count[reason], reason))
	}
	return lines
}

// add keeps a result.
func (run *run) add(result reports.Result, looks []reports.Look) {
	run.addLooks(looks)
	run.mutex.Lock()
	run.known.Results = append(run.known.Results, result)
	done, planned := len(run.known.Results), len(run.known.Plan)
	fresh := run.looks[run.recorded:] // those of shared looks as well
	run.recorded = len(run.looks)
	run.mutex.Unlock()
	where := ""
	if len(run.targets) > 1 {
		where = " on " + result.Target
	}
	// With many targets a person follows what failed, and how far the run has come.
	if step := max(1, planned/100); len(run.targets) <= manyTargets || result.NeedsAttention() || done%step == 0 || done == planned {
		run.printf("    [%d/%d] %s%s %s%s (%.1f s, %d requests)", done, planned, result.Trait, where,
			result.Verdict, besideList(result), result.Seconds, result.Requests)
	}
	if run.options.Recorder != nil {
		if err := run.options.Recorder.Add(result, fresh); err != nil {
			run.mutex.Lock()
			run.failed = cmp.Or(run.failed, err)
			run.mutex.Unlock()
			run.end() // what cannot be kept need not be looked at
		}
	}
}

// apply gives a result its outcome, with what probably lies behind it.
func apply(result *reports.Result, outcome Outcome, trait Trait) {
	result.Verdict, result.Kind, result.Reason, result.Stack = outcome.Verdict, outcome.Kind, outcome.Reason, outcome.Stack
	result.Cause, result.NextStep = trait.Explain(outcome)
}

// besideList says how a result stands beside the list of known deviations.
func besideList(result reports.Result) string {
	switch {
	case result.IsKnownDeviation():
		return ", a known deviation"
	case result.IsResolved():
		return ", although a deviation is known"
	}
	return ""
}

func (run *run) addLooks(looks []reports.Look) {
	run.mutex.Lock()
	defer run.mutex.Unlock()
	run.looks = append(run.looks, looks...)
}

// phase runs a part of the run and keeps how long it took.
func (run *run) phase(name string, f func()) {
	start := time.Now()
	f()
	run.update(func(known *reports.Run) {
		known.Phases = append(known.Phases, reports.Phase{Name: name, Start: start.UTC(), Seconds: time.Since(start).Seconds()})
	})
}

func (run *run) update(change func(*reports.Run)) {
	run.mutex.Lock()
	defer run.mutex.Unlock()
	change(&run.known)
}

// describeTarget adds what was learned of a target's node from inside of a container.
func (run *run) describeTarget(id, cgroupVersion, kernel string) {
	var last bool
	run.update(func(known *reports.Run) {
		known.Targets = slices.Clone(known.Targets) // a recorder may be reading the list
		run.described++
		last = run.described == len(known.Targets)
		at := slices.IndexFunc(known.Targets, func(target reports.Target) bool { return target.ID == id })
		described := &known.Targets[at]
		described.CgroupVersion = cgroupVersion
		described.Kernel, _, _ = strings.Cut(described.Kernel, reports.SeenInContainers)
		if kernel != "" && kernel != described.Kernel {
			described.Kernel += reports.SeenInContainers + kernel
		}
	})
	// The whole is recorded each time: of many targets not for each one.
	if number := run.described; number&(number-1) == 0 || last {
		run.record()
	}
}

// snapshot is all that is known now.
func (run *run) snapshot() reports.Run {
	run.mutex.Lock()
	defer run.mutex.Unlock()
	known := run.known
	known.Seconds = time.Since(known.Start).Seconds()
	known.PeakMemoryBytes = PeakMemory()
	known.Results, known.Plan, known.Phases = slices.Clone(known.Results), slices.Clone(known.Plan), slices.Clone(known.Phases)
	known.Looks = referenced(run.looks)
	return known
}

func (run *run) record() {
	if run.options.Recorder != nil {
		run.options.Recorder.Record(run.snapshot())
	}
}

func (run *run) printf(format string, values ...any) {
	if run.options.Progress != nil {
		run.options.Progress(format, values...)
	}
}

// cleanUp removes what the run made, and says what it could not remove.
func (run *run) cleanUp() {
	if run.namespace == nil {
		return
	}
	run.namespace.unwatch()
	if run.options.Disposable {
		return
	}
	run.phase("clean-up", func() {
		if len(run.kept) > 0 {
			run.printf("    the Pods of what failed are left in namespace %s: %s --namespace %s get pods", run.namespace.name,
				run.options.Kubectl, run.namespace.name)
		}
		if err := run.namespace.removeBut(context.Background(), run.kept); err != nil {
			run.printf("warning: %v", err)
		}
	})
}

// keep says that the Pods of a trait on a target are left after the run, and returns the command that shows them.
func (run *run) keep(trait Trait, target *target) string {
	run.mutex.Lock()
	defer run.mutex.Unlock()
	var names []string
	for _, fixture := range trait.AllFixtures() {
		name := fixture.Name + target.suffix
		run.kept[name] = true
		names = append(names, name)
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("%s --namespace %s describe pods %s", run.options.Kubectl, run.namespace.name, strings.Join(names, " "))
}

// PeakMemory is the largest resident set of this process so far, in bytes, as proc_pid_status(5) tells it; 0 where there is no such file.
// What getrusage(2) tells begins with the memory of the process that started this one.
func PeakMemory() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	match := residentPeak.FindSubmatch(status)
	if match == nil {
		return 0
	}
	kibibytes, err := strconv.ParseInt(string(match[1]), 10, 64)
	if err != nil {
		return 0
	}
	return kibibytes << 10
}

var residentPeak = regexp.MustCompile(`(?m)^VmHWM:\s+([0-9]+) kB$`)
