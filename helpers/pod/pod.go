// Package pod creates Pods, waits for them, and looks into their containers.
package pod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
)

// interval is how often a wait looks again.
const interval = 100 * time.Millisecond

// Client reaches the Pods of a cluster.
type Client struct {
	kubernetes.Interface
	configuration *rest.Config
}

// NewClient returns a client without client-side rate limits: the suite's requests are few, and their waits short.
func NewClient(configuration *rest.Config) (*Client, error) {
	configuration = rest.CopyConfig(configuration)
	configuration.QPS = -1
	configuration.Wrap(func(next http.RoundTripper) http.RoundTripper { return counting{next} })
	clientset, err := kubernetes.NewForConfig(configuration)
	if err != nil {
		return nil, err
	}
	return &Client{Interface: clientset, configuration: configuration}, nil
}

// Pod is one Pod of a cluster.
type Pod struct {
	client          *Client
	watch           *Watch
	Namespace, Name string
}

// Create creates the Pod, in the namespace that is watched. Right after a namespace is made its default service account may be missing, and
// Pods are refused until it is there: that is waited for.
func (client *Client) Create(ctx context.Context, watch *Watch, pod *corev1.Pod) (*Pod, error) {
	var refused error
	err := wait.PollUntilContextTimeout(ctx, interval, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
		if apierrors.IsForbidden(err) && strings.Contains(err.Error(), "serviceaccount") {
			refused = err
			return false, nil
		}
		return err == nil, err
	})
	if err != nil && refused != nil && wait.Interrupted(err) {
		err = refused
	}
	if err != nil {
		return nil, fmt.Errorf("create Pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return &Pod{client: client, watch: watch, Namespace: pod.Namespace, Name: pod.Name}, nil
}

// Status returns the Pod as the API has it now.
func (pod *Pod) Status(ctx context.Context) (*corev1.Pod, error) {
	return pod.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
}

// ContainerIDs returns the names of the Pod's containers by the ids that the runtime gave them, as last seen.
func (pod *Pod) ContainerIDs() map[string]string {
	names := map[string]string{}
	status, _, _ := pod.watch.state(pod.Name)
	if status == nil {
		return names
	}
	for _, each := range slices.Concat(status.Status.InitContainerStatuses, status.Status.ContainerStatuses, status.Status.EphemeralContainerStatuses) {
		if _, id, found := strings.Cut(each.ContainerID, "://"); found {
			names[id] = each.Name
		}
	}
	return names
}

// Wait waits until done is satisfied with the Pod; done is given nil once the Pod is gone. The error says what was
// waited for, the last state seen, and what the events say of a sandbox that does not come up. A Pod that can
// never run (image, configuration, runtime handler) ends the wait at once, one of which a container fails to start when
// the kubelet's next try did not help.
func (pod *Pod) Wait(ctx context.Context, what string, timeout time.Duration, done func(*corev1.Pod) bool) error {
	return pod.wait(ctx, what, timeout, done, hopelessAfter(startPatience))
}

// WaitOut is Wait after a container or the sandbox was ended on purpose: containers may then fail to start once or
// twice, in a sandbox that the kubelet does not know to be gone, and come up in the end.
func (pod *Pod) WaitOut(ctx context.Context, what string, timeout time.Duration, done func(*corev1.Pod) bool) error {
	return pod.wait(ctx, what, timeout, done, func(*corev1.Pod) error { return nil })
}

// notWithin is the error of a wait whose time was over.
type notWithin time.Duration

func (timeout notWithin) Error() string { return "not within " + time.Duration(timeout).String() }

// OutOfTime tells whether a wait ended because what was waited for did not come in time, on a node that is ready.
func OutOfTime(err error) bool {
	var timeout notWithin
	return errors.As(err, &timeout)
}

func (pod *Pod) wait(ctx context.Context, what string, timeout time.Duration, done func(*corev1.Pod) bool, hopeless func(*corev1.Pod) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, notWithin(timeout))
	defer cancel()
	// A lost node changes no Pod.
	nodes := time.NewTicker(nodeInterval)
	defer nodes.Stop()
	for {
		status, seen, changed := pod.watch.state(pod.Name)
		if seen && done(status) {
			return nil
		}
		err := hopeless(status)
		if sandbox := pod.watch.sandboxError(status); err == nil && sandbox != nil && hopelessSandbox(sandbox) {
			err = sandbox
		}
		if err == nil {
			select {
			case <-changed:
				continue
			case <-nodes.C:
				if err = pod.watch.nodeError(ctx, pod.client, status); err == nil {
					continue
				}
			case <-ctx.Done():
				// The last words are worth a request of their own after the time is over.
				late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
				defer cancel()
				err = context.Cause(ctx)
				if why := pod.watch.sandboxError(status); why != nil {
					err = fmt.Errorf("%w: %w", err, why)
				}
				if lost := pod.watch.nodeError(late, pod.client, status); lost != nil {
					err = lost
				}
			}
		}
		return fmt.Errorf("Pod %s/%s, waiting for %s: %w; last seen: %s", pod.Namespace, pod.Name, what, err, describe(status))
	}
}

// hopelessSandbox tells whether no retry can bring the sandbox up: the node has no such runtime handler, in
// containerd's and CRI-O's words.
func hopelessSandbox(err error) bool {
	return strings.Contains(err.Error(), "no runtime for") || strings.Contains(err.Error(), "failed to find runtime handler")
}

// WaitRunning waits until the named containers run.
func (pod *Pod) WaitRunning(ctx context.Context, containers ...string) error {
	what := "containers " + strings.Join(containers, ", ") + " to run"
	return pod.Wait(ctx, what, 60*time.Second, func(status *corev1.Pod) bool {
		if status == nil {
			return false
		}
		for _, name := range containers {
			if Container(status, name).State.Running == nil {
				return false
			}
		}
		return true
	})
}

// Container returns the status of the named container of any kind, empty while the kubelet has not reported one.
func Container(pod *corev1.Pod, name string) corev1.ContainerStatus {
	for _, status := range slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses) {
		if status.Name == name {
			return status
		}
	}
	return corev1.ContainerStatus{}
}

// startPatience is how long containers of a Pod may fail to start: the kubelet tries again after ten seconds.
const startPatience = 15 * time.Second

// hopelessAfter returns what tells why waiting for a Pod makes no sense, given the patience with failing starts.
func hopelessAfter(patience time.Duration) func(*corev1.Pod) error {
	var failing time.Time // since when a container fails to start
	return func(pod *corev1.Pod) error {
		if pod == nil {
			return nil
		}
		for _, status := range pod.Status.ContainerStatuses {
			waiting := status.State.Waiting
			if waiting == nil {
				continue
			}
			why := fmt.Errorf("container %s: %s: %s", status.Name, waiting.Reason, waiting.Message)
			switch waiting.Reason {
			case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError":
				return why
			case "CreateContainerError", "RunContainerError":
				if failing.IsZero() {
					failing = time.Now()
				}
				if time.Since(failing) > patience {
					return why
				}
			}
		}
		if pod.Status.Phase == corev1.PodFailed && pod.DeletionTimestamp == nil {
			return fmt.Errorf("it failed: %s %s", pod.Status.Reason, pod.Status.Message)
		}
		return nil
	}
}

// Describe returns the state of the Pod as last seen in one line.
func (pod *Pod) Describe() string { return describe(pod.Last()) }

// describe is the state of a Pod in one line.
func describe(pod *corev1.Pod) string {
	if pod == nil {
		return "no such Pod"
	}
	parts := []string{string(pod.Status.Phase)}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			parts = append(parts, condition.Reason+": "+condition.Message)
		}
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses) {
		state := "unknown"
		switch {
		case status.State.Running != nil:
			state = "running"
		case status.State.Terminated != nil:
			state = fmt.Sprintf("exited %d %s", status.State.Terminated.ExitCode, status.State.Terminated.Reason)
		case status.State.Waiting != nil:
			state = "waiting: " + status.State.Waiting.Reason
		}
		parts = append(parts, fmt.Sprintf("%s %s (%d restarts)", status.Name, state, status.RestartCount))
	}
	return strings.Join(parts, ", ")
}

// Look runs commands in a container, all in one exec, and returns what each showed. A command that fails is
// an observation; only a look that could not be made is an error. An answer lost on its way is asked for again:
// over WebSocket a short exec sometimes loses its output.
func (pod *Pod) Look(ctx context.Context, container string, commands ...string) ([]Observation, error) {
	script := lookScript(commands)
	var err error
	for range 5 {
		var output string
		if output, err = pod.exec(ctx, container, script); err != nil {
			break
		}
		var observations []Observation
		if observations, err = parseLook(commands, output); !errors.Is(err, errIncomplete) {
			return observations, err
		}
	}
	return nil, fmt.Errorf("look into %s/%s, container %s: %w", pod.Namespace, pod.Name, container, err)
}

// shellEnded is the error of a look whose shell did not come to the end of its script.
type shellEnded struct {
	exitCode int
	words    string
}

func (ended shellEnded) Error() string {
	return fmt.Sprintf("the shell ended with %d: %s", ended.exitCode, ended.words)
}

// LookKilled tells whether a look failed because SIGKILL ended its shell.
func LookKilled(err error) bool {
	var ended shellEnded
	return errors.As(err, &ended) && ended.exitCode == 128+int(syscall.SIGKILL)
}

// exec runs a shell script in a container and returns its standard output.
func (pod *Pod) exec(ctx context.Context, container, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request := pod.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: container, Command: []string{"sh", "-c", script}, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec)
	webSocket, err := remotecommand.NewWebSocketExecutor(pod.client.configuration, http.MethodGet, request.URL().String())
	if err != nil {
		return "", err
	}
	spdy, err := remotecommand.NewSPDYExecutor(pod.client.configuration, http.MethodPost, request.URL())
	if err != nil {
		return "", err
	}
	executor, err := remotecommand.NewFallbackExecutor(webSocket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
	var exit utilexec.CodeExitError
	if errors.As(err, &exit) {
		return "", shellEnded{exit.Code, strings.TrimSpace(stderr.String() + stdout.String())}
	}
	if ctx.Err() != nil {
		// A cancelled stream may still write into the buffers: they are not read.
		return "", ctx.Err()
	}
	return stdout.String(), err
}

// Logs returns what the container wrote, of its previous run if asked for.
func (pod *Pod) Logs(ctx context.Context, container string, previous bool) (string, error) {
	const largest = 64 << 10
	limit := int64(largest)
	output, err := pod.client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name,
		&corev1.PodLogOptions{Container: container, Previous: previous, LimitBytes: &limit}).DoRaw(ctx)
	// The kubelet reports logs that are gone in their place, as if the container had written it.
	for _, gone := range []string{"unable to retrieve container logs for ", "failed to try resolving symlinks in path ", "failed to open log file "} {
		if err == nil && strings.HasPrefix(string(output), gone) {
			return "", fmt.Errorf("container %s: %s", container, output)
		}
	}
	return string(output), err
}

// LookAnywhere is Look in the first container of the Pod that runs.
func (pod *Pod) LookAnywhere(ctx context.Context, commands ...string) ([]Observation, error) {
	var container string
	err := pod.Wait(ctx, "any container to run", 60*time.Second, func(status *corev1.Pod) bool {
		if status == nil {
			return false
		}
		for _, each := range status.Status.ContainerStatuses {
			if each.State.Running != nil {
				container = each.Name
				return true
			}
		}
		return false
	})
	if err != nil {
		return nil, err
	}
	return pod.Look(ctx, container, commands...)
}

// Open returns a Pod that somebody else created, such as a controller, in the namespace that is watched.
func (client *Client) Open(watch *Watch, namespace, name string) *Pod {
	return &Pod{client: client, watch: watch, Namespace: namespace, Name: name}
}

// Delete asks for the Pod's deletion with its own grace period, and does not wait for it.
func (pod *Pod) Delete(ctx context.Context) error {
	return pod.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{})
}

// AddEphemeral adds ephemeral containers to the Pod.
func (pod *Pod) AddEphemeral(ctx context.Context, containers ...corev1.EphemeralContainer) error {
	status, err := pod.Status(ctx)
	if err != nil {
		return err
	}
	status.Spec.EphemeralContainers = append(status.Spec.EphemeralContainers, containers...)
	_, err = pod.client.CoreV1().Pods(pod.Namespace).UpdateEphemeralContainers(ctx, pod.Name, status, metav1.UpdateOptions{})
	return err
}
