package pod

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// watched returns a client of a fake API, a watch of namespace "run" and one Pod in it.
func watched(t *testing.T) (*Client, *Pod) {
	t.Helper()
	client := &Client{Interface: fake.NewClientset()}
	watch, err := client.Watch(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	created, err := client.Create(t.Context(), watch, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "run", Name: "pod"}, Spec: corev1.PodSpec{NodeName: "node"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, created
}

func update(t *testing.T, client *Client, change func(*corev1.PodStatus)) {
	t.Helper()
	pod, err := client.CoreV1().Pods("run").Get(t.Context(), "pod", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	change(&pod.Status)
	if _, err := client.CoreV1().Pods("run").UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func running(status *corev1.PodStatus) {
	status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
}

func TestWaitSeesChanges(t *testing.T) {
	client, created := watched(t)
	waited := make(chan error, 1)
	go func() { waited <- created.WaitRunning(t.Context(), "c") }()
	update(t, client, running)
	if err := <-waited; err != nil {
		t.Error(err)
	}
}

// TestWaitSeesThatAPodIsGone also when it went before the wait began.
func TestWaitSeesThatAPodIsGone(t *testing.T) {
	_, created := watched(t)
	gone := func(status *corev1.Pod) bool { return status == nil }
	if err := created.Wait(t.Context(), "the Pod to be there", time.Minute, func(status *corev1.Pod) bool { return status != nil }); err != nil {
		t.Fatal(err)
	}
	if err := created.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := created.Wait(t.Context(), "the Pod to be gone", time.Minute, gone); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWaitEndsAtOnceWhenHopeless(t *testing.T) {
	client, created := watched(t)
	update(t, client, func(status *corev1.PodStatus) {
		status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such image"}}}}
	})
	err := created.WaitRunning(t.Context(), "c")
	if err == nil || !strings.Contains(err.Error(), "ErrImagePull: no such image") {
		t.Errorf("error is %v", err)
	}
}

func TestWaitSaysWhatItLastSaw(t *testing.T) {
	client, created := watched(t)
	update(t, client, running)
	err := created.Wait(t.Context(), "what never comes", 50*time.Millisecond, func(*corev1.Pod) bool { return false })
	for _, words := range []string{"what never comes", "not within 50ms", "c running"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("error %v lacks %q", err, words)
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	_, created := watched(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := created.WaitRunning(ctx, "c"); err == nil {
		t.Error("no error of a cancelled wait")
	}
}

func TestWaitSaysWhyASandboxDoesNotComeUp(t *testing.T) {
	client, created := watched(t)
	update(t, client, func(status *corev1.PodStatus) { status.Phase = corev1.PodPending })
	_, err := client.CoreV1().Events("run").Create(t.Context(), &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "event"}, InvolvedObject: corev1.ObjectReference{Name: "pod"},
		Reason: "FailedCreatePodSandBox", Message: `no runtime for "nope" is configured`,
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := created.WaitRunning(t.Context(), "c"); err == nil || !strings.Contains(err.Error(), "no runtime for") {
		t.Errorf("error is %v", err)
	}
}

func TestWaitTellsBeingOutOfTimeFromALostNode(t *testing.T) {
	never := func(*corev1.Pod) bool { return false }
	client, created := watched(t)
	update(t, client, running)
	if err := created.Wait(t.Context(), "what never comes", 50*time.Millisecond, never); !OutOfTime(err) {
		t.Errorf("not out of time: %v", err)
	}
	client, created = watched(t) // what is known of a node is not asked for again at once
	update(t, client, running)
	if _, err := client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node"},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := created.Wait(t.Context(), "what never comes", 50*time.Millisecond, never); OutOfTime(err) || !strings.Contains(err.Error(), "node node is not ready") {
		t.Errorf("the node is lost, error is %v", err)
	}
}

func TestANodeIsAskedForAgainWhenTheAskerRanOutOfTime(t *testing.T) {
	client, created := watched(t)
	if _, err := client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node"},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	asker, cancel := context.WithCancel(t.Context())
	client.Interface.(*fake.Clientset).PrependReactor("get", "nodes", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if asker.Err() == nil {
			cancel() // the time ends while the API is asked
			return true, nil, context.Canceled
		}
		return false, nil, nil
	})
	if err := created.watch.nodeError(asker, client, created.Last()); err != nil {
		t.Errorf("nothing was learned, error is %v", err)
	}
	if err := created.watch.nodeError(t.Context(), client, created.Last()); err == nil {
		t.Error("the node is lost, and is not asked for")
	}
}

func TestWaitOutOutlastsAContainerThatFailsToStart(t *testing.T) {
	client, created := watched(t)
	update(t, client, func(status *corev1.PodStatus) {
		status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "RunContainerError"}}}}
	})
	runs := func(status *corev1.Pod) bool { return status != nil && Container(status, "c").State.Running != nil }
	if err := created.wait(t.Context(), "c to run", time.Minute, runs, hopelessAfter(time.Millisecond)); err == nil || OutOfTime(err) {
		t.Errorf("Wait must give up once its patience is over: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- created.WaitOut(t.Context(), "c to run", time.Minute, runs) }()
	update(t, client, running)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
