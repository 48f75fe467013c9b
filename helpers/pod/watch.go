package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/tools/cache"
	"sharedpid.example/reports"
)

// Watch keeps the state of every Pod in one namespace, so that many waits cost the API server one request and not
// one each for every look. A change of a Pod wakes those who wait for that Pod alone.
type Watch struct {
	client   *Client
	patience Patience
	asking   singleflight.Group // for nodes, by name

	mutex   sync.Mutex
	pods    map[string]*state    // by name
	nodes   map[string]nodeState // by name
	failing error                // why the Pods cannot be watched, nil when they were since
}

// state is what is known of one Pod.
type state struct {
	current      *corev1.Pod // nil for one that is gone or was never seen
	last         *corev1.Pod // as last seen, also when it is gone
	seen         bool        // whether it ever was there
	sandboxError string      // why its sandbox did not come up, when it was last tried
	failures     []startFailure
	changed      chan struct{} // closed and replaced at every change
}

// Watch watches the Pods of a namespace, and the events about sandboxes that do not come up, until ctx ends. It returns
// once it has seen what is there, and fails when that takes longer than limit or may not be read.
func (client *Client) Watch(ctx context.Context, namespace string, patience Patience, limit time.Duration) (*Watch, error) {
	watch := &Watch{client: client, patience: patience, pods: map[string]*state{}, nodes: map[string]nodeState{}}
	limited, cancel := context.WithTimeoutCause(ctx, limit, notWithin(limit))
	defer cancel()
	// The lists are asked for first, for their errors: informers go on for ever.
	if _, err := Retry(limited, func(ctx context.Context) (*corev1.PodList, error) {
		return client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: 1})
	}); err != nil {
		return nil, fmt.Errorf("watch Pods of namespace %s: %w", namespace, err)
	}
	if _, err := Retry(limited, func(ctx context.Context) (*corev1.EventList, error) {
		return client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{Limit: 1, FieldSelector: sandboxFailed})
	}); err != nil {
		return nil, fmt.Errorf("watch events of namespace %s: %w", namespace, err)
	}
	watching, stop := context.WithCancel(ctx)
	// Events have no index on the API server: each list reads all of the namespace, a watch only what is new.
	selected := func(options *metav1.ListOptions) { options.FieldSelector = sandboxFailed }
	// Where events cannot be watched, only the words about a sandbox are missing.
	eventInformer := coreinformers.NewFilteredEventInformer(client.Interface, namespace, 0, cache.Indexers{}, selected)
	events, err := inform(watching, eventInformer, func(error) {}, watch.sandboxFailed, func(*corev1.Event) {})
	if err == nil {
		var pods cache.SharedIndexInformer
		podInformer := coreinformers.NewPodInformer(client.Interface, namespace, 0, cache.Indexers{})
		pods, err = inform(watching, podInformer, watch.failed, watch.set, watch.remove)
		if err == nil && !cache.WaitForCacheSync(limited.Done(), pods.HasSynced, events.HasSynced) {
			err = context.Cause(limited)
			if failure := watch.failure(); failure != nil {
				err = fmt.Errorf("%w: %w", err, failure)
			}
		}
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("watch Pods and events of namespace %s: %w", namespace, err)
	}
	context.AfterFunc(ctx, stop)
	return watch, nil
}

// inform starts an informer that hands each object to set, each that is gone to remove, and what goes wrong to failed.
func inform[T any](
	ctx context.Context, informer cache.SharedIndexInformer, failed func(error), set, remove func(T),
) (cache.SharedIndexInformer, error) {
	if err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { failed(err) }); err != nil {
		return nil, err
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { set(object.(T)) },
		UpdateFunc: func(_, object any) { set(object.(T)) },
		DeleteFunc: func(object any) {
			if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = unknown.Obj
			}
			remove(object.(T))
		},
	}); err != nil {
		return nil, err
	}
	// What managed fields tell is half of an object, and is not asked for here.
	if err := informer.SetTransform(func(object any) (any, error) {
		if about, ok := object.(metav1.Object); ok {
			about.SetManagedFields(nil)
		}
		return object, nil
	}); err != nil {
		return nil, err
	}
	go informer.RunWithContext(ctx)
	return informer, nil
}

// sandboxFailed selects the events in which a kubelet says why a sandbox did not come up.
const sandboxFailed = "reason=" + sandboxFailedReason

const sandboxFailedReason = "FailedCreatePodSandBox"

func (watch *Watch) sandboxFailed(event *corev1.Event) {
	if event.Reason == sandboxFailedReason { // not every API selects
		watch.change(event.InvolvedObject.Name, func(pod *state) { pod.sandboxError = event.Message })
	}
}

func (watch *Watch) set(pod *corev1.Pod) {
	watch.change(pod.Name, func(state *state) {
		watch.failing = nil
		state.current, state.last, state.seen = pod, pod, true
		state.failures = startFailures(state.failures, pod, time.Now())
	})
}

func (watch *Watch) remove(pod *corev1.Pod) {
	watch.mutex.Lock()
	forgotten := watch.pods[pod.Name] == nil
	watch.mutex.Unlock()
	if forgotten {
		return
	}
	watch.change(pod.Name, func(state *state) {
		watch.failing = nil
		state.current, state.last, state.seen, state.failures = nil, pod, true, nil
	})
}

// Forget lets go of what is known of a Pod that is gone, and that nobody asks about any more: it would be kept until the watch ends.
func (watch *Watch) Forget(name string) {
	watch.mutex.Lock()
	defer watch.mutex.Unlock()
	delete(watch.pods, name)
}

// change changes what is known of one Pod, and wakes those who wait for it.
func (watch *Watch) change(name string, change func(*state)) {
	watch.mutex.Lock()
	defer watch.mutex.Unlock()
	state := watch.pod(name)
	change(state)
	close(state.changed)
	state.changed = make(chan struct{})
}

// state returns what is known of a Pod now. Its channel is closed at the next change.
func (watch *Watch) state(name string) state {
	watch.mutex.Lock()
	defer watch.mutex.Unlock()
	return *watch.pod(name)
}

// pod returns the state of a Pod, which it makes where there is none. The caller holds the mutex.
func (watch *Watch) pod(name string) *state {
	if watch.pods[name] == nil {
		watch.pods[name] = &state{changed: make(chan struct{})}
	}
	return watch.pods[name]
}

// sandbox returns why the sandbox of a Pod did not come up when it was last tried, nil when it did or was not tried.
func (state state) sandbox() error {
	if state.current == nil || state.current.Status.Phase != corev1.PodPending || state.sandboxError == "" {
		return nil
	}
	return errors.New(state.sandboxError)
}

// failed notes why the Pods cannot be watched at the moment. A watch that ends or is too old is begun again as a matter of course.
func (watch *Watch) failed(err error) {
	if errors.Is(err, io.EOF) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return
	}
	watch.mutex.Lock()
	defer watch.mutex.Unlock()
	watch.failing = fmt.Errorf("the watch of Pods fails: %w", err)
}

// failure returns why the Pods could not be watched since something was last seen of any, nil when nothing went wrong.
func (watch *Watch) failure() error {
	watch.mutex.Lock()
	defer watch.mutex.Unlock()
	return watch.failing
}

// nodeState is whether a node was ready when it was last asked for.
type nodeState struct {
	asked time.Time
	err   error // says that it is gone or not ready
}

// nodeInterval is how old what is known of a node may be.
const nodeInterval = 2 * time.Second

// nodeError says that the Pod's node is gone or not ready, nil when it is ready, when it has none, or when it cannot be asked for.
// However many wait, a node is asked for once in a while, and the answer is for all: who asked may have no time left for it.
func (watch *Watch) nodeError(ctx context.Context, pod *corev1.Pod) error {
	name := nodeOf(pod)
	if name == "" {
		return nil
	}
	answer := watch.asking.DoChan(name, func() (any, error) {
		watch.mutex.Lock()
		state, known := watch.nodes[name]
		watch.mutex.Unlock()
		if known && time.Since(state.asked) < nodeInterval {
			return nil, state.err
		}
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), nodeInterval)
		defer cancel()
		node, err := watch.client.CoreV1().Nodes().Get(asking, name, metav1.GetOptions{})
		state = nodeState{asked: time.Now()}
		switch {
		case err == nil:
			state.err = notReady(node)
		case apierrors.IsNotFound(err):
			state.err = kinded{reports.Lost, fmt.Errorf("node %s is not ready: it is gone", name)}
		}
		watch.mutex.Lock()
		watch.nodes[name] = state
		watch.mutex.Unlock()
		return nil, state.err
	})
	select {
	case node := <-answer:
		return node.Err
	case <-ctx.Done():
		return nil
	}
}

// nodeOf is the name of the Pod's node, or before it has one of the only node that its affinity allows: the scheduler puts no Pod on
// a node that is lost.
func nodeOf(pod *corev1.Pod) string {
	if pod == nil {
		return ""
	}
	affinity := pod.Spec.Affinity
	if pod.Spec.NodeName != "" || affinity == nil || affinity.NodeAffinity == nil {
		return pod.Spec.NodeName
	}
	required := affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil || len(required.NodeSelectorTerms) != 1 || len(required.NodeSelectorTerms[0].MatchFields) != 1 {
		return ""
	}
	field := required.NodeSelectorTerms[0].MatchFields[0]
	if field.Key != metav1.ObjectNameField || field.Operator != corev1.NodeSelectorOpIn || len(field.Values) != 1 {
		return ""
	}
	return field.Values[0]
}

func notReady(node *corev1.Node) error {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
			return kinded{reports.Lost, fmt.Errorf("node %s is not ready: %s", node.Name, condition.Message)}
		}
	}
	return nil
}
