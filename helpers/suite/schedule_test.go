package suite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

func TestRoom(t *testing.T) {
	traits := func(fixtures int) (all []Trait) {
		for i := range fixtures {
			all = append(all, newTrait(fmt.Sprint("group/", i), passes, newFixture(fmt.Sprint(i), "one"), newFixture("common", "one")))
		}
		return all
	}
	for fixtures, want := range map[int]int{0: 96, 1: 48, 15: 6, 31: 3, 47: 2, 48: 1, 200: 1} {
		if got := room(traits(fixtures)); got != want {
			t.Errorf("a node has room for %d targets of %d Pods, want %d", got, fixtures+1, want)
		}
	}
	for _, test := range []struct{ room, cores, want int }{{9, 1, 1}, {9, 2, 1}, {9, 4, 2}, {9, 64, 3}, {2, 64, 2}, {1, 64, 1}} {
		if got := targetsAtOnce(test.room, test.cores); got != test.want {
			t.Errorf("with room for %d and %d cores, %d targets at once, want %d", test.room, test.cores, got, test.want)
		}
	}
}

// atOnce measures how many of what it counts go on at the same time.
type atOnce struct {
	mutex sync.Mutex
	gauge
}

// check is a check that takes a second and is counted.
func (atOnce *atOnce) check(context.Context, *Session, Judge) error {
	atOnce.change(1)
	defer atOnce.change(-1)
	time.Sleep(time.Second)
	return nil
}

func (atOnce *atOnce) change(by int) {
	atOnce.mutex.Lock()
	defer atOnce.mutex.Unlock()
	atOnce.add(by)
}

// TestTheLimitsOfARunHold over all of its targets, and are made use of.
func TestTheLimitsOfARunHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"), newNode("b"))
		var traits []Trait
		var checks atOnce
		for i := range 8 {
			fixture := newFixture(fmt.Sprint("pod", i), "one")
			traits = append(traits, newTrait(fmt.Sprint("group/", i), func(ctx context.Context, session *Session, judge Judge) error {
				if _, err := session.Exec(ctx, fixture, "one", "it", "true"); err != nil {
					return err
				}
				return checks.check(ctx, session, judge)
			}, fixture))
		}
		run, err := Run(t.Context(), cluster.Options(Options{Traits: traits, Starting: 3, Execs: 2, Parallel: 4, RequestsPerSecond: 7}))
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range run.Results {
			expectVerdict(t, result, reports.Conformant, "", "")
		}
		if cluster.pending.most != 3 {
			t.Errorf("%d Pods came up at once, want 3", cluster.pending.most)
		}
		if cluster.execs.most > 2 || cluster.clientLimits != (pod.Limits{Execs: 2, RequestsPerSecond: 7}) {
			t.Errorf("%d execs at once, limits are %+v", cluster.execs.most, cluster.clientLimits)
		}
	})
}

func TestParallelIsOfEachTarget(t *testing.T) {
	for _, nodes := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			cluster := newCluster(t, newNode("a"))
			if nodes == 2 {
				_ = cluster.api.Tracker().Add(newNode("b"))
			}
			var checks atOnce
			var traits []Trait
			for i := range 8 {
				traits = append(traits, newTrait(fmt.Sprint("group/", i), checks.check))
			}
			if _, err := Run(t.Context(), cluster.Options(Options{Traits: traits, Parallel: 3})); err != nil {
				t.Fatal(err)
			}
			if checks.most != 3*nodes {
				t.Errorf("%d traits at once on %d nodes, want 3 on each", checks.most, nodes)
			}
		})
	}
}

// TestTraitsAndFixturesGoByCost: what waits for the kubelet is begun first.
func TestTraitsAndFixturesGoByCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		var order []string
		trait := func(id string, slow bool) Trait {
			fixture := newFixture(strings.ReplaceAll(id, "/", "-"), "one")
			trait := newTrait(id, func(ctx context.Context, session *Session, _ Judge) error {
				order = append(order, session.by)
				return session.Running(ctx, fixture, "one")
			}, fixture)
			trait.Slow = slow
			return trait
		}
		traits := []Trait{trait("a/two", false), trait("b/one", true), trait("a/one", false), trait("b/two", true)}
		if _, err := Run(t.Context(), cluster.Options(Options{Traits: traits, Parallel: 1, Starting: 1})); err != nil {
			t.Fatal(err)
		}
		expectEqual(t, "traits", order, []string{"b/one", "b/two", "a/one", "a/two"})
		created := cluster.Events("create ")
		created = slices.DeleteFunc(created, func(event string) bool { return strings.HasPrefix(event, "create namespace") })
		expectEqual(t, "Pods", created, []string{"create b-one", "create b-two", "create a-one", "create a-two"})
	})
}

// TestTargetsOfANodeGoInTheirOrder one after the other on two cores, and nodes do not wait for one another.
func TestTargetsOfANodeGoInTheirOrder(t *testing.T) {
	classes := []string{"x", "y", "z"}
	for cores, most := range map[string]int{"2": 1, "4": 2, "16": 3} {
		synctest.Test(t, func(t *testing.T) {
			cores := func(node *corev1.Node) { node.Status.Allocatable[corev1.ResourceCPU] = resource.MustParse(cores) }
			cluster := newCluster(t, newNode("a", cores), newNode("b", cores))
			var onA atOnce
			var order []string
			trait := newTrait("group/one", func(ctx context.Context, session *Session, judge Judge) error {
				if session.Target().Node == "b" {
					return nil
				}
				onA.mutex.Lock()
				order = append(order, session.Target().RuntimeClass)
				onA.mutex.Unlock()
				return onA.check(ctx, session, judge)
			})
			if _, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{trait}, RuntimeClasses: classes})); err != nil {
				t.Fatal(err)
			}
			if onA.most != most || most == 1 && !slices.Equal(order, classes) {
				t.Errorf("%d targets of a node at once, want %d; in the order %v", onA.most, most, order)
			}
			first := slices.IndexFunc(cluster.recorded.told, func(line string) bool { return line == "add group/one on b/z" })
			if last := slices.Index(cluster.recorded.told, "add group/one on a/z"); first > last {
				t.Errorf("node b waited for node a: %v", cluster.recorded.told)
			}
		})
	}
}

// TestTheNextTargetBeginsWhenFewTraitsAreLeft of the one before.
func TestTheNextTargetBeginsWhenFewTraitsAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		begun := map[string]time.Time{}
		start := time.Now()
		var mutex sync.Mutex
		var traits []Trait
		for i := range lastTraits + 2 {
			traits = append(traits, newTrait(fmt.Sprint("group/", i), func(ctx context.Context, session *Session, judge Judge) error {
				mutex.Lock()
				if begun[session.Target().ID].IsZero() {
					begun[session.Target().ID] = time.Now()
				}
				mutex.Unlock()
				return after(time.Duration(i+1)*10*time.Second)(ctx, session, judge)
			}))
		}
		options := cluster.Options(Options{Traits: traits, RuntimeClasses: []string{"x", "y"}, Parallel: 9})
		if _, err := Run(t.Context(), options); err != nil {
			t.Fatal(err)
		}
		if waited := begun["a/y"].Sub(begun["a/x"]); waited != 20*time.Second {
			t.Errorf("the second target began %s after the first, want 20s; run took %s", waited, time.Since(start))
		}
	})
}

// fillingANode are traits with so many Pods that a node has room for one target only.
func fillingANode() (traits []Trait) {
	for i := range podsPerNode/2 + 1 {
		fixture := newFixture(fmt.Sprint("pod", i), "one")
		traits = append(traits, newTrait(fmt.Sprint("group/", i), runs(fixture, "one"), fixture))
	}
	return traits
}

// TestATargetMakesRoomForTheNext where a node has room for one only. The last one is left to the end of its namespace.
func TestATargetMakesRoomForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		traits := fillingANode()
		run, err := Run(t.Context(), cluster.Options(Options{Traits: traits, RuntimeClasses: []string{"x", "y"}}))
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range run.Results {
			expectVerdict(t, result, reports.Conformant, "", "")
		}
		if deleted := cluster.Events("gone"); len(deleted) != len(traits) || !slices.Contains(deleted, "gone pod0-1") {
			t.Errorf("deleted were %v", deleted)
		}
		events := cluster.Events("")
		if slices.Index(events, "create pod0-2") < slices.Index(events, "gone pod0-1") {
			t.Error("the second target's Pods were created before the first one's were gone")
		}
		expectEqual(t, "controllers", cluster.Events("delete all"),
			[]string{"delete all deployments", "delete all daemonsets", "delete all pods"})
	})
}

// TestATargetThatIsDoneIsForgotten: of thousands a run keeps the results alone.
func TestATargetThatIsDoneIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		done := newRun(cluster.Options(Options{Traits: fillingANode(), RuntimeClasses: []string{"x", "y"}}))
		done.options.Checked = func(_ context.Context, target reports.Target, _, _ string) {
			if target.ID == done.targets[0].ID {
				done.targets[0].cell("a shared look")
			}
		}
		if err := done.do(t.Context()); err != nil {
			t.Fatal(err)
		}
		if cells := done.targets[0].cells; len(cells) != 0 {
			t.Errorf("shared looks are kept: %v", cells)
		}
		for name := range done.namespace.created {
			if strings.HasSuffix(name, done.targets[0].suffix) {
				t.Errorf("Pod %s of the first target is kept", name)
			}
		}
		done.namespace.unwatch()
	})
}

func TestPodsThatStayAreAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.End = time.Hour
		if _, err := Run(t.Context(), cluster.Options(Options{Traits: fillingANode(), RuntimeClasses: []string{"x", "y"}})); err != nil {
			t.Fatal(err)
		}
		warned := slices.ContainsFunc(cluster.progress, func(line string) bool {
			return strings.Contains(line, "warning: Pods of a/x are left") &&
				strings.Contains(line, "49 are still there after 1m0s, Pod pod0-1 among them")
		})
		if !warned {
			t.Errorf("progress is %q", cluster.progress)
		}
	})
}

// TestATargetIsDescribedFromAPodThatStays although the Pod of its first trait is ended at once.
func TestATargetIsDescribedFromAPodThatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Answer("cat /proc/sys/kernel/osrelease", "5.0-sandbox\n")
		first, pair := newFixture("first", "one"), stable(newFixture("pair", "one"))
		first.Name = "a-first"
		ending := newTrait("a/ending", func(ctx context.Context, session *Session, _ Judge) error {
			return session.Delete(ctx, first)
		}, first)
		ending.Destroys, ending.Slow = []Fixture{first}, true
		run, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{ending, newTrait("b/looking", func(
			ctx context.Context, session *Session, judge Judge,
		) error {
			if err := session.Running(ctx, pair, "one"); err != nil {
				return err
			}
			return after(time.Second)(ctx, session, judge)
		}, pair)}}))
		if err != nil || run.Targets[0].CgroupVersion != "v2" || run.Targets[0].Kernel != "6.1, in containers 5.0-sandbox" {
			t.Errorf("%v: the target is %+v", err, run.Targets[0])
		}
		if described := cluster.recorded.records[1]; described.Targets[0].CgroupVersion != "v2" || !described.Running {
			t.Errorf("the recorder was told %v", cluster.recorded.told)
		}
		if first := cluster.recorded.records[0]; first.Targets[0].CgroupVersion != "" {
			t.Error("what the recorder was told before was changed")
		}
	})
}

// TestADescriptionThatHangsHoldsNothingUp.
func TestADescriptionThatHangsHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Commands["stat -f -c %t /sys/fs/cgroup"] = func(ctx context.Context, _ place) (pod.ExecResult, error) {
			<-ctx.Done()
			return pod.ExecResult{}, ctx.Err()
		}
		pair := stable(newFixture("pair", "one"))
		start := time.Now()
		run, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{newTrait("group/a", runs(pair, "one"), pair)}}))
		if err != nil || run.Targets[0].CgroupVersion != "" || time.Since(start) > 10*time.Second {
			t.Errorf("%v: the run took %s, the target is %+v", err, time.Since(start), run.Targets[0])
		}
	})
}

// TestWithoutAPodThatStaysATargetIsNotDescribed.
func TestWithoutAPodThatStaysATargetIsNotDescribed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		fixture := newFixture("pair", "one")
		run, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{newTrait("group/a", runs(fixture, "one"), fixture)}}))
		if err != nil || run.Targets[0].CgroupVersion != "" || len(cluster.Events("exec")) != 0 {
			t.Errorf("%v: %v", err, cluster.Events("exec"))
		}
	})
}
