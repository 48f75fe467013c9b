package suite

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Adaptation is what a cluster demands of every namespace and Pod, and no trait judges. What traits judge, such as users, capabilities,
// images and the field itself, has no place in it.
type Adaptation struct {
	Namespace AdaptedNamespace `json:"namespace,omitzero"`
	Pod       AdaptedPod       `json:"pod,omitzero"`
	Container AdaptedContainer `json:"container,omitzero"`
}

// AdaptedNamespace is what the namespaces of a run get beside their own labels. One that a run is given stays as it is.
type AdaptedNamespace struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// AdaptedPod is what Pods get beside what their fixtures say.
type AdaptedPod struct {
	Labels             map[string]string   `json:"labels,omitempty"`
	Annotations        map[string]string   `json:"annotations,omitempty"`
	NodeSelector       map[string]string   `json:"nodeSelector,omitempty"`
	Tolerations        []corev1.Toleration `json:"tolerations,omitempty"`
	ImagePullSecrets   []string            `json:"imagePullSecrets,omitempty"` // names of Secrets in the Pods' namespace
	PriorityClassName  string              `json:"priorityClassName,omitempty"`
	ServiceAccountName string              `json:"serviceAccountName,omitempty"`
}

// AdaptedContainer is what containers get that have no resources of their own. Ephemeral containers can have none.
type AdaptedContainer struct {
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`
}

// Validate returns an error of one line about what the API would not take, or what is the suite's own.
func (adaptation Adaptation) Validate() error {
	for _, labels := range []struct {
		of     string
		labels map[string]string
	}{{"namespace.labels", adaptation.Namespace.Labels}, {"pod.labels", adaptation.Pod.Labels}} {
		for _, name := range slices.Sorted(maps.Keys(labels.labels)) {
			if strings.HasPrefix(name, "sharedpid/") || name == OwnerLabel {
				return fmt.Errorf("%s: %s is the suite's own label", labels.of, name)
			}
		}
	}
	problems := slices.Concat(
		validLabels(adaptation.Namespace.Labels, "namespace.labels"), validLabels(adaptation.Pod.Labels, "pod.labels"),
		validLabels(adaptation.Pod.NodeSelector, "pod.nodeSelector"),
		validation.ValidateAnnotations(adaptation.Namespace.Annotations, field.NewPath("namespace.annotations")),
		validation.ValidateAnnotations(adaptation.Pod.Annotations, field.NewPath("pod.annotations")),
	)
	problems = append(problems, adaptation.invalidNames()...)
	for number, toleration := range adaptation.Pod.Tolerations {
		problems = append(problems, invalidToleration(toleration, field.NewPath("pod.tolerations").Index(number))...)
	}
	problems = append(problems, invalidResources(adaptation.Container.Resources)...)
	if len(problems) > 0 {
		return problems[0]
	}
	return nil
}

// invalidNames are the problems of names of objects, which the API would find in every Pod.
func (adaptation Adaptation) invalidNames() field.ErrorList {
	var problems field.ErrorList
	check := func(name, of string) {
		if wrong := utilvalidation.IsDNS1123Subdomain(name); name != "" && len(wrong) > 0 {
			problems = append(problems, field.Invalid(field.NewPath(of), name, wrong[0]))
		}
	}
	check(adaptation.Pod.PriorityClassName, "pod.priorityClassName")
	check(adaptation.Pod.ServiceAccountName, "pod.serviceAccountName")
	for _, name := range adaptation.Pod.ImagePullSecrets {
		check(name, "pod.imagePullSecrets")
	}
	return problems
}

// invalidToleration are the problems of a toleration.
func invalidToleration(toleration corev1.Toleration, of *field.Path) field.ErrorList {
	var problems field.ErrorList
	operators := []corev1.TolerationOperator{
		"", corev1.TolerationOpExists, corev1.TolerationOpEqual, corev1.TolerationOpLt, corev1.TolerationOpGt,
	}
	if !slices.Contains(operators, toleration.Operator) {
		problems = append(problems, field.NotSupported(of.Child("operator"), toleration.Operator, operators[1:]))
	}
	effects := []corev1.TaintEffect{"", corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}
	if !slices.Contains(effects, toleration.Effect) {
		problems = append(problems, field.NotSupported(of.Child("effect"), toleration.Effect, effects[1:]))
	}
	if toleration.Key == "" && toleration.Operator != corev1.TolerationOpExists {
		problems = append(problems, field.Invalid(of.Child("operator"), toleration.Operator, "must be Exists where there is no key"))
	}
	return problems
}

// invalidResources are the problems of requests and limits.
func invalidResources(resources corev1.ResourceRequirements) field.ErrorList {
	var problems field.ErrorList
	path := field.NewPath("container.resources")
	for of, list := range map[string]corev1.ResourceList{"requests": resources.Requests, "limits": resources.Limits} {
		for name, quantity := range list {
			if quantity.Sign() < 0 {
				problems = append(problems, field.Invalid(path.Child(of).Key(string(name)), quantity.String(), "must not be below 0"))
			}
		}
	}
	for name, request := range resources.Requests {
		if limit, limited := resources.Limits[name]; limited && request.Cmp(limit) > 0 {
			problems = append(problems, field.Invalid(path.Child("requests").Key(string(name)), request.String(),
				"must not be more than the limit "+limit.String()))
		}
	}
	return problems
}

// validLabels are the problems of labels, by the rules of the API.
func validLabels(labels map[string]string, of string) field.ErrorList {
	return metavalidation.ValidateLabels(labels, field.NewPath(of))
}

// Lines says what is adapted, a line for each value, such as "pod.priorityClassName tests".
func (adaptation Adaptation) Lines() []string {
	var lines []string
	add := func(of, value string) {
		if value != "" {
			lines = append(lines, of+" "+value)
		}
	}
	each := func(of string, values map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			add(of, name+"="+values[name])
		}
	}
	each("namespace.labels", adaptation.Namespace.Labels)
	each("namespace.annotations", adaptation.Namespace.Annotations)
	each("pod.labels", adaptation.Pod.Labels)
	each("pod.annotations", adaptation.Pod.Annotations)
	each("pod.nodeSelector", adaptation.Pod.NodeSelector)
	for _, toleration := range adaptation.Pod.Tolerations {
		tolerated := strings.TrimSuffix(toleration.Key+"="+toleration.Value, "=") + ":" + string(toleration.Effect)
		add("pod.tolerations", strings.TrimSuffix(tolerated, ":"))
	}
	add("pod.imagePullSecrets", strings.Join(adaptation.Pod.ImagePullSecrets, ","))
	add("pod.priorityClassName", adaptation.Pod.PriorityClassName)
	add("pod.serviceAccountName", adaptation.Pod.ServiceAccountName)
	for of, resources := range map[string]corev1.ResourceList{
		"limits": adaptation.Container.Resources.Limits, "requests": adaptation.Container.Resources.Requests,
	} {
		for name, quantity := range resources {
			add("container.resources."+of, string(name)+"="+quantity.String())
		}
	}
	slices.Sort(lines)
	return lines
}

// namespace adapts a namespace of the run's own.
func (adaptation Adaptation) namespace(object *corev1.Namespace) {
	addTo(&object.ObjectMeta, adaptation.Namespace.Labels, adaptation.Namespace.Annotations)
}

// AdaptPod adapts a Pod, or the template of one. What a fixture says itself wins.
func (adaptation Adaptation) AdaptPod(meta *metav1.ObjectMeta, spec *corev1.PodSpec) {
	adapted := adaptation.Pod
	addTo(meta, adapted.Labels, adapted.Annotations)
	for name, value := range adapted.NodeSelector {
		if spec.NodeSelector == nil {
			spec.NodeSelector = map[string]string{}
		}
		spec.NodeSelector[name] = value
	}
	spec.Tolerations = append(spec.Tolerations, adapted.Tolerations...)
	for _, name := range adapted.ImagePullSecrets {
		spec.ImagePullSecrets = append(spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	if spec.PriorityClassName == "" {
		spec.PriorityClassName = adapted.PriorityClassName
	}
	if spec.ServiceAccountName == "" {
		spec.ServiceAccountName = adapted.ServiceAccountName
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			if own := containers[i].Resources; len(own.Limits)+len(own.Requests) == 0 {
				containers[i].Resources = *adaptation.Container.Resources.DeepCopy()
			}
		}
	}
}

func addTo(meta *metav1.ObjectMeta, labels, annotations map[string]string) {
	for name, value := range labels {
		metav1.SetMetaDataLabel(meta, name, value)
	}
	for name, value := range annotations {
		metav1.SetMetaDataAnnotation(meta, name, value)
	}
}
