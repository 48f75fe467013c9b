package pod

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
	"sharedpid.example/reports"
)

func TestWaitSeesChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		start := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- created.WaitRunning(t.Context(), time.Minute, "c") }()
		cluster.change(t, "pod", running)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		expectAfter(t, start, 0)
	})
}

// TestWaitSeesThatAPodIsGone also when it went before the wait began.
func TestWaitSeesThatAPodIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		if err := created.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := created.Wait(t.Context(), "the Pod to be gone", time.Minute, func(pod *corev1.Pod) bool { return pod == nil }); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		expectError(t, created.WaitRunning(t.Context(), time.Minute, "c"), reports.Lost, "the Pod is gone", "last seen: no such Pod")
		expectAfter(t, start, 0)
	})
}

func TestAPodThatWasNeverSeenIsNotGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		opened := cluster.Open(cluster.watch, "run", "pod")
		if opened.Created() != nil || opened.Last() != nil {
			t.Error("a Pod that nobody created was seen")
		}
		ended := make(chan error, 1)
		go func() { ended <- opened.WaitRunning(t.Context(), time.Minute, "c") }()
		time.Sleep(10 * time.Second)
		cluster.create(t, "pod")
		cluster.change(t, "pod", running)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		gone := func(pod *corev1.Pod) bool { return pod == nil }
		expectError(t, cluster.Open(cluster.watch, "run", "none").Wait(t.Context(), "it to be gone", time.Minute, gone), reports.OutOfTime)
	})
}

func TestWaitSaysWhatItLastSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		cluster.change(t, "pod", func(pod *corev1.Pod) {
			running(pod)
			pod.DeletionTimestamp = &metav1.Time{Time: time.Now()}
			pod.Finalizers = []string{"kept"}
			pod.Status.Conditions = []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "no room",
			}}
			pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "i", RestartCount: 2, State: corev1.ContainerState{
				Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error"},
			}}}
			pod.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "e"}}
		})
		start := time.Now()
		err := created.Wait(t.Context(), "what never comes", 50*time.Second, never)
		expectError(t, err, reports.OutOfTime, "Pod run/pod, waiting for what never comes: not within 50s; last seen: ",
			"Running (being deleted), Unschedulable: no room, i exited 3 Error (2 restarts), c running (0 restarts), e unknown (0 restarts)")
		expectAfter(t, start, 50*time.Second)
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		cancelled, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("SIGINT"))
		expectError(t, created.WaitRunning(cancelled, time.Minute, "c"), reports.Interrupted, "SIGINT")
		late, stop := context.WithTimeoutCause(t.Context(), time.Second, errors.New("a trait's time is over"))
		defer stop()
		expectError(t, created.WaitRunning(late, time.Minute, "c"), reports.OutOfTime, "a trait's time is over")
		if count := cluster.nodeRequests(); count != 1 {
			t.Errorf("the node was asked for %d times; who was interrupted asks nothing", count)
		}
	})
}

// TestWaitTakesWhatComesWithTheEndOfItsTime whichever of the two is noticed first.
func TestWaitTakesWhatComesWithTheEndOfItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		limited, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		asked := 0
		second := func(*corev1.Pod) bool { asked++; return asked == 2 }
		if _, err := created.outOfTime(t.Context(), limited, func(*corev1.Pod) bool { return true }, nil); err != nil {
			t.Error(err)
		}
		if err := created.WaitTolerant(t.Context(), "it", time.Nanosecond, second); err != nil {
			t.Error(err)
		}
	})
}

func TestWaitEndsAtOnceWhenNothingIsTriedAgain(t *testing.T) {
	for _, reason := range []string{"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"} {
		for kind, change := range map[string]func(*corev1.Pod){
			"container": waiting(reason),
			"init": func(pod *corev1.Pod) {
				pod.Status.InitContainerStatuses = []corev1.ContainerStatus{waitingStatus("i", reason)}
			},
			"ephemeral": func(pod *corev1.Pod) {
				pod.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{waitingStatus("e", reason)}
			},
		} {
			t.Run(reason+"/"+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cluster := newCluster(t)
					created := cluster.create(t, "pod")
					cluster.change(t, "pod", change)
					start := time.Now()
					expectError(t, created.WaitRunning(t.Context(), time.Minute, "c"), reports.NotStarted, reason+": as the kubelet says")
					expectAfter(t, start, 0)
				})
			})
		}
	}
}

// TestWaitOutlastsARuntimeThatEnds: the kubelet could not ask it about an image, and asks it again.
func TestWaitOutlastsARuntimeThatEnds(t *testing.T) {
	for _, words := range []string{
		"error reading from server: connection reset by peer", "rpc error: code = Unavailable desc = connection error",
	} {
		synctest.Test(t, func(t *testing.T) {
			cluster := newCluster(t)
			created := cluster.create(t, "pod")
			cluster.change(t, "pod", func(pod *corev1.Pod) {
				waiting("CreateContainerConfigError")(pod)
				pod.Status.ContainerStatuses[0].State.Waiting.Message = words
			})
			time.AfterFunc(testPatience.Start/2, func() { cluster.change(t, "pod", running) })
			if err := created.WaitRunning(t.Context(), time.Minute, "c"); err != nil {
				t.Error(err)
			}
		})
	}
}

func startError128(pod *corev1.Pod) {
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{waitingStatus("c", "CrashLoopBackOff")}
	pod.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 128, Reason: "StartError"}
}

// TestWaitIsPatientWithWhatTheKubeletTriesAgain for as long as it was told to, counted from the first failure.
func TestWaitIsPatientWithWhatTheKubeletTriesAgain(t *testing.T) {
	for name, test := range map[string]struct {
		failures []func(*corev1.Pod)
		patience time.Duration
		words    string
	}{
		"pull":  {[]func(*corev1.Pod){waiting("ErrImagePull"), waiting("ImagePullBackOff")}, testPatience.ImagePull, "ImagePullBackOff"},
		"start": {[]func(*corev1.Pod){waiting("RunContainerError"), startError128}, testPatience.Start, "StartError"},
		"create": {[]func(*corev1.Pod){waiting("CreateContainerError"), waiting("ContainerCreating")}, testPatience.Start,
			"CreateContainerError"},
		"a pull, then a start": {[]func(*corev1.Pod){waiting("ErrImagePull"), waiting("CreateContainerError")},
			5*time.Second + testPatience.Start, "CreateContainerError"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t)
				created := cluster.create(t, "pod")
				start := time.Now()
				cluster.change(t, "pod", test.failures[0])
				time.Sleep(time.Second) // the wait may begin later
				ended := make(chan error, 1)
				go func() { ended <- created.WaitRunning(t.Context(), time.Hour, "c") }()
				time.Sleep(4 * time.Second)
				cluster.change(t, "pod", test.failures[1])
				expectError(t, <-ended, reports.NotStarted, test.words)
				expectAfter(t, start, test.patience)
			})
		})
		t.Run(name+" helps", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t)
				created := cluster.create(t, "pod")
				cluster.change(t, "pod", test.failures[0])
				ended := make(chan error, 1)
				go func() { ended <- created.WaitRunning(t.Context(), time.Hour, "c") }()
				time.Sleep(14 * time.Second)
				cluster.change(t, "pod", running)
				if err := <-ended; err != nil {
					t.Error(err)
				}
				cluster.change(t, "pod", test.failures[0]) // a new failure has all the patience again
				time.Sleep(14 * time.Second)
				start := time.Now()
				expectError(t, created.Wait(t.Context(), "what never comes", time.Millisecond, never), reports.NotStarted, "not within 1ms")
				expectAfter(t, start, time.Millisecond)
			})
		})
	}
}

func TestPatienceIsOverWithTheFirstContainer(t *testing.T) {
	now := time.Now()
	failures := []startFailure{
		{container: "a", again: retriesPull, since: now.Add(-10 * time.Second), err: errors.New("a")},
		{container: "b", again: retriesStart, since: now.Add(-5 * time.Second), err: errors.New("b")},
	}
	if left, err := testPatience.exhausted(failures, now); err != nil || left != 10*time.Second {
		t.Errorf("%v, %v left; want 10s", err, left)
	}
	if _, err := testPatience.exhausted(failures, now.Add(10*time.Second)); err == nil || err.Error() != "b" {
		t.Errorf("error is %v, want b's", err)
	}
	if _, err := (Patience{}).exhausted(failures, now); err == nil {
		t.Error("no patience, and no error")
	}
}

func TestAContainerThatEndedIsNoFailureToStart(t *testing.T) {
	pod := podCalled("pod")
	for _, code := range []int32{0, 1} {
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "i", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "whatever"},
		}}}
		if failures := startFailures(nil, pod, time.Now()); len(failures) != 0 {
			t.Errorf("an init container that exited %d is a failure: %v", code, failures)
		}
	}
	before := []startFailure{{container: "i", again: retriesPull, err: errors.New("before")}}
	if failures := startFailures(before, pod, time.Now()); len(failures) != 1 || failures[0].err.Error() != "before" {
		t.Errorf("failures are %v, want the one before", failures)
	}
}

func TestWaitTolerantOutlastsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		runs := func(pod *corev1.Pod) bool { return Container(pod, "c").State.Running != nil }
		ended := make(chan error, 1)
		go func() { ended <- created.WaitTolerant(t.Context(), "c to run", time.Hour, runs) }()
		cluster.change(t, "pod", waiting("RunContainerError"))
		time.Sleep(2 * testPatience.Start)
		cluster.change(t, "pod", func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed })
		cluster.change(t, "pod", running)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		cluster.change(t, "pod", waiting("RunContainerError"))
		expectError(t, created.WaitTolerant(t.Context(), "c to run", time.Second, runs), reports.OutOfTime,
			"not within 1s: container c of image mirror/box:1: RunContainerError")
	})
}

func TestAFailedPodEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		cluster.change(t, "pod", func(pod *corev1.Pod) {
			pod.Status.Phase, pod.Status.Reason, pod.Status.Message = corev1.PodFailed, "Evicted", "low on disk"
		})
		start := time.Now()
		expectError(t, created.Wait(t.Context(), "what never comes", time.Minute, never), reports.NotStarted,
			"the Pod failed: Evicted low on disk")
		expectAfter(t, start, 0)
		cluster.change(t, "pod", func(pod *corev1.Pod) { pod.DeletionTimestamp = &metav1.Time{Time: time.Now()} })
		expectError(t, created.Wait(t.Context(), "what never comes", time.Minute, never), reports.OutOfTime)
		start = time.Now()
		expectError(t, created.WaitRunning(t.Context(), time.Minute, "c"), reports.Lost, "being deleted")
		expectAfter(t, start, 0)
	})
}

// TestAnEvictionEndsEveryWait: also that for a Pod which was ended on purpose, and for one that is gone.
func TestAnEvictionEndsEveryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		start := time.Now()
		cluster.change(t, "pod", func(pod *corev1.Pod) {
			pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
				Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "TerminationByKubelet", Message: "low on resource: memory",
			})
		})
		const words = "the Pod is evicted: TerminationByKubelet: low on resource: memory"
		expectError(t, created.Wait(t.Context(), "what never comes", time.Minute, never), reports.Lost, words)
		expectError(t, created.WaitTolerant(t.Context(), "what never comes", time.Minute, never), reports.Lost, words)
		expectAfter(t, start, 0)
	})
}

func TestARuntimeThatTheNodeDoesNotHaveEndsTheWait(t *testing.T) {
	for _, words := range []string{`no runtime for "nope" is configured`, "failed to find runtime handler nope"} {
		synctest.Test(t, func(t *testing.T) {
			cluster := newCluster(t)
			created := cluster.create(t, "pod")
			start := time.Now()
			ended := make(chan error, 1)
			go func() { ended <- created.WaitTolerant(t.Context(), "what never comes", time.Minute, never) }()
			cluster.addSandboxEvent(t, sandboxFailedReason, words)
			expectError(t, <-ended, reports.NotStarted, words)
			expectAfter(t, start, 0)
		})
	}
}

func TestASandboxThatDoesNotComeUpIsTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		cluster.addSandboxEvent(t, sandboxFailedReason, "no network")
		start := time.Now()
		expectError(t, created.Wait(t.Context(), "what never comes", time.Minute, never), reports.NotStarted, "not within 1m0s: no network")
		expectAfter(t, start, time.Minute)
	})
}

// TestASandboxThatIsUpIsNoReason: events stay, also those of tries that failed before one did not.
func TestASandboxThatIsUpIsNoReason(t *testing.T) {
	for _, words := range []string{"no network", `no runtime for "nope" is configured`} {
		synctest.Test(t, func(t *testing.T) {
			cluster := newCluster(t)
			created := cluster.create(t, "pod")
			cluster.change(t, "pod", running)
			cluster.addSandboxEvent(t, sandboxFailedReason, words)
			err := created.Wait(t.Context(), "what never comes", time.Minute, never)
			expectError(t, err, reports.OutOfTime)
			if strings.Contains(err.Error(), words) {
				t.Errorf("the sandbox is up: %v", err)
			}
		})
	}
}

func TestOtherEventsAreNoReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		cluster.addSandboxEvent(t, "FailedMount", `no runtime for "nope" is configured`)
		expectError(t, created.Wait(t.Context(), "what never comes", time.Minute, never), reports.OutOfTime)
	})
}

func TestWaitServiceAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		ended := make(chan error, 1)
		start := time.Now()
		go func() { ended <- cluster.WaitServiceAccount(t.Context(), "run", time.Minute) }()
		time.Sleep(10 * serviceAccountInterval)
		if _, err := cluster.CoreV1().ServiceAccounts("run").Create(t.Context(),
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if passed := time.Since(start); passed > 11*serviceAccountInterval {
			t.Errorf("it took %v", passed)
		}
		start = time.Now()
		expectError(t, cluster.WaitServiceAccount(t.Context(), "other", 30*time.Second), reports.OutOfTime,
			"service account default of namespace other: not within 30s")
		expectAfter(t, start, 30*time.Second)
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		expectError(t, cluster.WaitServiceAccount(cancelled, "other", 30*time.Second), reports.Interrupted)
		cluster.api.PrependReactor("get", "serviceaccounts", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "serviceaccounts"}, "default", nil)
		})
		expectError(t, cluster.WaitServiceAccount(t.Context(), "other", 30*time.Second), reports.Refused)
	})
}
