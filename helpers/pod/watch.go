package pod

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// Watch keeps the state of every Pod in one namespace, so that many waits cost the API server one request and not
// one each for every look.
type Watch struct {
	mutex         sync.Mutex
	pods          map[string]*corev1.Pod // by name; nil for one that was there and is gone
	last          map[string]*corev1.Pod // by name, as last seen, those that are gone as well
	sandboxErrors map[string]string      // by name of the Pod: why its sandbox did not come up, when it was last tried
	changed       chan struct{}          // closed and replaced at every change

	nodesMutex sync.Mutex
	nodes      map[string]nodeState // by name
}

// Watch watches the Pods of a namespace, and the events about sandboxes that do not come up, until ctx ends. It returns
// once it has seen what is there.
func (client *Client) Watch(ctx context.Context, namespace string) (*Watch, error) {
	watch := &Watch{
		pods: map[string]*corev1.Pod{}, last: map[string]*corev1.Pod{}, sandboxErrors: map[string]string{},
		changed: make(chan struct{}), nodes: map[string]nodeState{},
	}
	// The lists are asked for first, for their errors: informers only log what goes wrong.
	if _, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
		return nil, fmt.Errorf("watch Pods of namespace %s: %w", namespace, err)
	}
	if _, err := client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{Limit: 1, FieldSelector: sandboxFailed}); err != nil {
		return nil, fmt.Errorf("watch events of namespace %s: %w", namespace, err)
	}
	// Events have no index on the API server: each list reads all of the namespace, a watch only what is new.
	events := informers.NewSharedInformerFactoryWithOptions(client.Interface, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.FieldSelector = sandboxFailed })).Core().V1().Events().Informer()
	if _, err := events.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { watch.sandboxFailed(object.(*corev1.Event)) },
		UpdateFunc: func(_, object any) { watch.sandboxFailed(object.(*corev1.Event)) },
	}); err != nil {
		return nil, err
	}
	go events.RunWithContext(ctx)
	informer := informers.NewSharedInformerFactoryWithOptions(client.Interface, 0, informers.WithNamespace(namespace)).Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { watch.set(object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { watch.set(object.(*corev1.Pod)) },
		DeleteFunc: func(object any) {
			if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = unknown.Obj
			}
			watch.remove(object.(*corev1.Pod))
		},
	})
	if err != nil {
		return nil, err
	}
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced, events.HasSynced) {
		return nil, fmt.Errorf("watch Pods and events of namespace %s: %w", namespace, context.Cause(ctx))
	}
	return watch, nil
}

// sandboxFailed selects the events in which a kubelet says why a sandbox did not come up.
const sandboxFailed = "reason=" + sandboxFailedReason

const sandboxFailedReason = "FailedCreatePodSandBox"

func (watch *Watch) sandboxFailed(event *corev1.Event) {
	if event.Reason == sandboxFailedReason { // not every API selects
		watch.change(func() { watch.sandboxErrors[event.InvolvedObject.Name] = event.Message })
	}
}

// sandboxError returns why the sandbox of a Pod did not come up when it was last tried, nil when it did or was not tried.
func (watch *Watch) sandboxError(status *corev1.Pod) error {
	if status == nil || status.Status.Phase != corev1.PodPending {
		return nil
	}
	watch.mutex.Lock()
	defer watch.mutex.Unlock()
	if message := watch.sandboxErrors[status.Name]; message != "" {
		return errors.New(message)
	}
	return nil
}

// nodeState is whether a node was ready when it was last asked for.
type nodeState struct {
	asked time.Time
	err   error // says that it is not ready
}

// nodeError says that the Pod's node is not ready, nil when it is or when there is none yet. However many wait, a node
// is asked for once in a while.
func (watch *Watch) nodeError(ctx context.Context, client *Client, status *corev1.Pod) error {
	if status == nil || status.Spec.NodeName == "" {
		return nil
	}
	watch.nodesMutex.Lock()
	defer watch.nodesMutex.Unlock()
	state := watch.nodes[status.Spec.NodeName]
	if time.Since(state.asked) < nodeInterval {
		return state.err
	}
	asking, cancel := context.WithTimeout(ctx, nodeInterval) // others wait for the answer
	defer cancel()
	node, err := client.CoreV1().Nodes().Get(asking, status.Spec.NodeName, metav1.GetOptions{})
	if ctx.Err() != nil {
		return nil // whoever asked has no more time; that says nothing of the node, and the next one asks again
	}
	state = nodeState{asked: time.Now()}
	if err == nil {
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
				state.err = fmt.Errorf("node %s is not ready: %s", node.Name, condition.Message)
			}
		}
	}
	watch.nodes[status.Spec.NodeName] = state
	return state.err
}

// nodeInterval is how old what is known of a node may be.
const nodeInterval = 2 * time.Second

func (watch *Watch) set(pod *corev1.Pod) {
	watch.change(func() { watch.pods[pod.Name], watch.last[pod.Name] = pod, pod })
}

func (watch *Watch) remove(pod *corev1.Pod) {
	watch.change(func() { watch.pods[pod.Name], watch.last[pod.Name] = nil, pod })
}

func (watch *Watch) change(change func()) {
	watch.mutex.Lock()
	defer watch.mutex.Unlock()
	change()
	close(watch.changed)
	watch.changed = make(chan struct{})
}

// state returns the Pod as last seen, nil when there is none, whether there ever was one, and a channel that is closed at
// the next change.
func (watch *Watch) state(name string) (pod *corev1.Pod, seen bool, changed <-chan struct{}) {
	watch.mutex.Lock()
	defer watch.mutex.Unlock()
	pod, seen = watch.pods[name]
	return pod, seen, watch.changed
}

// Last returns the Pod as it was last seen, also after it is gone: a wait may miss the states before its end.
func (pod *Pod) Last() *corev1.Pod {
	pod.watch.mutex.Lock()
	defer pod.watch.mutex.Unlock()
	return pod.watch.last[pod.Name]
}
