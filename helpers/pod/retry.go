package pod

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
)

// longestDelay is the longest pause that the API may ask for; a longer one is no pause but a refusal.
const longestDelay = 30 * time.Second

// Retry asks the API, and asks again while the error says that this may help: the API asks to come back, is overloaded, fails
// inside or is out of time, an object changed meanwhile, or the connection was lost. It asks at most seven times, within about
// 13 seconds unless the API asks for longer pauses, and no longer than the context lasts. The request must be one that does no harm
// when it arrives twice. The last answer and error are returned.
func Retry[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	return retry(ctx, mayHelp, request)
}

func retry[T any](ctx context.Context, mayHelp func(error) (bool, time.Duration), request func(context.Context) (T, error)) (T, error) {
	pauses := wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.1, Steps: 6}
	for {
		answer, err := request(ctx)
		again, delay := mayHelp(err)
		if !again || pauses.Steps == 0 || ctx.Err() != nil {
			return answer, err
		}
		pause := time.NewTimer(max(delay, pauses.Step()))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return answer, fmt.Errorf("%w before it could be asked again after: %w", context.Cause(ctx), err)
		}
	}
}

// mayHelp tells whether a request that ended with this error may be sent again, and after which time at the earliest.
func mayHelp(err error) (bool, time.Duration) {
	if seconds, asked := apierrors.SuggestsClientDelay(err); asked {
		delay := time.Duration(seconds) * time.Second
		return delay <= longestDelay, delay
	}
	return apierrors.IsConflict(err) || apierrors.IsTooManyRequests(err) || apierrors.IsTimeout(err) || statusCode(err) >= 500 ||
		statusCode(err) == 0 && isLost(err), 0
}

// notBegun tells whether the API did not begin with a request since it has too many, and after which time it may be sent again.
func notBegun(err error) (bool, time.Duration) {
	again, delay := mayHelp(err)
	return again && apierrors.IsTooManyRequests(err), delay
}
