package pod

import (
	"context"
	"net/http"
	"sync/atomic"
)

// requestsKey is the context key of the counter that CountRequests sets.
type requestsKey struct{}

// CountRequests returns a context under which every request to the API is added to counter.
func CountRequests(ctx context.Context, counter *atomic.Int64) context.Context {
	return context.WithValue(ctx, requestsKey{}, counter)
}

func count(ctx context.Context) {
	if counter, found := ctx.Value(requestsKey{}).(*atomic.Int64); found {
		counter.Add(1)
	}
}

// counting counts the requests that pass through a transport.
type counting struct{ next http.RoundTripper }

func (transport counting) RoundTrip(request *http.Request) (*http.Response, error) {
	count(request.Context())
	return transport.next.RoundTrip(request)
}
