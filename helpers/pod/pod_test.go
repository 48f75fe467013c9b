package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"sharedpid.example/reports"
)

var podGroup = schema.GroupResource{Resource: "pods"}

// failTimes lets a request fail that often. The API does what it is asked for nonetheless where done says so: only the answer is
// lost.
func (cluster *cluster) failTimes(times int, verb, resource string, done bool, err error) *int {
	count := 0
	cluster.api.PrependReactor(verb, resource, func(action clienttesting.Action) (bool, runtime.Object, error) {
		if count++; count > times {
			return false, nil, nil
		}
		if done {
			_, _, _ = clienttesting.ObjectReaction(cluster.api.Tracker())(action)
		}
		return true, nil, err
	})
	return &count
}

func TestCreateOutlastsALostAnswer(t *testing.T) {
	for name, err := range map[string]error{
		"internal":    apierrors.NewInternalError(errors.New("no leader")),
		"reset":       &net.OpError{Op: "read", Err: syscall.ECONNRESET},
		"end of file": io.ErrUnexpectedEOF,
		"timeout":     apierrors.NewTimeoutError("slow", 0),
		"quota":       apierrors.NewConflict(podGroup, "quota", errors.New("it was changed")),
	} {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%t", name, done), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cluster := newCluster(t)
					count := cluster.failTimes(2, "create", "pods", done, err)
					created, err := cluster.Create(t.Context(), cluster.watch, podCalled("pod"))
					if err != nil || *count != 3 || created.Created() == nil || created.Created().Name != "pod" {
						t.Fatalf("%d requests: %v", *count, err)
					}
				})
			})
		}
	}
}

func TestCreateRefusesAPodOfSomebodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.create(t, "pod")
		start := time.Now()
		_, err := cluster.Create(t.Context(), cluster.watch, podCalled("pod"))
		if !apierrors.IsAlreadyExists(err) || !strings.Contains(err.Error(), "Pod run/pod, creating it: ") {
			t.Errorf("error is %v", err)
		}
		expectAfter(t, start, 0)
		cluster.failTimes(1, "create", "pods", false, io.ErrUnexpectedEOF)
		if _, err := cluster.Create(t.Context(), cluster.watch, podCalled("pod")); !apierrors.IsAlreadyExists(err) {
			t.Errorf("error is %v", err)
		}
		cluster.failTimes(1, "get", "pods", false, apierrors.NewNotFound(podGroup, "pod"))
		if _, err := cluster.Create(t.Context(), cluster.watch, podCalled("pod")); !apierrors.IsNotFound(err) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestCreateIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		count := cluster.failTimes(100, "create", "pods", false, apierrors.NewForbidden(podGroup, "pod", errors.New("looking up serviceaccount")))
		start := time.Now()
		_, err := cluster.Create(t.Context(), cluster.watch, podCalled("pod"))
		expectError(t, err, reports.Refused, "looking up serviceaccount")
		expectAfter(t, start, 0)
		if *count != 1 {
			t.Errorf("it was asked for %d times", *count)
		}
	})
}

func TestCreatedIsWhatTheAPIStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.api.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
			action.(clienttesting.CreateAction).GetObject().(*corev1.Pod).Labels = map[string]string{"injected": "yes"}
			return false, nil, nil
		})
		sent := podCalled("pod")
		created, err := cluster.Create(t.Context(), cluster.watch, sent.DeepCopy())
		if err != nil || created.Created().Labels["injected"] != "yes" {
			t.Errorf("stored is %v, %v", created.Created(), err)
		}
	})
}

func TestRetryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		count := cluster.failTimes(100, "get", "pods", false, apierrors.NewServiceUnavailable("down"))
		start := time.Now()
		_, err := created.Status(t.Context())
		expectError(t, err, reports.Lost, "Pod run/pod, asking for its status: down")
		if passed := time.Since(start); *count != 7 || passed < 12*time.Second || passed > 14*time.Second {
			t.Errorf("it was asked %d times in %v", *count, passed)
		}
	})
}

func TestRetryHeedsWhatTheAPIAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		cluster.failTimes(1, "get", "pods", false, apierrors.NewTooManyRequests("busy", 20))
		start := time.Now()
		if _, err := created.Status(t.Context()); err != nil {
			t.Error(err)
		}
		expectAfter(t, start, 20*time.Second)
		count := cluster.failTimes(1, "get", "pods", false, apierrors.NewTooManyRequests("busy", 3600))
		_, err := created.Status(t.Context())
		expectError(t, err, reports.Lost, "busy")
		if *count != 1 {
			t.Errorf("it was asked %d times", *count)
		}
	})
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		count := cluster.failTimes(100, "get", "pods", false, apierrors.NewTooManyRequests("busy", 20))
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("SIGINT")) })
		start := time.Now()
		_, err := created.Status(ctx)
		if err == nil || !strings.Contains(err.Error(), "SIGINT before it could be asked again after: busy") || *count != 1 {
			t.Errorf("%d requests: %v", *count, err)
		}
		expectAfter(t, start, time.Second)
		limited, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		_, err = created.Status(limited)
		expectError(t, err, reports.OutOfTime, "busy")
	})
}

func TestDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		cluster.failTimes(1, "delete", "pods", true, io.ErrUnexpectedEOF)
		if err := created.Delete(t.Context()); err != nil {
			t.Errorf("the answer was lost, and the Pod is deleted: %v", err)
		}
		expectError(t, created.Delete(t.Context()), reports.Lost, "Pod run/pod, deleting it", "not found")
	})
}

func TestResize(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		done bool
	}{
		"the Pod changed meanwhile": {apierrors.NewConflict(podGroup, "pod", errors.New("it was changed")), false},
		"the answer was lost":       {io.ErrUnexpectedEOF, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t)
				created := cluster.create(t, "pod")
				cluster.failTimes(1, "update", "pods", test.done, test.err)
				if err := created.Resize(t.Context(), "c", corev1.ResourceCPU, resource.MustParse("600m")); err != nil {
					t.Fatal(err)
				}
				status, err := created.Status(t.Context())
				if err != nil || status.Spec.Containers[0].Resources.Limits.Cpu().String() != "600m" {
					t.Errorf("containers are %v, %v", status.Spec.Containers, err)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		none := cluster.Open(cluster.watch, "run", "none")
		expectError(t, none.Resize(t.Context(), "c", corev1.ResourceCPU, resource.Quantity{}), reports.Lost, "resizing container c")
	})
}

func TestAddEphemeral(t *testing.T) {
	container := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e"}}
	for name, test := range map[string]struct {
		err  error
		done bool
	}{
		"the Pod changed meanwhile": {apierrors.NewConflict(podGroup, "pod", errors.New("it was changed")), false},
		"the answer was lost":       {io.ErrUnexpectedEOF, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := newCluster(t)
				created := cluster.create(t, "pod")
				cluster.failTimes(1, "update", "pods", test.done, test.err)
				if err := created.AddEphemeral(t.Context(), container); err != nil {
					t.Fatal(err)
				}
				status, err := created.Status(t.Context())
				if err != nil || len(status.Spec.EphemeralContainers) != 1 {
					t.Errorf("ephemeral containers are %v, %v", status.Spec.EphemeralContainers, err)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		none := cluster.Open(cluster.watch, "run", "none")
		expectError(t, none.AddEphemeral(t.Context(), container), reports.Lost, "adding ephemeral containers")
		created := cluster.create(t, "pod")
		cluster.failTimes(1, "update", "pods", false, apierrors.NewForbidden(podGroup, "pod", nil))
		expectError(t, created.AddEphemeral(t.Context(), container), reports.Refused)
	})
}

func TestDiagnoseShowsOnlyTheLogsOfTheNamedContainers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		created := cluster.create(t, "pod")
		cluster.change(t, "pod", func(pod *corev1.Pod) {
			pod.Spec.InitContainers = []corev1.Container{{Name: "injected-init"}}
			pod.Spec.Containers = []corev1.Container{{Name: "c"}, {Name: "injected"}}
			pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e"}}}
		})
		cluster.addSandboxEvent(t, "Failed", "what happened")
		text := created.Diagnose(t.Context(), "c", "e")
		for _, words := range []string{"Pod run/pod on node: Pending", "logs of c:\nfake logs", "logs of e:\nfake logs", "what happened",
			"container injected-init is not the suite's: its logs are left out", "container injected is not"} {
			if !strings.Contains(text, words) {
				t.Errorf("the diagnosis lacks %q:\n%s", words, text)
			}
		}
		for _, action := range cluster.api.Actions() {
			if action.GetSubresource() != "log" {
				continue
			}
			options := action.(clienttesting.GenericAction).GetValue().(*corev1.PodLogOptions)
			if !slices.Contains([]string{"c", "e"}, options.Container) {
				t.Errorf("the logs of %s were read", options.Container)
			}
		}
		cluster.failTimes(100, "list", "events", false, apierrors.NewForbidden(podGroup, "", errors.New("no events")))
		if text := created.Diagnose(t.Context()); !strings.Contains(text, "listing its events") {
			t.Errorf("the diagnosis does not say why there are no events:\n%s", text)
		}
		if text := cluster.Open(cluster.watch, "run", "none").Diagnose(t.Context()); !strings.Contains(text, "not found") {
			t.Errorf("the diagnosis of no Pod is:\n%s", text)
		}
	})
}

func TestLogs(t *testing.T) {
	for body, gone := range map[string]bool{
		"hello\n": false, "unable to retrieve container logs for containerd://abc": true, "failed to open log file \"x\"": true,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
			if request.URL.RequestURI() != "/api/v1/namespaces/run/pods/pod/log?container=c&limitBytes=65536&previous=true" {
				t.Errorf("asked for %s", request.URL)
			}
			_, _ = io.WriteString(response, body)
		}))
		client, err := NewClient(&rest.Config{Host: server.URL}, testLimits)
		if err != nil {
			t.Fatal(err)
		}
		logs, err := client.Open(nil, "run", "pod").Logs(t.Context(), "c", true)
		if gone {
			expectError(t, err, reports.Lost, "reading the logs of container c: they are gone", body)
		} else if logs != body || err != nil {
			t.Errorf("logs are %q, %v", logs, err)
		}
		server.Close()
	}
}

func TestKindOf(t *testing.T) {
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		err  error
		kind reports.Kind
	}{
		{nil, ""},
		{errors.New("whatever"), ""},
		{apierrors.NewForbidden(podGroup, "pod", nil), reports.Refused},
		{apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "pod", nil), reports.Refused},
		{apierrors.NewUnauthorized("who"), reports.Refused},
		{apierrors.NewBadRequest("a webhook says no"), reports.Refused},
		{apierrors.NewAlreadyExists(podGroup, "pod"), ""},
		{apierrors.NewNotFound(podGroup, "pod"), reports.Lost},
		{apierrors.NewInternalError(errors.New("no leader")), reports.Lost},
		{apierrors.NewTooManyRequests("busy", 1), reports.Lost},
		{apierrors.NewTimeoutError("slow", 1), reports.Lost},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, reports.Lost},
		{syscall.ECONNRESET, reports.Lost},
		{errIncomplete, reports.Lost},
		{io.ErrUnexpectedEOF, reports.Lost},
		{context.Canceled, reports.Interrupted},
		{context.DeadlineExceeded, reports.OutOfTime},
		{notWithin(time.Second), reports.OutOfTime},
		{kinded{reports.NotStarted, fmt.Errorf("%w: %w", notWithin(time.Second), errors.New("no network"))}, reports.NotStarted},
		{&Error{Kind: reports.NotStarted, Err: context.Canceled}, reports.NotStarted},
		{&Error{Err: context.Canceled}, reports.Interrupted},
		{(&Pod{}).failed(interrupted, "", errors.New("a connection was closed")), reports.Interrupted},
		{(&Pod{}).failed(interrupted, "", apierrors.NewForbidden(podGroup, "pod", nil)), reports.Refused},
		{(&Pod{}).failed(t.Context(), "", errors.New("whatever")), ""},
		{refused(errors.New("bad handshake (502)"), errors.New("unable to upgrade connection: <html>")), reports.Lost},
	} {
		for _, err := range []error{test.err, fmt.Errorf("wrapped: %w", test.err)} {
			if kind := KindOf(err); test.err != nil && kind != test.kind {
				t.Errorf("%v is %q, want %q", err, kind, test.kind)
			}
		}
	}
	if kind := KindOf(nil); kind != "" {
		t.Errorf("no error is %q", kind)
	}
	if err := error(&Error{Pod: "a/b", Doing: "doing", Err: io.EOF}); err.Error() != "Pod a/b, doing: EOF" || !errors.Is(err, io.EOF) {
		t.Errorf("error is %v", err)
	}
}
