package suites

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid/fixtures"
	"sharedpid/helpers/pod"
)

// Scene is a manifest as it is put on the cluster for the traits that name it, in a namespace of its own.
// Traits that only look share a scene; a trait that changes its Pod has one of its own.
type Scene struct {
	Name     string
	Manifest string
	Unshared bool // the manifest's Pod without shareProcessNamespace: the control
}

var (
	articleScene             = Scene{Name: "article", Manifest: "share-process-namespace.yaml"}
	articleUnsharedScene     = Scene{Name: "article-unshared", Manifest: "share-process-namespace.yaml", Unshared: true}
	reloadScene              = Scene{Name: "reload", Manifest: "share-process-namespace.yaml"}
	uidMismatchScene         = Scene{Name: "uid-mismatch", Manifest: "uid-mismatch.yaml"}
	uidMismatchUnsharedScene = Scene{Name: "uid-mismatch-unshared", Manifest: "uid-mismatch.yaml", Unshared: true}
	fileModesScene           = Scene{Name: "file-modes", Manifest: "file-modes.yaml"}
	systemdScene             = Scene{Name: "systemd", Manifest: "systemd-shared.yaml"}
	systemdUnsharedScene     = Scene{Name: "systemd-unshared", Manifest: "systemd-unshared.yaml", Unshared: true}
)

const (
	runLabel   = "sharedpid/run"
	ownerLabel = "app.kubernetes.io/managed-by"
	owner      = "sharedpid"
)

// scenes puts scenes on the cluster, each once, all side by side.
type scenes struct {
	client *pod.Client
	run    string            // id of the run, part of every namespace's name
	node   string            // name of the node that Pods are put on
	images map[string]string // reference of each test image

	mutex   sync.Mutex
	started map[string]func() (*pod.Pod, error)
}

// start begins to create the scene unless it was begun before, and returns how to wait for its Pod.
func (scenes *scenes) start(ctx context.Context, scene Scene) func() (*pod.Pod, error) {
	scenes.mutex.Lock()
	defer scenes.mutex.Unlock()
	if started, found := scenes.started[scene.Name]; found {
		return started
	}
	started := sync.OnceValues(func() (*pod.Pod, error) { return scenes.create(ctx, scene) })
	scenes.started[scene.Name] = started
	go started()
	return started
}

func (scenes *scenes) namespace(scene Scene) string {
	return "sharedpid-" + scenes.run + "-" + scene.Name
}

func (scenes *scenes) create(ctx context.Context, scene Scene) (*pod.Pod, error) {
	objects, err := fixtures.Manifest(scene.Manifest)
	if err != nil {
		return nil, err
	}
	namespace := scenes.namespace(scene)
	_, err = scenes.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace,
		Labels: map[string]string{
			runLabel: scenes.run, ownerLabel: owner,
			// Added capabilities and privileged containers need this level of Pod Security admission.
			"pod-security.kubernetes.io/enforce": "privileged",
		},
	}}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", namespace, err)
	}
	var created *pod.Pod
	for _, object := range objects {
		switch object := object.(type) {
		case *corev1.Secret:
			_, err = scenes.client.CoreV1().Secrets(namespace).Create(ctx, object, metav1.CreateOptions{})
		case *corev1.ConfigMap:
			_, err = scenes.client.CoreV1().ConfigMaps(namespace).Create(ctx, object, metav1.CreateOptions{})
		case *corev1.Pod:
			object.Namespace = namespace
			created, err = scenes.client.Create(ctx, scenes.adapt(object, scene))
		default:
			err = fmt.Errorf("manifest %s: a %T is not expected", scene.Manifest, object)
		}
		if err != nil {
			return nil, err
		}
	}
	return created, nil
}

// adapt makes the Pod of a manifest the Pod of a scene: its node, its images, and for a control no sharing.
func (scenes *scenes) adapt(manifest *corev1.Pod, scene Scene) *corev1.Pod {
	adapted := manifest.DeepCopy()
	adapted.Spec.NodeSelector = map[string]string{corev1.LabelHostname: scenes.node}
	if scene.Unshared {
		adapted.Spec.ShareProcessNamespace = nil
	}
	for i := range adapted.Spec.Containers {
		image, _, _ := strings.Cut(adapted.Spec.Containers[i].Image, ":")
		if reference, found := scenes.images[image]; found {
			adapted.Spec.Containers[i].Image = reference
		}
	}
	return adapted
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
		if err := pause(ctx); err != nil {
			return left, err
		}
	}
}
