package suite

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/reports"
)

// demanded has a value for each field.
func demanded() Adaptation {
	return Adaptation{
		Namespace: AdaptedNamespace{Labels: map[string]string{"team": "tests"}, Annotations: map[string]string{"for": "tests"}},
		Pod: AdaptedPod{
			Labels: map[string]string{"cost": "ours"}, Annotations: map[string]string{"mesh": "off"},
			NodeSelector: map[string]string{"zone": "a"}, Tolerations: []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists}},
			ImagePullSecrets: []string{"mirror"}, PriorityClassName: "low", ServiceAccountName: "robot",
		},
		Container: AdaptedContainer{Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("16Mi")},
		}},
	}
}

// TestWhatAClusterDemandsIsGivenToEveryPod, those that are only tried included, and no trait takes it for a change by admission.
func TestWhatAClusterDemandsIsGivenToEveryPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		var refused []string
		cluster.Admit = func(made *corev1.Pod) error {
			spec := made.Spec
			if made.Labels["cost"] != "ours" || made.Annotations["mesh"] != "off" || spec.NodeSelector["zone"] != "a" ||
				len(spec.Tolerations) != 1 || len(spec.ImagePullSecrets) != 1 || spec.PriorityClassName != "low" ||
				spec.ServiceAccountName != "robot" || spec.Containers[0].Resources.Requests.Memory().String() != "16Mi" {
				refused = append(refused, made.Name)
			}
			return nil
		}
		fixture := newFixture("pair", "one")
		run, err := Run(t.Context(), cluster.Options(Options{
			Traits: []Trait{newTrait("group/a", func(ctx context.Context, session *Session, judge Judge) error {
				if _, err := session.TryCreate(ctx, "a try", "", SmallestPod("busybox")); err != nil {
					return err
				}
				changed, err := session.Changes(ctx, fixture)
				judge.Claim.Expect(changed).To(gomega.BeEmpty())
				return err
			}, fixture)},
			Adaptation: demanded(), Disposable: true,
		}))
		if err != nil {
			t.Fatal(err)
		}
		expectVerdict(t, run.Results[0], reports.Conformant, "", "")
		if len(refused) > 0 {
			t.Errorf("without what is demanded: %v", refused)
		}
		made, err := cluster.api.CoreV1().Namespaces().Get(t.Context(), "sharedpid-"+run.ID, metav1.GetOptions{})
		if err != nil || made.Labels["team"] != "tests" || made.Annotations["for"] != "tests" || made.Labels[RunLabel] != run.ID {
			t.Errorf("the namespace is %+v, %v", made, err)
		}
		if !slices.Contains(run.Adapted, "pod.priorityClassName low") || len(run.Adapted) != len(demanded().Lines()) {
			t.Errorf("the run says %q", run.Adapted)
		}
	})
}

// TestLinesSayEachValue, so that what was adapted stands in the reports.
func TestLinesSayEachValue(t *testing.T) {
	want := []string{
		"container.resources.requests memory=16Mi", "namespace.annotations for=tests", "namespace.labels team=tests",
		"pod.annotations mesh=off", "pod.imagePullSecrets mirror", "pod.labels cost=ours", "pod.nodeSelector zone=a",
		"pod.priorityClassName low", "pod.serviceAccountName robot", "pod.tolerations dedicated",
	}
	if got := demanded().Lines(); !slices.Equal(got, want) {
		t.Errorf("they are %q, want %q", got, want)
	}
	if lines := (Adaptation{}).Lines(); len(lines) > 0 {
		t.Errorf("nothing is adapted, and they are %q", lines)
	}
}

func TestAdaptationsThatAreRefused(t *testing.T) {
	if err := demanded().Validate(); err != nil {
		t.Errorf("a sound one: %v", err)
	}
	for words, adaptation := range map[string]Adaptation{
		"app.kubernetes.io/managed-by is the suite's own": {Namespace: AdaptedNamespace{Labels: map[string]string{OwnerLabel: "me"}}},
		"pod.labels":                  {Pod: AdaptedPod{Labels: map[string]string{"a": "no value"}}},
		"pod.annotations":             {Pod: AdaptedPod{Annotations: map[string]string{"no name": "x"}}},
		"pod.priorityClassName":       {Pod: AdaptedPod{PriorityClassName: "no name"}},
		"pod.serviceAccountName":      {Pod: AdaptedPod{ServiceAccountName: "no name"}},
		"pod.imagePullSecrets":        {Pod: AdaptedPod{ImagePullSecrets: []string{"a", "no name"}}},
		"pod.tolerations[0].operator": {Pod: AdaptedPod{Tolerations: []corev1.Toleration{{Key: "a", Operator: "Maybe"}}}},
		"pod.tolerations[1].effect": {Pod: AdaptedPod{Tolerations: []corev1.Toleration{
			{Operator: corev1.TolerationOpExists}, {Key: "a", Effect: "Never"},
		}}},
		"where there is no key": {Pod: AdaptedPod{Tolerations: []corev1.Toleration{{Value: "a"}}}},
		"container.resources.limits[memory]": {Container: AdaptedContainer{Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("-1")},
		}}},
		"must not be more than the limit 1Mi": {Container: AdaptedContainer{Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("2Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Mi")},
		}}},
	} {
		if err := adaptation.Validate(); err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error is %v, want one line with %q", err, words)
		}
	}
}
