package pod

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"sharedpid.example/reports"
)

// cluster is a fake API with a watch of namespace "run", all in the bubble of a test.
type cluster struct {
	*Client
	api      *fake.Clientset
	executor *executor
	watch    *Watch
}

var (
	testLimits   = Limits{Execs: 2, RequestsPerSecond: 1000}
	testPatience = Patience{ImagePull: 40 * time.Second, Start: 15 * time.Second}
)

func newCluster(t *testing.T) *cluster {
	t.Helper()
	cluster := &cluster{api: fake.NewClientset(newNode(corev1.ConditionTrue)), executor: &executor{}}
	var err error
	if cluster.Client, err = NewClientFrom(cluster.api, cluster.executor, testLimits); err != nil {
		t.Fatal(err)
	}
	if cluster.watch, err = cluster.Watch(t.Context(), "run", testPatience, time.Minute); err != nil {
		t.Fatal(err)
	}
	return cluster
}

func podCalled(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "run", Name: name},
		Spec:       corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "c"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodPending},
	}
}

// create creates a Pod and waits until the watch has seen it: before, nothing that is asked about it means anything.
func (cluster *cluster) create(t *testing.T, name string) *Pod {
	t.Helper()
	created, err := cluster.Create(t.Context(), cluster.watch, podCalled(name))
	if err != nil {
		t.Fatal(err)
	}
	if err := created.Wait(t.Context(), "the Pod to be seen", time.Minute, func(pod *corev1.Pod) bool { return pod != nil }); err != nil {
		t.Fatal(err)
	}
	return created
}

// change changes a Pod as the kubelet or the API would, and returns when the watch has seen it.
func (cluster *cluster) change(t *testing.T, name string, change func(*corev1.Pod)) {
	t.Helper()
	pod, err := cluster.api.Tracker().Get(podResource, "run", name)
	if err != nil {
		t.Fatal(err)
	}
	changed := pod.DeepCopyObject().(*corev1.Pod)
	change(changed)
	if err := cluster.api.Tracker().Update(podResource, changed, "run"); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

var podResource = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

func newNode(ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node"},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready, Message: "no heartbeat"}}},
	}
}

func (cluster *cluster) changeNode(t *testing.T, ready corev1.ConditionStatus) {
	t.Helper()
	if _, err := cluster.CoreV1().Nodes().Update(t.Context(), newNode(ready), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// addSandboxEvent lets the kubelet say why the sandbox of Pod "pod" did not come up.
func (cluster *cluster) addSandboxEvent(t *testing.T, reason, message string) {
	t.Helper()
	if _, err := cluster.CoreV1().Events("run").Create(t.Context(), &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "run", Name: "event"}, InvolvedObject: corev1.ObjectReference{Name: "pod"},
		Reason: reason, Message: message,
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// requests counts the requests for nodes.
func (cluster *cluster) nodeRequests() (count int) {
	for _, action := range cluster.api.Actions() {
		if action.Matches("get", "nodes") {
			count++
		}
	}
	return count
}

func running(pod *corev1.Pod) {
	pod.Status.Phase = corev1.PodRunning
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "c", ContainerID: "containerd://abc", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
}

func waiting(reason string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{waitingStatus("c", reason)}
	}
}

func waitingStatus(name, reason string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, Image: "mirror/box:1", State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "as the kubelet says"},
	}}
}

func never(*corev1.Pod) bool { return false }

// expectError checks an error's kind and words.
func expectError(t *testing.T, err error, kind reports.Kind, words ...string) {
	t.Helper()
	if err == nil || KindOf(err) != kind {
		t.Errorf("error is of kind %q, want %q: %v", KindOf(err), kind, err)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error lacks %q: %v", word, err)
		}
	}
}

// expectAfter checks how much time has passed since start, in a bubble, where time passes only by waiting.
func expectAfter(t *testing.T, start time.Time, want time.Duration) {
	t.Helper()
	if passed := time.Since(start); passed != want {
		t.Errorf("it took %v, want %v", passed, want)
	}
}

func TestAChangeWakesOnlyThoseWhoWaitForThatPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		one, other := cluster.create(t, "pod"), cluster.create(t, "other")
		var asked atomic.Int64
		ended := make(chan error, 1)
		go func() {
			ended <- other.Wait(t.Context(), "the other", time.Second, func(*corev1.Pod) bool { asked.Add(1); return false })
		}()
		synctest.Wait()
		before := asked.Load()
		cluster.change(t, "pod", running)
		cluster.addSandboxEvent(t, sandboxFailedReason, "no network")
		if one.Last().Status.Phase != corev1.PodRunning || asked.Load() != before {
			t.Errorf("who waits for another Pod was asked %d times more", asked.Load()-before)
		}
		cluster.change(t, "other", running)
		if asked.Load() != before+1 {
			t.Errorf("a change of the Pod itself asked %d times more, want once", asked.Load()-before)
		}
		<-ended
	})
}

func TestLastIsKeptWhenThePodIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		cluster.change(t, "pod", running)
		if ids := created.ContainerIDs(); len(ids) != 1 || ids["abc"] != "c" {
			t.Errorf("container ids are %v", ids)
		}
		if err := created.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if last := created.Last(); last == nil || Container(last, "c").State.Running == nil {
			t.Errorf("last seen is %v", last)
		}
		if text := created.Describe(); text != "Running, c running (0 restarts)" {
			t.Errorf("it is described as %q", text)
		}
		if ids := created.ContainerIDs(); len(ids) != 0 {
			t.Errorf("a Pod that is gone has containers %v", ids)
		}
	})
}

// TestAForgottenPodTakesNoRoom: a run makes thousands of Pods, one after the other.
func TestAForgottenPodTakesNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		cluster.change(t, "pod", running)
		created.watch.Forget("pod")
		if err := created.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(created.watch.pods) != 0 {
			t.Errorf("the watch knows %v", created.watch.pods)
		}
	})
}

func TestALostNodeEndsWaitsAndIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.changeNode(t, corev1.ConditionUnknown)
		created := cluster.create(t, "pod")
		cluster.change(t, "pod", running)
		start := time.Now()
		ended := make(chan error, 20)
		for range cap(ended) {
			go func() { ended <- created.WaitTolerant(t.Context(), "what never comes", time.Hour, never) }()
		}
		for range cap(ended) {
			expectError(t, <-ended, reports.Lost, "node node is not ready: no heartbeat", "last seen: Running")
		}
		expectAfter(t, start, nodeInterval)
		if count := cluster.nodeRequests(); count != 1 {
			t.Errorf("the node was asked for %d times, want once", count)
		}
	})
}

func TestANodeThatRecoversIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.changeNode(t, corev1.ConditionTrue)
		created := cluster.create(t, "pod")
		expectError(t, created.Wait(t.Context(), "what never comes", 5*nodeInterval-time.Second, never), reports.OutOfTime)
		if count := cluster.nodeRequests(); count != 4 && count != 5 {
			t.Errorf("the node was asked for %d times in %v, want once in %v", count, 5*nodeInterval-time.Second, nodeInterval)
		}
	})
}

// TestANodesAnswerIsForAllWhoAsk: it is not lost when the time of the one who asked is over.
func TestANodesAnswerIsForAllWhoAsk(t *testing.T) {
	asked, answered := make(chan bool, 2), make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
		asked <- true
		<-answered
		response.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(response, `{"kind":"Node","apiVersion":"v1","metadata":{"name":"node"},
			"status":{"conditions":[{"type":"Ready","status":"Unknown","message":"no heartbeat"}]}}`)
	}))
	defer server.Close()
	client, err := NewClient(&rest.Config{Host: server.URL}, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	watch := &Watch{client: client, nodes: map[string]nodeState{}}
	asker, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- watch.nodeError(asker, podCalled("pod")) }()
	<-asked
	cancel() // while the API is asked
	if err := <-first; err != nil {
		t.Errorf("who has no time left learned %v", err)
	}
	close(answered)
	expectError(t, watch.nodeError(t.Context(), podCalled("pod")), reports.Lost, "node node is not ready: no heartbeat")
	if len(asked) != 0 {
		t.Error("the node was asked for again")
	}
}

func TestANodeThatCannotBeAskedForIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.api.PrependReactor("get", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "node", nil)
		})
		created := cluster.create(t, "pod")
		expectError(t, created.Wait(t.Context(), "what never comes", time.Minute, never), reports.OutOfTime)
	})
}

// TestANodeThatIsGoneIsLost, with all Pods that it has or is to have.
func TestANodeThatIsGoneIsLost(t *testing.T) {
	bound := func(requirement corev1.NodeSelectorRequirement) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			pod.Spec.NodeName = ""
			pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchFields: []corev1.NodeSelectorRequirement{requirement},
				}}},
			}}
		}
	}
	const name = "metadata.name"
	for title, test := range map[string]struct {
		change func(*corev1.Pod)
		lost   bool
	}{
		"it has the Pod":           {func(*corev1.Pod) {}, true},
		"the only one for the Pod": {bound(corev1.NodeSelectorRequirement{Key: name, Operator: "In", Values: []string{"node"}}), true},
		"one of two":               {bound(corev1.NodeSelectorRequirement{Key: name, Operator: "In", Values: []string{"node", "b"}}), false},
		"the only one that is not": {bound(corev1.NodeSelectorRequirement{Key: name, Operator: "NotIn", Values: []string{"node"}}), false},
		"no node":                  {func(pod *corev1.Pod) { pod.Spec.NodeName = "" }, false},
	} {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t)
				created := cluster.create(t, "pod")
				cluster.change(t, "pod", test.change)
				if err := cluster.CoreV1().Nodes().Delete(t.Context(), "node", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				err := created.Wait(t.Context(), "what never comes", time.Minute, never)
				if !test.lost {
					expectError(t, err, reports.OutOfTime)
				} else if expectError(t, err, reports.Lost, "node node is not ready: it is gone"); time.Since(start) > 2*nodeInterval {
					t.Errorf("it was waited for %s", time.Since(start))
				}
			})
		})
	}
}

func TestWatchFailsWhereItMayNotRead(t *testing.T) {
	for _, resource := range []string{"pods", "events"} {
		api := fake.NewClientset()
		api.PrependReactor("list", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", nil)
		})
		client, err := NewClientFrom(api, nil, testLimits)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Watch(t.Context(), "run", testPatience, time.Minute)
		expectError(t, err, reports.Refused, "watch ", resource+" is forbidden", "namespace run")
	}
}

// failingWatch lets the watch of Pods fail until its result is called.
func failingWatch(api *fake.Clientset) (mend func()) {
	var fails atomic.Bool
	fails.Store(true)
	refuse := func() error {
		if fails.Load() {
			return apierrors.NewServiceUnavailable("the API is being replaced")
		}
		return nil
	}
	api.PrependWatchReactor("pods", func(clienttesting.Action) (bool, apiwatch.Interface, error) {
		err := refuse()
		return err != nil, nil, err
	})
	return func() { fails.Store(false) }
}

func TestWatchThatSeesNothingSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := fake.NewClientset()
		lists := 0
		api.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
			if lists++; lists == 1 {
				return false, nil, nil
			}
			return true, nil, apierrors.NewServiceUnavailable("the API is being replaced")
		})
		failingWatch(api)
		client, err := NewClientFrom(api, nil, testLimits)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = client.Watch(t.Context(), "run", testPatience, 10*time.Second)
		expectError(t, err, reports.OutOfTime, "not within 10s", "the watch of Pods fails", "the API is being replaced")
		expectAfter(t, start, 10*time.Second)
	})
}

func TestAWaitWhoseWatchFailsAsksForThePod(t *testing.T) {
	runs := func(pod *corev1.Pod) bool { return pod != nil && Container(pod, "c").State.Running != nil }
	for _, test := range []struct {
		name   string
		change func(*testing.T, *cluster)
		done   func(*corev1.Pod) bool
		kind   reports.Kind // empty when the wait must succeed
	}{
		{"it runs", func(t *testing.T, cluster *cluster) { cluster.change(t, "pod", running) }, runs, ""},
		{"it does not", func(*testing.T, *cluster) {}, runs, reports.OutOfTime},
		{"it is gone", func(t *testing.T, cluster *cluster) {
			if err := cluster.api.Tracker().Delete(podResource, "run", "pod"); err != nil {
				t.Fatal(err)
			}
		}, func(pod *corev1.Pod) bool { return pod == nil }, ""},
		{"the API is down", func(t *testing.T, cluster *cluster) {
			cluster.change(t, "pod", running)
			cluster.api.PrependReactor("get", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewServiceUnavailable("the API is being replaced")
			})
		}, runs, reports.Lost},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t)
				created := cluster.create(t, "pod")
				// The watch has missed what changes now, and has failed since.
				cluster.watch.failed(apierrors.NewServiceUnavailable("the API is being replaced"))
				stale := cluster.watch.state("pod")
				test.change(t, cluster)
				cluster.watch.mutex.Lock()
				cluster.watch.pods["pod"] = &stale
				stale.changed = make(chan struct{})
				cluster.watch.failing = apierrors.NewServiceUnavailable("the API is being replaced")
				cluster.watch.mutex.Unlock()
				err := created.WaitTolerant(t.Context(), "c to run", time.Minute, test.done)
				if test.kind != "" {
					expectError(t, err, test.kind, "not within 1m0s")
				} else if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAWatchThatEndsIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.watch.failed(apierrors.NewResourceExpired("too old"))
		if err := cluster.watch.failure(); err != nil {
			t.Error(err)
		}
		cluster.watch.failed(apierrors.NewServiceUnavailable("down"))
		if cluster.watch.failure() == nil {
			t.Error("the failure is lost")
		}
		cluster.create(t, "pod")
		if err := cluster.watch.failure(); err != nil {
			t.Errorf("the watch works again: %v", err)
		}
	})
}
