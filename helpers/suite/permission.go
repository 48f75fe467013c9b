package suite

import (
	"context"
	"errors"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// SmallestPod is a Pod of one container that shares. Even the restricted level of the Pod Security Standards admits it.
func SmallestPod(image string) *corev1.Pod {
	share, yes, no, user := true, true, false, int64(1000)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "tried-"},
		Spec: corev1.PodSpec{
			ShareProcessNamespace: &share, AutomountServiceAccountToken: &no,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, RunAsUser: &user, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "container", Image: image,
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no,
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// askPermission asks the API, without creating anything, whether Pods may share in the run's namespace at all.
func (run *run) askPermission(ctx context.Context) reports.Permission {
	image := "busybox"
	if references := slices.Sorted(maps.Values(run.namespace.images)); len(references) > 0 {
		image = references[0]
	}
	shares := SmallestPod(image)
	run.options.Adaptation.AdaptPod(&shares.ObjectMeta, &shares.Spec)
	alone := shares.DeepCopy()
	alone.Spec.ShareProcessNamespace = nil
	stored, refusal := run.tryPod(ctx, shares)
	if refusal == nil {
		return permissionOf(stored.Spec.ShareProcessNamespace, nil, nil)
	}
	_, without := run.tryPod(ctx, alone)
	return permissionOf(nil, refusal, without)
}

// tryPod asks the API whether it would create a Pod in the run's namespace, and as what.
func (run *run) tryPod(ctx context.Context, tried *corev1.Pod) (*corev1.Pod, error) {
	return pod.Retry(ctx, func(ctx context.Context) (*corev1.Pod, error) {
		return run.client.CoreV1().Pods(run.namespace.name).Create(ctx, tried, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	})
}

// permissionOf is what the dry runs came to: what of the field was stored, and why the Pod was refused with the field and without.
func permissionOf(stored *bool, shared, alone error) reports.Permission {
	refusal := (*apierrors.StatusError)(nil)
	switch {
	case shared == nil && stored != nil && *stored:
		return reports.Permission{Answer: reports.MayShare}
	case shared == nil:
		return reports.Permission{Answer: reports.SharingIsChanged, Reason: "spec.shareProcessNamespace was sent as true and is " + said(stored)}
	case !errors.As(shared, &refusal) || !answers(refusal) || apierrors.IsBadRequest(shared): // a webhook that takes no dry runs
		return reports.Permission{Answer: reports.NotKnown, Reason: shared.Error()}
	case alone == nil:
		return reports.Permission{Answer: reports.MayNotShare, Reason: shared.Error()}
	case !errors.As(alone, &refusal) || !answers(refusal):
		return reports.Permission{Answer: reports.NotKnown, Reason: shared.Error() + "; without the field: " + alone.Error()}
	}
	return reports.Permission{Answer: reports.NoPods, Reason: shared.Error()}
}
