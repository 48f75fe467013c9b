package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"sharedpid.example/reports"
)

// Error is why something could not be done with a Pod.
type Error struct {
	Kind     reports.Kind // as KindOf returns it
	Pod      string       // NAMESPACE/NAME
	Doing    string       // what was done, such as "waiting for containers nginx, shell to run"
	LastSeen string       // the state of the Pod in one line, empty when it was not looked at
	Err      error
}

// Error says all of it in one line.
func (failure *Error) Error() string {
	text := fmt.Sprintf("Pod %s, %s: %v", failure.Pod, failure.Doing, failure.Err)
	if failure.LastSeen != "" {
		text += "; last seen: " + failure.LastSeen
	}
	return text
}

// Unwrap returns the error that it rests on.
func (failure *Error) Unwrap() error { return failure.Err }

// failed returns the Error of something that failed with the Pod under a context.
func (pod *Pod) failed(ctx context.Context, doing string, err error) *Error {
	kind := KindOf(err)
	if kind == "" && ctx.Err() != nil { // the cause of a context may be of any type
		kind = KindOf(ctx.Err())
	}
	return &Error{Kind: kind, Pod: pod.Namespace + "/" + pod.Name, Doing: doing, Err: err}
}

// KindOf tells why a request, a wait or an exec failed:
//   - refused: RBAC, admission, a quota or validation refused a request
//   - not started: the Pod cannot come up: image, configuration, runtime handler, a container that fails to start, a Pod that failed
//   - lost: the node is not ready, the API cannot be reached or fails, the Pod is gone, or an answer did not arrive
//   - out of time: what was waited for did not come within its limit
//   - interrupted: the context was cancelled from outside
//
// It is empty for nil and where none of these is known. It takes errors of client-go as well.
func KindOf(err error) reports.Kind {
	var known *Error
	if errors.As(err, &known) && known.Kind != "" {
		return known.Kind
	}
	var explained kinded
	var limit notWithin
	switch {
	case errors.As(err, &explained):
		return explained.kind
	case errors.As(err, &limit), errors.Is(err, context.DeadlineExceeded):
		return reports.OutOfTime
	case errors.Is(err, context.Canceled):
		return reports.Interrupted
	case isLost(err):
		return reports.Lost
	}
	switch code := statusCode(err); {
	case code == http.StatusNotFound, code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		return reports.Lost
	case code >= 400 && code != http.StatusConflict:
		return reports.Refused
	}
	return ""
}

// kinded is an error whose kind was known where it was made.
type kinded struct {
	kind reports.Kind
	error
}

func (explained kinded) Unwrap() error { return explained.error }

// notWithin is the error of what took longer than its limit.
type notWithin time.Duration

func (limit notWithin) Error() string { return "not within " + time.Duration(limit).String() }

// statusCode is the HTTP status that the API answered with, 0 when the error is not the API's.
func statusCode(err error) int {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return int(status.Status().Code)
	}
	return 0
}

// isLost tells whether a connection could not be made or ended before the answer was there.
func isLost(err error) bool {
	var operation *net.OpError
	var closed *websocket.CloseError
	return errors.Is(err, errIncomplete) || errors.As(err, &operation) || errors.As(err, &closed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || utilnet.IsProbableEOF(err) ||
		utilnet.IsConnectionReset(err) || utilnet.IsConnectionRefused(err) || utilnet.IsHTTP2ConnectionLost(err) || utilnet.IsTimeout(err)
}

// shellEnded is the error of an exec whose shell did not come to the end of its script.
type shellEnded struct {
	exitCode int
	words    string
}

func (ended shellEnded) Error() string {
	return fmt.Sprintf("the shell ended with %d: %s", ended.exitCode, ended.words)
}

// Killed tells whether an exec failed because SIGKILL ended its shell.
func Killed(err error) bool {
	var ended shellEnded
	return errors.As(err, &ended) && ended.exitCode == 128+int(syscall.SIGKILL)
}
