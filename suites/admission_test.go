package suites

import (
	"errors"
	"testing"

	"github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"sharedpid.example/reports"
)

func TestJudgeRejected(t *testing.T) {
	const words = "cannot both be enabled"
	invalid := func(detail string) error {
		return apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "tried", field.ErrorList{field.Forbidden(field.NewPath("spec"), detail)})
	}
	judge := func(refusal error) func(gomega.Gomega) {
		return func(g gomega.Gomega) { judgeRejected(g, attempt{"a Pod", refusal}, words) }
	}
	expectVerdict(t, reports.Conformant, judge(invalid("they "+words)))
	expectVerdict(t, reports.Nonconformant, judge(nil))
	expectVerdict(t, reports.Nonconformant, judge(invalid("something else")))
	// A policy that refuses is not the API's validation.
	expectVerdict(t, reports.Nonconformant, judge(apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "tried", errors.New(words))))
}

func TestOnlyValidationAndPodSecurityAreVerdicts(t *testing.T) {
	forbidden := func(words string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "tried", errors.New(words))
	}
	for _, test := range []struct {
		refusal error
		want    bool
	}{
		{apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "tried", field.ErrorList{field.Forbidden(field.NewPath("spec"), "no")}), true},
		{forbidden(`violates PodSecurity "baseline:latest": non-default capabilities`), true},
		{forbidden("exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3"), false},
		{forbidden(`admission webhook "policy.example" denied the request`), false},
		{errors.New("connection refused"), false},
	} {
		if got := isVerdict(test.refusal); got != test.want {
			t.Errorf("a verdict: %t, want %t: %v", got, test.want, test.refusal)
		}
	}
}
