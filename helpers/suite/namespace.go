package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// Labels of what a run creates.
const (
	RunLabel     = "sharedpid/run"                // on all: id of the run
	ExpiresLabel = "sharedpid/expires"            // on namespaces: Unix time after which the run cannot be alive any more
	TargetLabel  = "sharedpid/target"             // on Pods: the number of their target
	OwnerLabel   = "app.kubernetes.io/managed-by" // on all: Owner
	Owner        = "sharedpid"

	fixtureLabel = "sharedpid/fixture" // on Pods and controllers of a target: the name, on Pods that a controller makes the controller's
)

// lifetime is how long after its start a run is taken for alive.
const lifetime = 24 * time.Hour

// namespace is where the fixtures of a run are.
type namespace struct {
	ctx      context.Context // of the run: a Pod that one trait asked for first is created for all
	client   *pod.Client
	watch    *pod.Watch
	unwatch  context.CancelFunc // ends the watch, which else complains of a cluster that is deleted
	runID    string
	name     string
	given    bool              // it is not the run's own, and stays
	jobs     bool              // some trait has a Job
	adapts   Adaptation        // what the cluster demands
	images   map[string]string // reference of each test image
	limits   Limits
	starting *semaphore.Weighted // held by each Pod that is coming up, over all targets

	mutex   sync.Mutex
	created map[string]*creation // of Pods, by name
	queue   chan struct{}        // closed when the last Pod that was asked for has a place among those that come up
	made    map[string]bool      // objects that several fixtures use, and namespaces, by kind and name
	asked   map[string]bool      // objects that the API was asked to create, by kind and name
	making  singleflight.Group
}

// creation is a Pod that was asked for.
type creation struct {
	target  *target
	done    chan struct{}
	pod     *pod.Pod
	changed []string // how the stored Pod differs from the one that was sent
	err     error
}

// lost tells whether the creation has failed since the API was lost: one that is tried again may succeed.
func (asked *creation) lost() bool {
	select {
	case <-asked.done:
		return pod.KindOf(asked.err) == reports.Lost
	default:
		return false
	}
}

// newNamespace makes the run's namespace, or takes the one that is given, and watches it until ctx ends. What it returns with an error
// can be removed.
func newNamespace(ctx context.Context, client *pod.Client, options Options, runID string) (*namespace, error) {
	made := &namespace{
		client: client, runID: runID, name: "sharedpid-" + runID, limits: options.Limits, adapts: options.Adaptation,
		starting: semaphore.NewWeighted(int64(options.Starting)),
		created:  map[string]*creation{}, made: map[string]bool{}, asked: map[string]bool{},
		queue: make(chan struct{}),
	}
	close(made.queue)
	ctx, made.unwatch = context.WithCancel(ctx)
	made.ctx = ctx
	made.given = options.Namespace != ""
	made.jobs = slices.ContainsFunc(rightsToCreate(options.Traits), func(right Right) bool { return right.Resource == "jobs" })
	made.name = cmp.Or(options.Namespace, made.name)
	var err error
	if options.Before.ID != "" {
		if err = made.remove(ctx); err != nil { // what the run left when it was killed
			return made, err
		}
	}
	if made.given {
		err = made.checkGiven(ctx)
	} else {
		err = made.create(ctx, made.name, "privileged")
	}
	if err != nil {
		return made, err
	}
	if made.watch, err = client.Watch(ctx, made.name,
		pod.Patience{ImagePull: options.Limits.ImagePull, Start: options.Limits.StartFailure}, options.Limits.Start); err != nil {
		return made, err
	}
	return made, client.WaitServiceAccount(ctx, made.name, made.limits.ServiceAccount)
}

// checkGiven tells whether a run can use the namespace that is given. Two runs cannot at once: their fixtures have the same names.
func (namespace *namespace) checkGiven(ctx context.Context) error {
	found, err := namespace.client.CoreV1().Namespaces().Get(ctx, namespace.name, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err): // who may not look at it learns from what is created there
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no namespace %s; create it, or leave out --namespace", namespace.name)
	case err != nil:
		return fmt.Errorf("namespace %s: %w", namespace.name, err)
	case found.DeletionTimestamp != nil:
		return fmt.Errorf("the namespace %s is being deleted; name another one", namespace.name)
	}
	others, err := namespace.client.CoreV1().Pods(namespace.name).List(ctx, metav1.ListOptions{LabelSelector: RunLabel})
	if err != nil {
		return fmt.Errorf("list the Pods of namespace %s: %w", namespace.name, err)
	}
	if len(others.Items) > 0 {
		return fmt.Errorf("the namespace %s holds Pods of run %s: wait for its end, or when it was killed: "+
			"kubectl delete pods,deployments,daemonsets,jobs,configmaps,secrets --namespace %s --selector %s",
			namespace.name, others.Items[0].Labels[RunLabel], namespace.name, RunLabel)
	}
	return nil
}

// own labels an object as one of the run.
func (namespace *namespace) own(object metav1.Object) {
	labels := object.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[RunLabel], labels[OwnerLabel] = namespace.runID, Owner
	object.SetLabels(labels)
}

// create creates a namespace of the run that enforces a level of the Pod Security Standards.
func (namespace *namespace) create(ctx context.Context, name, level string) error {
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name,
		Labels: map[string]string{
			ExpiresLabel: fmt.Sprint(time.Now().Add(lifetime).Unix()), "pod-security.kubernetes.io/enforce": level,
		},
	}}
	namespace.adapts.namespace(object)
	if err := createObject(ctx, namespace, namespace.client.CoreV1().Namespaces().Create, object); err != nil {
		return fmt.Errorf("namespace %s: %w", name, err)
	}
	return nil
}

// createObject creates an object of the run's own, and asks again where that may help. One that is there although the run asked for
// it before was created then, and the answer was lost.
func createObject[T metav1.Object](
	ctx context.Context, namespace *namespace, create func(context.Context, T, metav1.CreateOptions) (T, error), object T,
) error {
	name := fmt.Sprintf("%T %s", object, object.GetName())
	namespace.own(object)
	_, err := pod.Retry(ctx, func(ctx context.Context) (T, error) {
		namespace.mutex.Lock()
		before := namespace.asked[name]
		namespace.asked[name] = true
		namespace.mutex.Unlock()
		created, err := create(ctx, object, metav1.CreateOptions{})
		if before && apierrors.IsAlreadyExists(err) {
			return created, nil
		}
		return created, err
	})
	return err
}

// level makes the run's namespace that enforces a Pod Security level, once, and returns its name. A run that was given a namespace has
// none.
func (namespace *namespace) level(ctx context.Context, level string) (string, error) {
	if namespace.given {
		return "", &Unsupported{Reason: "it needs namespaces of the run's own, and the run was given the namespace " + namespace.name}
	}
	name := namespace.name + "-" + level
	return name, namespace.once(ctx, "namespace "+name, func(ctx context.Context) error {
		if err := namespace.create(ctx, name, level); err != nil {
			return err
		}
		return namespace.client.WaitServiceAccount(ctx, name, namespace.limits.ServiceAccount)
	})
}

// once makes something by its name the first time that it is asked for. What failed is made again for the next who asks. It
// goes on when the first who asked gives up: it ends with the run.
func (namespace *namespace) once(ctx context.Context, name string, create func(context.Context) error) error {
	attempt := namespace.making.DoChan(name, func() (any, error) {
		namespace.mutex.Lock()
		made := namespace.made[name]
		namespace.mutex.Unlock()
		if made {
			return nil, nil
		}
		if err := create(namespace.ctx); err != nil {
			return nil, err
		}
		namespace.mutex.Lock()
		defer namespace.mutex.Unlock()
		namespace.made[name] = true
		return nil, nil
	})
	select {
	case made := <-attempt:
		return made.Err
	case <-ctx.Done():
		return fmt.Errorf("the creation of %s: %w", name, context.Cause(ctx))
	}
}

// start begins to create a fixture on a target unless that was begun before, and returns how to wait for its creation.
// The creation goes on when the first who asked gives up: it ends with the run. One that failed since the API was lost is begun
// again for the next who asks. Pods come up in the order in which they were asked for.
func (namespace *namespace) start(fixture Fixture, target *target) func(context.Context) (*creation, error) {
	name := fixture.Name + target.suffix
	namespace.mutex.Lock()
	asked, found := namespace.created[name]
	if !found || asked.lost() {
		asked = &creation{target: target, done: make(chan struct{})}
		namespace.created[name] = asked
		before, has := namespace.queue, make(chan struct{})
		namespace.queue = has
		go func() {
			defer close(asked.done)
			<-before
			err := namespace.starting.Acquire(namespace.ctx, 1)
			close(has)
			if err != nil {
				asked.err = context.Cause(namespace.ctx)
				return
			}
			if asked.pod, asked.changed, asked.err = namespace.createFixture(namespace.ctx, fixture, target); asked.err != nil {
				namespace.starting.Release(1)
				return
			}
			go func() {
				defer namespace.starting.Release(1)
				// The traits that need the Pod report its failure.
				_ = asked.pod.Wait(namespace.ctx, "a start", namespace.limits.Start/2, begun)
			}()
		}()
	}
	namespace.mutex.Unlock()
	return func(ctx context.Context) (*creation, error) {
		select {
		case <-asked.done:
			return asked, asked.err
		case <-ctx.Done():
			return nil, fmt.Errorf("the creation of Pod %s: %w", name, context.Cause(ctx))
		}
	}
}

// createFixture creates all objects of a fixture, and returns its Pod with how admission changed it.
func (namespace *namespace) createFixture(ctx context.Context, fixture Fixture, target *target) (*pod.Pod, []string, error) {
	objects, err := fixture.Objects()
	if err != nil {
		return nil, nil, err
	}
	var created *pod.Pod
	var sent, stored corev1.PodSpec
	for _, object := range objects {
		switch object := object.(type) {
		case *corev1.Secret:
			err = namespace.once(ctx, "Secret "+object.Name, func(ctx context.Context) error {
				return createObject(ctx, namespace, namespace.client.CoreV1().Secrets(namespace.name).Create, object)
			})
		case *corev1.ConfigMap:
			err = namespace.once(ctx, "ConfigMap "+object.Name, func(ctx context.Context) error {
				return createObject(ctx, namespace, namespace.client.CoreV1().ConfigMaps(namespace.name).Create, object)
			})
		case *corev1.Pod:
			adapted := namespace.adapt(object, fixture, target)
			sent = adapted.Spec
			created, stored, err = namespace.createPod(ctx, adapted)
		case *appsv1.Deployment:
			namespace.adaptController(&object.ObjectMeta, object.Spec.Selector, &object.Spec.Template, fixture, target)
			if err = createObject(ctx, namespace, namespace.client.AppsV1().Deployments(namespace.name).Create, object); err == nil {
				sent = object.Spec.Template.Spec
				created, stored, err = namespace.podOf(ctx, object.Name)
			}
		case *appsv1.DaemonSet:
			namespace.adaptController(&object.ObjectMeta, object.Spec.Selector, &object.Spec.Template, fixture, target)
			if err = createObject(ctx, namespace, namespace.client.AppsV1().DaemonSets(namespace.name).Create, object); err == nil {
				sent = object.Spec.Template.Spec
				created, stored, err = namespace.podOf(ctx, object.Name)
			}
		case *batchv1.Job:
			// The API gives a Job its selector.
			namespace.adaptController(&object.ObjectMeta, &metav1.LabelSelector{}, &object.Spec.Template, fixture, target)
			if err = createObject(ctx, namespace, namespace.client.BatchV1().Jobs(namespace.name).Create, object); err == nil {
				sent = object.Spec.Template.Spec
				created, stored, err = namespace.podOf(ctx, object.Name)
			}
		default:
			err = fmt.Errorf("fixture %s: a %T is not expected", fixture.Name, object)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if created == nil {
		return nil, nil, fmt.Errorf("fixture %s has no Pod", fixture.Name)
	}
	return created, changes(sent, stored), nil
}

// createPod creates a Pod and returns it with what the API stored. One that is there although the run asked for it before was
// created then, and the answer was lost.
func (namespace *namespace) createPod(ctx context.Context, adapted *corev1.Pod) (*pod.Pod, corev1.PodSpec, error) {
	name := "Pod " + adapted.Name
	namespace.mutex.Lock()
	before := namespace.asked[name]
	namespace.asked[name] = true
	namespace.mutex.Unlock()
	created, err := namespace.client.Create(ctx, namespace.watch, adapted)
	switch {
	case err == nil:
		return created, created.Created().Spec, nil
	case !before || !apierrors.IsAlreadyExists(err):
		return nil, corev1.PodSpec{}, err
	}
	created = namespace.client.Open(namespace.watch, adapted.Namespace, adapted.Name)
	stored, err := created.Status(ctx)
	if err != nil {
		return nil, corev1.PodSpec{}, err
	}
	return created, stored.Spec, nil
}

// begun tells whether a Pod no longer costs what its start does: it has started, or the kubelet waits before it tries again.
func begun(status *corev1.Pod) bool {
	if status == nil || status.Status.Phase != corev1.PodPending {
		return true
	}
	containers := slices.Concat(status.Status.InitContainerStatuses, status.Status.ContainerStatuses)
	return slices.ContainsFunc(containers, func(container corev1.ContainerStatus) bool {
		waiting := container.State.Waiting
		return waiting != nil && !slices.Contains([]string{"", "ContainerCreating", "PodInitializing"}, waiting.Reason)
	})
}

// adapt makes the Pod of a manifest the Pod of a fixture on a target.
func (namespace *namespace) adapt(manifest *corev1.Pod, fixture Fixture, target *target) *corev1.Pod {
	adapted := manifest.DeepCopy()
	adapted.Namespace, adapted.Name = namespace.name, fixture.Name+target.suffix
	namespace.own(adapted)
	metav1.SetMetaDataLabel(&adapted.ObjectMeta, TargetLabel, target.label())
	metav1.SetMetaDataLabel(&adapted.ObjectMeta, fixtureLabel, adapted.Name)
	namespace.adaptSpec(&adapted.Spec, target)
	fixture.change(adapted)
	namespace.adapts.AdaptPod(&adapted.ObjectMeta, &adapted.Spec)
	return adapted
}

// adaptSpec puts a Pod on the target's node, under its RuntimeClass, with the images of the run.
func (namespace *namespace) adaptSpec(spec *corev1.PodSpec, target *target) {
	spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchFields: []corev1.NodeSelectorRequirement{{
				Key:      metav1.ObjectNameField,
				Operator: corev1.NodeSelectorOpIn,
				Values:   []string{target.Node},
			}},
		}}},
	}}
	// Admission gives Pods the tolerations of their RuntimeClass, but a DaemonSet's controller looks at its template alone.
	spec.Tolerations = append(spec.Tolerations, target.tolerations...)
	if target.RuntimeClass != "" {
		spec.RuntimeClassName = &target.RuntimeClass
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			containers[i].Image = namespace.image(containers[i].Image)
		}
	}
	for _, volume := range spec.Volumes {
		if volume.Image != nil {
			volume.Image.Reference = namespace.image(volume.Image.Reference)
		}
	}
}

// adaptController makes a controller and its Pods those of a fixture on a target.
func (namespace *namespace) adaptController(
	meta *metav1.ObjectMeta, selector *metav1.LabelSelector, template *corev1.PodTemplateSpec, fixture Fixture, target *target,
) {
	meta.Name, meta.Namespace = fixture.Name+target.suffix, namespace.name
	metav1.SetMetaDataLabel(meta, TargetLabel, target.label())
	metav1.SetMetaDataLabel(meta, fixtureLabel, meta.Name)
	namespace.own(&template.ObjectMeta)
	metav1.SetMetaDataLabel(&template.ObjectMeta, TargetLabel, target.label())
	metav1.SetMetaDataLabel(&template.ObjectMeta, fixtureLabel, meta.Name)
	*selector = metav1.LabelSelector{MatchLabels: map[string]string{fixtureLabel: meta.Name}}
	namespace.adaptSpec(&template.Spec, target)
	changed := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	fixture.change(changed)
	namespace.adapts.AdaptPod(&changed.ObjectMeta, &changed.Spec)
	template.ObjectMeta, template.Spec = changed.ObjectMeta, changed.Spec
}

// podOf waits for the Pod that a controller makes, and returns it with what the API stored.
func (namespace *namespace) podOf(ctx context.Context, controller string) (*pod.Pod, corev1.PodSpec, error) {
	selector := metav1.ListOptions{LabelSelector: fixtureLabel + "=" + controller}
	var made corev1.Pod
	err := poll(ctx, shortestPause, namespace.limits.Settling, func(ctx context.Context) (bool, error) {
		pods, err := namespace.client.CoreV1().Pods(namespace.name).List(ctx, selector)
		if err != nil || len(pods.Items) == 0 {
			return false, err
		}
		made = pods.Items[0]
		return true, nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return nil, made.Spec, Undecided(reports.OutOfTime, "the controller %s made no Pod within %s", controller, namespace.limits.Settling)
	}
	if err != nil {
		return nil, made.Spec, err
	}
	return namespace.client.Open(namespace.watch, namespace.name, made.Name), made.Spec, nil
}

// poll looks until it has seen enough, or the limit is over. A look that fails is followed by others, unless the API refused it: then
// no other one may succeed. When the limit is over, the error is that of the last look if it failed, and else wait.Interrupted tells so.
func poll(ctx context.Context, pause, limit time.Duration, look func(context.Context) (enough bool, err error)) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pause, limit, true, func(ctx context.Context) (bool, error) {
		enough, err := look(ctx)
		switch {
		case ctx.Err() != nil:
			return false, nil // what the end of the limit cut short has no answer
		case pod.KindOf(err) == reports.Refused:
			return false, err
		}
		last = err
		return enough && err == nil, nil
	})
	if wait.Interrupted(err) && last != nil {
		return fmt.Errorf("%v; the last look failed: %w", err, last)
	}
	return err
}

// image returns the run's reference of a test image by the name that manifests call it.
func (namespace *namespace) image(familiar string) string {
	name, _, _ := strings.Cut(familiar, ":")
	if reference, found := namespace.images[name]; found {
		return reference
	}
	return familiar
}

// clear deletes the Pods of one target that are not kept, and what would make new ones, and waits until they are gone.
func (namespace *namespace) clear(ctx context.Context, target *target, kept map[string]bool) error {
	if err := namespace.clearPods(ctx, TargetLabel+"="+target.label(), kept, namespace.limits.Settling); err != nil {
		return err
	}
	namespace.forget(target, kept)
	return nil
}

// withItsPods deletes a Job, whose Pods the API would leave otherwise.
var withItsPods = metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}

// forget lets go of what is known of the Pods of a target, but for those that are kept: they are gone.
func (namespace *namespace) forget(target *target, kept map[string]bool) {
	namespace.mutex.Lock()
	defer namespace.mutex.Unlock()
	for name, asked := range namespace.created {
		if asked.target != target || kept[name] {
			continue
		}
		select {
		case <-asked.done:
		default:
			continue // it is still being created
		}
		delete(namespace.created, name)
		if asked.pod != nil {
			namespace.watch.Forget(asked.pod.Name)
		}
	}
}

// clearPods deletes the Pods that have a label and are not kept, and their controllers.
func (namespace *namespace) clearPods(ctx context.Context, label string, kept map[string]bool, limit time.Duration) error {
	selector := metav1.ListOptions{LabelSelector: label}
	if len(kept) > 0 {
		selector.LabelSelector += fmt.Sprintf(",%s notin (%s)", fixtureLabel, strings.Join(slices.Sorted(maps.Keys(kept)), ","))
	}
	pods, apps := namespace.client.CoreV1().Pods(namespace.name), namespace.client.AppsV1()
	soon := int64(1)
	if _, err := pod.Retry(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, cmp.Or(
			apps.Deployments(namespace.name).DeleteCollection(ctx, metav1.DeleteOptions{}, selector),
			apps.DaemonSets(namespace.name).DeleteCollection(ctx, metav1.DeleteOptions{}, selector),
			namespace.deleteJobs(ctx, selector),
			pods.DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &soon}, selector),
		)
	}); err != nil {
		return err
	}
	var left []corev1.Pod
	err := poll(ctx, longestPause/2, limit, func(ctx context.Context) (bool, error) {
		listed, err := pods.List(ctx, selector)
		if err != nil {
			return false, err
		}
		left = listed.Items
		return len(left) == 0, nil
	})
	if err != nil && len(left) > 0 {
		return fmt.Errorf("%d are still there after %s, Pod %s among them: %w", len(left), limit, left[0].Name, err)
	}
	return err
}

// deleteJobs deletes the Jobs that are selected, where the run's traits make any: otherwise it has no right to it.
func (namespace *namespace) deleteJobs(ctx context.Context, selector metav1.ListOptions) error {
	if !namespace.jobs {
		return nil
	}
	return namespace.client.BatchV1().Jobs(namespace.name).DeleteCollection(ctx, withItsPods, selector)
}

// removeBut is remove, but for the Pods that are kept and what they use: their namespace stays.
func (namespace *namespace) removeBut(ctx context.Context, kept map[string]bool) error {
	if len(kept) == 0 {
		return namespace.remove(ctx)
	}
	selector := metav1.ListOptions{LabelSelector: RunLabel + "=" + namespace.runID}
	if err := namespace.clearPods(ctx, selector.LabelSelector, kept, namespace.limits.CleanUp); err != nil {
		return fmt.Errorf("left behind in namespace %s besides: %w", namespace.name, err)
	}
	if namespace.given {
		return nil
	}
	_, err := namespace.removeNamespaces(ctx, selector, namespace.name)
	return err
}

// remove deletes what the run made and waits until it is gone: its namespaces, or its objects in the one that it was given. Its error
// says what is left, as far as the API told, and how to delete that.
func (namespace *namespace) remove(ctx context.Context) error {
	what, selector := "namespaces", metav1.ListOptions{LabelSelector: RunLabel + "=" + namespace.runID}
	remove, remedy := func(ctx context.Context, selector metav1.ListOptions) ([]string, error) {
		return namespace.removeNamespaces(ctx, selector, "")
	}, "kubectl delete namespaces --selector "+selector.LabelSelector
	if namespace.given {
		what, remove = "Pods", namespace.removeObjects
		remedy = fmt.Sprintf("kubectl delete pods,deployments,daemonsets,jobs,configmaps,secrets --namespace %s --selector %s",
			namespace.name, selector.LabelSelector)
	}
	left, err := remove(ctx, selector)
	if err != nil {
		return fmt.Errorf("left behind: %s %s: %w; delete them with %s", what, strings.Join(left, ", "), err, remedy)
	}
	return nil
}

// removeObjects deletes the objects of the run in the namespace that it was given. It returns the names of the Pods that are left.
func (namespace *namespace) removeObjects(ctx context.Context, selector metav1.ListOptions) ([]string, error) {
	soon := int64(1)
	apps, core, name := namespace.client.AppsV1(), namespace.client.CoreV1(), namespace.name
	var left []string
	var deleted bool
	err := poll(ctx, longestPause/2, namespace.limits.CleanUp, func(ctx context.Context) (bool, error) {
		if deleted {
			return namespace.noneLeft(ctx, selector, &left)
		}
		if err := errors.Join(
			apps.Deployments(name).DeleteCollection(ctx, metav1.DeleteOptions{}, selector),
			apps.DaemonSets(name).DeleteCollection(ctx, metav1.DeleteOptions{}, selector),
			namespace.deleteJobs(ctx, selector),
			core.Pods(name).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &soon}, selector),
			core.ConfigMaps(name).DeleteCollection(ctx, metav1.DeleteOptions{}, selector),
			core.Secrets(name).DeleteCollection(ctx, metav1.DeleteOptions{}, selector),
		); err != nil {
			return false, err
		}
		deleted = true
		return namespace.noneLeft(ctx, selector, &left)
	})
	return left, err
}

// noneLeft tells whether no Pod is left, and names those that are.
func (namespace *namespace) noneLeft(ctx context.Context, selector metav1.ListOptions, left *[]string) (bool, error) {
	found, err := namespace.client.CoreV1().Pods(namespace.name).List(ctx, selector)
	if err != nil {
		return false, err
	}
	*left = (*left)[:0]
	for _, each := range found.Items {
		*left = append(*left, each.Name)
	}
	return len(*left) == 0, nil
}

// removeNamespaces deletes the namespaces of the run but one that is kept. It returns the names of those that are left.
func (namespace *namespace) removeNamespaces(ctx context.Context, selector metav1.ListOptions, kept string) ([]string, error) {
	var left []string
	err := poll(ctx, shortestPause, namespace.limits.CleanUp, func(ctx context.Context) (bool, error) {
		found, err := namespace.client.CoreV1().Namespaces().List(ctx, selector)
		if err != nil {
			return false, err
		}
		left = left[:0]
		for _, each := range found.Items {
			if each.Name == kept {
				continue
			}
			left = append(left, each.Name)
			if each.DeletionTimestamp == nil {
				if err := namespace.client.CoreV1().Namespaces().Delete(ctx, each.Name,
					metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
					return false, err
				}
			}
		}
		return len(left) == 0, nil
	})
	slices.Sort(left)
	return left, err
}

// diagnose gathers the state of the fixtures that a trait looked at on a target, as far as they were created by now.
func (namespace *namespace) diagnose(ctx context.Context, trait Trait, target *target) string {
	var text strings.Builder
	for _, fixture := range trait.AllFixtures() {
		namespace.mutex.Lock()
		asked, found := namespace.created[fixture.Name+target.suffix]
		namespace.mutex.Unlock()
		if !found {
			continue
		}
		select {
		case <-asked.done:
		default:
			fmt.Fprintf(&text, "Pod %s: its creation has not ended yet\n", fixture.Name)
			continue
		}
		if asked.err != nil {
			fmt.Fprintf(&text, "Pod %s: %v\n", fixture.Name, asked.err)
			continue
		}
		text.WriteString(asked.pod.Diagnose(ctx, containersOf(fixture)...))
	}
	return text.String()
}

// containersOf are the names of the containers that a fixture itself has. What admission adds is not the suite's to show.
func containersOf(fixture Fixture) []string {
	pods, err := fixture.Pods()
	if err != nil {
		return nil
	}
	var names []string
	for _, made := range pods {
		for _, each := range slices.Concat(made.Spec.InitContainers, made.Spec.Containers) {
			names = append(names, each.Name)
		}
	}
	return names
}
