package suites

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"sharedpid.example/helpers/suite"
	"sharedpid.example/reports"
)

// invalid is what the API's own validation answers.
func invalid(detail string) *apierrors.StatusError {
	return apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "tried", field.ErrorList{field.Forbidden(field.NewPath("spec"), detail)})
}

// forbidden is what admission answers: Pod Security, a quota, a webhook.
func forbidden(words string) *apierrors.StatusError {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "tried", errors.New(words))
}

// policy is what a ValidatingAdmissionPolicy answers that names no reason: Invalid, as validation does, and no field.
func policy() *apierrors.StatusError {
	const words = "ValidatingAdmissionPolicy 'no-host-pid' with binding 'no-host-pid' denied request: hostPID is forbidden"
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: 422, Reason: metav1.StatusReasonInvalid, Message: words,
		Details: &metav1.StatusDetails{Kind: "pods", Causes: []metav1.StatusCause{{Message: words}}},
	}}
}

func TestJudgeRejected(t *testing.T) {
	const words = "cannot both be enabled"
	judging := func(refusal *apierrors.StatusError) func(suite.Judge) {
		return func(judge suite.Judge) { judgeRejected(judge, suite.Attempt{Title: "a Pod", Refusal: refusal}, words) }
	}
	expectVerdict(t, reports.Conformant, judging(invalid("they "+words)))
	expectVerdict(t, reports.Nonconformant, judging(nil))
	expectVerdict(t, reports.Nonconformant, judging(invalid("something else")))
	// A policy that refuses hides what validation says, whatever its words and its reason.
	expectVerdict(t, reports.Inconclusive, judging(forbidden(words)))
	expectVerdict(t, reports.Inconclusive, judging(policy()))
}

func TestJudgeAccepted(t *testing.T) {
	judging := func(refusal *apierrors.StatusError) func(suite.Judge) {
		return func(judge suite.Judge) { judgeAccepted(judge, suite.Attempt{Title: "a Pod", Refusal: refusal}) }
	}
	expectVerdict(t, reports.Conformant, judging(nil))
	expectVerdict(t, reports.Nonconformant, judging(invalid("hostPID")))
	expectVerdict(t, reports.Inconclusive, judging(policy()))
	expectVerdict(t, reports.Inconclusive, judging(forbidden("exceeded quota: few")))
}

func TestJudgePodSecurity(t *testing.T) {
	violates := forbidden(`violates PodSecurity "baseline:latest": non-default capabilities`)
	verdict := func(refusals ...*apierrors.StatusError) reports.Verdict {
		return suite.Conclude(func(judge suite.Judge) error {
			attempt := func(i int) suite.Attempt { return suite.Attempt{Title: "a Pod", Refusal: refusals[i]} }
			return judgePodSecurity(judge, [2]suite.Attempt{attempt(0), attempt(1)}, attempt(2), attempt(3), attempt(4))
		}).Verdict
	}
	for name, test := range map[string]struct {
		underRestricted, underBaseline, restricted, baseline, tracer *apierrors.StatusError
		want                                                         reports.Verdict
	}{
		"as the standards say":          {violates, violates, nil, nil, violates, reports.Conformant},
		"sharing is refused":            {violates, violates, violates, nil, violates, reports.Nonconformant},
		"sharing is refused by both":    {violates, violates, violates, violates, violates, reports.Nonconformant},
		"the capability is admitted":    {violates, violates, nil, nil, nil, reports.Nonconformant},
		"nothing is enforced":           {nil, nil, nil, nil, nil, reports.Unsupported},
		"only restricted is enforced":   {violates, nil, nil, nil, nil, reports.Unsupported},
		"and refuses sharing":           {violates, nil, violates, nil, nil, reports.Nonconformant},
		"only baseline is enforced":     {nil, violates, nil, nil, violates, reports.Unsupported},
		"a policy refuses privileges":   {violates, policy(), nil, nil, violates, reports.Inconclusive},
		"a policy refuses sharing":      {violates, violates, policy(), policy(), policy(), reports.Inconclusive},
		"a policy refuses capabilities": {violates, violates, nil, nil, policy(), reports.Inconclusive},
		"a webhook refuses sharing": {
			violates, violates, forbidden("admission webhook denied the request"), nil, violates, reports.Inconclusive,
		},
	} {
		if got := verdict(test.underRestricted, test.underBaseline, test.restricted, test.baseline, test.tracer); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
