package suite

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sharedpid.example/reports"
)

func refusal(words string) error {
	return apierrors.NewForbidden(podResource.GroupResource(), "pair", errors.New(words))
}

func TestTryCreateAsksWithoutCreating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Admit = func(asked *corev1.Pod) error {
			if asked.Spec.HostPID {
				return refusal("hostPID")
			}
			return nil
		}
		tried := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "tried"}}
		run, err := Run(t.Context(), cluster.Options(Options{Traits: []Trait{
			newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
				for _, level := range []string{"", "restricted", "restricted"} {
					attempt, err := session.TryCreate(ctx, "a Pod at "+level, level, tried)
					if err != nil || attempt.Refusal != nil || attempt.Err() != nil || attempt.Title != "a Pod at "+level {
						t.Errorf("%v: %+v", err, attempt)
					}
				}
				denied := tried.DeepCopy()
				denied.Spec.HostPID = true
				attempt, err := session.TryCreate(ctx, "a Pod with hostPID", "", denied)
				if err != nil || attempt.Refusal == nil || denied.Namespace != "" {
					t.Errorf("%v: %+v", err, attempt)
				}
				expectError(t, attempt.Err(), "a Pod with hostPID: ", "hostPID")
				return nil
			}),
		}}))
		if err != nil {
			t.Fatal(err)
		}
		expectVerdict(t, run.Results[0], reports.Conformant, "", "")
		namespace := "sharedpid-" + run.ID
		expectEqual(t, "tries", cluster.Events("try tried"), []string{
			"try tried in " + namespace, "try tried in " + namespace + "-restricted", "try tried in " + namespace + "-restricted",
		})
		expectEqual(t, "namespaces", cluster.Events("create namespace"), []string{
			"create namespace " + namespace, "create namespace " + namespace + "-restricted",
		})
		if deleted := cluster.Events("delete namespace"); len(deleted) != 2 {
			t.Errorf("deleted were %v", deleted)
		}
		evidence := run.Results[0].Evidence
		if len(evidence) != 4 || evidence[0].Output != "accepted" || evidence[0].Where != "API" ||
			!strings.Contains(evidence[3].Output, "hostPID") {
			t.Errorf("evidence is %+v", evidence)
		}
		if len(cluster.Events("create tried")) != 0 {
			t.Error("a Pod was created")
		}
	})
}

// TestOnlyAnAnswerAboutThePodIsARefusal: of what the API does not decide, nothing is known.
func TestOnlyAnAnswerAboutThePodIsARefusal(t *testing.T) {
	status := func(code int32) *apierrors.StatusError {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Message: "no"}}
	}
	for code, want := range map[int32]bool{
		http.StatusForbidden: true, http.StatusUnprocessableEntity: true, http.StatusBadRequest: true, http.StatusUnauthorized: false,
		http.StatusRequestTimeout: false, http.StatusConflict: false, http.StatusTooManyRequests: false,
		http.StatusInternalServerError: false,
		http.StatusServiceUnavailable:  false,
	} {
		if answers(status(code)) != want {
			t.Errorf("%d answers: %t", code, !want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		cluster.Admit = func(*corev1.Pod) error { return apierrors.NewServiceUnavailable("starting") }
		result := cluster.Check(t, newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
			_, err := session.TryCreate(ctx, "it", "", &corev1.Pod{})
			return err
		}))["group/a"]
		expectVerdict(t, result, reports.Inconclusive, reports.Lost, "starting")
	})
}

// TestANamespaceThatIsRefusedIsNoRefusalOfThePod that was to be tried in it.
func TestANamespaceThatIsRefusedIsNoRefusalOfThePod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t, newNode("a"))
		result := cluster.Check(t, newTrait("group/a", func(ctx context.Context, session *Session, _ Judge) error {
			cluster.Reject("create", "namespaces", refusal("one namespace only"))
			attempt, err := session.TryCreate(ctx, "it", "baseline", &corev1.Pod{})
			if attempt.Refusal != nil {
				t.Errorf("the Pod was refused: %v", attempt.Err())
			}
			return err
		}))["group/a"]
		expectVerdict(t, result, reports.Inconclusive, reports.Refused, "one namespace only")
	})
}

// TestTryUpdateAsksAgainWhenTheKubeletWroteInBetween.
func TestTryUpdateAsksAgainWhenTheKubeletWroteInBetween(t *testing.T) {
	for conflicts, words := range map[int]string{0: "", 3: "", 10000: "conflict"} {
		synctest.Test(t, func(t *testing.T) {
			cluster := newCluster(t, newNode("a"))
			left := conflicts
			cluster.Admit = func(asked *corev1.Pod) error {
				switch {
				case !asked.Spec.HostPID:
					return nil
				case left > 0:
					left--
					return apierrors.NewConflict(podResource.GroupResource(), "pair", errors.New("conflict"))
				}
				return refusal("immutable")
			}
			start := time.Now()
			result := onPod(t, cluster, func(ctx context.Context, session *Session, pair Fixture) error {
				attempt, err := session.TryUpdate(ctx, "hostPID", pair, func(asked *corev1.Pod) { asked.Spec.HostPID = true })
				if err != nil {
					return err
				}
				expectError(t, attempt.Err(), "immutable")
				attempt, err = session.TryUpdate(ctx, "nothing", pair, func(*corev1.Pod) {})
				if err != nil || attempt.Refusal != nil {
					t.Errorf("%v: %+v", err, attempt)
				}
				return err
			})
			if words == "" {
				expectVerdict(t, result, reports.Conformant, "", "")
			} else {
				expectVerdict(t, result, reports.Inconclusive, reports.OutOfTime, words)
			}
			if time.Since(start) > 2*time.Minute {
				t.Errorf("it took %s", time.Since(start))
			}
		})
	}
}
