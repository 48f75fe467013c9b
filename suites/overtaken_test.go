package suites

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// judgedAfter is the outcome of a trait on the recording of a healthy runtime whose looks change has changed.
func judgedAfter(t *testing.T, id string, change func([]reports.Look) []reports.Look) suite.Outcome {
	t.Helper()
	run := readRecording(t, "testdata/healthy.json.gz")
	run.Results = slices.DeleteFunc(run.Results, func(result reports.Result) bool { return result.Trait != id })
	run.Looks = change(run.Looks)
	judged, err := suite.JudgeAgain(run, Traits())
	if err != nil {
		t.Fatal(err)
	}
	result := judged.Results[0]
	return suite.Outcome{Verdict: result.Verdict, Kind: result.Kind, Reason: result.Reason}
}

// answerOf is a look of the same asker with another question and its answer.
func answerOf(t *testing.T, like reports.Look, question string, answer any) reports.Look {
	t.Helper()
	content, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	like.Question, like.Answer = question, content
	return like
}

// TestContainerIsNotRestarted: only a container that ends later and is restarted first tells a runtime that does not let go of a
// container from a kubelet that is slow.
func TestContainerIsNotRestarted(t *testing.T) {
	const waiting = "wait for the kubelet to act of killed-container/"
	restarts := func(count int32) func(*waited) {
		return func(answer *waited) {
			answer.Reached = false
			for i := range answer.Last.Status.ContainerStatuses {
				if status := &answer.Last.Status.ContainerStatuses[i]; status.Name == "stopped" {
					status.RestartCount = count
				}
			}
		}
	}
	for name, test := range map[string]struct {
		later bool  // the one that ends later is restarted
		count int32 // restarts of the one that ended before, afterwards
		want  reports.Verdict
	}{
		"it is overtaken":       {true, 0, reports.Nonconformant},
		"it is late":            {true, 1, reports.Inconclusive},
		"so are all the others": {false, 0, reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			got := judgedAfter(t, "lifecycle/killed-container-returns", func(looks []reports.Look) []reports.Look {
				at := slices.IndexFunc(looks, func(look reports.Look) bool { return look.Question == waiting })
				var seen waited
				answerTo(t, waiting, func(answer *waited) {
					restarts(0)(answer)
					seen = *answer
				})(&looks[at])
				var more []reports.Look
				for _, look := range looks {
					if strings.HasPrefix(look.By, nginxEndsAlone.Name+" #") {
						look.By, look.Question = looks[at].By, strings.Replace(look.Question, "ends-alone-unshared", "killed-container-later-unshared", 1)
						if !test.later {
							answerTo(t, "wait for nginx", func(answer *waited) { answer.Reached = false })(&look)
						}
						more = append(more, look)
					}
				}
				restarts(test.count)(&seen)
				more = append(more, answerOf(t, looks[at], "status killed-container/", seen.Last))
				return slices.Insert(looks, at+1, more...)
			})
			if got.Verdict != test.want || got.Verdict == reports.Inconclusive && got.Kind != reports.OutOfTime {
				t.Errorf("%s (%s): %s, want %s", got.Verdict, got.Kind, got.Reason, test.want)
			}
		})
	}
}

// TestPodIsNotGone: only an ordinary Pod that is deleted later and is gone first tells a deletion that waits from a node that is slow.
func TestPodIsNotGone(t *testing.T) {
	const gone = "wait for the Pod to be gone of "
	for name, test := range map[string]struct {
		ordinary, late bool // the ordinary Pod is gone promptly; the other one is when that is
		want           reports.Verdict
	}{
		"it is overtaken":                    {true, false, reports.Nonconformant},
		"it is gone meanwhile":               {true, true, reports.Inconclusive},
		"an ordinary one is not gone either": {false, false, reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			got := judgedAfter(t, "lifecycle/deletion-is-prompt", func(looks []reports.Look) []reports.Look {
				at := slices.IndexFunc(looks, func(look reports.Look) bool { return look.Question == gone+"outliving-hook/" })
				answerTo(t, gone, func(answer *waited) { answer.Reached = false })(&looks[at])
				again := func(fixture string, reached bool) reports.Look {
					return answerOf(t, looks[at], gone+fixture+"/", waited{Reached: reached, Last: &corev1.Pod{}})
				}
				return slices.Insert(looks, at+1,
					answerOf(t, looks[at], "running ordinary-deletion/sleeper", true), answerOf(t, looks[at], "delete ordinary-deletion/", true),
					again("ordinary-deletion", test.ordinary), again("outliving-hook", test.late), again("open-stream", true))
			})
			if got.Verdict != test.want || got.Verdict == reports.Inconclusive && got.Kind != reports.OutOfTime {
				t.Errorf("%s (%s): %s, want %s", got.Verdict, got.Kind, got.Reason, test.want)
			}
		})
	}
}
