package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sharedpid.example/reports"
)

// TestRunOnTwoNodesUnderTwoRuntimeClasses is a run as a whole.
func TestRunOnTwoNodesUnderTwoRuntimeClasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"), newNode("b"),
			newRuntimeClass("crun", "crun-handler"), newRuntimeClass("runc", "runc-handler"))
		fixture := newFixture("pair", "one", "two")
		sees := newTrait("group/sees", func(ctx context.Context, session *Session, _ Judge) error {
			_, err := session.Await(ctx, fixture, "one", "all", sleep("one"), sleep("two"))
			return err
		}, fixture)
		deviation := reports.Deviation{Runtime: "runc", Trait: "group/wrong", Reason: "known"}
		var checked []string
		var mutex sync.Mutex // targets of two nodes are checked at the same time
		run, err := Run(t.Context(), cluster.Options(Options{
			Traits: []Trait{
				sees,
				newTrait("group/wrong", func(context.Context, *Session, Judge) error { return &Violation{"seen otherwise"} }),
				newTrait("group/without", func(context.Context, *Session, Judge) error { return &Unsupported{"the platform has none"} }),
			},
			Profile: "core", SuiteVersion: "1.2", Arguments: []string{"run"}, Narrowed: []string{"--trait"},
			RuntimeClasses: []string{"crun", "runc"},
			Images: func(node corev1.Node) (map[string]string, error) {
				return map[string]string{"busybox": node.Name + "/box:2"}, nil
			},
			RuntimeVersion: func(_ context.Context, target reports.Target) string { return "version of " + target.RuntimeHandler },
			KnownDeviations: func(target reports.Target) ([]reports.Deviation, error) {
				return map[string][]reports.Deviation{"runc": {deviation}}[target.RuntimeClass], nil
			},
			Checked: func(_ context.Context, target reports.Target, suffix, namespace string) {
				mutex.Lock()
				defer mutex.Unlock()
				checked = append(checked, target.ID+suffix+" in "+namespace)
			},
		}))
		if err != nil {
			t.Fatal(err)
		}
		namespace := "sharedpid-" + run.ID
		var ids, handlers, versions []string
		for _, target := range run.Targets {
			ids, handlers = append(ids, target.ID), append(handlers, target.RuntimeHandler)
			versions = append(versions, target.RuntimeVersion)
		}
		expectEqual(t, "targets", ids, []string{"a/crun", "a/runc", "b/crun", "b/runc"})
		expectEqual(t, "handlers", handlers, []string{"crun-handler", "runc-handler", "crun-handler", "runc-handler"})
		expectEqual(t, "versions", versions[:2], []string{"version of crun-handler", "version of runc-handler"})
		if len(run.Plan) != 12 || len(run.Results) != 12 || run.Running || run.SetupError != "" || run.Profile != "core" ||
			run.SuiteVersion != "1.2" || run.Arguments[0] != "run" || run.Narrowed[0] != "--trait" || run.Cluster.KubernetesVersion == "" {
			t.Errorf("the run is %+v", run)
		}
		expectEqual(t, "plan", run.Plan[:4], []reports.Planned{
			{Trait: "group/sees", Target: "a/crun"}, {Trait: "group/wrong", Target: "a/crun"}, {Trait: "group/without", Target: "a/crun"},
			{Trait: "group/sees", Target: "a/runc"},
		})
		for _, result := range run.Results {
			switch result.Trait {
			case "group/sees":
				expectVerdict(t, result, reports.Conformant, "", "observed")
			case "group/wrong":
				expectVerdict(t, result, reports.Nonconformant, "", "seen otherwise")
				if known := strings.HasSuffix(result.Target, "/runc"); (result.KnownDeviation != nil) != known {
					t.Errorf("deviation of %s on %s is %v", result.Trait, result.Target, result.KnownDeviation)
				}
			case "group/without":
				expectVerdict(t, result, reports.Unsupported, "", "the platform has none")
			}
			if result.Namespace != namespace || result.Statement == "" || result.Profile != "core" || len(result.Sources) == 0 {
				t.Errorf("the result is %+v", result)
			}
		}
		for i, target := range run.Targets {
			asked := cluster.Asked(fmt.Sprintf("pair-%d", i+1))
			if nodeOf(asked) != target.Node || asked.Spec.NodeSelector != nil || *asked.Spec.RuntimeClassName != target.RuntimeClass ||
				asked.Spec.Containers[1].Image != "a/box:2" || asked.Labels[TargetLabel] == "" || len(asked.Spec.Tolerations) != 0 ||
				asked.Namespace != namespace || !*asked.Spec.ShareProcessNamespace {
				t.Errorf("Pod of %s is %+v", target.ID, asked)
			}
		}
		required := cluster.Asked("pair-1").Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		field := required.NodeSelectorTerms[0].MatchFields[0]
		if field.Key != "metadata.name" || field.Operator != corev1.NodeSelectorOpIn {
			t.Errorf("the Pod is bound to its node by %+v", field)
		}
		slices.Sort(checked)
		if len(checked) != 4 || checked[0] != "a/crun-1 in "+namespace || run.Images["busybox"] != "a/box:2" {
			t.Errorf("checked %v with images %v", checked, run.Images)
		}
		expectEqual(t, "namespaces deleted", cluster.Events("delete namespace"), []string{"delete namespace " + namespace})
		for _, line := range []string{
			"[12/12] ", "group/wrong on a/runc nonconformant, a known deviation", "group/wrong on b/crun nonconformant (",
		} {
			if !strings.Contains(strings.Join(cluster.progress, "\n"), line) {
				t.Errorf("no progress line has %q", line)
			}
		}
		if names := phaseNames(run); !slices.Equal(names, []string{"node ready", "profile core", "clean-up"}) {
			t.Errorf("phases are %v", names)
		}
	})
}

func phaseNames(run reports.Run) (names []string) {
	for _, phase := range run.Phases {
		names = append(names, phase.Name)
	}
	return names
}

// TestTheRecorderIsToldInTime so that a run that is killed has said all that was known.
func TestTheRecorderIsToldInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		fixture := stable(newFixture("pair", "one"))
		trait := newTrait("group/one", func(ctx context.Context, session *Session, _ Judge) error {
			_, err := session.Processes(ctx, fixture, "one", "all")
			return err
		}, fixture)
		if _, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{trait}})); err != nil {
			t.Fatal(err)
		}
		told := cluster.recorded.told
		if len(told) < 3 || told[0] != "record of 1 targets, running true" || told[len(told)-1] != "record of 1 targets, running false" ||
			slices.Index(told, "add group/one on a") < 1 {
			t.Errorf("the recorder was told %q", told)
		}
		last := cluster.recorded.records[len(cluster.recorded.records)-1]
		if names := phaseNames(last); slices.Contains(names, "clean-up") || len(last.Results) != 1 {
			t.Errorf("the last record was made after the clean-up, or without results: %v", names)
		}
		if len(cluster.recorded.looks) != len(last.Looks) || len(last.Looks) < 4 {
			t.Errorf("%d looks were added one by one, %d stand in the last record", len(cluster.recorded.looks), len(last.Looks))
		}
	})
}

func TestARecorderThatFailsEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.recorded.fails = errors.New("no space left on device")
		traits := []Trait{newTrait("group/a", passes), newTrait("group/b", after(time.Minute)), newTrait("group/c", passes)}
		start := time.Now()
		run, err := Run(t.Context(), cluster.Options(Options{Traits: traits, Parallel: 1}))
		expectError(t, err, "no space left on device")
		if len(run.Results) != 1 || run.SetupError == "" ||
			strings.Contains(run.SetupError, "interrupted") || time.Since(start) > 10*time.Second {
			t.Errorf("%d results after %s, error %q", len(run.Results), time.Since(start), run.SetupError)
		}
		if len(cluster.Events("delete namespace")) != 1 {
			t.Error("the namespace was not removed")
		}
	})
}

// TestAnInterruptedTraitIsNotRun: what the end of the run cut short is no result.
func TestAnInterruptedTraitIsNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		fixture := newFixture("never", "one")
		cluster.Status = func(begun *corev1.Pod) { begun.Status.ContainerStatuses = nil }
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(20*time.Second, func() { cancel(errors.New("SIGINT")) })
		run, err := Run(ctx, cluster.Options(Options{Traits: []Trait{
			newTrait("group/done", passes), newTrait("group/cut-short", runs(fixture, "one"), fixture),
			newTrait("group/wrong", func(ctx context.Context, session *Session, _ Judge) error {
				<-ctx.Done()
				return &Violation{"seen before the end"}
			}),
			newTrait("group/z", passes),
		}, Parallel: 3}))
		expectError(t, err, "interrupted", "SIGINT", "not run")
		results := byTrait(run)
		expectVerdict(t, results["group/done"], reports.Conformant, "", "")
		expectVerdict(t, results["group/wrong"], reports.Nonconformant, "", "seen before the end")
		if _, found := results["group/cut-short"]; found || len(run.Plan) != 4 {
			t.Errorf("results are %v of the plan %v", run.Results, run.Plan)
		}
		if run.SetupError != err.Error() || len(cluster.Events("delete namespace")) != 1 {
			t.Errorf("setup error %q, events %v", run.SetupError, cluster.Events("delete"))
		}
	})
}

func TestDisposableLeavesTheNamespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		run, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{newTrait("group/a", passes)}, Disposable: true}))
		if err != nil || len(cluster.Events("delete namespace")) != 0 || slices.Contains(phaseNames(run), "clean-up") {
			t.Errorf("%v, %v", err, cluster.Events("delete"))
		}
	})
}

func TestWhatCannotBeRemovedIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		options := cluster.Options(Options{Traits: []Trait{newTrait("group/a", passes)}})
		options.Run = NewRun(options)
		cluster.stuck["sharedpid-"+options.Run.ID] = true
		start := time.Now()
		if _, err := Run(t.Context(), options); err != nil {
			t.Errorf("what is left behind is a warning: %v", err)
		}
		last := cluster.progress[len(cluster.progress)-1]
		if !strings.Contains(last, "sharedpid-"+options.Run.ID) || !strings.Contains(last, "left behind") {
			t.Errorf("the last line is %q", last)
		}
		if waited := time.Since(start); waited < DefaultLimits().CleanUp {
			t.Errorf("it was given up after %s", waited)
		}
	})
}

// TestARunThatCannotBeginSaysWhy and leaves what it planned.
func TestARunThatCannotBeginSaysWhy(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "x", errors.New("by RBAC"))
	traits := []Trait{newTrait("group/a", passes)}
	for name, test := range map[string]struct {
		options Options
		break_  func(*cluster)
		words   string
	}{
		"no trait":            {Options{}, nil, "there is no trait"},
		"a trait that is not": {Options{Traits: []Trait{{ID: "group/a", Statement: "MUST"}}}, nil, "has no source"},
		"no API": {Options{Traits: traits},
			func(cluster *cluster) { cluster.Reject("get", "version", errors.New("no route")) },
			"the API at https://cluster does not answer: no route; next step: check that the cluster runs and that the kubeconfig is its own"},
		"no nodes to list": {Options{Traits: traits},
			func(cluster *cluster) { cluster.Reject("list", "nodes", forbidden) },
			`the cluster's nodes: things "x" is forbidden: by RBAC; next step: give the kubeconfig's user what sharedpid rights prints`},
		"no class to get": {Options{Traits: traits, RuntimeClasses: []string{"crun"}},
			func(cluster *cluster) { cluster.Reject("get", "runtimeclasses", forbidden) }, "RuntimeClass crun"},
		"no namespace": {Options{Traits: traits},
			func(cluster *cluster) { cluster.Reject("create", "namespaces", forbidden) }, "namespace sharedpid-"},
		"no watch": {Options{Traits: traits},
			func(cluster *cluster) { cluster.Reject("list", "pods", forbidden) }, "watch Pods"},
		"no service account": {Options{Traits: traits},
			func(cluster *cluster) { cluster.Reject("get", "serviceaccounts", forbidden) }, "service account"},
		"no images": {Options{Traits: traits,
			Images: func(corev1.Node) (map[string]string, error) { return nil, errors.New("no image") }}, nil, "no image"},
		"no list of deviations": {Options{Traits: traits,
			KnownDeviations: func(reports.Target) ([]reports.Deviation, error) { return nil, errors.New("no list") }}, nil, "no list"},
		"no node for Pods": {Options{Traits: traits}, func(cluster *cluster) {
			cordoned := newNode("a")
			cordoned.Spec.Unschedulable = true
			if _, err := cluster.api.CoreV1().Nodes().Update(context.Background(), cordoned, metav1.UpdateOptions{}); err != nil {
				panic(err)
			}
		}, "a is cordoned; next step: kubectl uncordon it, or name it with --node"},
		"limits": {Options{Traits: traits, Execs: -1}, nil, "must be positive"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t, newNode("a"))
				if test.break_ != nil {
					test.break_(cluster)
				}
				run, err := Run(t.Context(), cluster.Options(test.options))
				expectError(t, err, test.words)
				if run.SetupError != err.Error() || run.Running || len(run.Results) != 0 || len(run.Plan) != len(test.options.Traits) {
					t.Errorf("the run is %+v", run)
				}
				if last := cluster.recorded.records; len(last) == 0 || last[len(last)-1].SetupError != run.SetupError {
					t.Errorf("the recorder was told %q", cluster.recorded.told)
				}
				if namespaces, _ := cluster.api.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); len(namespaces.Items) != 0 {
					t.Errorf("namespaces are left: %v", namespaces.Items)
				}
			})
		})
	}
}

func TestARuntimeClassThatDoesNotExistHasNoHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		run, err := Run(t.Context(), cluster.Options(Options{
			Traits: []Trait{newTrait("group/a", passes)}, RuntimeClasses: []string{"none"},
		}))
		if err != nil || run.Targets[0].RuntimeHandler != "" || run.Targets[0].ID != "a/none" {
			t.Errorf("%v: %v", err, run.Targets)
		}
	})
}

// TestARunThatIsKnownBeforeIsGoneOnWith: who provisions a cluster has told of the run already.
func TestARunThatIsKnownBeforeIsGoneOnWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		options := cluster.Options(Options{
			Traits: []Trait{newTrait("group/a", passes)}, Limits: DefaultLimits().Stretched(2), Profile: "full",
		})
		known := NewRun(options)
		if len(known.ID) != 8 || !known.Running || known.Plan[0].Target != "node" ||
			known.Limits["trait"] != "8m0s" || len(known.Targets) != 0 {
			t.Errorf("before it begins the run is %+v", known)
		}
		known.Cluster = reports.Cluster{Name: "c", KubernetesVersion: "v9.9.9"}
		known.Phases = []reports.Phase{{Name: "create"}}
		options.Run = known
		run, err := Run(t.Context(), options)
		if err != nil || run.ID != known.ID || run.Cluster != known.Cluster || run.Phases[0].Name != "create" || run.Plan[0].Target != "a" {
			t.Errorf("%v: %+v", err, run)
		}
	})
}

func TestDefaultsOfOptions(t *testing.T) {
	made := newRun(Options{Traits: []Trait{newTrait("group/b", passes), newTrait("group/a", passes)}})
	options := made.options
	if options.Limits != DefaultLimits() || options.Parallel < 8 || options.Starting < 8 || options.Execs < 8 ||
		options.RequestsPerSecond != 100 || options.connect == nil || options.Run.ID == "" {
		t.Errorf("options are %+v", options)
	}
	made = newRun(Options{Parallel: 1, Starting: 2, Execs: 3, RequestsPerSecond: 4})
	if options := made.options; options.Parallel != 1 || options.Starting != 2 || options.Execs != 3 || options.RequestsPerSecond != 4 {
		t.Errorf("options are %+v", options)
	}
}

// TestWhatAFailureIsDiagnosedWith and that nothing else is.
func TestWhatAFailureIsDiagnosedWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Admit = func(asked *corev1.Pod) error { // an injected container
			if asked.Name == "refused" {
				return apierrors.NewForbidden(podResource.GroupResource(), "refused", errors.New("exceeded quota"))
			}
			if asked.Name == "changed" {
				asked.Spec.Containers = append(asked.Spec.Containers, corev1.Container{Name: "injected"})
			}
			return nil
		}
		fixture, refused, changed := newFixture("pair", "one"), newFixture("refused", "one"), newFixture("changed", "one")
		wrong := newTrait("group/wrong", func(ctx context.Context, session *Session, _ Judge) error {
			if err := session.Running(ctx, fixture, "one"); err != nil {
				return err
			}
			return &Violation{"wrong"}
		}, fixture)
		wrong.Causes = []Cause{{Words: "wrong", Cause: "a defect", NextStep: "mend it"}}
		results := cluster.Check(t, wrong, newTrait("group/good", runs(fixture, "one"), fixture),
			newTrait("group/refused", runs(refused, "one"), refused), newTrait("group/changed", runs(changed, "one"), changed))
		if diagnosis := results["group/wrong"].Diagnosis; !strings.Contains(diagnosis, "logs of one:\nfake logs") {
			t.Errorf("diagnosis is %q", diagnosis)
		}
		expectVerdict(t, results["group/changed"], reports.Inconclusive, reports.Changed, "injected")
		if diagnosis := results["group/changed"].Diagnosis; !strings.Contains(diagnosis, "container injected is not the suite's") {
			t.Errorf("diagnosis is %q", diagnosis)
		}
		if results["group/good"].Diagnosis != "" || results["group/wrong"].Cause != "a defect" ||
			results["group/wrong"].NextStep != "mend it" {
			t.Errorf("results are %+v", results)
		}
		expectVerdict(t, results["group/refused"], reports.Inconclusive, reports.Refused, "exceeded quota")
		if result := results["group/refused"]; !strings.Contains(result.Diagnosis, "exceeded quota") ||
			!strings.Contains(result.Cause, "quota") {
			t.Errorf("diagnosis %q, cause %q", result.Diagnosis, result.Cause)
		}
	})
}

func TestAPanicIsADefectAndHasItsStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := newCluster(t, newNode("a")).Check(t, newTrait("group/a", func(context.Context, *Session, Judge) error {
			panic("oh")
		}))["group/a"]
		expectVerdict(t, result, reports.Inconclusive, reports.Defect, "oh")
		if !strings.Contains(result.Stack, "TestAPanicIsADefectAndHasItsStack") {
			t.Errorf("stack is %q", result.Stack)
		}
	})
}

func TestATraitHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := newCluster(t, newNode("a")).Check(t, newTrait("group/a", after(time.Hour)))["group/a"]
		expectVerdict(t, result, reports.Inconclusive, reports.OutOfTime, "the trait was not decided within 4m0s")
		if result.Seconds != DefaultLimits().Trait.Seconds() {
			t.Errorf("it took %g s", result.Seconds)
		}
	})
}

// TestRequirementsAreAskedFirst: neither the check nor its Pods are begun on a platform without what they need.
func TestRequirementsAreAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		requires := func(id, missing string, err error) Trait {
			fixture := newFixture(strings.ReplaceAll(id, "/", "-"), "one")
			trait := newTrait(id, runs(fixture, "one"), fixture)
			trait.Requires = []Requirement{{"it", func(ctx context.Context, session *Session) (string, error) {
				_, asked := session.Node(ctx)
				return missing, errors.Join(asked, err)
			}}}
			return trait
		}
		results := cluster.Check(t, requires("group/there", "", nil), requires("group/missing", "the node has none", nil),
			requires("group/unknown", "", errors.New("no answer")))
		expectVerdict(t, results["group/there"], reports.Conformant, "", "")
		expectVerdict(t, results["group/missing"], reports.Unsupported, "", "the node has none")
		expectVerdict(t, results["group/unknown"], reports.Inconclusive, reports.Lost, "no answer")
		expectEqual(t, "Pods", cluster.Events("create group"), []string{"create group-there"})
	})
}

// TestADiagnosisTakesItsTime and no more: it waits for no Pod, and ends with its limit.
func TestADiagnosisTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Start = time.Hour
		pending, queued := newFixture("pending", "one"), newFixture("queued", "one")
		result := byTrait(cluster.mustRun(t, Options{Starting: 1, Traits: []Trait{
			newTrait("group/a", func(context.Context, *Session, Judge) error { return &Violation{"wrong"} }, pending, queued),
		}}))["group/a"]
		if result.Seconds > 5 || !strings.Contains(result.Diagnosis, "Pod queued: its creation has not ended yet") {
			t.Errorf("after %g s the diagnosis is %q", result.Seconds, result.Diagnosis)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Reject("get", "pods/log", unavailable)
		fixture := newFixture("pair", "one", "two", "three", "four", "five", "six")
		result := byTrait(cluster.mustRun(t, Options{Traits: []Trait{
			newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
				if err := session.Running(ctx, fixture, "one"); err != nil {
					return err
				}
				return &Violation{"wrong"}
			}, fixture),
		}}))["group/a"]
		if limit := DefaultLimits().Exec.Seconds(); result.Seconds < limit || result.Seconds > limit+5 {
			t.Errorf("the trait took %g s, want little more than the %g s of its diagnosis", result.Seconds, limit)
		}
	})
}
