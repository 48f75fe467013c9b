package suites

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

const validationSource = "https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/apis/core/validation/validation.go"

var admissionTraits = []suite.Trait{
	{
		ID: "admission/kept-as-sent",
		Statement: "The API MUST store Pods that share as they were sent: the field, users, capabilities, containers, images and " +
			"RuntimeClass.",
		Profile:  suite.Core,
		Article:  "Where admission changes Pods, what was tried is not what was asked for: every trait on such a Pod is inconclusive.",
		Sources:  []string{"https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/", kep},
		Fixtures: []suite.Fixture{articleFixture, siblingsFixture, fileModesFixture, pairFixture},
		Causes: []suite.Cause{{
			Cause:    "a mutating webhook or policy of the cluster changes Pods",
			NextStep: "look at kubectl get mutatingwebhookconfigurations,mutatingadmissionpolicies; exempt the run's namespaces",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			for _, fixture := range []suite.Fixture{articleFixture, siblingsFixture, fileModesFixture, pairFixture} {
				changed, err := session.Changes(ctx, fixture)
				if err != nil {
					return err
				}
				judge.Claim.Expect(changed).To(gomega.BeEmpty(), "Pod %s: %s", fixture.Name, strings.Join(changed, "; "))
			}
			return nil
		},
	},
	{
		ID: "admission/host-pid-excluded",
		Statement: "The API MUST reject a Pod that asks for the node's process namespace and a shared one, and MUST accept hostPID with the " +
			"field set to false.",
		Profile: suite.Core,
		Sources: []string{validationSource, kep},
		Tries:   []suite.Fixture{hostPIDTried},
		Causes: []suite.Cause{{
			Cause:    "the API server does not validate the field, or an admission plugin changes it",
			NextStep: "look at the cluster's API server and mutating webhooks",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			both, err := session.TryCreate(ctx, "hostPID with sharing", "", triedPod(session, withHostPID(true)))
			if err != nil {
				return err
			}
			off, err := session.TryCreate(ctx, "hostPID with sharing off", "", triedPod(session, withHostPID(false)))
			if err != nil {
				return err
			}
			judgeRejected(judge, both, "ShareProcessNamespace and HostPID cannot both be enabled")
			judgeAccepted(judge, off)
			return nil
		},
	},
	{
		ID:        "admission/immutable",
		Statement: "The API MUST reject any change of the field on a Pod that exists, from unset to set and back as well.",
		Profile:   suite.Core,
		Sources:   []string{validationSource, "https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement"},
		Fixtures:  []suite.Fixture{pairFixture, pairUnsharedFixture},
		Causes:    []suite.Cause{{Cause: "the API server does not validate updates of Pods", NextStep: "look at the cluster's API server"}},
		Rights:    []suite.Right{{Resource: "pods", Verbs: []string{"update"}, Why: "to try, without doing it, to change the field"}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			on, off := true, false
			for _, change := range []struct {
				title   string
				fixture suite.Fixture
				to      *bool
			}{
				{"true to false", pairFixture, &off}, {"true to unset", pairFixture, nil},
				{"unset to true", pairUnsharedFixture, &on}, {"unset to false", pairUnsharedFixture, &off},
			} {
				attempt, err := session.TryUpdate(ctx, change.title, change.fixture,
					func(pod *corev1.Pod) { pod.Spec.ShareProcessNamespace = change.to })
				if err != nil {
					return err
				}
				judgeRejected(judge, attempt, "pod updates may not change fields")
			}
			return nil
		},
	},
	{
		ID:        "admission/windows-excluded",
		Statement: "The API MUST reject the field, false included, on a Pod for Windows.",
		Profile:   suite.Full,
		Sources:   []string{validationSource, "https://kubernetes.io/docs/concepts/windows/intro/#compatibility-v1-pod-spec"},
		Causes: []suite.Cause{{
			Cause:    "the API server does not validate os.name against the field",
			NextStep: "look at the cluster's API server",
		}},
		Check: func(ctx context.Context, session *suite.Session, judge suite.Judge) error {
			for _, share := range []bool{true, false} {
				attempt, err := session.TryCreate(ctx, fmt.Sprintf("Windows with sharing %t", share), "", triedPod(session, func(pod *corev1.Pod) {
					pod.Spec.OS = &corev1.PodOS{Name: corev1.Windows}
					// These cannot be set for Windows either.
					pod.Spec.SecurityContext, pod.Spec.Containers[0].SecurityContext = nil, nil
					pod.Spec.ShareProcessNamespace = &share
				}))
				if err != nil {
					return err
				}
				judgeRejected(judge, attempt, "spec.shareProcessNamespace: Forbidden: cannot be set for a windows pod")
			}
			return nil
		},
	},
	{
		ID: "admission/pod-security",
		Statement: "The Pod Security Standards MUST admit sharing at every level, restricted included, and MUST reject the article's " +
			"CAP_SYS_PTRACE from baseline on.",
		Profile: suite.Core,
		Article: "The article's Pod is refused where the baseline level is enforced: for its capability, not for sharing.",
		Sources: []string{
			"https://kubernetes.io/docs/concepts/security/pod-security-standards/",
			"https://kubernetes.io/docs/concepts/security/pod-security-admission/",
		},
		Causes: []suite.Cause{
			{
				Words:    "is rejected",
				Cause:    "Pod Security admission holds sharing against the Pod, as no version of the standards does",
				NextStep: "look at the rejection's own words",
			},
			{
				Cause:    "the namespace's level is not enforced for this user or namespace",
				NextStep: "look at the exemptions in the API server's admission configuration",
			},
		},
		Check: checkPodSecurity,
	},
}

// triedPod is the smallest Pod that shares, as changed.
func triedPod(session *suite.Session, change func(*corev1.Pod)) *corev1.Pod {
	tried := suite.SmallestPod(session.Image("busybox:1.37.0"))
	change(tried)
	return tried
}

// hostPIDTried is the Pod with hostPID that the API's validation must accept.
var hostPIDTried = suite.Fixture{Name: "tried-host-pid", Unshared: true, Change: withHostPID(false), Objects: func() ([]runtime.Object, error) {
	return []runtime.Object{suite.SmallestPod("busybox:1.37.0")}, nil
}}

func withHostPID(share bool) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.HostPID = true
		pod.Spec.ShareProcessNamespace = &share
	}
}

// judgeRejected holds that the API's own validation refused what was tried, for the field. What else refused it, such as a
// policy, has hidden what validation says.
func judgeRejected(judge suite.Judge, tried suite.Attempt, words string) {
	judge.Claim.Expect(tried.Refusal).NotTo(gomega.BeNil(), "%s is accepted", tried.Title)
	if !validated(tried.Refusal) {
		judge.Stop(suite.Undecided(reports.Refused, "%s is refused by something else than the API's validation: %v", tried.Title, tried.Refusal))
	}
	judge.Claim.Expect(tried.Refusal.Error()).To(gomega.ContainSubstring(words), "%s is refused for another reason", tried.Title)
}

// judgeAccepted holds that the API's own validation accepts what was tried. A refusal by something else says nothing of it.
func judgeAccepted(judge suite.Judge, tried suite.Attempt) {
	if tried.Refusal != nil && !validated(tried.Refusal) {
		judge.Stop(suite.Undecided(reports.Refused, "%s is refused by something else than the API's validation: %v", tried.Title, tried.Refusal))
	}
	judge.Claim.Expect(tried.Refusal == nil).To(gomega.BeTrue(), "%s is rejected: %v", tried.Title, tried.Refusal)
}

// validated tells whether a refusal comes from the API's own validation, which names a field with each of its causes.
// An admission policy or webhook may answer with the reason Invalid as well, and names none.
func validated(refusal *apierrors.StatusError) bool {
	details := refusal.ErrStatus.Details
	return apierrors.IsInvalid(refusal) && details != nil && len(details.Causes) > 0 &&
		!slices.ContainsFunc(details.Causes, func(cause metav1.StatusCause) bool { return cause.Field == "" })
}

// byPodSecurity tells whether Pod Security admission refused.
func byPodSecurity(refusal *apierrors.StatusError) bool {
	return apierrors.IsForbidden(refusal) && strings.Contains(refusal.Error(), "violates PodSecurity")
}

// checkPodSecurity tries Pods in namespaces that enforce the two stricter levels.
func checkPodSecurity(ctx context.Context, session *suite.Session, judge suite.Judge) error {
	privileged := func(pod *corev1.Pod) {
		yes := true
		pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &yes}
	}
	tries := []struct {
		title, level string
		change       func(*corev1.Pod)
	}{
		{"a privileged Pod under restricted", "restricted", privileged},
		{"a privileged Pod under baseline", "baseline", privileged},
		{"sharing under restricted", "restricted", func(*corev1.Pod) {}},
		{"sharing under baseline", "baseline", func(*corev1.Pod) {}},
		{"CAP_SYS_PTRACE under baseline", "baseline", func(pod *corev1.Pod) {
			pod.Spec.Containers[0].SecurityContext.Capabilities.Add = []corev1.Capability{"SYS_PTRACE"}
		}},
	}
	var attempts []suite.Attempt
	for _, try := range tries {
		attempt, err := session.TryCreate(ctx, try.title, try.level, triedPod(session, try.change))
		if err != nil {
			return err
		}
		attempts = append(attempts, attempt)
	}
	return judgePodSecurity(judge, [2]suite.Attempt{attempts[0], attempts[1]}, attempts[2], attempts[3], attempts[4])
}

// judgePodSecurity judges what was tried. A level that takes a privileged Pod, tried under restricted and under baseline, is not
// enforced, so that what it admits says nothing.
func judgePodSecurity(judge suite.Judge, privileged [2]suite.Attempt, restricted, baseline, tracer suite.Attempt) error {
	for _, attempt := range []suite.Attempt{privileged[0], privileged[1], restricted, baseline, tracer} {
		if attempt.Refusal != nil && !byPodSecurity(attempt.Refusal) {
			return suite.Undecided(reports.Refused,
				"%s is refused by something else than Pod Security admission: %v", attempt.Title, attempt.Refusal)
		}
	}
	judge.Claim.Expect(restricted.Refusal == nil).To(gomega.BeTrue(), "%s is rejected: %v", restricted.Title, restricted.Refusal)
	judge.Claim.Expect(baseline.Refusal == nil).To(gomega.BeTrue(), "%s is rejected: %v", baseline.Title, baseline.Refusal)
	switch underRestricted, underBaseline := privileged[0].Refusal == nil, privileged[1].Refusal == nil; {
	case underRestricted && underBaseline:
		return &suite.Unsupported{Reason: "Pod Security admission is off: namespaces that enforce restricted and baseline take a privileged Pod"}
	case underBaseline:
		return &suite.Unsupported{
			Reason: "Pod Security admission enforces restricted alone: a namespace that enforces baseline takes a privileged Pod",
		}
	case underRestricted:
		return &suite.Unsupported{
			Reason: "Pod Security admission enforces baseline alone: a namespace that enforces restricted takes a privileged Pod",
		}
	}
	judge.Claim.Expect(tracer.Refusal).NotTo(gomega.BeNil(), "%s is admitted", tracer.Title)
	return nil
}
