package suite

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilexec "k8s.io/client-go/util/exec"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// onPod makes a run of one check that looks at a fixture of two containers, and returns its result.
func onPod(t *testing.T, cluster *cluster, check func(context.Context, *Session, Fixture) error) reports.Result {
	t.Helper()
	pair := newFixture("pair", "one", "two")
	return cluster.Check(t, newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
		return check(ctx, session, pair)
	}, pair))["group/a"]
}

// failsOnce returns an answer whose first attempt is lost.
func failsOnce(err error) func(context.Context, place) (pod.ExecResult, error) {
	attempts := 0
	return func(context.Context, place) (pod.ExecResult, error) {
		if attempts++; attempts == 1 {
			return pod.ExecResult{}, err
		}
		return pod.ExecResult{Output: "value"}, nil
	}
}

// TestExecIsSentAgainAndExecOnceIsNot when an answer was lost.
func TestExecIsSentAgainAndExecOnceIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Commands["look"], cluster.Commands["change"] = failsOnce(io.ErrUnexpectedEOF), failsOnce(io.ErrUnexpectedEOF)
		result := onPod(t, cluster, func(ctx context.Context, session *Session, pair Fixture) error {
			if _, err := session.Exec(ctx, pair, "one", "it", "look"); err != nil {
				return err
			}
			_, err := session.ExecOnce(ctx, pair, "one", "it", "change")
			return err
		})
		expectVerdict(t, result, reports.Inconclusive, reports.Lost, "the commands may have run")
		expectEqual(t, "execs", cluster.Events("exec"), []string{"exec pair/one: look", "exec pair/one: look", "exec pair/one: change"})
	})
}

func TestWhatExecRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Commands["denied"] = func(context.Context, place) (pod.ExecResult, error) {
			return pod.ExecResult{Output: "Permission denied", ExitCode: 1}, nil
		}
		cluster.Answer("binary", "\xff\x00")
		var binary string
		result := onPod(t, cluster, func(ctx context.Context, session *Session, pair Fixture) error {
			results, err := session.Exec(ctx, pair, "two", "a title", "denied", "binary")
			if err != nil {
				return err
			}
			binary = results[1].Output
			_, err = session.Read(ctx, pair, "two", "not recorded")
			return err
		})
		expectVerdict(t, result, reports.Conformant, "", "")
		if len(result.Evidence) != 2 {
			t.Fatalf("evidence is %+v", result.Evidence)
		}
		first := result.Evidence[0]
		if first.Title != "a title" || first.Where != "pair/two" || first.Command != "denied" ||
			*first.ExitCode != 1 || first.Errno != "EACCES" ||
			*result.Evidence[1].ExitCode != 0 || binary != "\xff\x00" {
			t.Errorf("evidence is %+v, binary output %q", result.Evidence, binary)
		}
	})
}

func TestAnExecWhoseShellWasKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Commands["kill"] = func(context.Context, place) (pod.ExecResult, error) {
			return pod.ExecResult{}, utilexec.CodeExitError{Code: 137, Err: errors.New("killed")}
		}
		cluster.Commands["fail"] = func(context.Context, place) (pod.ExecResult, error) {
			return pod.ExecResult{}, utilexec.CodeExitError{Code: 127, Err: errors.New("no sh")}
		}
		result := onPod(t, cluster, func(ctx context.Context, session *Session, pair Fixture) error {
			_, err := session.ExecOnce(ctx, pair, "one", "it", "fail")
			if Killed(err) || Killed(nil) {
				t.Error("an exec that was not killed is one that was")
			}
			if _, err = session.ExecOnce(ctx, pair, "one", "it", "kill"); !Killed(err) {
				t.Errorf("%v is no exec that was killed", err)
			}
			return err
		})
		expectVerdict(t, result, reports.Inconclusive, reports.Killed, "the shell ended with 137")
	})
}

// TestUntilKeepsTheLastLook and says whether it was enough.
func TestUntilKeepsTheLastLook(t *testing.T) {
	for enoughAfter, want := range map[time.Duration]bool{0: true, 5 * time.Second: true, 20 * time.Second: false} {
		synctest.Test(t, func(t *testing.T) {
			cluster := newCluster(t, newNode("a"))
			rounds := 0
			result := onPod(t, cluster, func(ctx context.Context, session *Session, pair Fixture) error {
				if err := session.Running(ctx, pair, "one"); err != nil {
					return err
				}
				start := time.Now()
				last := start
				reached, err := session.Until(ctx, 10*time.Second, func() (bool, error) {
					if pause := time.Since(last); rounds > 0 && (pause < shortestPause || pause > longestPause) {
						t.Errorf("a pause of %s", pause)
					}
					rounds++
					_, err := session.Exec(ctx, pair, "one", "it", "true")
					last = time.Now()
					return time.Since(start) > enoughAfter, err
				})
				if took := time.Since(start); reached != want || took > 12*time.Second || !want && took < 10*time.Second {
					t.Errorf("reached %t after %s", reached, took)
				}
				return err
			})
			expectVerdict(t, result, reports.Conformant, "", "")
			if len(result.Evidence) != 1 || (rounds > 1) != (enoughAfter > 0) {
				t.Errorf("%d rounds, evidence %+v", rounds, result.Evidence)
			}
			if looks := cluster.recorded.looks; len(looks) != 2 {
				t.Errorf("looks are %+v", looks)
			}
		})
	}
}

func TestUntilEndsWithAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rounds := 0
		result := onPod(t, newCluster(t, newNode("a")), func(ctx context.Context, session *Session, _ Fixture) error {
			_, err := session.Until(ctx, time.Minute, func() (bool, error) {
				if rounds++; rounds == 3 {
					return false, &Violation{"enough"}
				}
				return false, nil
			})
			return err
		})
		expectVerdict(t, result, reports.Nonconformant, "", "enough")
		rounds = 10
		result = onPod(t, newCluster(t, newNode("a")), func(ctx context.Context, session *Session, _ Fixture) error {
			_, err := session.Until(ctx, time.Hour, func() (bool, error) { return false, nil })
			return err
		})
		expectVerdict(t, result, reports.Inconclusive, reports.OutOfTime, "the trait was not decided within 4m0s")
	})
}

func never(*corev1.Pod) bool { return false }

func gone(status *corev1.Pod) bool { return status == nil }

// TestWaits tells a Pod that cannot come up from one that is tolerated, and a limit that is over from an error.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		result := onPod(t, cluster, func(ctx context.Context, session *Session, pair Fixture) error {
			runs := func(status *corev1.Pod) bool { return status != nil && status.Status.Phase == corev1.PodRunning }
			last, reached, err := session.Wait(ctx, pair, "it to run", time.Minute, runs)
			if err != nil || !reached || last.Name != "pair" || last.ManagedFields != nil {
				t.Errorf("%v, reached %t: %s", err, reached, pod.Describe(last))
			}
			start := time.Now()
			if _, reached, err = session.Wait(ctx, pair, "what never comes", 10*time.Second, never); err != nil ||
				reached || time.Since(start) != 10*time.Second {
				t.Errorf("%v, reached %t after %s", err, reached, time.Since(start))
			}
			status, err := session.Status(ctx, pair)
			if err != nil || status.Spec.NodeName != "a" || status.ManagedFields != nil {
				t.Errorf("%v: %+v", err, status)
			}
			namespace := status.Namespace
			cluster.Change(namespace, "pair", func(failed *corev1.Pod) { failed.Status.Phase = corev1.PodFailed })
			synctest.Wait()
			if _, _, err = session.Wait(ctx, pair, "what never comes", 10*time.Second, never); KindOf(err) != reports.NotStarted {
				t.Errorf("a wait for a Pod that has failed ends with %v", err)
			}
			if _, reached, err = session.WaitTolerant(ctx, pair, "what never comes", 10*time.Second, never); err != nil || reached {
				t.Errorf("a tolerant wait for a Pod that has failed ends with %v", err)
			}
			if err := session.Delete(ctx, pair); err != nil {
				t.Error(err)
			}
			last, reached, err = session.WaitTolerant(ctx, pair, "its end", 10*time.Second, gone)
			if err != nil || !reached || last == nil {
				t.Errorf("%v, reached %t: %s", err, reached, pod.Describe(last))
			}
			last, reached, err = session.Wait(ctx, pair, "its end, once more", 10*time.Second, gone)
			if err != nil || !reached || last == nil {
				t.Errorf("after its end: %v, reached %t: %s", err, reached, pod.Describe(last))
			}
			_, err = session.Status(ctx, pair)
			return err
		})
		expectVerdict(t, result, reports.Inconclusive, reports.Lost, "not found")
	})
}

// TestAStreamEndsWithItsCommand, and not before.
func TestAStreamEndsWithItsCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Commands["sleep"] = func(ctx context.Context, _ place) (pod.ExecResult, error) {
			select {
			case <-time.After(20 * time.Second):
			case <-ctx.Done():
			}
			return pod.ExecResult{}, ctx.Err()
		}
		result := onPod(t, cluster, func(ctx context.Context, session *Session, pair Fixture) error {
			stream, err := session.Open(ctx, pair, "one", "sleep")
			if err != nil {
				return err
			}
			for _, want := range []bool{false, true} {
				ended, err := stream.Ended(ctx, 15*time.Second)
				if err != nil || ended != want {
					t.Errorf("%v, ended %t, want %t", err, ended, want)
				}
			}
			second, err := session.Open(ctx, pair, "one", "sleep")
			if err != nil {
				return err
			}
			limited, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if _, err = second.Ended(limited, time.Minute); KindOf(err) != reports.OutOfTime {
				t.Errorf("the wait's own end is %v", err)
			}
			_, err = session.Open(ctx, pair, "none", "sleep")
			return err
		})
		expectVerdict(t, result, reports.Inconclusive, reports.OutOfTime, "containers none to run")
	})
}

func TestLogsNodeAndEphemeralContainers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a", func(node *corev1.Node) { node.Spec.PodCIDR = "10.0.0.0/8" }))
		pair := newFixture("pair", "one")
		var asked reports.Target
		run, err := Run(t.Context(), cluster.Options(Options{
			Images: func(corev1.Node) (map[string]string, error) { return map[string]string{"busybox": "box:2"}, nil },
			Traits: []Trait{newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
				asked = session.Target()
				if session.Limits() != DefaultLimits() || session.Image("busybox:1") != "box:2" {
					t.Errorf("limits %+v, image %s", session.Limits(), session.Image("busybox:1"))
				}
				for _, previous := range []bool{false, true} {
					if logs, err := session.Logs(ctx, pair, "one", previous); err != nil || logs != "fake logs" {
						t.Errorf("%v: logs are %q", err, logs)
					}
				}
				node, err := session.Node(ctx)
				if err != nil || node.Name != "a" || node.Status.NodeInfo.KernelVersion != "6.1" || node.Spec.PodCIDR != "" {
					t.Errorf("%v: node is %+v", err, node)
				}
				given := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
					Name: "debugger", Image: "busybox:1",
				}}
				if err := session.Attach(ctx, pair, given); err != nil {
					return err
				}
				status, err := session.Status(ctx, pair)
				if err != nil {
					return err
				}
				if attached := status.Spec.EphemeralContainers; len(attached) != 1 || attached[0].Image != "box:2" ||
					given.Image != "busybox:1" {
					t.Errorf("attached are %+v", attached)
				}
				return nil
			}, pair)},
		}))
		if err != nil {
			t.Fatal(err)
		}
		expectVerdict(t, byTrait(run)["group/a"], reports.Conformant, "", "")
		if asked != run.Targets[0] {
			t.Errorf("the target is %+v", asked)
		}
	})
}

// TestResizeKeepsWhatTheAPISays, be it that there is no such thing.
func TestResizeKeepsWhatTheAPISays(t *testing.T) {
	for words, answer := range map[string]error{
		"accepted": nil, "could not find the requested resource": apierrors.NewGenericServerResponse(404, "put", podResource.GroupResource(), "pair", "", 0, true),
	} {
		synctest.Test(t, func(t *testing.T) {
			cluster := newCluster(t, newNode("a"))
			pair := newFixture("pair", "one")
			result := cluster.Check(t, newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
				if err := session.Running(ctx, pair, "one"); err != nil {
					return err
				}
				if answer != nil {
					cluster.Reject("update", "pods", answer)
				}
				attempt, err := session.Resize(ctx, pair, "one", corev1.ResourceCPU, "600m")
				if err != nil || (attempt.Refusal == nil) != (answer == nil) {
					t.Errorf("%v: %+v", err, attempt)
				}
				if answer != nil {
					return nil
				}
				status, err := session.Status(ctx, pair)
				if err != nil || status.Spec.Containers[0].Resources.Limits.Cpu().String() != "600m" {
					t.Errorf("%v: containers are %+v", err, status.Spec.Containers)
				}
				_, err = session.Resize(ctx, pair, "one", corev1.ResourceCPU, "much")
				return err
			}, pair))["group/a"]
			verdict, reason := reports.Conformant, ""
			if answer == nil {
				verdict, reason = reports.Inconclusive, "quantities must match"
			}
			if result.Verdict != verdict || !strings.Contains(result.Reason, reason) || !strings.Contains(result.Evidence[0].Output, words) {
				t.Errorf("%s: %+v", words, result)
			}
		})
	}
}

// TestJob is asked for by the name of its fixture.
func TestJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		job := Fixture{Name: "pair", Objects: func() ([]runtime.Object, error) {
			return []runtime.Object{&batchv1.Job{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: newPodSpec("one")}}}}, nil
		}}
		pair := newFixture("other", "one")
		results := cluster.Check(t,
			newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
				if err := session.Running(ctx, job, "one"); err != nil {
					return err
				}
				found, err := session.Job(ctx, job)
				if err != nil || found.Name != "pair" || found.Labels[RunLabel] == "" || found.Spec.Selector != nil {
					t.Errorf("%v: it is %+v", err, found)
				}
				return nil
			}, job),
			newTrait("group/b", func(ctx context.Context, session *Session, _ Judge) error {
				_, err := session.Job(ctx, pair)
				return err
			}, pair))
		expectVerdict(t, results["group/a"], reports.Conformant, "", "")
		expectVerdict(t, results["group/b"], reports.Inconclusive, reports.Lost, "not found")
	})
}

// TestWithoutAPodNothingCanBeAsked: each call says that the Pod was refused.
func TestWithoutAPodNothingCanBeAsked(t *testing.T) {
	ask := map[string]func(context.Context, *Session, Fixture) error{
		"Processes": func(ctx context.Context, session *Session, pair Fixture) error {
			_, err := session.Processes(ctx, pair, "one", "it")
			return err
		},
		"Await": func(ctx context.Context, session *Session, pair Fixture) error {
			_, err := session.Await(ctx, pair, "one", "it", sleep("one"))
			return err
		},
		"Find": func(ctx context.Context, session *Session, pair Fixture) error {
			_, err := session.Find(ctx, stable(pair), "one", "it", sleep("one"))
			return err
		},
		"Exec": func(ctx context.Context, session *Session, pair Fixture) error {
			_, err := session.Exec(ctx, pair, "one", "it", "true")
			return err
		},
		"Open": func(ctx context.Context, session *Session, pair Fixture) error {
			_, err := session.Open(ctx, pair, "one", "true")
			return err
		},
		"Status": func(ctx context.Context, session *Session, pair Fixture) error {
			_, err := session.Status(ctx, pair)
			return err
		},
		"settled": func(ctx context.Context, session *Session, pair Fixture) error {
			_, err := session.Processes(ctx, stable(pair), "one", "it")
			return err
		},
		"Job": func(ctx context.Context, session *Session, pair Fixture) error {
			_, err := session.Job(ctx, pair)
			return err
		},
		"Wait": func(ctx context.Context, session *Session, pair Fixture) error {
			_, _, err := session.Wait(ctx, pair, "it", time.Second, begun)
			return err
		},
		"Logs": func(ctx context.Context, session *Session, pair Fixture) error {
			_, err := session.Logs(ctx, pair, "one", false)
			return err
		},
		"Delete": func(ctx context.Context, session *Session, pair Fixture) error { return session.Delete(ctx, pair) },
		"Attach": func(ctx context.Context, session *Session, pair Fixture) error { return session.Attach(ctx, pair) },
		"Resize": func(ctx context.Context, session *Session, pair Fixture) error {
			_, err := session.Resize(ctx, pair, "one", corev1.ResourceCPU, "1")
			return err
		},
		"TryUpdate": func(ctx context.Context, session *Session, pair Fixture) error {
			_, err := session.TryUpdate(ctx, "it", pair, func(*corev1.Pod) {})
			return err
		},
	}
	for name, check := range ask {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t, newNode("a"))
				cluster.Admit = func(*corev1.Pod) error { return refusal("no room") }
				expectVerdict(t, onPod(t, cluster, check), reports.Inconclusive, reports.Refused, "no room")
			})
		})
	}
}

func TestManagedFieldsAreLeftOut(t *testing.T) {
	status := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "x", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "y"}}}}
	if without := withoutManagedFields(status); without.ManagedFields != nil || without.Name != "x" || status.ManagedFields == nil {
		t.Errorf("%+v became %+v", status, without)
	}
	if withoutManagedFields(nil) != nil {
		t.Error("there is no Pod")
	}
}
