package suites

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/fixtures"
	"sharedpid.example/helpers/pod"
)

// Scene is the Pod of a manifest as it is put on the cluster for the traits that name it, once for each subject.
// Traits that only look share a scene; a trait that changes its Pod has one of its own.
type Scene struct {
	Name     string            // of the Pod
	Manifest string            // file in fixtures
	Unshared bool              // the Pod without shareProcessNamespace: the control
	Change   func(*corev1.Pod) // what else differs from the manifest, nil for nothing
	// Still says that no trait changes the Pod's processes, so that one look from each container does for all traits.
	Still bool
	// Later leaves the Pod to be created by the first trait that asks for it, and not ahead of all traits.
	Later bool
}

// The article's Pod, which most traits look at, and its control.
var (
	articleScene         = Scene{Name: "article", Manifest: "share-process-namespace.yaml", Still: true}
	articleUnsharedScene = Scene{Name: "article-unshared", Manifest: "share-process-namespace.yaml", Unshared: true, Still: true}
)

const (
	runLabel     = "sharedpid/run"
	expiresLabel = "sharedpid/expires" // Unix time after which a run cannot be alive any more
	subjectLabel = "sharedpid/subject" // on Pods: the number of their subject
	ownerLabel   = "app.kubernetes.io/managed-by"
	owner        = "sharedpid"
)

// scenes are where all Pods of a run are: one namespace on the cluster.
type scenes struct {
	client    *pod.Client
	watch     *pod.Watch
	unwatch   context.CancelFunc // ends the watch, which else complains of a cluster that is deleted
	run       string             // id of the run
	namespace string
	images    map[string]string // reference of each test image
	places    chan struct{}     // held by a Pod that is coming up, so that a node is not asked for all at once

	looks   sync.Map // what was looked at once for several traits, by name
	mutex   sync.Mutex
	started map[string]func() (*pod.Pod, error) // by Pod name
	shared  map[string]func() error             // creates a manifest's other objects, by name
}

// newScenes makes the run's namespace and watches it until ctx ends.
func newScenes(ctx context.Context, client *pod.Client, run string, images map[string]string, parallel int) (*scenes, error) {
	scenes := &scenes{
		client: client, run: run, namespace: "sharedpid-" + run, images: images, places: make(chan struct{}, parallel),
		started: map[string]func() (*pod.Pod, error){}, shared: map[string]func() error{},
	}
	ctx, scenes.unwatch = context.WithCancel(ctx)
	if err := scenes.createNamespace(ctx, scenes.namespace, "privileged"); err != nil {
		return scenes, err
	}
	var err error
	scenes.watch, err = client.Watch(ctx, scenes.namespace)
	return scenes, err
}

// createNamespace creates a namespace of the run that enforces a level of the Pod Security Standards.
func (scenes *scenes) createNamespace(ctx context.Context, name, level string) error {
	_, err := scenes.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name,
		Labels: map[string]string{
			runLabel: scenes.run, ownerLabel: owner, expiresLabel: fmt.Sprint(time.Now().Add(24 * time.Hour).Unix()),
			"pod-security.kubernetes.io/enforce": level,
		},
	}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("namespace %s: %w", name, err)
	}
	return nil
}

// start begins to create a scene's Pod on a subject unless it was begun before, and returns how to wait for it.
func (scenes *scenes) start(ctx context.Context, scene Scene, subject subject) func() (*pod.Pod, error) {
	scenes.mutex.Lock()
	defer scenes.mutex.Unlock()
	name := scene.Name + subject.suffix
	if started, found := scenes.started[name]; found {
		return started
	}
	started := sync.OnceValues(func() (*pod.Pod, error) { return scenes.create(ctx, scene, subject) })
	scenes.started[name] = started
	go started()
	return started
}

func (scenes *scenes) create(ctx context.Context, scene Scene, subject subject) (*pod.Pod, error) {
	objects, err := fixtures.Manifest(scene.Manifest)
	if err != nil {
		return nil, err
	}
	select {
	case scenes.places <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	var created *pod.Pod
	for _, object := range objects {
		switch object := object.(type) {
		case *corev1.Secret:
			err = scenes.createShared("secret/"+object.Name, func() error {
				_, err := scenes.client.CoreV1().Secrets(scenes.namespace).Create(ctx, object, metav1.CreateOptions{})
				return err
			})
		case *corev1.ConfigMap:
			err = scenes.createShared("configmap/"+object.Name, func() error {
				_, err := scenes.client.CoreV1().ConfigMaps(scenes.namespace).Create(ctx, object, metav1.CreateOptions{})
				return err
			})
		case *corev1.Pod:
			created, err = scenes.client.Create(ctx, scenes.watch, scenes.adapt(object, scene, subject))
		default:
			err = fmt.Errorf("manifest %s: a %T is not expected", scene.Manifest, object)
		}
		if err != nil {
			<-scenes.places
			return nil, err
		}
	}
	go func() {
		defer func() { <-scenes.places }()
		// How it ends is the matter of the traits that wait for it.
		_ = created.Wait(ctx, "a start", 30*time.Second, begun)
	}()
	return created, nil
}

// begun tells whether a Pod no longer costs what its start does.
func begun(status *corev1.Pod) bool { return status == nil || status.Status.Phase != corev1.PodPending }

// createShared creates an object that several scenes or subjects use, once.
func (scenes *scenes) createShared(name string, create func() error) error {
	scenes.mutex.Lock()
	once, found := scenes.shared[name]
	if !found {
		once = sync.OnceValue(create)
		scenes.shared[name] = once
	}
	scenes.mutex.Unlock()
	if err := once(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// adapt makes the Pod of a manifest the Pod of a scene on a subject.
func (scenes *scenes) adapt(manifest *corev1.Pod, scene Scene, subject subject) *corev1.Pod {
	adapted := manifest.DeepCopy()
	adapted.Namespace, adapted.Name = scenes.namespace, scene.Name+subject.suffix
	metav1.SetMetaDataLabel(&adapted.ObjectMeta, subjectLabel, subject.label())
	scenes.adaptSpec(&adapted.Spec, subject)
	if scene.Unshared {
		adapted.Spec.ShareProcessNamespace = nil
	}
	if scene.Change != nil {
		scene.Change(adapted)
	}
	return adapted
}

// adaptSpec puts a Pod on the subject's node, under its RuntimeClass, with the images of the run.
func (scenes *scenes) adaptSpec(spec *corev1.PodSpec, subject subject) {
	spec.NodeSelector = map[string]string{corev1.LabelHostname: subject.hostname}
	if subject.RuntimeClass != "" {
		spec.RuntimeClassName = &subject.RuntimeClass
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			containers[i].Image = scenes.image(containers[i].Image)
		}
	}
}

// image returns the run's reference of a test image by the name that manifests call it.
func (scenes *scenes) image(familiar string) string {
	name, _, _ := strings.Cut(familiar, ":")
	if reference, found := scenes.images[name]; found {
		return reference
	}
	return familiar
}

// clear deletes the Pods of one subject, and what would make new ones, and waits until they are gone.
func (scenes *scenes) clear(ctx context.Context, subject subject) error {
	selector := metav1.ListOptions{LabelSelector: subjectLabel + "=" + subject.label()}
	pods, apps := scenes.client.CoreV1().Pods(scenes.namespace), scenes.client.AppsV1()
	soon := int64(1)
	if err := errors.Join(
		apps.Deployments(scenes.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, selector),
		apps.DaemonSets(scenes.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, selector),
		pods.DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &soon}, selector),
	); err != nil {
		return err
	}
	var left []corev1.Pod
	err := poll(ctx, settling, func() (bool, error) {
		listed, err := pods.List(ctx, selector)
		if err != nil {
			return false, err
		}
		left = listed.Items
		return len(left) == 0, nil
	})
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%d are still there after %s, Pod %s among them", len(left), settling, left[0].Name)
	}
	return err
}

// remove deletes the namespaces of the run and waits until they are gone. It returns the names of those that are left.
func (scenes *scenes) remove(ctx context.Context) ([]string, error) {
	selector := metav1.ListOptions{LabelSelector: runLabel + "=" + scenes.run}
	return removeNamespaces(ctx, scenes.client, selector)
}

func removeNamespaces(ctx context.Context, client *pod.Client, selector metav1.ListOptions) ([]string, error) {
	var left []string
	for {
		found, err := client.CoreV1().Namespaces().List(ctx, selector)
		if err != nil {
			return left, err
		}
		left = left[:0]
		for _, namespace := range found.Items {
			left = append(left, namespace.Name)
			if namespace.DeletionTimestamp == nil {
				err := client.CoreV1().Namespaces().Delete(ctx, namespace.Name, metav1.DeleteOptions{})
				if err != nil && !apierrors.IsNotFound(err) {
					return left, err
				}
			}
		}
		if len(left) == 0 {
			return nil, nil
		}
		slices.Sort(left)
		if err := pause(ctx, shortestPause); err != nil {
			return left, err
		}
	}
}

// diagnose gathers the state of the Pods that a trait looked at on a subject, as far as they were created.
func (scenes *scenes) diagnose(ctx context.Context, trait Trait, subject subject) string {
	var text strings.Builder
	for _, scene := range trait.Scenes {
		scenes.mutex.Lock()
		started, found := scenes.started[scene.Name+subject.suffix]
		scenes.mutex.Unlock()
		if !found {
			continue
		}
		created, err := started()
		if err != nil {
			fmt.Fprintf(&text, "Pod %s: %v\n", scene.Name, err)
			continue
		}
		text.WriteString(created.Diagnose(ctx))
	}
	return text.String()
}

// adopt makes a Pod that a controller created one that looks find under that name.
func (scenes *scenes) adopt(name string, made *pod.Pod) {
	scenes.mutex.Lock()
	defer scenes.mutex.Unlock()
	scenes.started[name] = func() (*pod.Pod, error) { return made, nil }
}
