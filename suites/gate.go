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

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/pkg/env"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/features"
	"sigs.k8s.io/e2e-framework/pkg/types"

	"sharedpid/fixtures/handlers"
	"sharedpid/fixtures/nodeimage"
	"sharedpid/fixtures/testimages"
	"sharedpid/helpers/cluster"
	"sharedpid/helpers/engine"
	"sharedpid/helpers/pod"
	"sharedpid/helpers/progress"
	"sharedpid/reports"
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

	configuration *rest.Config
	kind          *cluster.Kind // nil on an existing cluster
	subjects      []subject
	scenes        *scenes // nil before there are Pods and after they are removed
	turns         *turns
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
	g := &gate{options: options, printer: progress.NewPrinter(terminal), run: newRun(options), turns: newTurns(options.Parallel)}
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
	g.subjects = subjects(nodes, g.options.RuntimeClasses)
	if err := findHandlers(ctx, client, g.subjects); err != nil {
		return err
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
	g.run.Cluster = reports.Cluster{Name: g.options.ClusterName, Origin: "created", Engine: working.Name, NodeImage: image}
	return g.findOrCreate(ctx, working, image)
}

func (g *gate) findOrCreate(ctx context.Context, working *engine.Engine, image string) error {
	var messages []string
	ours, err := cluster.NewKind(working, g.options.ClusterName, image, handlers.Set{}, func(message string) { messages = append(messages, message) })
	if err != nil {
		return err
	}
	g.kind = ours
	found, err := ours.Find(ctx)
	if err != nil {
		g.kind = nil
		return errors.Join(err, ours.Close())
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

// decide runs every selected trait as a feature of the framework, side by side under the limit of turns. Pods are
// created ahead, in the order in which the traits come.
func (g *gate) decide(ctx context.Context, t *testing.T) {
	ordered := inOrderOfCost(g.options.Selected)
	g.phase("profile "+g.options.Profile, func() {
		for _, subject := range g.subjects {
			for _, trait := range ordered {
				for _, scene := range trait.Scenes {
					if !scene.Later {
						g.scenes.start(ctx, scene, subject)
					}
				}
			}
		}
		var described sync.WaitGroup
		for i := range g.subjects {
			described.Go(func() { g.describe(ctx, i, ordered) })
		}
		defer described.Wait()
		var all []types.Feature
		for order, trait := range ordered {
			all = append(all, g.feature(ctx, trait, order))
		}
		env.NewWithConfig(g.options.Framework).TestInParallel(t, all...)
	})
}

// describe adds to a subject what no API tells: the cgroup version, and the kernel as containers see it, which is
// another one under a runtime with a kernel of its own. It looks into the first Pod there is; what cannot be seen
// stays unknown.
func (g *gate) describe(ctx context.Context, number int, traits []Trait) {
	subject := g.subjects[number]
	for _, trait := range traits {
		for _, scene := range trait.Scenes {
			if scene.Later {
				continue
			}
			created, err := g.scenes.start(ctx, scene, subject)()
			if err != nil {
				return
			}
			facts, err := created.LookAnywhere(ctx, "stat -f -c %t /sys/fs/cgroup", "cat /proc/sys/kernel/osrelease")
			if err != nil {
				return
			}
			g.mutex.Lock()
			defer g.mutex.Unlock()
			described := &g.run.Subjects[number]
			described.CgroupVersion = cgroupVersion(answer(facts[0]))
			if kernel := answer(facts[1]); kernel != "" && kernel != described.Kernel {
				described.Kernel += ", in containers " + kernel
			}
			return
		}
	}
}

// inOrderOfCost puts the traits that wait for the kubelet before those that only look.
func inOrderOfCost(traits []Trait) []Trait {
	ordered := slices.Clone(traits)
	slices.SortStableFunc(ordered, func(a, b Trait) int {
		switch {
		case a.Slow == b.Slow:
			return 0
		case a.Slow:
			return -1
		}
		return 1
	})
	return ordered
}

// feature is a trait as the framework knows it, with one assessment for each subject.
func (g *gate) feature(ctx context.Context, trait Trait, order int) types.Feature {
	feature := features.New(trait.ID)
	for key, values := range trait.labels() {
		for _, value := range values {
			feature.WithLabel(key, value)
		}
	}
	for _, subject := range g.subjects {
		feature.Assess(subject.ID, func(step context.Context, t *testing.T, _ *envconf.Config) context.Context {
			if g.turns.take(ctx, order) == nil {
				g.assess(ctx, t, trait, subject)
				g.turns.give()
			}
			return step
		})
	}
	return feature.Feature()
}

// assess decides a trait on a subject and tells the test how it ended.
func (g *gate) assess(ctx context.Context, t *testing.T, trait Trait, subject subject) {
	result := g.judge(ctx, trait, subject)
	if ctx.Err() != nil && result.Verdict == reports.Inconclusive {
		// A look that the end of the run cut short is no result: the trait stays "not run".
		t.Error("inconclusive: the run was interrupted before the trait was decided")
		return
	}
	g.add(t, result)
	switch result.Verdict {
	case reports.Nonconformant:
		t.Error(result.Reason)
	case reports.Inconclusive:
		t.Error("inconclusive: " + result.Reason)
	case reports.Unsupported:
		t.Skip(result.Reason)
	}
}

// traitTime is how long one trait may take: what has not shown itself by then is inconclusive.
const traitTime = 2 * time.Minute

// judge looks at one trait on one subject and comes to its verdict.
func (g *gate) judge(ctx context.Context, trait Trait, subject subject) reports.Result {
	start := time.Now()
	result := reports.Result{
		Trait: trait.ID, Subject: subject.ID, Statement: trait.Statement, Profile: string(trait.Profile),
		Documented: trait.Documented, Article: trait.Article, Sources: trait.Sources,
		Start: start.UTC(), Evidence: []reports.Evidence{}, Namespace: g.scenes.namespace,
	}
	var requests atomic.Int64
	counted := pod.CountRequests(ctx, &requests)
	result.Verdict, result.Reason = verdict(func(assert gomega.Gomega) error {
		limited, cancel := context.WithTimeoutCause(counted, traitTime, fmt.Errorf("the trait was not decided within %s", traitTime))
		defer cancel()
		return trait.Check(limited, &Stage{scenes: g.scenes, subject: subject, result: &result}, assert)
	})
	if result.Verdict == reports.Nonconformant {
		result.Expected, result.Observed = trait.Statement, result.Reason
	}
	if result.Verdict == reports.Nonconformant || result.Verdict == reports.Inconclusive {
		result.Cause, result.NextStep = explain(trait, result.Verdict, result.Reason)
		if ctx.Err() == nil {
			result.Diagnosis = g.scenes.diagnose(ctx, trait, subject)
		}
	}
	result.Requests = int(requests.Load())
	result.Seconds = time.Since(start).Seconds()
	return result
}

// failure is what a failed assertion stops a check with.
type failure string

// verdict turns what a check did into a verdict and its reason: a failed assertion is nonconformant; an error, and a
// panic of the check itself, is inconclusive.
func verdict(check func(gomega.Gomega) error) (decided reports.Verdict, reason string) {
	defer func() {
		switch stopped := recover().(type) {
		case nil:
		case failure:
			decided, reason = reports.Nonconformant, string(stopped)
		default:
			decided, reason = reports.Inconclusive, fmt.Sprintf("the check itself failed: %v", stopped)
		}
	}()
	assert := gomega.NewGomega(func(message string, _ ...int) { panic(failure(message)) })
	if err := check(assert); err != nil {
		if reason := unsupported(""); errors.As(err, &reason) {
			return reports.Unsupported, string(reason)
		}
		return reports.Inconclusive, err.Error()
	}
	return reports.Conformant, "observed as stated"
}

// add keeps a result and writes the reports, so that a run that is killed leaves what it knew.
func (g *gate) add(t *testing.T, result reports.Result) {
	g.mutex.Lock()
	g.run.Results = append(g.run.Results, result)
	done := len(g.run.Results)
	g.mutex.Unlock()
	g.printer.Printf("    [%d/%d] %s %s (%.1f s, %d requests)", done, len(g.run.Plan), result.Trait, result.Verdict, result.Seconds, result.Requests)
	if err := g.write(); err != nil {
		t.Error(err)
	}
}

func (g *gate) write() error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.run.Seconds = time.Since(g.run.Start).Seconds()
	g.run.PeakMemoryBytes = peakMemory()
	return reports.Write(g.options.ReportDirectory, g.run)
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
	g.scenes = nil
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
	g.printer.Printf("reports: %s (run.json, junit.xml, summary.md)", g.options.ReportDirectory)
	if err != nil && len(g.run.Results) == 0 {
		return ExitBadInput
	}
	return g.run.ExitCode()
}
