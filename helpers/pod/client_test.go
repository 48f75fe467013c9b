package pod

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestRequestsInAnySecond: no more go than the limit says, also after a quiet second, and nearly as many in the long run.
func TestRequestsInAnySecond(t *testing.T) {
	for _, perSecond := range []float32{100, 37, 10, 2.5} {
		synctest.Test(t, func(t *testing.T) {
			limiter, err := Limits{Execs: 1, RequestsPerSecond: perSecond}.rateLimiter()
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			start := time.Now()
			var sent []time.Time
			for range int(10 * perSecond) {
				if err := limiter.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				sent = append(sent, time.Now())
			}
			for i := range sent {
				in := 0
				for _, each := range sent[i:] {
					if each.Sub(sent[i]) < time.Second {
						in++
					}
				}
				if limit := int(perSecond) + 1; in > limit { // a bucket of fractions may round up to one more
					t.Fatalf("%d requests go in a second, of %g", in, perSecond)
				}
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("ten seconds' requests of %g a second take %s", perSecond, took)
			}
		})
	}
}
