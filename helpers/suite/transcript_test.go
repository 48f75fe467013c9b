package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilexec "k8s.io/client-go/util/exec"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// The Pods of the traits below. One is deleted by its trait.
var (
	recordedPair    = newFixture("pair", "one", "two")
	recordedStable  = stable(newFixture("stable", "one", "two"))
	recordedControl = unshared(newFixture("pair", "one", "two"))
	recordedEnded   = newFixture("ended", "one")
)

// askingEverything are traits whose checks together put every question that a session knows, and come to every verdict.
func askingEverything() []Trait {
	probe, failing := reading("a value", recordedPair, "value"), reading("fails at first", recordedPair, "fails at first")
	accusing := &Probe[int]{Name: "accusing", Fixtures: []Fixture{recordedPair}, Look: func(
		ctx context.Context, session *Session,
	) (int, error) {
		results, err := session.Read(ctx, recordedPair, "one", "value")
		if err == nil {
			err = &Violation{"the value is " + results[0].Answer()}
		}
		return 0, err
	}}
	inner := &Probe[int]{Name: "outer", Fixtures: []Fixture{recordedPair}, Look: func(
		ctx context.Context, session *Session,
	) (int, error) {
		value, err := probe.Of(ctx, session)
		return len(value), err
	}}
	all := []Trait{
		newTrait("processes/await", func(ctx context.Context, session *Session, judge Judge) error {
			snapshot, err := session.Await(ctx, recordedStable, "one", "all", sleep("one"), sleep("two"))
			if err != nil {
				return err
			}
			if _, found := snapshot.PID(1); !found {
				return &Violation{"no process 1"}
			}
			now, err := session.ProcessesNow(ctx, recordedStable, "two", "now")
			if err != nil {
				return err
			}
			if len(now.Processes) != len(snapshot.Processes) {
				return &Violation{"the containers see different processes"}
			}
			_, err = session.Processes(ctx, recordedPair, "two", "unstable")
			return err
		}, recordedStable),
		newTrait("processes/hidden", func(ctx context.Context, session *Session, _ Judge) error {
			_, err := session.Find(ctx, recordedPair, "two", "all", sleep("one"))
			return err
		}, recordedPair),
		newTrait("processes/control", func(ctx context.Context, session *Session, _ Judge) error {
			_, err := session.Find(ctx, recordedControl, "one", "all", sleep("two"))
			return err
		}, recordedControl),
		newTrait("processes/precondition", func(ctx context.Context, session *Session, _ Judge) error {
			_, err := session.Find(ctx, recordedStable, "one", "all", Process{"two", []string{"nginx"}})
			return err
		}, recordedStable),
		newTrait("exec/all", func(ctx context.Context, session *Session, judge Judge) error {
			results, err := session.Exec(ctx, recordedPair, "one", "it", "value", "binary")
			if err != nil {
				return err
			}
			once, err := session.ExecOnce(ctx, recordedPair, "one", "it", fmt.Sprint("change ", session.Number("x", 100)))
			if err != nil {
				return err
			}
			read, err := session.Read(ctx, recordedPair, "one", "denied")
			if err != nil {
				return err
			}
			return &Violation{fmt.Sprintf("%q %q %d %s", results[1].Output, once[0].Output, read[0].ExitCode, read[0].Errno())}
		}, recordedPair),
		newTrait("exec/lost", func(ctx context.Context, session *Session, _ Judge) error {
			_, err := session.ExecOnce(ctx, recordedPair, "one", "it", "lost")
			return err
		}, recordedPair),
		newTrait("exec/killed", func(ctx context.Context, session *Session, _ Judge) error {
			if _, err := session.ExecOnce(ctx, recordedPair, "one", "it", "killed"); !Killed(err) {
				return fmt.Errorf("it was not killed: %w", err)
			}
			return &Unsupported{"it is killed"}
		}, recordedPair),
		newTrait("pod/all", func(ctx context.Context, session *Session, judge Judge) error {
			stream, err := session.Open(ctx, recordedEnded, "one", "stays open")
			if err != nil {
				return err
			}
			status, err := session.Status(ctx, recordedEnded)
			if err != nil {
				return err
			}
			if _, reached, err := session.Wait(ctx, recordedEnded, "what never comes", time.Second, never); err != nil || reached {
				return fmt.Errorf("reached %t: %w", reached, err)
			}
			logs, err := session.Logs(ctx, recordedEnded, "one", false)
			if err != nil {
				return err
			}
			if err := session.Attach(ctx, recordedEnded, corev1.EphemeralContainer{}); err != nil {
				return err
			}
			if err := session.Delete(ctx, recordedEnded); err != nil {
				return err
			}
			last, reached, err := session.WaitTolerant(ctx, recordedEnded, "its end", time.Minute, gone)
			if err != nil {
				return err
			}
			ended, err := stream.Ended(ctx, session.Limits().StreamEnd)
			if err != nil {
				return err
			}
			node, err := session.Node(ctx)
			if err != nil {
				return err
			}
			return &Violation{fmt.Sprint(status.Status.Phase, logs, last.Name, reached, ended, node.Name)}
		}, recordedEnded),
		newTrait("admission/all", func(ctx context.Context, session *Session, judge Judge) error {
			created, err := session.TryCreate(ctx, "a Pod", "baseline", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "tried"}})
			if err != nil {
				return err
			}
			updated, err := session.TryUpdate(ctx, "a change", recordedPair, func(asked *corev1.Pod) { asked.Spec.HostPID = true })
			if err != nil {
				return err
			}
			if created.Refusal != nil || updated.Refusal == nil {
				return errors.New("the API decides otherwise")
			}
			return &Violation{updated.Err().Error()}
		}, recordedPair),
		newTrait("until/rounds", func(ctx context.Context, session *Session, _ Judge) error {
			rounds := 0
			reached, err := session.Until(ctx, session.Limits().Appearance, func() (bool, error) {
				rounds++
				results, err := session.Exec(ctx, recordedPair, "one", "it", "counter")
				return err == nil && results[0].Answer() > "3", err
			})
			if err == nil && !reached {
				err = &Violation{fmt.Sprintf("not within %s", session.Limits().Appearance)}
			}
			return err
		}, recordedPair),
		newTrait("until/over", func(ctx context.Context, session *Session, _ Judge) error {
			reached, err := session.Until(ctx, session.Limits().Appearance, func() (bool, error) {
				_, err := session.Read(ctx, recordedPair, "one", "value")
				return false, err
			})
			if err == nil && !reached {
				err = &Violation{fmt.Sprintf("not within %s", session.Limits().Appearance)}
			}
			return err
		}, recordedPair),
		newTrait("until/out-of-time", func(ctx context.Context, session *Session, _ Judge) error {
			reached, err := session.Until(ctx, time.Hour, func() (bool, error) {
				_, err := session.Read(ctx, recordedPair, "one", "value")
				return false, err
			})
			if err == nil && !reached {
				err = &Violation{"not within an hour"}
			}
			return err
		}, recordedPair),
		newTrait("judge/claim", func(_ context.Context, _ *Session, judge Judge) error {
			judge.Stop(&Violation{"stopped"})
			return nil
		}),
		restsOn("probe/kept", "value", probe), restsOn("probe/violation", "other", probe),
		restsOn("probe/again-a", "value", failing), restsOn("probe/again-b", "value", failing),
		newTrait("probe/nested", func(ctx context.Context, session *Session, _ Judge) error {
			length, err := inner.Of(ctx, session)
			if err == nil {
				err = &Violation{fmt.Sprint("of length ", length)}
			}
			return err
		}),
		newTrait("probe/accusing", func(ctx context.Context, session *Session, _ Judge) error {
			_, err := accusing.Of(ctx, session)
			return err
		}),
		newTrait("requires/missing", passes), newTrait("requires/there", passes),
		newTrait("defect/panics", func(context.Context, *Session, Judge) error {
			panic("oh")
		}),
	}
	for i := range all {
		switch all[i].ID {
		case "probe/nested":
			all[i].Needs = []Need{inner}
		case "probe/accusing":
			all[i].Needs = []Need{accusing}
		case "requires/missing", "requires/there":
			want := map[string]string{"requires/missing": "b", "requires/there": "a"}[all[i].ID]
			all[i].Requires = []Requirement{{"a node", func(ctx context.Context, session *Session) (string, error) {
				node, err := session.Node(ctx)
				if err == nil && !strings.HasPrefix(node.Name, want) {
					return "this is " + node.Name, nil
				}
				return "", err
			}}}
		}
	}
	return all
}

// answering prepares a cluster for askingEverything.
func answering(t *testing.T, nodes ...string) *cluster {
	cluster := newCluster(t)
	for _, name := range nodes {
		if err := cluster.api.Tracker().Add(newNode(name)); err != nil {
			t.Fatal(err)
		}
	}
	cluster.Answer("value", "value")
	cluster.Answer("binary", "\xff\xfe")
	answers := func(answer func(attempt int) (pod.ExecResult, error)) func(context.Context, place) (pod.ExecResult, error) {
		attempts := map[string]int{} // by Pod
		return func(_ context.Context, at place) (pod.ExecResult, error) {
			cluster.mutex.Lock()
			defer cluster.mutex.Unlock()
			attempts[at.Pod]++
			return answer(attempts[at.Pod])
		}
	}
	cluster.Commands["denied"] = answers(func(int) (pod.ExecResult, error) {
		return pod.ExecResult{ExitCode: 1, Output: "Operation not permitted"}, nil
	})
	cluster.Commands["lost"] = answers(func(int) (pod.ExecResult, error) { return pod.ExecResult{}, io.ErrUnexpectedEOF })
	cluster.Commands["killed"] = answers(func(int) (pod.ExecResult, error) {
		return pod.ExecResult{}, utilexec.CodeExitError{Code: 137, Err: errors.New("killed")}
	})
	cluster.Commands["counter"] = answers(func(attempt int) (pod.ExecResult, error) {
		return pod.ExecResult{Output: fmt.Sprint(attempt)}, nil
	})
	cluster.Commands["fails at first"] = answers(func(attempt int) (pod.ExecResult, error) {
		if attempt == 1 {
			return pod.ExecResult{}, errors.New("no answer")
		}
		return pod.ExecResult{Output: "value"}, nil
	})
	cluster.Commands["stays open"] = func(ctx context.Context, at place) (pod.ExecResult, error) {
		for ctx.Err() == nil {
			if _, err := cluster.api.Tracker().Get(podResource, at.Namespace, at.Pod); err != nil {
				return pod.ExecResult{}, io.EOF
			}
			time.Sleep(time.Second)
		}
		return pod.ExecResult{}, ctx.Err()
	}
	cluster.Admit = func(asked *corev1.Pod) error {
		if asked.Spec.HostPID {
			return refusal("immutable")
		}
		return nil
	}
	cluster.See = func(at place, seen []fakeProcess) []fakeProcess {
		if strings.HasPrefix(at.Pod, "pair") {
			return hides("one", "two")(at, seen)
		}
		return seen
	}
	return cluster
}

// askEverything makes a run of askingEverything and returns it as a file would have it.
func askEverything(t *testing.T, limits Limits, nodes ...string) reports.Run {
	t.Helper()
	made, err := Run(t.Context(), answering(t, nodes...).Options(Options{Traits: askingEverything(), Limits: limits, Execs: 50}))
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	var read reports.Run
	if err := json.Unmarshal(content, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// verdicts are what results come to, one a line, in the order of their targets and traits.
func verdicts(results []reports.Result) (lines []string) {
	for _, result := range results {
		lines = append(lines, fmt.Sprintf("%s %s: %s (%s) %s; %s",
			result.Target, result.Trait, result.Verdict, result.Kind, result.Reason, result.Cause))
	}
	slices.Sort(lines)
	return lines
}

// TestJudgingAgainComesToTheSame verdicts, kinds and reasons, through a file and without a cluster.
func TestJudgingAgainComesToTheSame(t *testing.T) {
	for name, test := range map[string]struct {
		limits Limits
		nodes  []string
	}{
		"one target": {DefaultLimits(), []string{"a"}}, "two targets": {DefaultLimits(), []string{"a", "b"}},
		"other limits": {DefaultLimits().Stretched(1.5), []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				made := askEverything(t, test.limits, test.nodes...)
				judged, err := JudgeAgain(made, askingEverything())
				if err != nil {
					t.Fatal(err)
				}
				expectEqual(t, "judged again", verdicts(judged.Results), verdicts(made.Results))
				if len(made.Results) != len(made.Plan) {
					t.Errorf("%d results of %d", len(made.Results), len(made.Plan))
				}
			})
		})
	}
}

// TestWhatAskingEverythingComesTo: a run in which nothing is asked would be judged again alike as well.
func TestWhatAskingEverythingComesTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		results := byTrait(askEverything(t, DefaultLimits(), "a"))
		for _, want := range []struct {
			id      string
			verdict reports.Verdict
			kind    reports.Kind
			words   string
		}{
			{"processes/await", reports.Conformant, "", ""},
			{"processes/hidden", reports.Nonconformant, "", "is not visible from container two"},
			{"processes/control", reports.Inconclusive, reports.Control, "is not visible"},
			{"processes/precondition", reports.Inconclusive, reports.Precondition, "container two runs no process"},
			{"exec/all", reports.Nonconformant, "", `"\xff\xfe" "" 1 EPERM`},
			{"exec/lost", reports.Inconclusive, reports.Lost, "may have run"},
			{"exec/killed", reports.Unsupported, "", "it is killed"},
			{"pod/all", reports.Nonconformant, "", "Runningfake logsended"},
			{"admission/all", reports.Nonconformant, "", "immutable"},
			{"until/rounds", reports.Conformant, "", ""},
			{"until/over", reports.Nonconformant, "", "not within 10s"},
			{"until/out-of-time", reports.Inconclusive, reports.OutOfTime, "not decided within 4m0s"},
			{"judge/claim", reports.Nonconformant, "", "stopped"},
			{"probe/kept", reports.Conformant, "", ""},
			{"probe/violation", reports.Nonconformant, "", "it is value"},
			{"probe/nested", reports.Nonconformant, "", "of length 5"},
			{"probe/accusing", reports.Nonconformant, "", "the value is value"},
			{"requires/missing", reports.Unsupported, "", "this is a"},
			{"requires/there", reports.Conformant, "", ""},
			{"defect/panics", reports.Inconclusive, reports.Defect, "oh"},
		} {
			expectVerdict(t, results[want.id], want.verdict, want.kind, want.words)
		}
		again := []reports.Verdict{results["probe/again-a"].Verdict, results["probe/again-b"].Verdict}
		if slices.Sort(again); !slices.Equal(again, []reports.Verdict{reports.Conformant, reports.Inconclusive}) {
			t.Errorf("of a probe that fails at first came %v", again)
		}
	})
}

// TestEveryChangedAnswerCounts: a verdict rests on the looks alone, and not on what the run said before.
func TestEveryChangedAnswerCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := askEverything(t, DefaultLimits(), "a")
		for _, change := range []struct {
			question, answer, trait string
			verdict                 reports.Verdict
			kind                    reports.Kind
		}{
			{"exec pair/one: value", `[{"exitCode":0,"output":"other"}]`, "probe/kept", reports.Nonconformant, ""},
			{"exec pair/one: value", `[{"exitCode":0,"output":"other"}]`, "probe/violation", reports.Conformant, ""},
			{"exec pair/one: killed", `[{"exitCode":0}]`, "exec/killed", reports.Inconclusive, reports.Lost},
			{"node a", `{"metadata":{"name":"b"}}`, "requires/missing", reports.Conformant, ""},
			{"try a change", `{}`, "admission/all", reports.Inconclusive, reports.Lost},
			{"exec pair/one: counter", `[{"exitCode":0,"output":"1"}]`, "until/rounds", reports.Nonconformant, ""},
			{"exec pair/one: counter", `[]`, "until/rounds", reports.Inconclusive, reports.Precondition},
			{"exec pair/one: counter", `"text"`, "until/rounds", reports.Inconclusive, reports.Precondition},
			{"processes seen from pair/two", `{"output":"self 1"}`, "processes/hidden", reports.Inconclusive, reports.Lost},
		} {
			changed := made
			changed.Looks = slices.Clone(made.Looks)
			for i, look := range changed.Looks {
				if look.Question == change.question {
					changed.Looks[i].Answer, changed.Looks[i].Error, changed.Looks[i].Kind = json.RawMessage(change.answer), "", ""
				}
			}
			judged, err := JudgeAgain(changed, askingEverything())
			if err != nil {
				t.Fatal(err)
			}
			if result := byTrait(judged)[change.trait]; result.Verdict != change.verdict || result.Kind != change.kind {
				t.Errorf("with %s answered by %s, %s is %s (%s): %s",
					change.question, change.answer, change.trait, result.Verdict, result.Kind, result.Reason)
			}
		}
	})
}

// TestACheckThatAsksSomethingElseCannotBeJudgedAgain.
func TestACheckThatAsksSomethingElseCannotBeJudgedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := askEverything(t, DefaultLimits(), "a")
		other := func(asked func(context.Context, *Session) error) Trait {
			return newTrait("exec/all", func(ctx context.Context, session *Session, _ Judge) error { return asked(ctx, session) })
		}
		for words, trait := range map[string]Trait{
			`the recording has "exec pair/one: value\nbinary" where the check asks "exec pair/one: something else"`: other(
				func(ctx context.Context, session *Session) error {
					_, err := session.Exec(ctx, recordedPair, "one", "it", "something else")
					return err
				}),
			`the recording ends before "exec pair/one: denied"`: other(func(ctx context.Context, session *Session) error {
				once := fmt.Sprint("change ", session.Number("x", 100))
				for _, commands := range [][]string{{"value", "binary"}, {once}, {"denied"}, {"denied"}} {
					if _, err := session.Read(ctx, recordedPair, "one", commands...); err != nil {
						return err
					}
				}
				return nil
			}),
			`where the check asks "probe of another"`: other(func(ctx context.Context, session *Session) error {
				session.needs = nil
				_, err := reading("of another", recordedPair, "value").Of(ctx, session)
				return err
			}),
		} {
			judged, err := JudgeAgain(made, []Trait{trait})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, byTrait(judged)["exec/all"], reports.Inconclusive, reports.Precondition, words)
			if kept := byTrait(made)["exec/all"].Evidence; len(kept) == 0 || !reflect.DeepEqual(byTrait(judged)["exec/all"].Evidence, kept) {
				t.Errorf("%s: the evidence of the run is gone", words)
			}
			if image := (&Session{}).Image("busybox:1"); image != "busybox:1" {
				t.Errorf("without a cluster the image is %s", image)
			}
		}
	})
}

// TestWhatIsLeftAsItIs when a run is judged again: traits that are not given, and what was not decided.
func TestWhatIsLeftAsItIs(t *testing.T) {
	run := reports.Run{
		Targets: []reports.Target{{ID: "a"}}, Looks: []reports.Look{{Target: "a", By: "x/y"}, {Target: "gone", By: "x/y"}},
		Results: []reports.Result{
			{Trait: "x/unknown", Target: "a", Verdict: reports.Nonconformant, Reason: "1"},
			{Trait: "x/defect", Target: "a", Verdict: reports.Inconclusive, Kind: reports.Defect, Reason: "2", Stack: "stack"},
			{Trait: "x/known", Target: "gone", Verdict: reports.Unsupported, Reason: "3"},
			{Trait: "x/known", Target: "a", Verdict: reports.Unsupported, Reason: "4", KnownDeviation: &reports.Deviation{Reason: "kept"}},
		},
	}
	judged, err := JudgeAgain(run, []Trait{newTrait("x/known", passes), newTrait("x/defect", passes), newTrait("x/other", passes)})
	if err != nil {
		t.Fatal(err)
	}
	expectEqual(t, "results", verdicts(judged.Results), verdicts(append(slices.Clone(run.Results[:3]), reports.Result{
		Trait: "x/known", Target: "a", Verdict: reports.Conformant, Reason: "observed as stated",
	})))
	if judged.Results[3].KnownDeviation == nil || run.Results[3].Verdict != reports.Unsupported {
		t.Error("the deviation is gone, or the given run was changed")
	}
}

func TestARunThatCannotBeJudgedAgain(t *testing.T) {
	result := []reports.Result{{Trait: "x/y", Target: "a"}}
	looks := []reports.Look{{Target: "a", By: "x/y"}}
	_, err := JudgeAgain(reports.Run{Results: result}, nil)
	expectError(t, err, "the run kept no looks")
	for name, value := range map[string]string{"none": "1s", "exec": "long", "trait": "-1s"} {
		_, err := JudgeAgain(reports.Run{ID: "abc", Results: result, Looks: looks, Limits: map[string]string{name: value}}, nil)
		expectError(t, err, "the limits of run abc cannot be read")
	}
	if _, err := JudgeAgain(reports.Run{}, nil); err != nil {
		t.Errorf("a run that decided nothing: %v", err)
	}
}

// TestOnlyLooksThatSomethingRestsOnAreKept: attempts of shared looks that nobody was given are left out.
func TestOnlyLooksThatSomethingRestsOnAreKept(t *testing.T) {
	look := func(target, by, question, answer string) reports.Look {
		return reports.Look{Target: target, By: by, Question: question, Answer: json.RawMessage(answer)}
	}
	failed := reports.Look{Target: "a", By: "x/z", Question: "probe p", Error: "no answer"}
	looks := []reports.Look{
		look("a", "p #1", "exec", "0"), look("a", "p #2", "probe q", "3"), look("b", "p #2", "exec", "0"), look("a", "q #3", "exec", "0"),
		look("a", "q #1", "exec", "0"), failed, look("a", "x/y", "exec", "0"), look("a", "x/y", "probe p", "2"),
		look("a", "x/y", "probe r", `"text"`),
	}
	var kept []string
	for _, each := range referenced(looks) {
		kept = append(kept, each.Target+" "+each.By+" "+each.Question)
	}
	expectEqual(t, "kept", kept, []string{
		"a p #2 probe q", "a q #3 exec", "a x/z probe p", "a x/y exec", "a x/y probe p", "a x/y probe r",
	})
}

func TestAnAnswerThatCannotBeKeptIsADefect(t *testing.T) {
	outcome := Conclude(func(Judge) error {
		session := &Session{target: newTarget("a")}
		_, err := ask(session, "what", func() (func(), error) { return func() {}, nil })
		return err
	})
	if outcome.Kind != reports.Defect || !strings.Contains(outcome.Reason, `the answer to "what" cannot be kept`) {
		t.Errorf("outcome is %+v", outcome)
	}
}
