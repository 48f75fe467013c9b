package incluster

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"sharedpid.example/helpers/suite"
)

var update = flag.Bool("update", false, "write the golden files")

// trait needs one Pod, which runs nothing here.
var trait = suite.Trait{ID: "group/a", Fixtures: []suite.Fixture{{Name: "pair", Objects: func() ([]runtime.Object, error) {
	return []runtime.Object{&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pair"}}}, nil
}}}}

func job() Job {
	return Job{
		Namespace: "team", Image: "registry.example.com/sharedpid:v1", Arguments: []string{"--profile=core", "--adapt=/etc/sharedpid/adapt.yaml"},
		Files: map[string]string{"adapt.yaml": "pod: {}\n"}, Traits: []suite.Trait{trait},
		Adaptation: suite.Adaptation{
			Pod:       suite.AdaptedPod{Labels: map[string]string{"team": "tests"}, ServiceAccountName: "other"},
			Container: suite.AdaptedContainer{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}},
		},
	}
}

// TestManifests compares them with what a person read.
func TestManifests(t *testing.T) {
	var documents []string
	for _, object := range job().Objects() {
		document, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, string(document))
	}
	definition, err := yaml.Marshal(Plugin{Image: "registry.example.com/sharedpid:v1", Arguments: []string{"--profile=core"},
		Files: map[string]string{"adapt.yaml": "pod: {}\n"}}.Definition())
	if err != nil {
		t.Fatal(err)
	}
	for file, got := range map[string]string{"job.yaml": strings.Join(documents, "---\n"), "sonobuoy.yaml": string(definition)} {
		golden := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || got != string(want) {
			t.Errorf("%s differs, %v; go test ./helpers/incluster -update writes it:\n%s", golden, err, got)
		}
	}
}

// TestTheJobHasLeastRights: nothing of Pods but what the run asks of them, and one ConfigMap that it may change.
func TestTheJobHasLeastRights(t *testing.T) {
	var role *rbacv1.Role
	var made batchv1.Job
	for _, object := range job().Objects() {
		switch object := object.(type) {
		case *rbacv1.Role:
			role = object
		case *batchv1.Job:
			made = *object
		}
	}
	for _, rule := range role.Rules {
		if slices.Contains(rule.Verbs, "*") || slices.Contains(rule.Resources, "*") {
			t.Errorf("a rule gives all: %+v", rule)
		}
		if slices.Contains(rule.Verbs, "patch") && !slices.Equal(rule.ResourceNames, []string{ResultName}) {
			t.Errorf("more may be changed than the result: %+v", rule)
		}
	}
	if !slices.ContainsFunc(role.Rules, func(rule rbacv1.PolicyRule) bool { return slices.Contains(rule.Verbs, "patch") }) {
		t.Error("the result cannot be changed")
	}
	spec := made.Spec.Template.Spec
	if spec.ServiceAccountName != suite.Owner || made.Spec.Template.Labels["team"] != "tests" {
		t.Errorf("the Pod is of %s, and has the labels %v", spec.ServiceAccountName, made.Spec.Template.Labels)
	}
	if _, has := made.Spec.Template.Labels[suite.RunLabel]; has {
		t.Error("the run would remove its own Pod")
	}
}

// TestARoleWithoutConfigMapsGetsThem, and one that has them keeps what it has.
func TestARoleWithoutConfigMapsGetsThem(t *testing.T) {
	role := &rbacv1.Role{}
	addResultRights(role)
	if len(role.Rules) != 2 || !slices.Equal(role.Rules[0].Verbs, []string{"create"}) || len(role.Rules[0].ResourceNames) > 0 {
		t.Errorf("the rules are %+v", role.Rules)
	}
	role = &rbacv1.Role{Rules: []rbacv1.PolicyRule{{Resources: []string{"configmaps"}, Verbs: []string{"create", "deletecollection"}}}}
	addResultRights(role)
	if len(role.Rules) != 2 || !slices.Equal(role.Rules[0].Verbs, []string{"create", "deletecollection"}) {
		t.Errorf("the rules are %+v", role.Rules)
	}
}
