package suite

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"sharedpid.example/reports"
)

// traitWithRights needs a Secret, a Deployment and a right of its own.
func traitWithRights() Trait {
	fixture := Fixture{Name: "pair", Objects: func() ([]runtime.Object, error) {
		return []runtime.Object{
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "password"}},
			&appsv1.Deployment{Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{}, Template: corev1.PodTemplateSpec{Spec: newPodSpec("one")},
			}},
		}, nil
	}}
	trait := newTrait("group/a", passes, fixture)
	trait.Rights = []Right{{Resource: "pods", Verbs: []string{"update"}, Why: "to try a change"}}
	return trait
}

// TestEachRightThatIsMissingIsNamed, and nothing is made then that cannot be used.
func TestEachRightThatIsMissingIsNamed(t *testing.T) {
	for _, namespace := range []string{"", "theirs"} {
		cluster, namespaced := rightsOf([]Trait{traitWithRights()}, namespace != "")
		for _, right := range slices.Concat(cluster, namespaced) {
			for _, verb := range right.Verbs {
				if right.Resource == "runtimeclasses" {
					continue // no RuntimeClass is named
				}
				synctest.Test(t, func(t *testing.T) {
					fake := newCluster(t, given(nil)...)
					fake.forbidden = map[string]bool{verb + " " + right.Resource: true}
					_, obstacles, err := Preflight(t.Context(), fake.Options(Options{Traits: []Trait{traitWithRights()}, Namespace: namespace}))
					if err != nil || len(obstacles) != 1 || !strings.HasPrefix(obstacles[0].What, "no right to "+verb+" "+right.name()+" in ") ||
						obstacles[0].NextStep == "" {
						t.Errorf("without %s of %s: %+v, %v", verb, right.Resource, obstacles, err)
					}
				})
			}
		}
	}
}

// TestRolesGiveWhatIsAskedFor: with a namespace nearly all of it there, and otherwise all of it in the cluster.
func TestRolesGiveWhatIsAskedFor(t *testing.T) {
	of := func(objects []runtime.Object, kind string) map[string][]string {
		verbs := map[string][]string{}
		for _, object := range objects {
			var rules []rbacv1.PolicyRule
			switch object := object.(type) {
			case *rbacv1.ClusterRole:
				rules = object.Rules
			case *rbacv1.Role:
				rules = object.Rules
			}
			if object.GetObjectKind().GroupVersionKind().Kind == kind {
				for _, rule := range rules {
					verbs[rule.Resources[0]] = rule.Verbs
				}
			}
		}
		return verbs
	}
	traits := []Trait{traitWithRights()}
	given, own := Roles(traits, "theirs", "theirs/robot"), Roles(traits, "", "theirs/robot")
	if verbs := of(given, "ClusterRole"); len(verbs) != 2 || verbs["nodes"] == nil || verbs["runtimeclasses"] == nil {
		t.Errorf("of the cluster it gives %v", verbs)
	}
	role := of(given, "Role")
	if !slices.Equal(role["secrets"], []string{"create", "deletecollection"}) || !slices.Contains(role["pods"], "update") ||
		!slices.Equal(role["deployments"], []string{"create", "deletecollection"}) || role["namespaces"] != nil {
		t.Errorf("of the namespace it gives %v", role)
	}
	whole := of(own, "ClusterRole")
	if len(of(own, "Role")) > 0 || !slices.Equal(whole["secrets"], []string{"create"}) || whole["namespaces"] == nil || whole["nodes"] == nil {
		t.Errorf("without a namespace it gives %v", whole)
	}
	if binding := given[3].(*rbacv1.RoleBinding); binding.Subjects[0].Namespace != "theirs" || binding.Subjects[0].Name != "robot" {
		t.Errorf("they are given to %v", binding.Subjects)
	}
	other := Roles(traits, "ours", "ours/robot")
	for i, object := range given {
		if theirs, ours := object.(metav1.Object).GetName(), other[i].(metav1.Object).GetName(); theirs == ours || theirs != "sharedpid:theirs:robot" {
			t.Errorf("theirs is called %s and ours %s: applying one takes the rights of the other", theirs, ours)
		}
	}
}

// TestPreflightTriesEachPod, names what keeps which traits from being decided, and leaves nothing behind.
func TestPreflightTriesEachPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Admit = func(made *corev1.Pod) error {
			if strings.HasPrefix(made.Name, "refused") {
				return apierrors.NewForbidden(corev1.Resource("pods"), made.Name, errors.New("not here"))
			}
			made.Spec.HostUsers = nil
			return nil
		}
		// Of two Pods that the API knows no better than that, a trait is decided.
		newer, dropped := newFixture("refused-newer"), newFixture("dropped")
		newer.Newer = []string{"not here"}
		dropped.Change = func(made *corev1.Pod) { made.Spec.HostUsers = new(bool) }
		dropped.Newer = []string{"spec.hostUsers was sent as false and is unset"}
		traits := []Trait{
			newTrait("group/a", passes, newFixture("good"), newer, dropped), newTrait("group/b", passes, newFixture("refused")),
			newTrait("group/c", func(context.Context, *Session, Judge) error { return nil }, newFixture("refused")),
		}
		run, obstacles, err := Preflight(t.Context(), cluster.Options(Options{Traits: traits}))
		if err != nil || len(obstacles) != 1 || !slices.Equal(obstacles[0].Traits, []string{"group/b", "group/c"}) ||
			!strings.Contains(obstacles[0].What, "forbidden") || obstacles[0].NextStep == "" {
			t.Errorf("%+v, %v", obstacles, err)
		}
		if run.Permission.Answer != reports.MayShare || len(run.Results) > 0 {
			t.Errorf("it is known %+v", run)
		}
		namespaces, err := cluster.api.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
		if err != nil || len(namespaces.Items) > 0 {
			t.Errorf("left are %v, %v", namespaces.Items, err)
		}
	})
}

// TestNodesWithoutRoomAreNamed once.
func TestNodesWithoutRoomAreNamed(t *testing.T) {
	node := newNode("a", func(node *corev1.Node) { node.Status.Allocatable[corev1.ResourcePods] = resource.MustParse("1") })
	run := &run{traits: []Trait{newTrait("group/a", passes, newFixture("one"), newFixture("two"))}, targets: []*target{
		{Target: reports.Target{Node: "a"}, node: *node}, {Target: reports.Target{Node: "a", RuntimeClass: "x"}, node: *node},
	}}
	if obstacles := run.withoutRoom(); len(obstacles) != 1 || !strings.Contains(obstacles[0].What, "takes 1 Pods, and the run has up to 2") {
		t.Errorf("%+v", obstacles)
	}
}

// TestARunGoesOnWithoutSomeRights, and warns of them; and when the API does not say which there are.
func TestARunGoesOnWithoutSomeRights(t *testing.T) {
	for words, prepare := range map[string]func(*cluster){
		"warning: no right to create pods/exec in the whole cluster": func(cluster *cluster) {
			cluster.forbidden = map[string]bool{"create pods/exec": true}
		},
		"warning: the API does not say what is allowed": func(cluster *cluster) {
			cluster.api.PrependReactor("create", "selfsubjectaccessreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewForbidden(corev1.Resource("selfsubjectaccessreviews"), "", errors.New("not here"))
			})
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			cluster := newCluster(t, newNode("a"))
			prepare(cluster)
			run, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{newTrait("group/a", passes)}, Disposable: true}))
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, run.Results[0], reports.Conformant, "", "")
			if !strings.Contains(strings.Join(cluster.progress, "\n"), words) {
				t.Errorf("%q is not among %q", words, cluster.progress)
			}
		})
	}
}
