package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// TestControlsDoNotShare whatever makes their Pod, and fixtures are changed once more.
func TestControlsDoNotShare(t *testing.T) {
	objects := map[string]func() runtime.Object{
		"pod": func() runtime.Object { return &corev1.Pod{Spec: newPodSpec("one")} },
		"deployment": func() runtime.Object {
			return &appsv1.Deployment{Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{}, Template: corev1.PodTemplateSpec{Spec: newPodSpec("one")},
			}}
		},
		"daemonset": func() runtime.Object {
			return &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{
				Selector: &metav1.LabelSelector{}, Template: corev1.PodTemplateSpec{Spec: newPodSpec("one")},
			}}
		},
	}
	for kind, object := range objects {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t, newNode("a"))
				shared := Fixture{Name: "pair", Objects: func() ([]runtime.Object, error) { return []runtime.Object{object()}, nil }}
				control := unshared(shared)
				control.Change = func(made *corev1.Pod) { made.Spec.HostPID = true }
				results := cluster.Check(t, newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
					return errors.Join(session.Running(ctx, shared, "one"), session.Running(ctx, control, "one"))
				}, shared, control))
				expectVerdict(t, results["group/a"], reports.Conformant, "", "")
				suffix := map[string]string{"pod": ""}[kind]
				if kind != "pod" {
					suffix = "-x7k2p"
				}
				first, second := cluster.Asked("pair"+suffix), cluster.Asked("pair-unshared"+suffix)
				if first.Spec.ShareProcessNamespace == nil || !*first.Spec.ShareProcessNamespace || first.Spec.HostPID {
					t.Errorf("the Pod is %+v", first)
				}
				if second.Spec.ShareProcessNamespace != nil || !second.Spec.HostPID {
					t.Errorf("the control is %+v", second)
				}
				for _, made := range []*corev1.Pod{first, second} {
					if nodeOf(made) != "a" || made.Labels[TargetLabel] != "target" {
						t.Errorf("the Pod is %+v", made)
					}
				}
			})
		})
	}
}

// TestWhatSeveralFixturesUseIsCreatedOnce, and again when it failed.
func TestWhatSeveralFixturesUseIsCreatedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		fixture := func(name string) Fixture {
			return Fixture{Name: name, Objects: func() ([]runtime.Object, error) {
				return []runtime.Object{
					&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "password"}},
					&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}},
					&corev1.Pod{Spec: newPodSpec("one")},
				}, nil
			}}
		}
		var traits []Trait
		for _, name := range []string{"x", "y", "z"} {
			traits = append(traits, newTrait("group/"+name, runs(fixture(name), "one"), fixture(name)))
		}
		run, err := Run(t.Context(), cluster.Options(Options{Traits: traits, Disposable: true}))
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range run.Results {
			expectVerdict(t, result, reports.Conformant, "", "")
		}
		namespace := "sharedpid-" + run.ID
		if _, err := cluster.api.CoreV1().Secrets(namespace).Get(t.Context(), "password", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
		if _, err := cluster.api.CoreV1().ConfigMaps(namespace).Get(t.Context(), "settings", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
		made, _ := cluster.api.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
		if made.Labels[RunLabel] != run.ID || made.Labels[OwnerLabel] != Owner || made.Labels[ExpiresLabel] == "" ||
			made.Labels["pod-security.kubernetes.io/enforce"] != "privileged" {
			t.Errorf("labels of the namespace are %v", made.Labels)
		}
	})
	namespace, attempts := &namespace{ctx: t.Context(), made: map[string]bool{}}, 0
	create := func(context.Context) error {
		if attempts++; attempts == 1 {
			return errors.New("lost")
		}
		return nil
	}
	make := func() error { return namespace.once(t.Context(), "x", create) }
	if make() == nil || make() != nil || make() != nil || attempts != 2 {
		t.Errorf("%d attempts, want a second one after the first has failed", attempts)
	}
}

// TestAFixtureThatCannotBeCreatedSaysWhy and gives back its place among those that come up.
func TestAFixtureThatCannotBeCreatedSaysWhy(t *testing.T) {
	objects := func(objects ...runtime.Object) func() ([]runtime.Object, error) {
		return func() ([]runtime.Object, error) { return objects, nil }
	}
	forbidden := apierrors.NewForbidden(podResource.GroupResource(), "x", errors.New("by quota"))
	for name, test := range map[string]struct {
		objects func() ([]runtime.Object, error)
		reject  string
		kind    reports.Kind
		words   string
	}{
		"no manifest":  {func() ([]runtime.Object, error) { return nil, errors.New("no such file") }, "", reports.Lost, "no such file"},
		"no Pod":       {objects(&corev1.Secret{}), "", reports.Lost, "fixture bad has no Pod"},
		"another kind": {objects(&corev1.Service{}), "", reports.Lost, "a *v1.Service is not expected"},
		"Pod":          {objects(&corev1.Pod{}), "pods", reports.Refused, "by quota"},
		"Secret":       {objects(&corev1.Secret{}, &corev1.Pod{}), "secrets", reports.Refused, "by quota"},
		"ConfigMap":    {objects(&corev1.ConfigMap{}, &corev1.Pod{}), "configmaps", reports.Refused, "by quota"},
		"Deployment": {objects(&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{}}}), "deployments",
			reports.Refused, "by quota"},
		"DaemonSet": {objects(&appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{}}}), "daemonsets",
			reports.Refused, "by quota"},
		"Job": {objects(&batchv1.Job{}), "jobs", reports.Refused, "by quota"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t, newNode("a"))
				if test.reject != "" && test.reject != "pods" {
					cluster.Reject("create", test.reject, forbidden)
				}
				cluster.Admit = func(asked *corev1.Pod) error {
					if test.reject == "pods" && asked.Name == "bad" {
						return forbidden
					}
					return nil
				}
				bad, good := Fixture{Name: "bad", Objects: test.objects}, newFixture("good", "one")
				run, err := Run(t.Context(), cluster.Options(Options{Starting: 1, Traits: []Trait{
					newTrait("group/a", runs(bad, "one"), bad), newTrait("group/b", runs(good, "one"), good),
				}}))
				if err != nil {
					t.Fatal(err)
				}
				expectVerdict(t, byTrait(run)["group/a"], reports.Inconclusive, test.kind, test.words)
				expectVerdict(t, byTrait(run)["group/b"], reports.Conformant, "", "")
			})
		})
	}
}

func TestAControllerThatMakesNoPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Admit = func(*corev1.Pod) error { return errors.New("no") }
		fixture := Fixture{Name: "pair", Objects: func() ([]runtime.Object, error) {
			return []runtime.Object{&appsv1.Deployment{Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{}, Template: corev1.PodTemplateSpec{Spec: newPodSpec("one")},
			}}}, nil
		}}
		result := cluster.Check(t, newTrait("group/a", runs(fixture, "one"), fixture))["group/a"]
		expectVerdict(t, result, reports.Inconclusive, reports.OutOfTime, "the controller pair made no Pod within 1m0s")
	})
}

// TestAPodIsCreatedForAllWhoAskForIt although the first of them gives up.
func TestAPodIsCreatedForAllWhoAskForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		slow, late := newFixture("slow", "one"), newFixture("late", "one")
		late.Objects = func() ([]runtime.Object, error) {
			time.Sleep(30 * time.Second)
			return newFixture("late", "one").Objects()
		}
		impatient := newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
			limited, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return session.Running(limited, late, "one")
		}, slow)
		impatient.Requires = []Requirement{{"nothing", func(context.Context, *Session) (string, error) { return "", nil }}}
		results := cluster.Check(t, impatient, newTrait("group/b", func(ctx context.Context, session *Session, _ Judge) error {
			return session.Running(ctx, late, "one")
		}, late))
		expectVerdict(t, results["group/a"], reports.Inconclusive, reports.OutOfTime, "the creation of Pod late")
		expectVerdict(t, results["group/b"], reports.Conformant, "", "")
		if created := cluster.Events("create late"); len(created) != 1 {
			t.Errorf("created were %v", created)
		}
	})
}

func TestTheImageOfAManifest(t *testing.T) {
	namespace := &namespace{images: map[string]string{"busybox": "registry/box@sha256:1"}}
	for familiar, want := range map[string]string{
		"busybox:1.37.0": "registry/box@sha256:1", "busybox": "registry/box@sha256:1", "nginx:1": "nginx:1", "busyboxes:1": "busyboxes:1",
	} {
		if got := namespace.image(familiar); got != want {
			t.Errorf("image of %s is %s, want %s", familiar, got, want)
		}
	}
	spec := newPodSpec("one")
	spec.Volumes = []corev1.Volume{{Name: "scratch"}, imageVolume("content")}
	spec.Volumes[1].Image.Reference = "busybox:1.37.0"
	namespace.adaptSpec(&spec, &target{})
	expectEqual(t, "image of a volume", []string{spec.Volumes[1].Image.Reference}, []string{"registry/box@sha256:1"})
}

// TestImageNames has those of containers and of volumes, each once.
func TestImageNames(t *testing.T) {
	spec := newPodSpec("one", "two")
	spec.Volumes = []corev1.Volume{{Name: "scratch"}, imageVolume("content")}
	spec.Volumes[1].Image.Reference = "nginx:1"
	fixture := Fixture{Objects: func() ([]runtime.Object, error) {
		return []runtime.Object{&corev1.Secret{}, &corev1.Pod{Spec: spec}}, nil
	}}
	names, err := ImageNames([]Trait{newTrait("group/a", passes, fixture)})
	if err != nil {
		t.Fatal(err)
	}
	expectEqual(t, "images", names, []string{"busybox", "nginx"})
}

// TestContainersOf names those of the manifest, of all kinds.
func TestContainersOf(t *testing.T) {
	spec := newPodSpec("one", "two")
	spec.InitContainers = []corev1.Container{{Name: "init"}}
	for _, object := range []runtime.Object{
		&corev1.Pod{Spec: spec}, &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: spec}}},
		&appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: spec}}},
	} {
		fixture := Fixture{Objects: func() ([]runtime.Object, error) { return []runtime.Object{&corev1.Secret{}, object}, nil }}
		expectEqual(t, "containers", containersOf(fixture), []string{"init", "one", "two"})
	}
	if names := containersOf(Fixture{Objects: func() ([]runtime.Object, error) { return nil, errors.New("none") }}); names != nil {
		t.Errorf("containers are %v", strings.Join(names, " "))
	}
}

// TestPodsComeUpInTheOrderInWhichTheyWereAskedFor asks for so many at once that chance does not put them in order.
func TestPodsComeUpInTheOrderInWhichTheyWereAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		var fixtures []Fixture
		for number := range 30 {
			fixtures = append(fixtures, newFixture(fmt.Sprintf("pod-%02d", number), "one"))
		}
		trait := newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
			for _, fixture := range fixtures {
				if err := session.Running(ctx, fixture, "one"); err != nil {
					return err
				}
			}
			return nil
		}, fixtures...)
		if _, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{trait}, Starting: 1})); err != nil {
			t.Fatal(err)
		}
		created := cluster.Events("create pod-")
		if len(created) != len(fixtures) || !slices.IsSorted(created) {
			t.Errorf("Pods came up as %q", created)
		}
	})
}

// unavailable is what the API answers when a part of it is lost.
var unavailable = apierrors.NewServiceUnavailable("etcd is gone")

// loseAnswers makes the API create what it is asked for and lose its answer, a number of times.
func (cluster *cluster) loseAnswers(resource string, times int) {
	cluster.api.PrependReactor("create", resource, func(action clienttesting.Action) (bool, runtime.Object, error) {
		create := action.(clienttesting.CreateActionImpl)
		if create.Subresource != "" || times == 0 || len(create.CreateOptions.DryRun) > 0 {
			return false, nil, nil
		}
		times--
		if asked, isPod := create.Object.DeepCopyObject().(*corev1.Pod); isPod {
			asked.Namespace = create.Namespace
			_ = cluster.add(asked)
		} else {
			_ = cluster.api.Tracker().Create(create.Resource, create.Object, create.Namespace)
		}
		return true, nil, unavailable
	})
}

// TestACreationIsAskedForAgain when its answer was lost: at once, and when that is of no use for the next trait that asks.
func TestACreationIsAskedForAgain(t *testing.T) {
	template := corev1.PodTemplateSpec{Spec: newPodSpec("one")}
	for resource, objects := range map[string]func() []runtime.Object{
		"namespaces": func() []runtime.Object { return []runtime.Object{&corev1.Pod{Spec: newPodSpec("one")}} },
		"pods":       func() []runtime.Object { return []runtime.Object{&corev1.Pod{Spec: newPodSpec("one")}} },
		"secrets": func() []runtime.Object {
			return []runtime.Object{&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, &corev1.Pod{Spec: newPodSpec("one")}}
		},
		"configmaps": func() []runtime.Object {
			return []runtime.Object{&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, &corev1.Pod{Spec: newPodSpec("one")}}
		},
		"deployments": func() []runtime.Object {
			return []runtime.Object{&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{}, Template: template}}}
		},
		"daemonsets": func() []runtime.Object {
			return []runtime.Object{&appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{}, Template: template}}}
		},
		"jobs": func() []runtime.Object {
			return []runtime.Object{&batchv1.Job{Spec: batchv1.JobSpec{Template: template}}}
		},
	} {
		fixture := Fixture{Name: "pair", Objects: func() ([]runtime.Object, error) { return objects(), nil }}
		traits := []Trait{newTrait("group/a", runs(fixture, "one"), fixture), newTrait("group/b", runs(fixture, "one"), fixture)}
		for times, first := range map[int]reports.Verdict{1: reports.Conformant, 7: reports.Inconclusive} {
			if resource == "namespaces" && times > 1 {
				continue // there is no run without its namespace
			}
			if resource == "pods" && times == 1 {
				continue // package pod tells by who wrote the Pod, which the fake API does not keep
			}
			t.Run(fmt.Sprint(resource, " ", times), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cluster := newCluster(t, newNode("a"))
					cluster.loseAnswers(resource, times)
					run, err := Run(t.Context(), cluster.Options(Options{Traits: traits, Parallel: 1, Starting: 1}))
					if err != nil {
						t.Fatal(err)
					}
					if result := byTrait(run)["group/a"]; result.Verdict != first ||
						first == reports.Inconclusive && result.Kind != reports.Lost {
						t.Errorf("the first trait is %s (%s): %s", result.Verdict, result.Kind, result.Reason)
					}
					expectVerdict(t, byTrait(run)["group/b"], reports.Conformant, "", "")
				})
			})
		}
	}
}

// TestWhatSomebodyElseMadeIsNotTakenForOurs: that it is there already is an error the first time.
func TestWhatSomebodyElseMadeIsNotTakenForOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		options := cluster.Options(Options{Traits: []Trait{newTrait("group/a", passes)}})
		options.Run = NewRun(options)
		_ = cluster.api.Tracker().Create(corev1.SchemeGroupVersion.WithResource("namespaces"),
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "sharedpid-" + options.Run.ID}}, "")
		_, err := Run(t.Context(), options)
		expectError(t, err, "already exists")
	})
}

// TestAListThatFailsDoesNotEndAWait: the answer may come before the limit is over, and if not, the error names what failed.
func TestAListThatFailsDoesNotEndAWait(t *testing.T) {
	waits := map[string]struct {
		resource string
		wait     func(context.Context, *namespace) error
	}{
		"the nodes": {"nodes", func(ctx context.Context, namespace *namespace) error {
			_, _, err := findTargets(ctx, namespace.client, nodeSelection{}, noClass, namespace.limits.Nodes)
			return err
		}},
		"the Pod of a controller": {"pods", func(ctx context.Context, namespace *namespace) error {
			_, _, err := namespace.podOf(ctx, "controller")
			return err
		}},
		"the Pods of a target to be gone": {"pods", func(ctx context.Context, namespace *namespace) error {
			return namespace.clear(ctx, newTarget("other"), nil)
		}},
		"the namespaces to be gone": {"namespaces", func(ctx context.Context, namespace *namespace) error {
			return namespace.remove(ctx)
		}},
	}
	for name, test := range waits {
		t.Run(name, func(t *testing.T) {
			for _, lasts := range []time.Duration{5 * time.Second, time.Hour} {
				synctest.Test(t, func(t *testing.T) {
					cluster := newCluster(t, newNode("a"), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
						Name: "made", Namespace: "run", Labels: map[string]string{fixtureLabel: "controller", TargetLabel: "target-9"},
					}})
					begun := time.Now()
					cluster.api.PrependReactor("list", test.resource, func(clienttesting.Action) (bool, runtime.Object, error) {
						return time.Since(begun) < lasts, nil, unavailable
					})
					client, err := pod.NewClientFrom(cluster.api, cluster, pod.Limits{Execs: 1, RequestsPerSecond: 100})
					if err != nil {
						t.Fatal(err)
					}
					err = test.wait(t.Context(), &namespace{client: client, name: "run", runID: "x", limits: DefaultLimits()})
					if waited := time.Since(begun); lasts < time.Minute {
						if err != nil || waited < lasts || waited > 2*lasts {
							t.Errorf("%v after %s", err, waited)
						}
					} else if expectError(t, err, "etcd is gone"); waited < time.Minute || pod.KindOf(err) != reports.Lost {
						t.Errorf("the error is %s after %s", pod.KindOf(err), waited)
					}
				})
			}
		})
	}
}

// TestAPodThatCannotStartLetsOthersStart as one that has started does.
func TestAPodThatCannotStartLetsOthersStart(t *testing.T) {
	for reason, want := range map[string]bool{
		"": false, "ContainerCreating": false, "PodInitializing": false, "ErrImagePull": true, "CreateContainerError": true,
	} {
		var status corev1.Pod
		status.Status.Phase = corev1.PodPending
		status.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: reason},
		}}}
		if begun(&status) != want {
			t.Errorf("%q: %t, want %t", reason, begun(&status), want)
		}
	}
}

// given is a namespace of somebody, with a Pod of theirs.
func given(labels map[string]string) []runtime.Object {
	return []runtime.Object{
		newNode("a"), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: "theirs"}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "theirs", Namespace: "theirs", Labels: labels}},
	}
}

// TestAGivenNamespaceKeepsWhatIsNotTheRuns, and no namespace is made or removed.
func TestAGivenNamespaceKeepsWhatIsNotTheRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, given(nil)...)
		fixture := Fixture{Name: "pair", Objects: func() ([]runtime.Object, error) {
			return []runtime.Object{&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "password"}}, &corev1.Pod{Spec: newPodSpec("one")}}, nil
		}}
		levelled := newTrait("group/level", func(ctx context.Context, session *Session, _ Judge) error {
			_, err := session.TryCreate(ctx, "sharing under restricted", "restricted", SmallestPod("busybox"))
			return err
		})
		run, err := Run(t.Context(), cluster.Options(Options{
			Traits: []Trait{newTrait("group/a", runs(fixture, "one"), fixture), levelled}, Namespace: "theirs",
		}))
		if err != nil {
			t.Fatal(err)
		}
		results := map[string]reports.Result{}
		for _, result := range run.Results {
			results[result.Trait] = result
		}
		expectVerdict(t, results["group/a"], reports.Conformant, "", "")
		expectVerdict(t, results["group/level"], reports.Unsupported, "", "the run was given the namespace theirs")
		if made := cluster.Asked("pair"); made.Namespace != "theirs" || made.Labels[RunLabel] != run.ID || made.Labels[OwnerLabel] != Owner {
			t.Errorf("the Pod is %+v", made.ObjectMeta)
		}
		pods, err := cluster.api.CoreV1().Pods("theirs").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(pods.Items) != 1 || pods.Items[0].Name != "theirs" {
			t.Errorf("left are %v, %v", pods.Items, err)
		}
		if secrets, err := cluster.api.CoreV1().Secrets("theirs").List(t.Context(), metav1.ListOptions{}); err != nil || len(secrets.Items) > 0 {
			t.Errorf("left are %v, %v", secrets.Items, err)
		}
		if events := slices.Concat(cluster.Events("create namespace"), cluster.Events("delete namespace")); len(events) > 0 {
			t.Errorf("it did %v", events)
		}
		again, err := JudgeAgain(run, []Trait{levelled})
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range again.Results {
			if result.Trait == "group/level" && result.Verdict != reports.Unsupported {
				t.Errorf("judged again it is %s: %s", result.Verdict, result.Reason)
			}
		}
	})
}

// TestAGivenNamespaceThatCannotBeUsed ends the run before anything is made.
func TestAGivenNamespaceThatCannotBeUsed(t *testing.T) {
	leaving := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "theirs", DeletionTimestamp: &metav1.Time{}, Finalizers: []string{"x"}}}
	for words, objects := range map[string][]runtime.Object{
		"there is no namespace theirs":                               {newNode("a")},
		"the namespace theirs is being deleted":                      {newNode("a"), leaving},
		"the namespace theirs holds Pods of run x: wait for its end": given(map[string]string{RunLabel: "x"}),
	} {
		synctest.Test(t, func(t *testing.T) {
			cluster := newCluster(t, objects...)
			run, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{newTrait("group/a", passes)}, Namespace: "theirs"}))
			expectError(t, err, words)
			if created := cluster.Events("create"); len(created) > 0 || len(run.Results) > 0 {
				t.Errorf("%s: it did %v", words, created)
			}
		})
	}
}
