package suites

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/pkg/env"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/features"
	"sigs.k8s.io/e2e-framework/pkg/types"

	"sharedpid.example/fixtures/nodeimage"
	"sharedpid.example/fixtures/runtimes"
	"sharedpid.example/fixtures/testimages"
	"sharedpid.example/helpers/cluster"
	"sharedpid.example/helpers/engine"
	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/progress"
	"sharedpid.example/reports"
)

// ExitBadInput is the exit code of a run that was not set up: bad input, or nothing to run on.
const ExitBadInput = 2

// deletionTime is what a run keeps of go test's -timeout for cleaning up.
const deletionTime = 30 * time.Second

// gate is one run: what it was asked, what it learned, and what it has to clean up.
type gate struct {
	options Options
	printer *progress.Printer
	root    string

	mutex sync.Mutex // guards run
	run   reports.Run

	asked   atomic.Int64 // how often reports were asked for
	writing sync.Mutex   // held while they are written, and guards served
	served  int64        // how many of those who asked are served

	configuration *rest.Config
	engine        *engine.Engine // nil on an existing cluster, like the next
	kind          *cluster.Kind
	subjects      []subject
	scenes        *scenes // nil before there are Pods and after they are removed
	// looked is called when a subject's traits are decided and its Pods are still there, nil for nothing.
	looked func(ctx context.Context, subject subject)
	// reportLast leaves the reports to the end: those of a thousand results cost more than deciding them.
	reportLast bool
}

// Conform obtains a cluster, decides the selected traits as features of the test, leaves reports, and cleans up.
// It returns the run's exit code: 0 conformant, 1 nonconformant, 2 not set up, 3 inconclusive.
func Conform(t *testing.T, options Options, terminal io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// The first signal ends the run in order; a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	if deadline, found := t.Deadline(); found {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, deadline.Add(-deletionTime), errors.New("the time of go test's -timeout is over"))
		defer cancel()
	}
	g := newGate(options, terminal)
	if err := reports.CheckDirectory(options.ReportDirectory); err != nil {
		t.Error(err)
		fmt.Fprintln(terminal, "error:", err)
		return ExitBadInput
	}
	// A panic in a test goroutine still runs what is registered here.
	t.Cleanup(func() { g.cleanUp() })
	err := g.setUp(ctx)
	if err == nil {
		g.decide(ctx, t)
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("interrupted (%w): what did not run is reported as not run; run again to go on", context.Cause(ctx))
	}
	g.phase("clean-up", g.cleanUp)
	return g.conclude(t, err, terminal)
}

func newGate(options Options, terminal io.Writer) *gate {
	return &gate{options: options, printer: progress.NewPrinter(terminal), run: newRun(options)}
}

func newRun(options Options) reports.Run {
	version := "unknown"
	if info, found := debug.ReadBuildInfo(); found && info.Main.Version != "" {
		version = info.Main.Version
	}
	run := reports.Run{
		SchemaVersion: reports.SchemaVersion, ID: strings.ToLower(rand.Text()[:8]), SuiteVersion: version,
		Profile: options.Profile, Selection: strings.Join(options.Patterns, ","), Start: time.Now().UTC(),
		Subjects: []reports.Subject{}, Plan: []reports.Planned{}, Results: []reports.Result{},
	}
	for _, trait := range options.Selected {
		run.Plan = append(run.Plan, reports.Planned{Trait: trait.ID, Subject: unknownSubject})
	}
	return run
}

// unknownSubject stands in the plan until the node is known.
const unknownSubject = "node"

// phase runs a part of the run and keeps how long it took.
func (g *gate) phase(name string, f func()) {
	start := time.Now()
	f()
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.run.Phases = append(g.run.Phases, reports.Phase{Name: name, Start: start.UTC(), Seconds: time.Since(start).Seconds()})
}

// setUp gets to a node on a cluster that answers.
func (g *gate) setUp(ctx context.Context) error {
	var err error
	g.phase("cluster", func() { err = g.obtain(ctx) })
	if err != nil {
		return err
	}
	if g.run.Cluster.KubernetesVersion, err = cluster.Version(ctx, g.configuration); err != nil {
		return err
	}
	client, err := pod.NewClient(g.configuration)
	if err != nil {
		return err
	}
	if err := createRuntimeClasses(ctx, client, g.options.Handlers.Names()); err != nil {
		return err
	}
	var nodes []corev1.Node
	g.phase("node ready", func() { nodes, err = cluster.ReadyNodes(ctx, client) })
	if err != nil {
		return err
	}
	if nodes, err = selectNodes(nodes, g.options.Nodes); err != nil {
		return err
	}
	if g.run.Images, err = g.images(nodes[0]); err != nil {
		return err
	}
	if g.subjects = g.options.selectSubjects(subjects(nodes, g.options.RuntimeClasses)); len(g.subjects) == 0 {
		return errors.New("the selection holds no subject: -assess and -skip-assessment are matched with NODE or NODE/RUNTIMECLASS")
	}
	if err := findHandlers(ctx, client, g.subjects); err != nil {
		return err
	}
	g.readVersions(ctx)
	for i := range g.subjects {
		if g.subjects[i].deviations, err = expectedOf(g.options.Deviations, g.subjects[i].Subject); err != nil {
			return err
		}
	}
	g.run.Subjects, g.run.Plan = nil, nil
	for _, subject := range g.subjects {
		g.run.Subjects = append(g.run.Subjects, subject.Subject)
		for _, trait := range g.options.Selected {
			g.run.Plan = append(g.run.Plan, reports.Planned{Trait: trait.ID, Subject: subject.ID})
		}
	}
	if err := g.write(); err != nil {
		return err
	}
	g.scenes, err = newScenes(ctx, client, g.run.ID, g.run.Images, g.options.Parallel)
	return err
}

// obtain reaches the existing cluster that was asked for, or finds or creates ours.
func (g *gate) obtain(ctx context.Context) error {
	if g.options.Existing() {
		g.run.Cluster = reports.Cluster{Name: g.options.Context, Origin: "existing"}
		var err error
		g.configuration, err = cluster.Existing(g.options.Kubeconfig, g.options.Context)
		return err
	}
	var err error
	if g.root, err = nodeimage.Root(); err != nil {
		return err
	}
	if _, err := os.Stat(g.options.ClusterConfig); err != nil {
		return fmt.Errorf("kind configuration: %w", err)
	}
	working, err := engine.Find(ctx, g.options.Engine)
	if err != nil {
		return fmt.Errorf("%w; run make e2e once, which installs one, or name an existing cluster with -kubeconfig", err)
	}
	image, err := nodeimage.Select(ctx, g.root, working, g.options.NodeImage)
	if err != nil {
		return err
	}
	local, err := nodeimage.Reference(g.root)
	if err != nil {
		return err
	}
	if image == local && !working.HasImage(ctx, image) {
		return fmt.Errorf("the node image %s is not built; run: make node-image", image)
	}
	if err := g.findRuntimes(); err != nil {
		return err
	}
	g.engine = working
	g.run.Cluster = reports.Cluster{Name: g.options.ClusterName, Origin: "created", Engine: working.Name, NodeImage: image}
	return g.findOrCreate(ctx, working, image)
}

// findRuntimes finds the runtimes that the nodes are to have beside their own, which bin/setup has built.
func (g *gate) findRuntimes() error {
	selected, err := runtimes.Select(g.options.Runtimes)
	if err != nil || len(selected) == 0 {
		return err
	}
	cache, err := engine.CacheDirectory()
	if err != nil {
		return err
	}
	folder, err := runtimes.Folder(g.root, cache)
	if err != nil {
		return err
	}
	g.options.Handlers, err = runtimes.Set(folder, selected)
	return err
}

func (g *gate) findOrCreate(ctx context.Context, working *engine.Engine, image string) error {
	var messages []string
	ours, err := cluster.NewKind(working, g.options.ClusterName, image, g.options.Handlers, func(message string) { messages = append(messages, message) })
	if err != nil {
		return err
	}
	g.kind = ours
	found, replaced, err := ours.Find(ctx)
	if err != nil {
		g.kind = nil
		return errors.Join(err, ours.Close())
	}
	if replaced != "" {
		g.printer.Printf("==> deleted the cluster %s of an earlier run: %s", g.options.ClusterName, replaced)
	}
	if found {
		g.printer.Printf("==> using the kept cluster %s", g.options.ClusterName)
		g.run.Cluster.Origin = "kept"
	} else {
		if err := working.CheckPrivileged(ctx, image); err != nil {
			g.kind = nil
			return errors.Join(err, ours.Close())
		}
		err := g.printer.Step(ctx, "create cluster "+g.options.ClusterName, func(ctx context.Context) error {
			_, err := ours.CreateWithConfig(ctx, g.options.ClusterConfig)
			return err
		})
		if err != nil {
			return fmt.Errorf("%w (%s)", err, strings.Join(messages[max(0, len(messages)-1):], ""))
		}
	}
	if g.configuration = ours.KubernetesRestConfig(); g.configuration == nil {
		return fmt.Errorf("the kubeconfig %s cannot be read; run make clean", ours.GetKubeconfig())
	}
	return nil
}

// images resolves the test images: the local ones where the node holds them, otherwise from a registry.
func (g *gate) images(node corev1.Node) (map[string]string, error) {
	sources := g.options.Images
	root, err := nodeimage.Root()
	if err == nil {
		nodeImage, err := nodeimage.Reference(root)
		if err != nil {
			return nil, err
		}
		testImage, err := testimages.LocalReference(root, testimages.Names()[0])
		if err != nil {
			return nil, err
		}
		sources.Local = g.run.Cluster.NodeImage == nodeImage || holds(node, testImage)
	}
	return sources.Resolve(root)
}

func holds(node corev1.Node, reference string) bool {
	return slices.ContainsFunc(node.Status.Images, func(image corev1.ContainerImage) bool {
		return slices.Contains(image.Names, reference)
	})
}

// decide decides everything and tells the test of it: every selected trait is a feature of the framework, with one
// assessment for each subject, which waits for the decision.
func (g *gate) decide(ctx context.Context, t *testing.T) {
	g.phase("profile "+g.options.Profile, func() {
		decisions := newDecisions(g.run.Plan)
		var deciding sync.WaitGroup
		deciding.Go(func() { g.decideAll(ctx, decisions) })
		defer deciding.Wait()
		var all []types.Feature
		for _, trait := range g.options.Selected {
			all = append(all, g.feature(trait, decisions))
		}
		env.NewWithConfig(g.options.Framework).TestInParallel(t, all...)
	})
}

// feature is a trait as the framework knows it.
func (g *gate) feature(trait Trait, decisions decisions) types.Feature {
	feature := features.New(trait.ID)
	for key, values := range trait.labels() {
		for _, value := range values {
			feature.WithLabel(key, value)
		}
	}
	for _, subject := range g.subjects {
		feature.Assess(subject.ID, func(step context.Context, t *testing.T, _ *envconf.Config) context.Context {
			report(t, decisions[reports.Planned{Trait: trait.ID, Subject: subject.ID}])
			return step
		})
	}
	return feature.Feature()
}

// report waits for a decision and tells the test how it ended.
func report(t *testing.T, decided *decision) {
	<-decided.made
	if decided.err != nil {
		t.Error(decided.err)
	}
	result := decided.result
	switch {
	case result == nil:
		// A look that the end of the run cut short is no result: the trait stays "not run".
		t.Error("inconclusive: the run was interrupted before the trait was decided")
	case result.AsExpected():
		t.Skipf("expected: %s (%s); observed: %s", result.Deviation.Reason, result.Deviation.Link, result.Reason)
	case result.HasVanished():
		t.Errorf("conformant, although a deviation is expected: %s", result.Deviation.Reason)
	case result.Verdict == reports.Nonconformant:
		t.Error(result.Reason)
	case result.Verdict == reports.Inconclusive:
		t.Error("inconclusive: " + result.Reason)
	case result.Verdict == reports.Unsupported:
		t.Skip(result.Reason)
	}
}

// add keeps a result and writes the reports, so that a run that is killed leaves what it knew.
func (g *gate) add(result reports.Result) error {
	g.mutex.Lock()
	g.run.Results = append(g.run.Results, result)
	done := len(g.run.Results)
	g.mutex.Unlock()
	under, beside := "", ""
	switch {
	case result.AsExpected():
		beside = ", as expected"
	case result.HasVanished():
		beside = ", although a deviation is expected"
	}
	if len(g.subjects) > 1 {
		under = " on " + result.Subject
	}
	g.printer.Printf("    [%d/%d] %s%s %s%s (%.1f s, %d requests)", done, len(g.run.Plan), result.Trait, under, result.Verdict, beside, result.Seconds, result.Requests)
	if g.reportLast {
		return nil
	}
	return g.write()
}

// write leaves reports of all that is known when it is called. Of those who wait for their turn one writes for all, since the reports
// of many subjects may take longer than their traits.
func (g *gate) write() error {
	asked := g.asked.Add(1)
	g.writing.Lock()
	defer g.writing.Unlock()
	if g.served >= asked {
		return nil
	}
	g.served = g.asked.Load()
	g.mutex.Lock()
	g.run.Seconds = time.Since(g.run.Start).Seconds()
	g.run.PeakMemoryBytes = peakMemory()
	run := g.run
	run.Subjects = slices.Clone(run.Subjects) // more is learned of them as they are looked at
	g.mutex.Unlock()
	return reports.Write(g.options.ReportDirectory, run)
}

// peakMemory is the largest resident set of this process so far, in bytes; see getrusage(2).
func peakMemory() int64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return usage.Maxrss << 10
}

// cleanUp removes what the run made, once: its cluster, or its namespaces on a cluster that stays. It says what
// it could not remove.
func (g *gate) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if g.kind == nil {
		g.removeNamespaces(ctx)
		return
	}
	ours := g.kind
	g.kind = nil
	defer ours.Close()
	if g.configuration != nil && (g.options.Keep || ours.Kept()) {
		g.removeNamespaces(ctx)
		if err := ours.Keep(); err != nil {
			g.printer.Printf("warning: %v", err)
		}
		g.printer.Printf("the cluster is kept; reach it with: kubectl --kubeconfig %s get pods -A\ndelete it with: make clean", ours.GetKubeconfig())
		return
	}
	// The namespaces of the run go with the cluster.
	if g.scenes != nil {
		g.scenes.unwatch()
		g.scenes = nil
	}
	err := g.printer.Step(ctx, "delete cluster "+g.options.ClusterName, ours.Destroy)
	if err != nil {
		g.printer.Printf("warning: %v", err)
	}
}

func (g *gate) removeNamespaces(ctx context.Context) {
	if g.scenes == nil {
		return
	}
	client := g.scenes
	g.scenes = nil
	if left, err := client.remove(ctx); err != nil {
		g.printer.Printf("warning: left behind: namespaces %s: %v; delete them with kubectl delete namespace -l %s=%s",
			strings.Join(left, ", "), err, ownerLabel, owner)
	}
}

// conclude writes the last reports, ends the test and prints the table.
func (g *gate) conclude(t *testing.T, err error, terminal io.Writer) int {
	if err != nil {
		g.run.SetupError = err.Error()
		t.Error(err)
	}
	if err := g.write(); err != nil {
		t.Error(err)
	}
	g.run.Conclude()
	if err := reports.WriteTerminal(terminal, g.run, reports.Colour(os.Stderr)); err != nil {
		t.Error(err)
	}
	g.printer.Printf("memory of this process: at most %d MiB", peakMemory()>>20)
	g.printer.Printf("reports: %s; open report.html there, or gate on run.json and junit.xml", g.options.ReportDirectory)
	if err != nil && len(g.run.Results) == 0 {
		return ExitBadInput
	}
	return g.run.ExitCode()
}
