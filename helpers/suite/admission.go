package suite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"sharedpid.example/reports"
)

// Attempt is what the API said to a request that it may refuse.
type Attempt struct {
	Title string
	// Refusal is the API's, nil when it accepted.
	Refusal *apierrors.StatusError
}

// keptRefusal is the API's answer as it is kept.
type keptRefusal struct {
	Status *metav1.Status `json:"status,omitempty"` // nil when it was accepted
}

// TryCreate asks the API, without creating anything, whether it would create a Pod. The Pod goes into the run's namespace
// that enforces a level of the Pod Security Standards, or into the run's own with an empty level. An error means that the
// API did not answer.
func (session *Session) TryCreate(ctx context.Context, title, level string, tried *corev1.Pod) (Attempt, error) {
	return session.try(title, "kubectl create --dry-run=server", func() (answer, failed error) {
		name := session.run.namespace.name
		if level != "" {
			var err error
			if name, err = session.run.namespace.level(ctx, level); err != nil {
				return nil, err
			}
		}
		adapted := tried.DeepCopy()
		adapted.Namespace = name
		session.run.options.Adaptation.AdaptPod(&adapted.ObjectMeta, &adapted.Spec)
		stored, answer := session.run.client.CoreV1().Pods(name).Create(ctx, adapted, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if answer == nil {
			return nil, unchanged(title, adapted.Spec, stored.Spec)
		}
		return answer, nil
	})
}

// TryUpdate asks the API, without changing anything, whether the fixture's Pod may be changed.
func (session *Session) TryUpdate(ctx context.Context, title string, fixture Fixture, change func(*corev1.Pod)) (Attempt, error) {
	return session.try(title, "kubectl replace --dry-run=server", func() (answer, failed error) {
		created, err := session.pod(ctx, fixture)
		if err != nil {
			return nil, err
		}
		err = wait.PollUntilContextTimeout(ctx, shortestPause, session.limits.Settling, true, func(ctx context.Context) (bool, error) {
			status, err := created.Status(ctx)
			if err != nil {
				return false, err
			}
			change(status)
			var stored *corev1.Pod
			stored, answer = session.run.client.CoreV1().Pods(status.Namespace).Update(ctx, status,
				metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
			if answer == nil {
				return true, unchanged(title, status.Spec, stored.Spec)
			}
			return !apierrors.IsConflict(answer), nil // the kubelet wrote in between
		})
		return answer, err
	})
}

// unchanged says that admission changed what was tried, so that the API's validation has judged something else; nil when
// it did not.
func unchanged(title string, sent, stored corev1.PodSpec) error {
	if changed := changes(sent, stored); len(changed) > 0 {
		return Undecided(reports.Changed, "%s: admission changed the Pod: %s", title, strings.Join(changed, "; "))
	}
	return nil
}

// try keeps what the API said, and records it. The request returns the API's answer, and why it was not asked.
func (session *Session) try(title, command string, request func() (answer, failed error)) (Attempt, error) {
	kept, err := ask(session, "try "+title, func() (keptRefusal, error) {
		answer, failed := request()
		refusal := (*apierrors.StatusError)(nil)
		if failed == nil && errors.As(answer, &refusal) && answers(refusal) {
			return keptRefusal{&refusal.ErrStatus}, nil
		}
		return keptRefusal{}, errors.Join(failed, answer)
	})
	if err != nil {
		return Attempt{}, err
	}
	attempt := Attempt{Title: title}
	output := "accepted"
	if kept.Status != nil {
		attempt.Refusal = &apierrors.StatusError{ErrStatus: *kept.Status}
		output = kept.Status.Message
	}
	session.evidence = append(session.evidence, reports.Evidence{Title: title, Where: "API", Command: command, Output: output})
	return attempt, nil
}

// answers tells whether the API's status is about the object, and not about the request: a busy API, an expired token.
func answers(refusal *apierrors.StatusError) bool {
	switch refusal.ErrStatus.Code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	}
	return refusal.ErrStatus.Code >= 400 && refusal.ErrStatus.Code < 500
}

// Err is the refusal as an error that says what was tried, nil when it was accepted.
func (attempt Attempt) Err() error {
	if attempt.Refusal == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", attempt.Title, attempt.Refusal)
}
