package suite

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/helpers/process"
	"sharedpid.example/reports"
)

// cluster is a fake API with a kubelet that runs every Pod, and a container runtime that shares PID namespaces as Kubernetes
// says. It lives in the bubble of a test: time passes only while everybody waits. What is exported of it may be changed
// before a run begins.
type cluster struct {
	api *fake.Clientset

	Start    time.Duration // of a Pod, while it is pending
	End      time.Duration // of a Pod that is deleted
	Exec     time.Duration // of an exec
	Admit    func(*corev1.Pod) error
	Status   func(*corev1.Pod)                                                      // changes what the kubelet says of a Pod that has begun
	Commands map[string]func(ctx context.Context, at place) (pod.ExecResult, error) // by the command; any other prints nothing
	See      func(at place, seen []fakeProcess) []fakeProcess                       // changes what a look at all processes shows

	kubelets       sync.WaitGroup
	mutex          sync.Mutex
	events         []string // what was done, in its order
	pending, execs gauge
	created        map[string]*corev1.Pod // Pods as they were asked for, by name
	recorded       *recorder
	progress       []string
	clientLimits   pod.Limits
	stuck          map[string]bool // names of namespaces that cannot be deleted
	forbidden      map[string]bool // "VERB RESOURCE" that nobody may
}

// place is where a command runs.
type place struct{ Namespace, Pod, Container string }

// fakeProcess is a process as a look shows it. Its cgroups name its container.
type fakeProcess struct {
	PID       int
	Container string
	Arguments []string
}

// gauge counts what is going on at once.
type gauge struct{ now, most int }

func (gauge *gauge) add(change int) {
	gauge.now += change
	gauge.most = max(gauge.most, gauge.now)
}

var (
	podResource            = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	serviceAccountResource = schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
)

// newCluster returns a cluster with objects in it: its nodes, and RuntimeClasses. The test ends when its kubelets have done
// what they began.
func newCluster(t *testing.T, objects ...runtime.Object) *cluster {
	cluster := &cluster{
		api: fake.NewClientset(objects...), Start: 2 * time.Second, End: time.Second, Exec: 100 * time.Millisecond,
		Commands: map[string]func(context.Context, place) (pod.ExecResult, error){}, created: map[string]*corev1.Pod{},
		recorded: &recorder{}, stuck: map[string]bool{},
	}
	t.Cleanup(cluster.kubelets.Wait)
	cluster.Answer("stat -f -c %t /sys/fs/cgroup", "63677270\n")
	cluster.Answer("cat /proc/sys/kernel/osrelease", "6.1\n")
	for _, reaction := range []struct {
		verb, resource string
		react          clienttesting.ReactionFunc
	}{
		{"create", "pods", cluster.createPod}, {"update", "pods", cluster.updatePod}, {"delete", "pods", cluster.deletePod},
		{"create", "deployments", cluster.createController}, {"create", "daemonsets", cluster.createController},
		{"create", "jobs", cluster.createController},
		{"create", "namespaces", cluster.createNamespace}, {"delete", "namespaces", cluster.deleteNamespace},
		{"delete-collection", "*", cluster.deleteCollection}, {"create", "selfsubjectaccessreviews", cluster.review},
	} {
		cluster.api.PrependReactor(reaction.verb, reaction.resource, reaction.react)
	}
	return cluster
}

// newNode returns a node that is ready, with changes.
func newNode(name string, changes ...func(*corev1.Node)) *corev1.Node {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelOSStable: "linux"}},
		Status: corev1.NodeStatus{
			NodeInfo:    corev1.NodeSystemInfo{ContainerRuntimeVersion: "containerd://2.4.2", KernelVersion: "6.1", OSImage: "Linux"},
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
		},
	}
	for _, change := range changes {
		change(node)
	}
	return node
}

func newRuntimeClass(name, handler string) *nodev1.RuntimeClass {
	return &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: handler}
}

// Answer sets what a command prints in every container.
func (cluster *cluster) Answer(command, output string) {
	cluster.Commands[command] = func(context.Context, place) (pod.ExecResult, error) { return pod.ExecResult{Output: output}, nil }
}

// Options completes what a run is asked for, so that it is made on the cluster. Without limits they are the default ones.
func (cluster *cluster) Options(options Options) Options {
	options.Configuration = &rest.Config{Host: "https://cluster"}
	options.connect = func(_ *rest.Config, limits pod.Limits) (*pod.Client, error) {
		cluster.clientLimits = limits
		return pod.NewClientFrom(cluster.api, cluster, limits)
	}
	if options.Recorder == nil {
		options.Recorder = cluster.recorded
	}
	options.Progress = func(format string, values ...any) {
		cluster.mutex.Lock()
		defer cluster.mutex.Unlock()
		cluster.progress = append(cluster.progress, fmt.Sprintf(format, values...))
	}
	return options
}

// Check makes a run with traits, which must not fail, and returns its results by trait. It is for a cluster with one target.
func (cluster *cluster) Check(t *testing.T, traits ...Trait) map[string]reports.Result {
	t.Helper()
	return byTrait(cluster.mustRun(t, Options{Traits: traits}))
}

// mustRun makes a run, which must not fail.
func (cluster *cluster) mustRun(t *testing.T, options Options) reports.Run {
	t.Helper()
	run, err := Run(t.Context(), cluster.Options(options))
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func byTrait(run reports.Run) map[string]reports.Result {
	results := map[string]reports.Result{}
	for _, result := range run.Results {
		results[result.Trait] = result
	}
	return results
}

// happened notes an event.
func (cluster *cluster) happened(format string, values ...any) {
	cluster.mutex.Lock()
	defer cluster.mutex.Unlock()
	cluster.events = append(cluster.events, fmt.Sprintf(format, values...))
}

// Events returns what happened, of what begins with a prefix.
func (cluster *cluster) Events(prefix string) []string {
	cluster.mutex.Lock()
	defer cluster.mutex.Unlock()
	return slices.DeleteFunc(slices.Clone(cluster.events), func(event string) bool { return !strings.HasPrefix(event, prefix) })
}

// Asked returns a Pod as it was asked for, empty when it was not.
func (cluster *cluster) Asked(name string) *corev1.Pod {
	cluster.mutex.Lock()
	defer cluster.mutex.Unlock()
	if asked := cluster.created[name]; asked != nil {
		return asked
	}
	return &corev1.Pod{}
}

// Reject makes the API refuse requests: each one of a verb about a resource.
func (cluster *cluster) Reject(verb, resource string, err error) {
	cluster.api.PrependReactor(verb, resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, err })
}

func (cluster *cluster) createPod(action clienttesting.Action) (bool, runtime.Object, error) {
	create := action.(clienttesting.CreateActionImpl)
	if create.Subresource != "" {
		return false, nil, nil
	}
	asked := create.Object.(*corev1.Pod).DeepCopy()
	asked.Namespace = create.Namespace
	if cluster.Admit != nil {
		if err := cluster.Admit(asked); err != nil {
			return true, nil, err
		}
	}
	if len(create.CreateOptions.DryRun) > 0 {
		cluster.happened("try %s in %s", asked.Name, asked.Namespace)
		return true, asked, nil
	}
	return true, asked, cluster.add(asked)
}

// add stores a Pod and lets the kubelet start it.
func (cluster *cluster) add(asked *corev1.Pod) error {
	asked.Spec.NodeName = nodeOf(asked)
	asked.Status.Phase = corev1.PodPending
	if err := cluster.api.Tracker().Create(podResource, asked, asked.Namespace); err != nil {
		return err
	}
	cluster.happened("create %s", asked.Name)
	cluster.mutex.Lock()
	cluster.created[asked.Name] = asked.DeepCopy()
	cluster.pending.add(1)
	cluster.mutex.Unlock()
	cluster.kubelets.Go(func() {
		time.Sleep(cluster.Start)
		cluster.mutex.Lock()
		cluster.pending.add(-1)
		cluster.mutex.Unlock()
		cluster.Change(asked.Namespace, asked.Name, func(begun *corev1.Pod) {
			running(begun)
			if cluster.Status != nil {
				cluster.Status(begun)
			}
		})
	})
	return nil
}

// nodeOf is the node that a Pod's affinity names.
func nodeOf(asked *corev1.Pod) string {
	if asked.Spec.Affinity == nil {
		return ""
	}
	required := asked.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	return required.NodeSelectorTerms[0].MatchFields[0].Values[0]
}

// running says that all containers of a Pod run.
func running(begun *corev1.Pod) {
	begun.Status.Phase = corev1.PodRunning
	begun.Status.ContainerStatuses = nil
	for _, container := range begun.Spec.Containers {
		begun.Status.ContainerStatuses = append(begun.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, ContainerID: "containerd://" + containerID(begun.Name, container.Name),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		})
	}
}

func containerID(pod, container string) string { return "id-of-" + pod + "-" + container }

// Change changes a Pod as a kubelet does, unless it is gone.
func (cluster *cluster) Change(namespace, name string, change func(*corev1.Pod)) {
	stored, err := cluster.api.Tracker().Get(podResource, namespace, name)
	if err != nil {
		return
	}
	changed := stored.DeepCopyObject().(*corev1.Pod)
	change(changed)
	_ = cluster.api.Tracker().Update(podResource, changed, namespace)
}

func (cluster *cluster) updatePod(action clienttesting.Action) (bool, runtime.Object, error) {
	update := action.(clienttesting.UpdateActionImpl)
	if len(update.UpdateOptions.DryRun) == 0 {
		return false, nil, nil
	}
	asked := update.Object.(*corev1.Pod)
	cluster.happened("try update %s", asked.Name)
	if cluster.Admit != nil {
		if err := cluster.Admit(asked); err != nil {
			return true, nil, err
		}
	}
	return true, asked, nil
}

func (cluster *cluster) deletePod(action clienttesting.Action) (bool, runtime.Object, error) {
	return true, nil, cluster.end(action.GetNamespace(), action.(clienttesting.DeleteAction).GetName())
}

// end lets the kubelet end a Pod.
func (cluster *cluster) end(namespace, name string) error {
	if _, err := cluster.api.Tracker().Get(podResource, namespace, name); err != nil {
		return err
	}
	cluster.happened("delete %s", name)
	cluster.Change(namespace, name, func(ended *corev1.Pod) { ended.DeletionTimestamp = &metav1.Time{Time: time.Now()} })
	cluster.kubelets.Go(func() {
		time.Sleep(cluster.End)
		if cluster.api.Tracker().Delete(podResource, namespace, name) == nil {
			cluster.happened("gone %s", name)
		}
	})
	return nil
}

func (cluster *cluster) deleteCollection(action clienttesting.Action) (bool, runtime.Object, error) {
	collection := action.(clienttesting.DeleteCollectionActionImpl)
	cluster.happened("delete all %s", collection.Resource.Resource)
	kind := map[string]string{
		"pods": "Pod", "deployments": "Deployment", "daemonsets": "DaemonSet", "jobs": "Job", "configmaps": "ConfigMap", "secrets": "Secret",
	}[collection.Resource.Resource]
	list, err := cluster.api.Tracker().List(collection.Resource, collection.Resource.GroupVersion().WithKind(kind), collection.Namespace)
	if err != nil {
		return true, nil, err
	}
	return true, nil, meta.EachListItem(list, func(object runtime.Object) error {
		accessor, err := meta.Accessor(object)
		if err != nil || !collection.ListRestrictions.Labels.Matches(labels.Set(accessor.GetLabels())) {
			return err
		}
		if collection.Resource == podResource {
			return cluster.end(collection.Namespace, accessor.GetName())
		}
		return cluster.api.Tracker().Delete(collection.Resource, collection.Namespace, accessor.GetName())
	})
}

// review answers whether something is allowed.
func (cluster *cluster) review(action clienttesting.Action) (bool, runtime.Object, error) {
	asked := action.(clienttesting.CreateActionImpl).Object.(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
	of := asked.Spec.ResourceAttributes
	asked.Status.Allowed = !cluster.forbidden[strings.TrimSuffix(of.Verb+" "+of.Resource+"/"+of.Subresource, "/")]
	return true, asked, nil
}

// createController makes the one Pod of a Deployment, DaemonSet or Job a second after it.
func (cluster *cluster) createController(action clienttesting.Action) (bool, runtime.Object, error) {
	var name string
	var template corev1.PodTemplateSpec
	switch object := action.(clienttesting.CreateActionImpl).Object.(type) {
	case *appsv1.Deployment:
		name, template = object.Name, object.Spec.Template
	case *appsv1.DaemonSet:
		name, template = object.Name, object.Spec.Template
	case *batchv1.Job:
		name, template = object.Name, object.Spec.Template
	}
	cluster.kubelets.Go(func() {
		time.Sleep(time.Second)
		made := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
		made.Name, made.Namespace = name+"-x7k2p", action.GetNamespace()
		if cluster.Admit == nil || cluster.Admit(made) == nil {
			_ = cluster.add(made)
		}
	})
	return false, nil, nil
}

// createNamespace lets a namespace have its service account a moment later, as a real one has.
func (cluster *cluster) createNamespace(action clienttesting.Action) (bool, runtime.Object, error) {
	name := action.(clienttesting.CreateActionImpl).Object.(*corev1.Namespace).Name
	cluster.happened("create namespace %s", name)
	cluster.kubelets.Go(func() {
		time.Sleep(300 * time.Millisecond)
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: name}}
		_ = cluster.api.Tracker().Create(serviceAccountResource, account, name)
	})
	return false, nil, nil
}

func (cluster *cluster) deleteNamespace(action clienttesting.Action) (bool, runtime.Object, error) {
	name := action.(clienttesting.DeleteAction).GetName()
	cluster.happened("delete namespace %s", name)
	return cluster.stuck[name], nil, nil
}

// Execute is that of pod.Executor: it runs the commands of the script that package pod sends.
func (cluster *cluster) Execute(
	ctx context.Context, namespace, name string, options *corev1.PodExecOptions, _ io.Reader, stdout, _ io.Writer,
) error {
	at := place{namespace, name, options.Container}
	stored, err := cluster.api.Tracker().Get(podResource, namespace, name)
	if err != nil || pod.Container(stored.(*corev1.Pod), options.Container).State.Running == nil {
		return apierrors.NewNotFound(podResource.GroupResource(), name)
	}
	cluster.mutex.Lock()
	cluster.execs.add(1)
	cluster.mutex.Unlock()
	defer func() {
		cluster.mutex.Lock()
		defer cluster.mutex.Unlock()
		cluster.execs.add(-1)
	}()
	select {
	case <-time.After(cluster.Exec):
	case <-ctx.Done():
		return ctx.Err()
	}
	var answers strings.Builder
	for _, part := range strings.Split(options.Command[2], "{ ( ")[1:] {
		command, _, _ := strings.Cut(part, "\n) 2>&1; printf")
		result, err := cluster.execute(ctx, at, stored.(*corev1.Pod), command)
		if err != nil {
			return err
		}
		fmt.Fprintf(&answers, "%s\n", hex.EncodeToString(fmt.Appendf(nil, "%s\n%d", result.Output, result.ExitCode)))
	}
	_, err = io.WriteString(stdout, answers.String()+"complete\n")
	return err
}

func (cluster *cluster) execute(ctx context.Context, at place, running *corev1.Pod, command string) (pod.ExecResult, error) {
	if command == process.Script {
		cluster.happened("look %s/%s", at.Pod, at.Container)
		return pod.ExecResult{Output: cluster.look(at, running)}, nil
	}
	cluster.happened("exec %s/%s: %s", at.Pod, at.Container, command)
	if answer := cluster.Commands[command]; answer != nil {
		return answer(ctx, at)
	}
	return pod.ExecResult{}, nil
}

// look prints the processes that a container sees: pause and those of all containers when they share, else its own.
func (cluster *cluster) look(at place, running *corev1.Pod) string {
	shares := running.Spec.ShareProcessNamespace != nil && *running.Spec.ShareProcessNamespace
	var seen []fakeProcess
	if shares {
		seen = append(seen, fakeProcess{PID: 1, Arguments: []string{"/pause"}})
	}
	for i, container := range running.Spec.Containers {
		if !shares && container.Name == at.Container {
			seen = append(seen, fakeProcess{1, container.Name, container.Command})
		} else if shares {
			seen = append(seen, fakeProcess{7 + i, container.Name, container.Command})
		}
	}
	if cluster.See != nil {
		seen = cluster.See(at, seen)
	}
	const self = 100
	seen = append(seen, fakeProcess{self, at.Container, []string{"sh", "-c", "look"}})
	var text strings.Builder
	fmt.Fprintf(&text, "self %d\n", self)
	for _, each := range seen {
		for _, line := range []string{"State:\tS (sleeping)", "PPid:\t0", "Uid:\t0\t0\t0\t0", "Gid:\t0\t0\t0\t0", "Groups:\t",
			"NSpid:\t1", "CapPrm:\t0", "CapEff:\t0"} {
			fmt.Fprintf(&text, "/proc/%d/status:%s\n", each.PID, line)
		}
		fmt.Fprintf(&text, "/proc/%d/stat:%d (name) S%s\n", each.PID, each.PID, strings.Repeat(" 0", 30))
		fmt.Fprintf(&text, "/proc/%d/cgroup:0::/pod/%s\n", each.PID, containerID(at.Pod, each.Container))
		fmt.Fprintf(&text, "cmdline %d\n % x\nend\n", each.PID, strings.Join(each.Arguments, "\x00"))
	}
	return text.String() + "complete\n"
}

// recorder is a Recorder that keeps what it was told.
type recorder struct {
	fails error // what Add returns

	mutex   sync.Mutex
	told    []string
	records []reports.Run
	results []reports.Result
	looks   []reports.Look
}

func (recorder *recorder) Record(run reports.Run) {
	recorder.mutex.Lock()
	defer recorder.mutex.Unlock()
	recorder.told = append(recorder.told, fmt.Sprintf("record of %d targets, running %t", len(run.Targets), run.Running))
	recorder.records = append(recorder.records, run)
}

func (recorder *recorder) Add(result reports.Result, looks []reports.Look) error {
	recorder.mutex.Lock()
	defer recorder.mutex.Unlock()
	recorder.told = append(recorder.told, "add "+result.Trait+" on "+result.Target)
	recorder.results = append(recorder.results, result)
	recorder.looks = append(recorder.looks, looks...)
	return recorder.fails
}

// newFixture returns a fixture of a Pod that shares. Each of its containers runs "sleep NAME".
func newFixture(name string, containers ...string) Fixture {
	return Fixture{Name: name, Objects: func() ([]runtime.Object, error) {
		return []runtime.Object{&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: newPodSpec(containers...)}}, nil
	}}
}

func newPodSpec(containers ...string) corev1.PodSpec {
	yes := true
	spec := corev1.PodSpec{ShareProcessNamespace: &yes}
	for _, container := range containers {
		spec.Containers = append(spec.Containers, corev1.Container{
			Name: container, Image: "busybox:1.37.0", Command: sleep(container).Arguments,
		})
	}
	return spec
}

// sleep is the process of a container of newFixture.
func sleep(container string) Process {
	return Process{Container: container, Arguments: []string{"sleep", container}}
}

// unshared returns the control of a fixture.
func unshared(fixture Fixture) Fixture {
	fixture.Name, fixture.Unshared = fixture.Name+"-unshared", true
	return fixture
}

func stable(fixture Fixture) Fixture {
	fixture.Stable = true
	return fixture
}

// newTrait returns a trait that is complete but for what its check does.
func newTrait(id string, check func(ctx context.Context, session *Session, judge Judge) error, fixtures ...Fixture) Trait {
	return Trait{
		ID: id, Statement: "A Pod MUST.", Profile: Core, Sources: []string{"https://example.com"}, Fixtures: fixtures, Check: check,
	}
}

// passes is a check that asks nothing.
func passes(context.Context, *Session, Judge) error { return nil }

// runs returns a check that waits until all containers of a fixture run.
func runs(fixture Fixture, containers ...string) func(context.Context, *Session, Judge) error {
	return func(ctx context.Context, session *Session, _ Judge) error {
		return session.Running(ctx, fixture, containers...)
	}
}

// after returns a check that takes a time.
func after(duration time.Duration) func(context.Context, *Session, Judge) error {
	return func(ctx context.Context, _ *Session, _ Judge) error {
		select {
		case <-time.After(duration):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// expectVerdict fails the test unless a result is as wanted, and its reason holds the words.
func expectVerdict(t *testing.T, result reports.Result, verdict reports.Verdict, kind reports.Kind, words string) {
	t.Helper()
	if result.Verdict != verdict || result.Kind != kind || !strings.Contains(result.Reason, words) {
		t.Errorf("%s is %s (%s): %s\n%s\nwant %s (%s): %s", result.Trait, result.Verdict, result.Kind, result.Reason, result.Stack,
			verdict, kind, words)
	}
}

// expectError fails the test unless an error holds all words.
func expectError(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, each := range words {
		if err == nil || !strings.Contains(err.Error(), each) {
			t.Errorf("error is %v, want one with %q", err, each)
		}
	}
}

// expectEqual fails the test unless two lists are the same.
func expectEqual[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%v\nwant\n%v", what, got, want)
	}
}
