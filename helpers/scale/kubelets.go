package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"

	"sharedpid.example/helpers/pod"
)

// kubelets are the scheduler and the kubelets of all simulated nodes: they bind Pods, report states that were recorded, answer execs from
// the recording, and let go of Pods that are deleted. They start no process.
type kubelets struct {
	client *kubernetes.Clientset
	server *httptest.Server
	queue  workqueue.TypedRateLimitingInterface[string]
	store  cache.Store
	fault  func(error)

	mutex sync.Mutex
	shows map[string]recording // by the name of the node
	pods  map[string]*simulated
}

// simulated is one Pod on its node.
type simulated struct {
	mutex  sync.Mutex // held while a question is answered, so that each is answered in the state that the one before it left
	replay *replay
	gone   chan struct{} // closed when the Pod is deleted
	began  bool
	joined int // ephemeral containers that run
}

// workers is how many Pods the kubelets serve at once.
const workers = 16

// startKubelets serves Pods until ctx ends. What goes wrong is told to fault.
func startKubelets(ctx context.Context, client *kubernetes.Clientset, fault func(error)) *kubelets {
	kubelets := &kubelets{
		client: client, fault: fault, shows: map[string]recording{}, pods: map[string]*simulated{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]()),
	}
	kubelets.server = httptest.NewTLSServer(kubelets)
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().Pods().Informer()
	kubelets.store = informer.GetStore()
	changed := func(object any) {
		if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
			kubelets.queue.Add(key)
		}
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: changed, UpdateFunc: func(_, object any) { changed(object) }, DeleteFunc: changed,
	}); err != nil {
		fault(err)
	}
	factory.Start(ctx.Done())
	for range workers {
		go kubelets.work(ctx)
	}
	context.AfterFunc(ctx, func() {
		kubelets.queue.ShutDown()
		kubelets.server.Close()
	})
	return kubelets
}

func (kubelets *kubelets) work(ctx context.Context) {
	for {
		key, shutDown := kubelets.queue.Get()
		if shutDown {
			return
		}
		if err := kubelets.serve(ctx, key); err != nil && ctx.Err() == nil {
			kubelets.queue.AddRateLimited(key)
		} else {
			kubelets.queue.Forget(key)
		}
		kubelets.queue.Done(key)
	}
}

// serve does for one Pod what its state asks for.
func (kubelets *kubelets) serve(ctx context.Context, key string) error {
	object, exists, err := kubelets.store.GetByKey(key)
	if err != nil {
		return err
	}
	if !exists {
		kubelets.forget(key)
		return nil
	}
	current := object.(*corev1.Pod)
	if current.Spec.NodeName == "" {
		return kubelets.bind(ctx, current)
	}
	served := kubelets.simulated(current)
	served.mutex.Lock()
	defer served.mutex.Unlock()
	if current.DeletionTimestamp != nil {
		return kubelets.end(ctx, current, served)
	}
	if !served.began {
		states := served.replay.begin()
		if len(states) == 0 {
			states = []*corev1.PodStatus{running(current, served.replay.recorded)}
		}
		if err := kubelets.show(ctx, current, states); err != nil {
			return err
		}
		served.began = true
	}
	if joined := len(current.Spec.EphemeralContainers); joined > served.joined {
		if err := kubelets.show(ctx, current, []*corev1.PodStatus{running(current, served.replay.recorded)}); err != nil {
			return err
		}
		served.joined = joined
	}
	return nil
}

// bind puts a Pod on the only node that its affinity allows, as the scheduler does.
func (kubelets *kubelets) bind(ctx context.Context, unbound *corev1.Pod) error {
	affinity := unbound.Spec.Affinity
	if affinity == nil || affinity.NodeAffinity == nil || affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		kubelets.fault(fmt.Errorf("the Pod %s names no node", unbound.Name))
		return nil
	}
	node := affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values[0]
	err := kubelets.client.CoreV1().Pods(unbound.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: unbound.Name, Namespace: unbound.Namespace, UID: unbound.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: node},
	}, metav1.CreateOptions{})
	return settled(err)
}

// end shows how a Pod that is deleted ends, and removes it.
func (kubelets *kubelets) end(ctx context.Context, current *corev1.Pod, served *simulated) error {
	if _, states, found := served.replay.answer("", deletion); found {
		if err := kubelets.show(ctx, current, states); err != nil {
			return err
		}
	}
	now := int64(0)
	return settled(kubelets.client.CoreV1().Pods(current.Namespace).Delete(ctx, current.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &current.UID},
	}))
}

// settled is the error of a request about a Pod that matters: one that is gone or has changed is seen again when it does.
func settled(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// show reports states of a Pod, one after the other.
func (kubelets *kubelets) show(ctx context.Context, current *corev1.Pod, states []*corev1.PodStatus) error {
	for _, state := range states {
		patch, err := json.Marshal(map[string]any{"status": map[string]any{
			"phase": state.Phase, "conditions": state.Conditions, "startTime": state.StartTime,
			"initContainerStatuses": state.InitContainerStatuses, "containerStatuses": state.ContainerStatuses,
			"ephemeralContainerStatuses": state.EphemeralContainerStatuses,
		}})
		if err != nil {
			return err
		}
		if _, err := kubelets.client.CoreV1().Pods(current.Namespace).Patch(ctx, current.Name, types.MergePatchType, patch,
			metav1.PatchOptions{}, "status"); settled(err) != nil {
			kubelets.fault(fmt.Errorf("the state of Pod %s: %w", current.Name, err))
			return err
		}
	}
	return nil
}

// running is the state of a Pod whose containers all run, and whose init containers that are no sidecars are done.
func running(current *corev1.Pod, recorded *recordedFixture) *corev1.PodStatus {
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	state := &corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &now}
	for _, condition := range []corev1.PodConditionType{corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady, corev1.PodScheduled} {
		state.Conditions = append(state.Conditions, corev1.PodCondition{Type: condition, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	started := true
	runs := func(name, image string) corev1.ContainerStatus {
		return corev1.ContainerStatus{
			Name: name, Image: image, ImageID: image, ContainerID: "containerd://" + recorded.containerIDs[name], Ready: true, Started: &started,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		}
	}
	for _, each := range current.Spec.InitContainers {
		shown := runs(each.Name, each.Image)
		if each.RestartPolicy == nil {
			shown.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				Reason: "Completed", StartedAt: now, FinishedAt: now, ContainerID: shown.ContainerID,
			}}
		}
		state.InitContainerStatuses = append(state.InitContainerStatuses, shown)
	}
	for _, each := range current.Spec.Containers {
		state.ContainerStatuses = append(state.ContainerStatuses, runs(each.Name, each.Image))
	}
	for _, each := range current.Spec.EphemeralContainers {
		state.EphemeralContainerStatuses = append(state.EphemeralContainerStatuses, runs(each.Name, each.Image))
	}
	return state
}

// simulated returns a Pod that is bound, as its node serves it.
func (kubelets *kubelets) simulated(current *corev1.Pod) *simulated {
	kubelets.mutex.Lock()
	defer kubelets.mutex.Unlock()
	key := current.Namespace + "/" + current.Name
	if served := kubelets.pods[key]; served != nil {
		return served
	}
	recorded := kubelets.shows[current.Spec.NodeName].fixture(current.Name)
	kubelets.pods[key] = &simulated{replay: &replay{recorded: recorded}, gone: make(chan struct{})}
	return kubelets.pods[key]
}

// forget lets go of a Pod that is gone.
func (kubelets *kubelets) forget(key string) {
	kubelets.mutex.Lock()
	defer kubelets.mutex.Unlock()
	if served := kubelets.pods[key]; served != nil {
		close(served.gone)
		delete(kubelets.pods, key)
	}
}

// ServeHTTP answers the API server as a kubelet does: execs, and logs.
func (kubelets *kubelets) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	parts := strings.Split(strings.TrimPrefix(request.URL.Path, "/"), "/")
	if len(parts) != 4 {
		http.NotFound(writer, request)
		return
	}
	key, container := parts[1]+"/"+parts[2], parts[3]
	kubelets.mutex.Lock()
	served := kubelets.pods[key]
	kubelets.mutex.Unlock()
	if served == nil {
		http.NotFound(writer, request)
		return
	}
	switch parts[0] {
	case "exec":
		options, err := remotecommand.NewOptions(request)
		if err != nil {
			http.Error(writer, err.Error(), http.StatusBadRequest)
			return
		}
		executor := executor{kubelets, key, served}
		remotecommand.ServeExec(writer, request, executor, parts[2], "", container, request.URL.Query()["command"], options,
			streamIdle, streamCreation, remotecommand.SupportedStreamingProtocols)
	case "containerLogs":
		asked := logs
		if request.FormValue("previous") == "true" {
			asked = previousLogs
		}
		served.mutex.Lock()
		found, _, known := served.replay.answer(container, asked)
		served.mutex.Unlock()
		if !known {
			http.NotFound(writer, request)
			return
		}
		_, _ = io.WriteString(writer, found.text)
	default:
		http.NotFound(writer, request)
	}
}

// How long streams may be idle, and take until they are there, as a kubelet has it by default.
const (
	streamIdle     = 4 * time.Hour
	streamCreation = 30 * time.Second
)

// executor answers the execs in one Pod.
type executor struct {
	kubelets *kubelets
	key      string
	served   *simulated
}

// ExecInContainer prints what was recorded of the commands.
func (executor executor) ExecInContainer(ctx context.Context, _, _, container string, command []string, _ io.Reader, out, _ io.WriteCloser, _ bool,
	_ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	if len(command) != 3 {
		return utilexec.CodeExitError{Err: fmt.Errorf("unknown command %q", command), Code: 127}
	}
	printed, err := pod.Answer(command[2], func(commands []string) ([]pod.ExecResult, error) {
		return executor.answer(ctx, container, strings.Join(commands, "\n"))
	})
	if err != nil {
		executor.kubelets.fault(fmt.Errorf("an exec in Pod %s: %w", executor.key, err))
		return utilexec.CodeExitError{Err: err, Code: 127}
	}
	_, err = io.WriteString(out, printed)
	return err
}

func (executor executor) answer(ctx context.Context, container, commands string) ([]pod.ExecResult, error) {
	if commands == description {
		return []pod.ExecResult{{Output: cgroup2}, {Output: kernel}}, nil
	}
	if strings.HasPrefix(commands, "sleep ") && !strings.Contains(commands, "&") { // it is left open, and ends with its Pod
		select {
		case <-executor.served.gone:
		case <-ctx.Done():
		}
		return []pod.ExecResult{{ExitCode: 137}}, nil
	}
	executor.served.mutex.Lock()
	defer executor.served.mutex.Unlock()
	found, states, known := executor.served.replay.answer(container, commands)
	if !known {
		return nil, fmt.Errorf("no answer is recorded of container %s: %s", container, commands)
	}
	object, exists, err := executor.kubelets.store.GetByKey(executor.key)
	if err != nil || !exists {
		return nil, fmt.Errorf("the Pod is gone: %w", err)
	}
	return found.results, executor.kubelets.show(ctx, object.(*corev1.Pod), states)
}

// What a run asks to describe a target, and the magic number of a cgroup file system of version 2 as stat(1) prints it.
const (
	description = "stat -f -c %t /sys/fs/cgroup\ncat /proc/sys/kernel/osrelease"
	cgroup2     = "63677270\n"
)
