package suite

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

// hides returns a See under which the process of a container is not seen from the named containers.
func hides(container string, from ...string) func(place, []fakeProcess) []fakeProcess {
	return func(at place, seen []fakeProcess) []fakeProcess {
		if !slices.Contains(from, at.Container) {
			return seen
		}
		return slices.DeleteFunc(seen, func(each fakeProcess) bool { return each.Container == container })
	}
}

// awaits is a check that looks from container one for the process of container two.
func awaits(fixture Fixture) func(context.Context, *Session, Judge) error {
	return func(ctx context.Context, session *Session, _ Judge) error {
		_, err := session.Find(ctx, fixture, "one", "all", sleep("two"))
		return err
	}
}

// TestWhatAnAbsentProcessSays needs what its own container shows: only with this positive control it accuses.
func TestWhatAnAbsentProcessSays(t *testing.T) {
	pair := newFixture("pair", "one", "two")
	for name, test := range map[string]struct {
		fixture Fixture
		change  func(*cluster)
		verdict reports.Verdict
		kind    reports.Kind
		words   string
	}{
		"it is there":     {pair, func(*cluster) {}, reports.Conformant, "", ""},
		"in a stable Pod": {stable(pair), func(*cluster) {}, reports.Conformant, "", ""},
		"hidden from the look": {pair, func(cluster *cluster) { cluster.See = hides("two", "one") },
			reports.Nonconformant, "", `["sleep" "two"] of container two is not visible from container one, and is from its own`},
		"hidden in a stable Pod": {stable(pair), func(cluster *cluster) { cluster.See = hides("two", "one") },
			reports.Nonconformant, "", "is not visible"},
		"hidden from everybody": {pair, func(cluster *cluster) { cluster.See = hides("two", "one", "two") },
			reports.Inconclusive, reports.Precondition, "container two runs no process"},
		"its container does not run": {pair, func(cluster *cluster) {
			cluster.See = hides("two", "one")
			cluster.Status = func(begun *corev1.Pod) {
				begun.Status.ContainerStatuses[1].State = corev1.ContainerState{
					Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"},
				}
			}
		}, reports.Inconclusive, reports.NotStarted, "ErrImagePull"},
		"its container is being created": {pair, func(cluster *cluster) {
			cluster.See = hides("two", "one")
			cluster.Status = func(begun *corev1.Pod) { begun.Status.ContainerStatuses = begun.Status.ContainerStatuses[:1] }
		}, reports.Inconclusive, reports.OutOfTime, "containers one, two to run"},
		"in a control that does not share": {unshared(pair), func(*cluster) {}, reports.Inconclusive, reports.Control, "is not visible"},
		"late": {pair, func(cluster *cluster) {
			cluster.See = func(at place, seen []fakeProcess) []fakeProcess {
				if len(cluster.Events("look pair/two")) == 0 { // the look that is the control
					return hides("two", "one")(at, seen)
				}
				return seen
			}
		}, reports.Inconclusive, reports.OutOfTime, "appeared late: not within 5s"},
		"soon": {pair, func(cluster *cluster) {
			start := time.Now()
			cluster.See = func(at place, seen []fakeProcess) []fakeProcess {
				if time.Since(start) < 5*time.Second {
					return hides("two", "one")(at, seen)
				}
				return seen
			}
		}, reports.Conformant, "", ""},
		"there twice": {pair, func(cluster *cluster) {
			cluster.See = func(_ place, seen []fakeProcess) []fakeProcess {
				return append(seen, fakeProcess{50, "two", []string{"sleep", "two"}})
			}
		}, reports.Inconclusive, reports.Ambiguous, "has one process"},
		"there twice for a moment": {pair, func(cluster *cluster) {
			start := time.Now()
			cluster.See = func(_ place, seen []fakeProcess) []fakeProcess {
				if time.Since(start) < 4*time.Second {
					return append(seen, fakeProcess{50, "two", []string{"sleep", "two"}})
				}
				return seen
			}
		}, reports.Conformant, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t, newNode("a"))
				cluster.Start = time.Second
				test.change(cluster)
				result := cluster.Check(t, newTrait("group/a", awaits(test.fixture), test.fixture))["group/a"]
				expectVerdict(t, result, test.verdict, test.kind, test.words)
			})
		})
	}
}

// TestAProcessOfTheLooksOwnContainerIsNoAccusation: nobody else can have seen it.
func TestAProcessOfTheLooksOwnContainerIsNoAccusation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.See = hides("one", "one")
		pair := newFixture("pair", "one", "two")
		result := cluster.Check(t, newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
			_, err := session.Await(ctx, pair, "one", "all", sleep("two"), sleep("one"))
			return err
		}, pair))["group/a"]
		expectVerdict(t, result, reports.Inconclusive, reports.Precondition, "container one runs no process")
	})
}

// TestProcessesOfAStablePodAreLookedAtOnce for all traits, unless one asks for a newer look.
func TestProcessesOfAStablePodAreLookedAtOnce(t *testing.T) {
	for _, test := range []struct {
		fixture Fixture
		now     bool
		looks   int
	}{
		{stable(newFixture("pair", "one")), false, 1},
		{stable(newFixture("pair", "one")), true, 2}, // the look for the second who asks is begun after the third has asked
		{newFixture("pair", "one"), false, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			cluster := newCluster(t, newNode("a"))
			look := func(ctx context.Context, session *Session, judge Judge) error {
				processes := session.Processes
				if test.now {
					processes = session.ProcessesNow
				}
				time.Sleep(time.Second)
				_, err := processes(ctx, test.fixture, "one", "of "+session.by)
				return err
			}
			results := cluster.Check(t, newTrait("group/a", look, test.fixture), newTrait("group/b", look, test.fixture),
				newTrait("group/c", look, test.fixture))
			if looks := cluster.Events("look"); len(looks) != test.looks {
				t.Errorf("stable %t, now %t: %d looks, want %d", test.fixture.Stable, test.now, len(looks), test.looks)
			}
			for id, result := range results {
				if len(result.Evidence) != 1 || result.Evidence[0].Title != "of "+id || result.Evidence[0].Where != "pair/one" ||
					result.Evidence[0].Command != "ps" || result.Verdict != reports.Conformant {
					t.Errorf("%s is %s: %s with evidence %+v", id, result.Verdict, result.Reason, result.Evidence)
				}
			}
		})
	}
}

// TestAKeptSnapshotIsNotOlderThanAskedFor: what was seen before the call does not do for ProcessesNow.
func TestAKeptSnapshotIsNotOlderThanAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		fixture := stable(newFixture("pair", "one"))
		cluster.See = func(_ place, seen []fakeProcess) []fakeProcess {
			return append(seen, fakeProcess{1000 + len(cluster.Events("look")), "one", []string{"counter"}})
		}
		var pids []int
		result := cluster.Check(t, newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
			for _, processes := range []func(context.Context, Fixture, string, string) (process.Snapshot, error){
				session.Processes, session.Processes, session.ProcessesNow, session.Processes, session.ProcessesNow,
			} {
				snapshot, err := processes(ctx, fixture, "one", "all")
				if err != nil {
					return err
				}
				pids = append(pids, snapshot.With("counter")[0].PID-1000)
			}
			return nil
		}, fixture))["group/a"]
		expectVerdict(t, result, reports.Conformant, "", "")
		expectEqual(t, "looks", pids, []int{1, 1, 2, 2, 3})
	})
}

// TestAStablePodIsLookedAtWhenItHasSettled and cannot be judged when it does not.
func TestAStablePodIsLookedAtWhenItHasSettled(t *testing.T) {
	for name, test := range map[string]struct {
		settled func(process.Snapshot) bool
		see     func(time.Duration) []fakeProcess
		again   bool // it is looked at several times
		kind    reports.Kind
	}{
		"at once": {nil, func(time.Duration) []fakeProcess { return nil }, false, ""},
		"runc init": {nil, func(passed time.Duration) []fakeProcess {
			if passed < 3500*time.Millisecond {
				return []fakeProcess{{30, "", []string{"runc", "init"}}}
			}
			return nil
		}, true, ""},
		"crun by its path, as the container's process 1": {nil, func(passed time.Duration) []fakeProcess {
			if passed < 3500*time.Millisecond {
				return []fakeProcess{{1, "", []string{"/usr/local/sbin/crun-1.2", "init"}}}
			}
			return nil
		}, true, ""},
		"an init of its own": {nil, func(time.Duration) []fakeProcess {
			return []fakeProcess{{30, "", []string{"busybox", "init"}}}
		}, false, ""},
		"another program with this argument": {nil, func(time.Duration) []fakeProcess {
			return []fakeProcess{{30, "", []string{"/usr/bin/git", "init"}}, {31, "", []string{"truncate", "init"}}}
		}, false, ""},
		"its own condition": {func(snapshot process.Snapshot) bool { return len(snapshot.With("worker")) == 1 },
			func(passed time.Duration) []fakeProcess {
				if passed < 3500*time.Millisecond {
					return nil
				}
				return []fakeProcess{{30, "", []string{"worker"}}}
			}, true, ""},
		"never": {func(process.Snapshot) bool { return false }, func(time.Duration) []fakeProcess { return nil }, true, reports.OutOfTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t, newNode("a"))
				begun := time.Now()
				cluster.See = func(_ place, seen []fakeProcess) []fakeProcess { return append(seen, test.see(time.Since(begun))...) }
				fixture := stable(newFixture("pair", "one", "two"))
				fixture.Settled = test.settled
				result := cluster.Check(t, newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
					_, err := session.Processes(ctx, fixture, "one", "all")
					return err
				}, fixture))["group/a"]
				if test.kind == "" {
					expectVerdict(t, result, reports.Conformant, "", "")
				} else {
					expectVerdict(t, result, reports.Inconclusive, test.kind, "the processes of Pod pair did not settle within 10s")
				}
				if looks := len(cluster.Events("look")); (looks > 1) != test.again {
					t.Errorf("%d looks", looks)
				}
			})
		})
	}
}

// TestRowsSayWhoseAProcessIs and leave the look's own out.
func TestRowsSayWhoseAProcessIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.See = func(_ place, seen []fakeProcess) []fakeProcess { return append(seen, fakeProcess{40, "unknown", nil}) }
		pair := newFixture("pair", "one", "two")
		control := unshared(pair)
		result := cluster.Check(t, newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
			if _, err := session.Processes(ctx, pair, "one", "shared"); err != nil {
				return err
			}
			_, err := session.Processes(ctx, control, "two", "unshared")
			return err
		}, pair, control))["group/a"]
		var rows []string
		for _, evidence := range append(result.Evidence, result.Control...) {
			for _, row := range evidence.Processes {
				rows = append(rows, row.Container+": "+strings.Join(row.Arguments, " "))
				if row.Arguments == nil || row.State != "S" {
					t.Errorf("row is %+v", row)
				}
			}
		}
		expectEqual(t, "rows", rows, []string{"pause: /pause", "one: sleep one", "two: sleep two", ": ", "two: sleep two", ": "})
		if len(result.Evidence) != 1 || len(result.Control) != 1 || result.Control[0].Where != "pair-unshared/two" {
			t.Errorf("the evidence of the control is %+v", result.Control)
		}
	})
}

func TestAnAnswerThatIsNoSnapshotIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.See = func(at place, seen []fakeProcess) []fakeProcess { return append(seen, fakeProcess{PID: -1}) }
		fixture := newFixture("pair", "one")
		result := cluster.Check(t, newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
			_, err := session.Await(ctx, fixture, "one", "all", sleep("one"))
			return err
		}, fixture))["group/a"]
		expectVerdict(t, result, reports.Inconclusive, reports.Lost, "container one: process snapshot")
	})
}

// TestOthersThatStartAreNotWaitedFor in the node's namespace, where Pods are started all the time, and those of the Pod are.
func TestOthersThatStartAreNotWaitedFor(t *testing.T) {
	pod, node := "2:pids:/kubepods/pod1/ccc\n", "2:pids:/init.scope\n"
	init := process.Process{PID: 30, Arguments: []string{"runc", "init"}, Cgroups: "2:pids:/kubepods/pod2/ddd\n"}
	look, pause := process.Process{PID: 40, Cgroups: pod}, process.Process{PID: 1, Cgroups: "2:pids:/kubepods/pod1/aaa\n"}
	for name, test := range map[string]struct {
		first  process.Process
		owners map[int]string
		want   bool
	}{
		"another Pod's, in the node's namespace":   {process.Process{PID: 1, Cgroups: node}, map[int]string{40: "shell"}, false},
		"the Pod's, in the node's namespace":       {process.Process{PID: 1, Cgroups: node}, map[int]string{40: "shell", 30: "nginx"}, true},
		"not yet a container's, in the Pod's":      {pause, map[int]string{40: "shell"}, true},
		"where cgroups do not tell whose anything": {process.Process{PID: 1}, map[int]string{40: "shell"}, true},
	} {
		snapshot := process.Snapshot{Self: 40, Processes: []process.Process{test.first, init, look}, Owners: test.owners}
		if got := starting(snapshot); got != test.want {
			t.Errorf("%s: it is waited for: %t", name, got)
		}
	}
}
