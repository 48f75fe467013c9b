package suite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sharedpid.example/helpers/pod"
	"sharedpid.example/reports"
)

// kinds are all kinds of inconclusive results.
var kinds = []reports.Kind{
	reports.Control, reports.Precondition, reports.Ambiguous, reports.Refused, reports.NotStarted, reports.Lost, reports.OutOfTime,
	reports.Killed, reports.Interrupted, reports.Defect,
}

// TestConcludeDecidesByTheOutermostTypedError of what a check returns or stops with.
func TestConcludeDecidesByTheOutermostTypedError(t *testing.T) {
	violation, unsupported := &Violation{"seen otherwise"}, &Unsupported{"has none"}
	tests := map[string]struct {
		err    error
		want   reports.Verdict
		kind   reports.Kind
		reason string
	}{
		"nothing":                 {nil, reports.Conformant, "", "observed as stated"},
		"violation":               {violation, reports.Nonconformant, "", "seen otherwise"},
		"wrapped violation":       {fmt.Errorf("after HUP: %w", violation), reports.Nonconformant, "", "after HUP: seen otherwise"},
		"unsupported":             {unsupported, reports.Unsupported, "", "has none"},
		"wrapped unsupported":     {fmt.Errorf("here: %w", unsupported), reports.Unsupported, "", "here: has none"},
		"control":                 {ControlFailed(violation), reports.Inconclusive, reports.Control, "seen otherwise"},
		"wrapped control":         {fmt.Errorf("x: %w", ControlFailed(violation)), reports.Inconclusive, reports.Control, "x: seen otherwise"},
		"control, wrapped inside": {ControlFailed(fmt.Errorf("x: %w", violation)), reports.Inconclusive, reports.Control, "x: seen otherwise"},
		"unsupported control":     {ControlFailed(unsupported), reports.Inconclusive, reports.Control, "has none"},
		"lost control": {ControlFailed(Undecided(reports.NotStarted, "no image")), reports.Inconclusive, reports.NotStarted,
			"control: no image"},
		"control out of time": {ControlFailed(context.DeadlineExceeded), reports.Inconclusive, reports.OutOfTime, "control: context"},
		"no control":          {ControlFailed(nil), reports.Conformant, "", "observed as stated"},
		"plain":               {errors.New("oh"), reports.Inconclusive, reports.Lost, "oh"},
		"out of time":         {fmt.Errorf("x: %w", context.DeadlineExceeded), reports.Inconclusive, reports.OutOfTime, "x: context"},
		"interrupted":         {fmt.Errorf("x: %w", context.Canceled), reports.Inconclusive, reports.Interrupted, "x: context"},
		"refused": {apierrors.NewForbidden(podResource.GroupResource(), "p", nil),
			reports.Inconclusive, reports.Refused, "forbidden"},
		"of a Pod": {&pod.Error{Kind: reports.NotStarted, Pod: "p", Err: errors.New("no")},
			reports.Inconclusive, reports.NotStarted, "Pod p"},
		"violation about a Pod": {errors.Join(violation, &pod.Error{Kind: reports.Lost, Err: errors.New("no")}),
			reports.Nonconformant, "", "seen"},
	}
	for _, kind := range kinds {
		tests[string(kind)] = struct {
			err    error
			want   reports.Verdict
			kind   reports.Kind
			reason string
		}{fmt.Errorf("x: %w", Undecided(kind, "%d of it", 3)), reports.Inconclusive, kind, "x: 3 of it"}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for how, check := range map[string]func(Judge) error{
				"returned": func(Judge) error { return test.err },
				"stopped":  func(judge Judge) error { judge.Stop(test.err); panic("it goes on") },
			} {
				outcome := Conclude(check)
				if outcome.Verdict != test.want || outcome.Kind != test.kind ||
					!strings.Contains(outcome.Reason, test.reason) || outcome.Stack != "" {
					t.Errorf("%s: %+v, want %s (%s) %q", how, outcome, test.want, test.kind, test.reason)
				}
			}
		})
	}
}

func TestJudgeSaysAsWhatAnAssertionFails(t *testing.T) {
	for name, test := range map[string]struct {
		assert func(Judge) gomega.Gomega
		want   reports.Verdict
		kind   reports.Kind
	}{
		"claim":        {func(judge Judge) gomega.Gomega { return judge.Claim }, reports.Nonconformant, ""},
		"control":      {func(judge Judge) gomega.Gomega { return judge.Control }, reports.Inconclusive, reports.Control},
		"precondition": {func(judge Judge) gomega.Gomega { return judge.Precondition }, reports.Inconclusive, reports.Precondition},
	} {
		t.Run(name, func(t *testing.T) {
			outcome := Conclude(func(judge Judge) error {
				test.assert(judge).Expect(1).To(gomega.Equal(1))
				test.assert(judge).Expect(1).To(gomega.Equal(2), "the first that fails")
				test.assert(judge).Expect(1).To(gomega.Equal(3), "the second")
				return nil
			})
			if outcome.Verdict != test.want || outcome.Kind != test.kind || !strings.Contains(outcome.Reason, "the first that fails") ||
				outcome.Stack != "" {
				t.Errorf("%+v, want %s (%s)", outcome, test.want, test.kind)
			}
			if outcome := Conclude(func(judge Judge) error {
				test.assert(judge).Expect(1).To(gomega.Equal(1))
				return nil
			}); outcome.Verdict != reports.Conformant {
				t.Errorf("an assertion that holds gives %+v", outcome)
			}
		})
	}
}

func TestAPanicOfACheckIsADefectOfTheSuite(t *testing.T) {
	for _, check := range []func(Judge) error{
		func(Judge) error { panic(errors.New("oh")) },
		func(Judge) error { panic(&Violation{"oh"}) },
		func(Judge) error { var none []string; return errors.New(none[len(none)]) },
	} {
		outcome := Conclude(check)
		if outcome.Verdict != reports.Inconclusive || outcome.Kind != reports.Defect ||
			!strings.Contains(outcome.Stack, "outcome_test.go") ||
			!strings.Contains(outcome.Reason, "the check itself failed: ") {
			t.Errorf("outcome is %+v", outcome)
		}
	}
}
