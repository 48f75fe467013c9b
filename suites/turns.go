package suites

import (
	"context"
	"slices"
	"sync"
)

// turns lets a limited number of traits be decided at once, those first that take longest.
type turns struct {
	mutex   sync.Mutex
	free    int
	waiting []*turn
}

type turn struct {
	order int
	ready chan struct{}
}

func newTurns(limit int) *turns { return &turns{free: limit} }

// take waits for a turn. The lowest order that waits comes first.
func (turns *turns) take(ctx context.Context, order int) error {
	return turns.wait(ctx, turns.queue(order))
}

// queue asks for a turn, which wait waits for.
func (turns *turns) queue(order int) *turn {
	mine := &turn{order: order, ready: make(chan struct{})}
	turns.mutex.Lock()
	defer turns.mutex.Unlock()
	turns.waiting = append(turns.waiting, mine)
	turns.next()
	return mine
}

func (turns *turns) wait(ctx context.Context, mine *turn) error {
	select {
	case <-mine.ready:
		return nil
	case <-ctx.Done():
		turns.mutex.Lock()
		defer turns.mutex.Unlock()
		if at := slices.Index(turns.waiting, mine); at >= 0 {
			turns.waiting = slices.Delete(turns.waiting, at, at+1)
			return context.Cause(ctx)
		}
		return nil // the turn came in the same moment
	}
}

// give returns a turn that take gave.
func (turns *turns) give() {
	turns.mutex.Lock()
	defer turns.mutex.Unlock()
	turns.free++
	turns.next()
}

func (turns *turns) next() {
	for turns.free > 0 && len(turns.waiting) > 0 {
		first := slices.MinFunc(turns.waiting, func(a, b *turn) int { return a.order - b.order })
		turns.waiting = slices.DeleteFunc(turns.waiting, func(each *turn) bool { return each == first })
		turns.free--
		close(first.ready)
	}
}
