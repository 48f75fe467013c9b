package suite

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sharedpid.example/reports"
)

func TestPermissionOf(t *testing.T) {
	on, off := true, false
	refusal := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "tried", errors.New("no sharing here"))
	quota := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "tried", errors.New("exceeded quota"))
	noDryRun := apierrors.NewBadRequest(`admission webhook "w" does not support dry run`)
	broken := &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusInternalServerError, Message: "etcd"}}
	for name, test := range map[string]struct {
		stored        *bool
		shared, alone error
		want          reports.Answer
	}{
		"accepted and kept":             {&on, nil, nil, reports.MayShare},
		"set to false":                  {&off, nil, nil, reports.SharingIsChanged},
		"taken away":                    {nil, nil, nil, reports.SharingIsChanged},
		"refused with the field":        {nil, refusal, nil, reports.MayNotShare},
		"refused either way":            {nil, refusal, quota, reports.NoPods},
		"a webhook without dry runs":    {nil, noDryRun, nil, reports.NotKnown},
		"no answer":                     {nil, errors.New("connection refused"), nil, reports.NotKnown},
		"an API that fails":             {nil, broken, nil, reports.NotKnown},
		"no answer to the second of it": {nil, refusal, broken, reports.NotKnown},
	} {
		if got := permissionOf(test.stored, test.shared, test.alone); got.Answer != test.want ||
			(got.Reason == "") != (test.want == reports.MayShare) {
			t.Errorf("%s: %+v, want %q", name, got, test.want)
		}
	}
}

func TestPermissionIsAskedAndMakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("node"))
		cluster.Admit = func(created *corev1.Pod) error {
			if created.Spec.ShareProcessNamespace == nil {
				return nil
			}
			return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, created.Name, errors.New("no sharing here"))
		}
		run := cluster.mustRun(t, Options{Traits: []Trait{newTrait("group/any", func(context.Context, *Session, Judge) error { return nil })}})
		if run.Permission.Answer != reports.MayNotShare || !strings.Contains(run.Permission.Reason, "no sharing here") {
			t.Errorf("the permission is %+v", run.Permission)
		}
		if pods := cluster.Events("Pod "); len(pods) > 0 {
			t.Errorf("the question made Pods: %q", pods)
		}
	})
}
