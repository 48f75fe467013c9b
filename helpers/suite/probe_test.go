package suite

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// reading returns a probe of what a command prints in container one of a fixture.
func reading(name string, fixture Fixture, command string) *Probe[string] {
	return &Probe[string]{Name: name, Fixtures: []Fixture{fixture}, Look: func(ctx context.Context, session *Session) (string, error) {
		results, err := session.Exec(ctx, fixture, "one", "of probe "+name, command)
		if err != nil {
			return "", err
		}
		return results[0].Answer(), nil
	}}
}

// restsOn returns a trait that holds when a probe sees what is wanted.
func restsOn(id, want string, probe *Probe[string]) Trait {
	trait := newTrait(id, func(ctx context.Context, session *Session, _ Judge) error {
		got, err := probe.Of(ctx, session)
		if err == nil && got != want {
			err = &Violation{"it is " + got}
		}
		return err
	})
	trait.Needs = []Need{probe}
	return trait
}

// destroying returns a trait that ends what runs in a fixture.
func destroying(id string, fixture Fixture) Trait {
	trait := newTrait(id, func(ctx context.Context, session *Session, _ Judge) error {
		_, err := session.ExecOnce(ctx, fixture, "one", "the end", "kill 1")
		return err
	}, fixture)
	trait.Destroys, trait.Slow = []Fixture{fixture}, true
	return trait
}

func TestAProbeIsMadeOnceAndIsEvidenceOfAllWhoAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Answer("read", "value")
		cluster.Exec = 2 * time.Second // so that all ask at the same time
		probe := reading("a value", unshared(newFixture("pair", "one")), "read")
		results := cluster.Check(t, restsOn("group/a", "value", probe), restsOn("group/b", "value", probe),
			restsOn("group/c", "other", probe))
		expectEqual(t, "execs", cluster.Events("exec"), []string{"exec pair-unshared/one: read"})
		for id, result := range results {
			if len(result.Control) != 1 || result.Control[0].Title != "of probe a value" || len(result.Evidence) != 0 {
				t.Errorf("evidence of %s is %+v, control %+v", id, result.Evidence, result.Control)
			}
		}
		expectVerdict(t, results["group/b"], reports.Conformant, "", "")
		expectVerdict(t, results["group/c"], reports.Nonconformant, "", "it is value")
	})
}

func TestAProbeIsMadeForEachTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"), newNode("b"))
		cluster.Commands["read"] = func(_ context.Context, at place) (pod.ExecResult, error) { return pod.ExecResult{Output: at.Pod}, nil }
		probe := reading("a value", newFixture("pair", "one"), "read")
		run, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{restsOn("group/a", "pair-1", probe)}}))
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range run.Results {
			want := map[string]reports.Verdict{"a": reports.Conformant, "b": reports.Nonconformant}[result.Target]
			expectVerdict(t, result, want, "", "")
		}
	})
}

// TestAProbeThatFailedIsMadeAgain for the next trait that asks. The evidence of the failed attempt is of who asked for it.
func TestAProbeThatFailedIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		attempts := 0
		cluster.Commands["read"] = func(context.Context, place) (pod.ExecResult, error) {
			if attempts++; attempts == 1 {
				return pod.ExecResult{}, errors.New("no answer")
			}
			return pod.ExecResult{Output: "value"}, nil
		}
		cluster.Answer("before", "")
		fixture := newFixture("pair", "one")
		probe := reading("a value", fixture, "read")
		look := probe.Look
		probe.Look = func(ctx context.Context, session *Session) (string, error) {
			if _, err := session.Exec(ctx, fixture, "one", "before", "before"); err != nil {
				return "", err
			}
			return look(ctx, session)
		}
		run, err := Run(t.Context(), cluster.Options(Options{Parallel: 1, Traits: []Trait{
			restsOn("group/a", "value", probe), restsOn("group/b", "value", probe), restsOn("group/c", "value", probe)}}))
		if err != nil {
			t.Fatal(err)
		}
		results := byTrait(run)
		expectVerdict(t, results["group/a"], reports.Inconclusive, reports.Lost, "no answer")
		expectVerdict(t, results["group/b"], reports.Conformant, "", "")
		expectVerdict(t, results["group/c"], reports.Conformant, "", "")
		if attempts != 2 || len(results["group/a"].Evidence) != 1 || len(results["group/b"].Evidence) != 2 {
			t.Errorf("%d attempts, evidence %+v", attempts, results["group/a"].Evidence)
		}
		for _, look := range run.Looks {
			if look.By == "a value #1" {
				t.Errorf("the attempt that nobody was given is kept: %+v", look)
			}
		}
	})
}

// TestProbesAreMadeBeforeTheirFixtureIsDestroyed although the traits that need them come later.
func TestProbesAreMadeBeforeTheirFixtureIsDestroyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Commands["read"] = func(context.Context, place) (pod.ExecResult, error) {
			if len(cluster.Events("exec pair/one: kill 1")) > 0 {
				return pod.ExecResult{Output: "too late"}, nil
			}
			return pod.ExecResult{Output: "value"}, nil
		}
		fixture := newFixture("pair", "one")
		probe, other := reading("a value", fixture, "read"), reading("of another Pod", newFixture("other", "one"), "read elsewhere")
		run, err := Run(t.Context(), cluster.Options(Options{Parallel: 1, Traits: []Trait{
			restsOn("group/a", "value", probe), restsOn("group/b", "", other), destroying("group/z", fixture)}}))
		if err != nil {
			t.Fatal(err)
		}
		results := byTrait(run)
		expectVerdict(t, results["group/a"], reports.Conformant, "", "")
		if len(results["group/a"].Evidence) != 1 || len(results["group/z"].Evidence) != 1 ||
			results["group/z"].Evidence[0].Title != "the end" {
			t.Errorf("evidence of the probe is with the trait that destroys: %+v", results["group/z"].Evidence)
		}
		expectEqual(t, "execs", cluster.Events("exec pair"), []string{"exec pair/one: read", "exec pair/one: kill 1"})
	})
}

// TestAProbeThatFailedBeforeItsFixtureWasDestroyedIsNotMadeAgain: it would see what is left.
func TestAProbeThatFailedBeforeItsFixtureWasDestroyedIsNotMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		attempts := 0
		cluster.Commands["read"] = func(context.Context, place) (pod.ExecResult, error) {
			attempts++
			return pod.ExecResult{}, errors.New("no answer")
		}
		fixture := newFixture("pair", "one")
		probe := reading("a value", fixture, "read")
		run, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{
			restsOn("group/a", "value", probe), restsOn("group/b", "value", probe), destroying("group/z", fixture)}, Parallel: 1}))
		if err != nil {
			t.Fatal(err)
		}
		results := byTrait(run)
		for _, id := range []string{"group/a", "group/b"} {
			expectVerdict(t, results[id], reports.Inconclusive, reports.Lost,
				`the Pod that it looks at was ended by group/z since`)
		}
		expectVerdict(t, results["group/z"], reports.Conformant, "", "")
		if attempts != 1 {
			t.Errorf("%d attempts", attempts)
		}
	})
}

func TestAProbeMustBeNeededByWhoAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := reading("a value", newFixture("pair", "one"), "read")
		trait := restsOn("group/a", "value", probe)
		trait.Needs = nil
		result := newCluster(t, newNode("a")).Check(t, trait)["group/a"]
		expectVerdict(t, result, reports.Inconclusive, reports.Defect,
			`group/a rests on the probe "a value" and does not name it in its Needs`)
	})
}

// TestAProbeMayComeToAVerdict as a check does, and may rest on others.
func TestAProbeMayComeToAVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := reading("inner", newFixture("pair", "one"), "read")
		outer := &Probe[string]{Name: "outer", Fixtures: inner.Fixtures, Look: func(ctx context.Context, session *Session) (string, error) {
			value, err := inner.Of(ctx, session)
			if err == nil && value == "" {
				err = &Violation{"nothing is printed"}
			}
			return value, err
		}}
		result := newCluster(t, newNode("a")).Check(t, restsOn("group/a", "value", outer))["group/a"]
		expectVerdict(t, result, reports.Nonconformant, "", "nothing is printed")
		if len(result.Evidence) != 1 {
			t.Errorf("evidence is %+v", result.Evidence)
		}
	})
}

// TestWhoWaitsForAProbeWaitsNoLongerThanItsTime and does not end it for the others.
func TestWhoWaitsForAProbeWaitsNoLongerThanItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Commands["read"] = func(ctx context.Context, _ place) (pod.ExecResult, error) {
			<-ctx.Done()
			return pod.ExecResult{}, ctx.Err()
		}
		limits := DefaultLimits()
		limits.Exec = time.Hour
		probe := reading("a value", newFixture("pair", "one"), "read")
		second := restsOn("group/b", "value", probe)
		check := second.Check
		second.Check = func(ctx context.Context, session *Session, judge Judge) error {
			limited, cancel := context.WithTimeoutCause(ctx, 10*time.Second, Undecided(reports.OutOfTime, "it has only ten seconds"))
			defer cancel()
			time.Sleep(time.Second)
			return check(limited, session, judge)
		}
		run, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{restsOn("group/a", "value", probe), second}, Limits: limits}))
		if err != nil {
			t.Fatal(err)
		}
		results := byTrait(run)
		expectVerdict(t, results["group/a"], reports.Inconclusive, reports.OutOfTime, "the trait was not decided within 4m0s")
		expectVerdict(t, results["group/b"], reports.Inconclusive, reports.OutOfTime, "it has only ten seconds")
		if results["group/b"].Seconds > 12 {
			t.Errorf("the second one took %g s", results["group/b"].Seconds)
		}
	})
}

// TestAPodThatCannotStartFailsProbesOfItAlone.
func TestAPodThatCannotStartFailsProbesOfItAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Answer("read", "value")
		cluster.Status = func(begun *corev1.Pod) {
			if strings.HasPrefix(begun.Name, "bad") {
				begun.Status.ContainerStatuses[0].State = corev1.ContainerState{
					Waiting: &corev1.ContainerStateWaiting{Reason: "InvalidImageName"},
				}
			}
		}
		results := cluster.Check(t, restsOn("group/a", "value", reading("bad", newFixture("bad", "one"), "read")),
			restsOn("group/b", "value", reading("good", newFixture("good", "one"), "read")))
		expectVerdict(t, results["group/a"], reports.Inconclusive, reports.NotStarted, "InvalidImageName")
		expectVerdict(t, results["group/b"], reports.Conformant, "", "")
		if !strings.Contains(results["group/a"].Cause, "malformed") {
			t.Errorf("cause is %q", results["group/a"].Cause)
		}
	})
}
