// Package incluster has what runs the suite inside of a cluster: the manifests of a Job and of a Sonobuoy plugin, and where their results go.
package incluster

import (
	"maps"

	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sharedpid.example/helpers/suite"
)

// Names of what a Job is made of. Its service account, Role and so on are called as sharedpid rights calls them.
const (
	ResultName = "sharedpid-result" // of the ConfigMap that takes the result
	filesName  = "sharedpid-files"  // of the ConfigMap with files that the arguments name
)

// Folders in the container.
const (
	FilesFolder   = "/etc/sharedpid"
	scratch       = "/tmp"
	ReportsFolder = scratch + "/reports"
)

// graceSeconds is how long a Pod that is told to end may clean up.
const graceSeconds = 180

// Job is a run as a Job in the namespace that it is given.
type Job struct {
	Namespace  string
	Image      string            // of the suite
	Arguments  []string          // of sharedpid run, beside those that the Job needs itself
	Files      map[string]string // contents of the files that the arguments name, by their names in FilesFolder
	Traits     []suite.Trait     // that it checks, from which its rights follow
	Adaptation suite.Adaptation  // what the cluster demands of the Job's own Pod
}

// Objects are what an administrator applies: a service account, exactly the rights that the run needs, and the Job.
func (job Job) Objects() []runtime.Object {
	labels := map[string]string{suite.OwnerLabel: suite.Owner}
	objects := []runtime.Object{&corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{Kind: "ServiceAccount", APIVersion: "v1"},
		ObjectMeta:                   metav1.ObjectMeta{Name: suite.Owner, Namespace: job.Namespace, Labels: labels},
		AutomountServiceAccountToken: new(false),
	}}
	for _, object := range suite.Roles(job.Traits, job.Namespace, job.Namespace+"/"+suite.Owner) {
		if role, ok := object.(*rbacv1.Role); ok {
			addResultRights(role)
		}
		objects = append(objects, object)
	}
	if len(job.Files) > 0 {
		objects = append(objects, &corev1.ConfigMap{
			TypeMeta:   metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"},
			ObjectMeta: metav1.ObjectMeta{Name: filesName, Namespace: job.Namespace, Labels: labels},
			Data:       job.Files,
		})
	}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(labels)}, Spec: job.podSpec()}
	job.Adaptation.AdaptPod(&template.ObjectMeta, &template.Spec)
	return append(objects, &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{Kind: "Job", APIVersion: batchv1.SchemeGroupVersion.String()},
		ObjectMeta: metav1.ObjectMeta{Name: suite.Owner, Namespace: job.Namespace, Labels: labels},
		Spec:       batchv1.JobSpec{BackoffLimit: new(int32(0)), Template: template},
	})
}

// addResultRights adds to the Role of a run what it takes to keep its result in a ConfigMap. No rule can name what does not exist yet.
func addResultRights(role *rbacv1.Role) {
	create := slices.IndexFunc(role.Rules, func(rule rbacv1.PolicyRule) bool { return slices.Contains(rule.Resources, "configmaps") })
	if create < 0 {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}})
		create = len(role.Rules) - 1
	}
	if !slices.Contains(role.Rules[create].Verbs, "create") {
		role.Rules[create].Verbs = slices.Insert(role.Rules[create].Verbs, 0, "create")
	}
	role.Rules = append(role.Rules, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{ResultName}, Verbs: []string{"patch"},
	})
}

// podSpec is a Pod that the restricted level of the Pod Security Standards admits, whose root is read-only.
func (job Job) podSpec() corev1.PodSpec {
	arguments := append([]string{"run"}, job.Arguments...)
	spec := corev1.PodSpec{
		ServiceAccountName: suite.Owner, AutomountServiceAccountToken: new(true), RestartPolicy: corev1.RestartPolicyNever,
		TerminationGracePeriodSeconds: new(int64(graceSeconds)), EnableServiceLinks: new(false),
		NodeSelector: map[string]string{corev1.LabelOSStable: string(corev1.Linux)},
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Volumes: []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{
			EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: new(resource.MustParse("256Mi"))},
		}}},
		Containers: []corev1.Container{{
			Name: suite.Owner, Image: job.Image,
			Args: append(arguments, "--namespace="+job.Namespace, "--report-dir="+ReportsFolder, "--result-config-map="+ResultName),
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
			},
			SecurityContext:          restricted(),
			TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
			VolumeMounts:             []corev1.VolumeMount{{Name: "scratch", MountPath: scratch}},
		}},
	}
	if len(job.Files) > 0 {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "files", VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: filesName}},
		}})
		spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts,
			corev1.VolumeMount{Name: "files", MountPath: FilesFolder, ReadOnly: true})
	}
	return spec
}

// restricted is what the restricted level asks of a container, and a read-only root beside it.
func restricted() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), RunAsNonRoot: new(true),
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}
