package suites

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onsi/gomega"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// decisions are what a run comes to, by what it set out to decide.
type decisions map[reports.Planned]*decision

// decision is one trait on one subject. Its fields may be read once made is closed.
type decision struct {
	made   chan struct{}
	result *reports.Result // nil when the run ended before
	err    error           // of writing the reports
}

func newDecisions(plan []reports.Planned) decisions {
	all := decisions{}
	for _, planned := range plan {
		all[planned] = &decision{made: make(chan struct{})}
	}
	return all
}

// podsAtOnce is how many Pods a run has on one node: a kubelet takes 110 by default, and the cluster has some of its own.
const podsAtOnce = 96

// room is for how many subjects a node has room at the same time.
func room(traits []Trait) int {
	scenes := map[string]bool{}
	for _, trait := range traits {
		for _, scene := range trait.Scenes {
			scenes[scene.Name] = true
		}
	}
	return max(1, podsAtOnce/max(1, len(scenes)))
}

// subjectsAtOnce is how many subjects are decided at the same time on a node with room for so many: one for each two
// cores, which it keeps busy. More than a few only wait for one another.
func subjectsAtOnce(room, cores int) int {
	const most = 3
	return max(1, min(most, room, cores/2))
}

// crowd is the subjects of one node.
type crowd struct {
	without atomic.Int64 // how many have had no place yet
	// places are held by those that have Pods, busy by those that keep the cores busy: the next one begins while the last
	// traits of the one before wait for the kubelet, and its Pods are deleted.
	places, busy *turns
}

// decideAll decides every trait on every subject. The subjects of a node come one after another, some side by side;
// the Pods of one that is done make room for those of a later one.
func (g *gate) decideAll(ctx context.Context, all decisions) {
	ordered := inOrderOfCost(g.options.Selected)
	room := room(ordered)
	nodes := map[string]*crowd{}
	for _, subject := range g.subjects {
		if nodes[subject.Node] == nil {
			nodes[subject.Node] = &crowd{places: newTurns(room), busy: newTurns(subjectsAtOnce(room, subject.cores))}
		}
		nodes[subject.Node].without.Add(1)
	}
	var deciding sync.WaitGroup
	for number, subject := range g.subjects {
		node := nodes[subject.Node]
		place, turn := node.places.queue(number), node.busy.queue(number)
		deciding.Go(func() {
			if node.places.wait(ctx, place) == nil {
				defer node.places.give()
			}
			node.without.Add(-1)
			idle := func() {}
			if node.busy.wait(ctx, turn) == nil {
				idle = sync.OnceFunc(node.busy.give)
			}
			defer idle()
			g.decideSubject(ctx, number, ordered, all, idle)
			if g.looked != nil {
				g.looked(ctx, subject)
			}
			if node.without.Load() == 0 {
				return // nobody waits for the room; the Pods go with their namespace
			}
			if err := g.scenes.clear(ctx, subject); err != nil && ctx.Err() == nil {
				g.printer.Printf("warning: Pods of %s are left until the end of the run: %v", subject.ID, err)
			}
		})
	}
	deciding.Wait()
}

// lastTraits is how many undecided traits of a subject leave the cores idle: they wait for the kubelet.
const lastTraits = 4

// decideSubject decides every trait on one subject, side by side under the limit. Pods are created ahead, in the order
// in which the traits come. It calls idle once only few are left.
func (g *gate) decideSubject(ctx context.Context, number int, ordered []Trait, all decisions, idle func()) {
	subject := g.subjects[number]
	var left atomic.Int64
	left.Store(int64(len(ordered)))
	for _, trait := range ordered {
		for _, scene := range trait.Scenes {
			if !scene.Later && ctx.Err() == nil {
				g.scenes.start(ctx, scene, subject)
			}
		}
	}
	limit := newTurns(g.options.Parallel)
	var deciding sync.WaitGroup
	deciding.Go(func() { g.describe(ctx, number, ordered) })
	for order, trait := range ordered {
		decided := all[reports.Planned{Trait: trait.ID, Subject: subject.ID}]
		deciding.Go(func() {
			defer close(decided.made)
			defer func() {
				if left.Add(-1) <= lastTraits {
					idle()
				}
			}()
			if limit.take(ctx, order) != nil {
				return
			}
			defer limit.give()
			result := g.judge(ctx, trait, subject)
			if ctx.Err() != nil && result.Verdict == reports.Inconclusive {
				return
			}
			decided.result, decided.err = &result, g.add(result)
		})
	}
	deciding.Wait()
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
	result.Deviation = subject.expected(trait.ID)
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

// controlFailed begins the reason of an assertion about a control.
const controlFailed = "control:"

// verdict turns what a check did into a verdict and its reason: a failed assertion is nonconformant; an error, and a
// panic of the check itself, is inconclusive. So is a control that does not show the opposite: it leaves the look at the
// Pod that shares without proof, and says nothing against it.
func verdict(check func(gomega.Gomega) error) (decided reports.Verdict, reason string) {
	defer func() {
		switch stopped := recover().(type) {
		case nil:
		case failure:
			decided, reason = reports.Nonconformant, string(stopped)
			if strings.HasPrefix(reason, controlFailed) {
				decided = reports.Inconclusive
			}
		case ambiguous:
			decided, reason = reports.Inconclusive, string(stopped)
		default:
			decided, reason = reports.Inconclusive, fmt.Sprintf("the check itself failed: %v", stopped)
		}
	}()
	assert := gomega.NewGomega(func(message string, _ ...int) { panic(failure(message)) })
	if err := check(assert); err != nil {
		if reason := unsupported(""); errors.As(err, &reason) {
			return reports.Unsupported, string(reason)
		}
		if reason := absent(""); errors.As(err, &reason) {
			return reports.Nonconformant, string(reason)
		}
		return reports.Inconclusive, err.Error()
	}
	return reports.Conformant, "observed as stated"
}
