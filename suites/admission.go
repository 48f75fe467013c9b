package suites

import (
	"context"
	"fmt"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/reports"
)

const validationSource = "https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/validation.go"

var admissionTraits = []Trait{
	{
		ID:        "admission/host-pid-excluded",
		Statement: "The API MUST reject a Pod that asks for the node's process namespace and a shared one, and MUST accept hostPID with the field set to false.",
		Profile:   Core,
		Sources:   []string{validationSource, kep},
		Causes:    []Cause{{"", "the API server does not validate the field, or an admission plugin changes it", "look at the cluster's API server and mutating webhooks"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			both, err := stage.tryPod(ctx, stage.scenes.namespace, "hostPID with sharing", withHostPID(true))
			if err != nil {
				return err
			}
			off, err := stage.tryPod(ctx, stage.scenes.namespace, "hostPID with sharing off", withHostPID(false))
			if err != nil {
				return err
			}
			judgeRejected(g, both, "ShareProcessNamespace and HostPID cannot both be enabled")
			g.Expect(off.err).NotTo(gomega.HaveOccurred(), "hostPID with sharing off is rejected")
			return nil
		},
	},
	{
		ID:        "admission/immutable",
		Statement: "The API MUST reject any change of the field on a Pod that exists, from unset to set and back as well.",
		Profile:   Core,
		Sources:   []string{validationSource, "https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement"},
		Scenes:    []Scene{articleScene, articleUnsharedScene},
		Causes:    []Cause{{"", "the API server does not validate updates of Pods", "look at the cluster's API server"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			on, off := true, false
			for _, change := range []struct {
				title string
				scene Scene
				to    *bool
			}{
				{"true to false", articleScene, &off}, {"true to unset", articleScene, nil},
				{"unset to true", articleUnsharedScene, &on}, {"unset to false", articleUnsharedScene, &off},
			} {
				attempt, err := stage.tryUpdate(ctx, change.title, change.scene, change.to)
				if err != nil {
					return err
				}
				judgeRejected(g, attempt, "pod updates may not change fields")
			}
			return nil
		},
	},
	{
		ID:        "admission/windows-excluded",
		Statement: "The API MUST reject the field, false included, on a Pod for Windows.",
		Profile:   Full,
		Sources:   []string{validationSource, "https://kubernetes.io/docs/concepts/windows/intro/#compatibility-v1-pod-spec"},
		Causes:    []Cause{{"", "the API server does not validate os.name against the field", "look at the cluster's API server"}},
		Check: func(ctx context.Context, stage *Stage, g gomega.Gomega) error {
			for _, share := range []bool{true, false} {
				attempt, err := stage.tryPod(ctx, stage.scenes.namespace, fmt.Sprintf("Windows with sharing %t", share), func(pod *corev1.Pod) {
					pod.Spec.OS = &corev1.PodOS{Name: corev1.Windows}
					// These cannot be set for Windows either.
					pod.Spec.SecurityContext, pod.Spec.Containers[0].SecurityContext = nil, nil
					pod.Spec.ShareProcessNamespace = &share
				})
				if err != nil {
					return err
				}
				judgeRejected(g, attempt, "spec.shareProcessNamespace: Forbidden: cannot be set for a windows pod")
			}
			return nil
		},
	},
	{
		ID:        "admission/pod-security",
		Statement: "The Pod Security Standards MUST admit sharing at every level, restricted included, and MUST reject the article's CAP_SYS_PTRACE from baseline on.",
		Profile:   Core,
		Article:   "The article's Pod is refused where the baseline level is enforced: for its capability, not for sharing.",
		Sources:   []string{"https://kubernetes.io/docs/concepts/security/pod-security-standards/", "https://kubernetes.io/docs/concepts/security/pod-security-admission/"},
		Causes: []Cause{
			{"is rejected", "Pod Security admission holds sharing against the Pod, as no version of the standards does", "look at the rejection's own words"},
			{"", "the namespace's level is not enforced for this user or namespace", "look at the exemptions in the API server's admission configuration"},
		},
		Check: checkPodSecurity,
	},
}

// attempt is what the API said to a request that was only tried.
type attempt struct {
	title string
	err   error // the API's refusal, nil when it was accepted
}

// tryPod asks the API, without creating anything, whether it would create a minimal Pod that shares, as changed.
// An error other than the API's verdict on the Pod is returned.
func (stage *Stage) tryPod(ctx context.Context, namespace, title string, change func(*corev1.Pod)) (attempt, error) {
	share, yes, no, user := true, true, false, int64(1000)
	tried := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "admission-", Namespace: namespace},
		Spec: corev1.PodSpec{
			ShareProcessNamespace: &share, AutomountServiceAccountToken: &no,
			// What the restricted level asks for.
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name: "container", Image: stage.scenes.image("busybox:1.37.0"),
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			}},
		},
	}
	change(tried)
	var verdict error
	err := poll(ctx, settling, func() (bool, error) {
		_, verdict = stage.scenes.client.CoreV1().Pods(namespace).Create(ctx, tried, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		// A young namespace has no default service account yet.
		return !apierrors.IsForbidden(verdict) || !strings.Contains(verdict.Error(), "looking up service account"), nil
	})
	if err != nil {
		return attempt{}, err
	}
	return stage.attempted(title, "kubectl create --dry-run=server", verdict)
}

// tryUpdate asks the API, without changing anything, whether the field of a Pod may be changed.
func (stage *Stage) tryUpdate(ctx context.Context, title string, scene Scene, to *bool) (attempt, error) {
	created, err := stage.Pod(ctx, scene)
	if err != nil {
		return attempt{}, err
	}
	var refusal error
	err = poll(ctx, settling, func() (bool, error) {
		status, err := created.Status(ctx)
		if err != nil {
			return false, err
		}
		status.Spec.ShareProcessNamespace = to
		_, refusal = stage.scenes.client.CoreV1().Pods(status.Namespace).Update(ctx, status, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
		return !apierrors.IsConflict(refusal), nil // the kubelet wrote in between
	})
	if err != nil {
		return attempt{}, err
	}
	return stage.attempted(title, "kubectl replace --dry-run=server", refusal)
}

// attempted records what the API said. Only its validation and Pod Security admission are a verdict on the object: a
// quota, a policy or a webhook of the cluster keeps it from being seen.
func (stage *Stage) attempted(title, command string, refusal error) (attempt, error) {
	output := "accepted"
	if refusal != nil {
		output = refusal.Error()
	}
	stage.result.Evidence = append(stage.result.Evidence, reports.Evidence{Title: title, Where: "API", Command: command, Output: output})
	if refusal != nil && !isVerdict(refusal) {
		return attempt{}, fmt.Errorf("%s: %w", title, refusal)
	}
	return attempt{title, refusal}, nil
}

func isVerdict(refusal error) bool {
	return apierrors.IsInvalid(refusal) || apierrors.IsForbidden(refusal) && strings.Contains(refusal.Error(), "violates PodSecurity")
}

func withHostPID(share bool) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.HostPID = true
		pod.Spec.ShareProcessNamespace = &share
	}
}

func judgeRejected(g gomega.Gomega, tried attempt, words string) {
	g.Expect(tried.err).To(gomega.HaveOccurred(), "%s is accepted", tried.title)
	g.Expect(apierrors.IsInvalid(tried.err)).To(gomega.BeTrue(), "%s is refused for another reason: %v", tried.title, tried.err)
	g.Expect(tried.err.Error()).To(gomega.ContainSubstring(words), "%s is refused in other words", tried.title)
}

// checkPodSecurity tries Pods in namespaces that enforce the two stricter levels.
func checkPodSecurity(ctx context.Context, stage *Stage, g gomega.Gomega) error {
	namespaces := map[string]string{}
	for _, level := range []string{"baseline", "restricted"} {
		namespaces[level] = stage.scenes.namespace + "-" + level
		err := stage.scenes.createShared("namespace/"+level, func() error {
			return stage.scenes.createNamespace(ctx, namespaces[level], level)
		})
		if err != nil {
			return err
		}
	}
	privileged, err := stage.tryPod(ctx, namespaces["restricted"], "a privileged Pod under restricted", func(pod *corev1.Pod) {
		yes := true
		pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &yes}
	})
	if err != nil {
		return err
	}
	if privileged.err == nil {
		return unsupported("Pod Security admission is off: a namespace that enforces restricted takes a privileged Pod")
	}
	restricted, err := stage.tryPod(ctx, namespaces["restricted"], "sharing under restricted", func(*corev1.Pod) {})
	if err != nil {
		return err
	}
	baseline, err := stage.tryPod(ctx, namespaces["baseline"], "sharing under baseline", func(*corev1.Pod) {})
	if err != nil {
		return err
	}
	tracer, err := stage.tryPod(ctx, namespaces["baseline"], "CAP_SYS_PTRACE under baseline", func(pod *corev1.Pod) {
		pod.Spec.Containers[0].SecurityContext.Capabilities.Add = []corev1.Capability{"SYS_PTRACE"}
	})
	if err != nil {
		return err
	}
	g.Expect(restricted.err).NotTo(gomega.HaveOccurred(), "%s is rejected", restricted.title)
	g.Expect(baseline.err).NotTo(gomega.HaveOccurred(), "%s is rejected", baseline.title)
	g.Expect(apierrors.IsForbidden(tracer.err)).To(gomega.BeTrue(), "%s is admitted", tracer.title)
	return nil
}
