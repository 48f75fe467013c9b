// Package pod creates Pods, waits for them, and runs commands in their containers.
//
// Every error says which Pod it is about, what was done, and of which kind it is: see KindOf. No limit of time is hidden in here:
// what can run out of time takes its limit from the caller, and every call ends with its context.
package pod

import (
	"context"
	"fmt"
	"net/http"

	"golang.org/x/sync/semaphore"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

// Limits are how much a client asks of a cluster, over all Pods and all callers together. Both must be positive.
type Limits struct {
	Execs             int     // commands that run in containers at once
	RequestsPerSecond float32 // requests to the API, execs included, in whichever second
}

// Client reaches the Pods of a cluster. It is safe for concurrent use.
type Client struct {
	kubernetes.Interface
	executor Executor
	execs    *semaphore.Weighted
	floods   *semaphore.Weighted // held by an exec that prints much
	requests flowcontrol.RateLimiter
}

// NewClient returns a client of the cluster that the configuration, which it leaves as it is, leads to. It fails when the
// configuration cannot be used or a limit is not positive. It asks the cluster nothing.
func NewClient(configuration *rest.Config, limits Limits) (*Client, error) {
	requests, err := limits.rateLimiter()
	if err != nil {
		return nil, err
	}
	configuration = rest.CopyConfig(configuration)
	configuration.RateLimiter = requests
	configuration.Wrap(func(next http.RoundTripper) http.RoundTripper { return counting{next} })
	clientset, err := kubernetes.NewForConfig(configuration)
	if err != nil {
		return nil, err
	}
	return newClient(clientset, remote{configuration, clientset.CoreV1().RESTClient()}, limits, requests), nil
}

// NewClientFrom returns a client that asks a clientset and runs commands through an executor: for tests without a cluster.
// RequestsPerSecond then limits the execs alone. It fails when a limit is not positive.
func NewClientFrom(clientset kubernetes.Interface, executor Executor, limits Limits) (*Client, error) {
	requests, err := limits.rateLimiter()
	if err != nil {
		return nil, err
	}
	return newClient(clientset, executor, limits, requests), nil
}

func newClient(clientset kubernetes.Interface, executor Executor, limits Limits, requests flowcontrol.RateLimiter) *Client {
	return &Client{Interface: clientset, executor: executor, execs: semaphore.NewWeighted(int64(limits.Execs)),
		floods: semaphore.NewWeighted(1), requests: requests}
}

func (limits Limits) rateLimiter() (flowcontrol.RateLimiter, error) {
	if limits.Execs <= 0 || limits.RequestsPerSecond <= 0 {
		return nil, fmt.Errorf("limits of a client must be positive: %d execs at once, %g requests a second",
			limits.Execs, limits.RequestsPerSecond)
	}
	// A bucket that is full lets its burst through beside the rate: together they are the limit.
	burst := max(1, int(limits.RequestsPerSecond/10))
	rate := max(limits.RequestsPerSecond-float32(burst), limits.RequestsPerSecond/2)
	return rateLimiter{flowcontrol.NewTokenBucketRateLimiter(rate, burst)}, nil
}

// rateLimiter gives the error of a wait that would outlast its context's deadline a type: the library has only words for it.
type rateLimiter struct{ flowcontrol.RateLimiter }

// Wait returns nil when the request may be sent, or an error that wraps the context's.
func (limiter rateLimiter) Wait(ctx context.Context) error {
	err := limiter.RateLimiter.Wait(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("waiting to send a request: %w", ctx.Err())
	default:
		return fmt.Errorf("too many requests are waiting to be sent: %w", context.DeadlineExceeded)
	}
}
