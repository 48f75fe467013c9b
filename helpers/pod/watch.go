package pod

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// Watch keeps the state of every Pod in one namespace, so that many waits cost the API server one request and not
// one each for every look.
type Watch struct {
	mutex   sync.Mutex
	pods    map[string]*corev1.Pod // by name; nil for one that was there and is gone
	last    map[string]*corev1.Pod // by name, as last seen, those that are gone as well
	changed chan struct{}          // closed and replaced at every change
}

// Watch watches the Pods of a namespace until ctx ends. It returns once it has seen what is there.
func (client *Client) Watch(ctx context.Context, namespace string) (*Watch, error) {
	watch := &Watch{pods: map[string]*corev1.Pod{}, last: map[string]*corev1.Pod{}, changed: make(chan struct{})}
	// The list is asked for first, for its error: the informer only logs what goes wrong.
	if _, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
		return nil, fmt.Errorf("watch Pods of namespace %s: %w", namespace, err)
	}
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
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, fmt.Errorf("watch Pods of namespace %s: %w", namespace, context.Cause(ctx))
	}
	return watch, nil
}

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
