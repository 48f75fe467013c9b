package suite

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// How a run is scheduled:
//
//   - Every trait is checked on every target. A few nodes are checked at once, so that what the run has on the cluster, and what
//     waits for a place among the Pods that come up, stays the same however many nodes there are.
//   - The targets of a node begin in their order. A node has room for podsPerNode Pods, and so for only so many targets.
//   - Of these, as many are checked at once as keep the node's cores busy. The next one begins when the last few traits of
//     the one before wait for the kubelet.
//   - A target's fixtures are asked for ahead, in the order of its traits: those first that wait for the kubelet.
//   - Of a target, Options.Parallel traits are checked at once, in the same order.
//   - Over all targets, Options.Starting Pods come up at once. The client limits execs at once and requests a second.
//   - A target that is done deletes its Pods, and gives back their room, when another target or node waits for it.

// podsPerNode is how many Pods a run has on one node: a kubelet takes 110 by default, and the cluster has some of its own.
const podsPerNode = 96

// lastTraits is how many unchecked traits of a target leave the cores idle.
const lastTraits = 4

// room is for how many targets a node has room at the same time.
func room(traits []Trait) int {
	fixtures := map[string]bool{}
	for _, trait := range traits {
		for _, fixture := range trait.AllFixtures() {
			fixtures[fixture.Name] = true
		}
	}
	return max(1, podsPerNode/max(1, len(fixtures)))
}

// targetsAtOnce is how many targets are checked at the same time on a node: one for each two cores, which it keeps busy.
// More than a few only wait for one another.
func targetsAtOnce(room, cores int) int {
	const most = 3
	return max(1, min(most, room, cores/2))
}

// nodesAtOnce is how many nodes are checked at once when so many Pods come up at once: a node starts few at a time.
func nodesAtOnce(starting int) int { return max(4, starting/4) }

// checkAll checks every trait on every target, nodes in the order of their targets.
func (run *run) checkAll(ctx context.Context) {
	var order []string
	byNode := map[string][]*target{}
	for _, target := range run.targets {
		if byNode[target.Node] == nil {
			order = append(order, target.Node)
		}
		byNode[target.Node] = append(byNode[target.Node], target)
	}
	run.unbegun.Store(int64(len(order)))
	var nodes errgroup.Group
	nodes.SetLimit(nodesAtOnce(run.options.Starting))
	for _, node := range order {
		nodes.Go(func() error {
			run.unbegun.Add(-1)
			run.checkNode(ctx, byNode[node])
			return nil
		})
	}
	_ = nodes.Wait() // no node returns an error
}

// checkNode checks the targets of one node.
func (run *run) checkNode(ctx context.Context, targets []*target) {
	space := room(run.traits)
	rooms := semaphore.NewWeighted(int64(space))
	cores := semaphore.NewWeighted(int64(targetsAtOnce(space, int(targets[0].node.Status.Allocatable.Cpu().Value()))))
	var waiting atomic.Int64
	waiting.Store(int64(len(targets)))
	var checking sync.WaitGroup
	for _, target := range targets {
		if rooms.Acquire(ctx, 1) != nil || cores.Acquire(ctx, 1) != nil {
			break // the run has ended
		}
		waiting.Add(-1)
		checking.Go(func() {
			defer rooms.Release(1)
			idle := sync.OnceFunc(func() { cores.Release(1) })
			defer idle()
			run.checkTarget(ctx, target, idle)
			if run.options.Checked != nil && ctx.Err() == nil {
				run.options.Checked(ctx, target.Target, target.suffix, run.namespace.name)
			}
			target.forget()
			if waiting.Load() == 0 && run.unbegun.Load() == 0 {
				return // nobody waits for the room; the Pods go with their namespace
			}
			if err := run.clear(ctx, target); err != nil && ctx.Err() == nil {
				run.printf("warning: Pods of %s are left until the end of the run: %v", target.ID, err)
			}
		})
	}
	checking.Wait()
}

// clear deletes the Pods of a target but those that are left after the run.
func (run *run) clear(ctx context.Context, target *target) error {
	run.mutex.Lock()
	kept := maps.Clone(run.kept)
	run.mutex.Unlock()
	return run.namespace.clear(ctx, target, kept)
}

// checkTarget checks every trait on one target that is not decided. It calls idle once only few traits are left.
func (run *run) checkTarget(ctx context.Context, target *target, idle func()) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // of the description, which no trait waits for
	traits := run.undecided(target)
	for _, trait := range traits {
		if len(trait.Requires) > 0 {
			continue // its fixtures are asked for when the platform has what they need
		}
		for _, fixture := range trait.AllFixtures() {
			run.namespace.start(fixture, target)
		}
	}
	var describing sync.WaitGroup
	describing.Go(func() { run.describe(ctx, traits, target) })
	var left atomic.Int64
	left.Store(int64(len(traits)))
	var checking errgroup.Group
	checking.SetLimit(run.options.Parallel)
	for _, trait := range traits {
		checking.Go(func() error {
			if ctx.Err() == nil {
				run.check(ctx, trait, target)
			}
			if left.Add(-1) <= lastTraits {
				idle()
			}
			return nil
		})
	}
	_ = checking.Wait() // no trait returns an error
	cancel()
	describing.Wait()
}

// describe adds to a target what no API tells: the cgroup version, and the kernel as containers see it, which is another
// one under a runtime with a kernel of its own. It looks into a stable fixture, since no trait ends that; without one, and
// when the traits are done first, both stay unknown.
func (run *run) describe(ctx context.Context, traits []Trait, target *target) {
	var stable *Fixture
	for _, trait := range traits {
		fixtures := trait.AllFixtures()
		if at := slices.IndexFunc(fixtures, func(fixture Fixture) bool { return fixture.Stable }); at >= 0 && len(trait.Requires) == 0 {
			stable = &fixtures[at]
			break
		}
	}
	if stable == nil {
		return
	}
	created, err := run.namespace.start(*stable, target)(ctx)
	if err != nil {
		return
	}
	facts, err := created.pod.ExecAnywhere(ctx, run.options.Limits.Start, run.options.Limits.Exec,
		"stat -f -c %t /sys/fs/cgroup", "cat /proc/sys/kernel/osrelease")
	if err != nil {
		return
	}
	run.describeTarget(target.ID, cgroupVersion(facts[0].Answer()), facts[1].Answer())
}
