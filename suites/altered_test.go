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

// alteredRun is the recording of a healthy runtime with the looks of one trait and its probes changed.
func alteredRun(t *testing.T, id string, change func(*reports.Look)) suite.Outcome {
	t.Helper()
	return alteredRecording(t, "testdata/healthy.json.gz", id, change)
}

func alteredRecording(t *testing.T, path, id string, change func(*reports.Look)) suite.Outcome {
	t.Helper()
	run := readRecording(t, path)
	run.Results = slices.DeleteFunc(run.Results, func(result reports.Result) bool { return result.Trait != id })
	for i := range run.Looks {
		change(&run.Looks[i])
	}
	judged, err := suite.JudgeAgain(run, Traits())
	if err != nil {
		t.Fatal(err)
	}
	if len(judged.Results) != 1 {
		t.Fatalf("%s is not in the recording", id)
	}
	result := judged.Results[0]
	return suite.Outcome{Verdict: result.Verdict, Kind: result.Kind, Reason: result.Reason}
}

// answerTo changes the answer to the questions that hold some words.
func answerTo[T any](t *testing.T, words string, change func(*T)) func(*reports.Look) {
	return func(look *reports.Look) {
		if !strings.Contains(look.Question, words) || strings.HasPrefix(look.Question, "probe ") || look.Error != "" {
			return
		}
		var answer T
		if err := json.Unmarshal(look.Answer, &answer); err != nil {
			t.Fatalf("%s: %v", look.Question, err)
		}
		change(&answer)
		content, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		look.Answer = content
	}
}

// unanswered takes the answer to the questions that hold some words away.
func unanswered(words string, kind reports.Kind) func(*reports.Look) {
	return func(look *reports.Look) {
		if strings.Contains(look.Question, words) && !strings.HasPrefix(look.Question, "probe ") {
			look.Answer, look.Kind, look.Error = nil, kind, "no answer: "+words
		}
	}
}

// waited is the answer to a wait for a Pod.
type waited struct {
	Reached bool        `json:"reached"`
	Last    *corev1.Pod `json:"last"`
}

// snapshotAnswer is the answer to a look at all processes.
type snapshotAnswer struct {
	Output     string            `json:"output"`
	Containers map[string]string `json:"containers"`
}

// withoutCommandLine hides a process from a snapshot by giving it other arguments.
func withoutCommandLine(t *testing.T, where, program string) func(*reports.Look) {
	return answerTo(t, "processes seen from "+where, func(answer *snapshotAnswer) {
		answer.Output = strings.ReplaceAll(answer.Output, hexadecimal(program), hexadecimal(strings.Repeat("x", len(program))))
	})
}

// hexadecimal is text as od prints it within one line of the snapshot.
func hexadecimal(text string) string {
	var bytes []string
	for _, each := range []byte(text) {
		bytes = append(bytes, " "+string("0123456789abcdef"[each>>4])+string("0123456789abcdef"[each&15]))
	}
	return strings.Join(bytes, "")
}

// TestWhatCannotBeSeenAccusesNobody alters what was seen under a healthy runtime as an ill-fated cluster would: in none of
// these may the runtime be blamed.
func TestWhatCannotBeSeenAccusesNobody(t *testing.T) {
	for name, test := range map[string]struct {
		trait string
		look  func(*reports.Look)
		want  reports.Kind
	}{
		"an image of nginx with another title": {
			"visibility/shell-sees-nginx", func(look *reports.Look) {
				withoutCommandLine(t, "article/", "nginx: master")(look)
			}, reports.Precondition,
		},
		"an image of nginx with another configuration": {
			"credentials/ptrace-crosses-uids", answerTo(t, "processes seen from access-matrix/tracer", func(answer *snapshotAnswer) {
				answer.Output = strings.ReplaceAll(answer.Output, "Uid:\t65534\t65534\t65534\t65534", "Uid:\t101\t101\t101\t101")
			}), reports.Precondition,
		},
		"workers that come late": {
			"signals/hup-respawns-workers", withoutCommandLine(t, "reload/", "nginx: worker"), reports.OutOfTime,
		},
		"a lost node while systemd is waited for": {
			"inits/systemd-refuses", unanswered("wait for container systemd", reports.Lost), reports.Lost,
		},
		"a node that is lost while an init is waited for": {
			"inits/pid1-only-init-refuses", unanswered("wait for container busybox-init", reports.Lost), reports.Lost,
		},
		"a kubelet that does not restart systemd in time": {
			"inits/systemd-refuses", answerTo(t, "wait for systemd to be restarted", func(answer *waited) { answer.Reached = false }),
			reports.OutOfTime,
		},
		"a kubelet that restarts a container late": {
			"lifecycle/killed-container-returns", answerTo(t, "wait for the kubelet to act of killed-container", func(answer *waited) {
				answer.Reached = false
			}), reports.OutOfTime,
		},
		"nginx that takes long to reload": {
			"signals/hup-respawns-workers", slowReload(t), reports.OutOfTime,
		},
		"an exec stream that ends before its Pod": {
			"lifecycle/deletion-is-prompt", func(look *reports.Look) {
				if strings.HasPrefix(look.Question, "end of open-stream/") {
					look.Answer = json.RawMessage("true")
				}
			}, reports.Lost,
		},
		"an image of tini that cannot be pulled": {
			"inits/tini-warns", unanswered("running tini/", reports.NotStarted), reports.NotStarted,
		},
		"an image of busybox without an init": {
			"inits/pid1-only-init-refuses", answerTo(t, "logs of busybox-init/", func(words *string) { *words = "init: applet not found" }),
			reports.Precondition,
		},
		"an image of tini that is silent": {
			"inits/tini-warns", answerTo(t, "logs of tini/", func(words *string) { *words = "" }), reports.Precondition,
		},
		"a control that shares": {
			"namespace/one-namespace", answerTo(t, "exec pair-unshared/", func(answer *[]map[string]any) {
				for _, each := range *answer {
					if output, found := each["output"].(string); found && strings.HasPrefix(output, "pid:") {
						each["output"] = "pid:[1]\n"
					}
				}
			}), reports.Control,
		},
		"a file that an earlier run has left": {
			"filesystem/write-through-proc-root", answerTo(t, "cat /written", func(answer *[]map[string]any) {
				for _, each := range *answer {
					each["exitCode"], each["output"] = 0, "written by a sibling\n"
				}
			}), reports.Precondition,
		},
		"a signal that is refused": {
			"signals/pause-survives", answerTo(t, survivedCommand(), func(answer *[]map[string]any) {
				for _, each := range *answer {
					each["exitCode"], each["output"] = 1, "sh: can't kill pid 1: Permission denied\n3\n"
				}
			}), reports.Precondition,
		},
		"an API that is busy": {
			"admission/immutable", unanswered("try true to false", reports.Lost), reports.Lost,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := alteredRun(t, test.trait, test.look)
			if got.Verdict != reports.Inconclusive || got.Kind != test.want {
				t.Errorf("%s is %s (%s), want inconclusive (%s): %s", test.trait, got.Verdict, got.Kind, test.want, got.Reason)
			}
		})
	}
}

// TestSystemdThatIsNotYetRestarted has ended once, and its last state is not in LastTerminationState yet.
func TestSystemdThatIsNotYetRestarted(t *testing.T) {
	atFirst := answerTo(t, "wait for container systemd", func(answer *waited) {
		for i := range answer.Last.Status.ContainerStatuses {
			if status := &answer.Last.Status.ContainerStatuses[i]; status.Name == "systemd" && status.LastTerminationState.Terminated != nil {
				status.State, status.LastTerminationState = status.LastTerminationState, corev1.ContainerState{}
				status.RestartCount = 0
			}
		}
	})
	if got := alteredRun(t, "inits/systemd-refuses", atFirst); got.Verdict != reports.Conformant {
		t.Errorf("it is %s: %s", got.Verdict, got.Reason)
	}
}

// slowReload has nginx show the same processes after SIGHUP as before it.
func slowReload(t *testing.T) func(*reports.Look) {
	t.Helper()
	var seen []json.RawMessage // when the master is found, when the workers are there, and after the signal
	return func(look *reports.Look) {
		if look.By != "signals/hup-respawns-workers" || look.Question != "processes seen from reload/shell" {
			return
		}
		if len(seen) == 2 {
			look.Answer = seen[1]
		}
		seen = append(seen, look.Answer)
	}
}
