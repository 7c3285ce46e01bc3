package ingest

import (
	"container/list"
	"context"
	"sync"
)

// budget bounds the bytes in use. Whoever takes gives back the same number;
// taking more than the limit at once takes all of it.
type budget struct {
	limit int64

	mu      sync.Mutex // guards what follows
	used    int64
	waiting list.List // of *waiter, first come first served
}

type waiter struct {
	n     int64
	ready chan struct{} // closed once n is taken for it
}

func newBudget(limit int64) *budget { return &budget{limit: limit} }

// try takes n unless that takes more than share of the limit. The first taker
// always gets what it asks for.
func (b *budget) try(n int64, share float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used > 0 && float64(b.used+n) > share*float64(b.limit) {
		return false
	}
	b.used += n
	return true
}

// take takes n, waiting for its turn.
func (b *budget) take(ctx context.Context, n int64) error {
	b.mu.Lock()
	if b.waiting.Len() == 0 && b.fits(n) {
		b.used += n
		b.mu.Unlock()
		return nil
	}
	w := &waiter{n: n, ready: make(chan struct{})}
	e := b.waiting.PushBack(w)
	b.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.ready: // its turn came at the same moment
		b.used -= n
	default:
		b.waiting.Remove(e)
	}
	b.serve()
	return ctx.Err()
}

// fits reports whether n can be taken now. mu is held.
func (b *budget) fits(n int64) bool { return b.used == 0 || b.used+n <= b.limit }

// serve gives those who wait their turn. mu is held.
func (b *budget) serve() {
	for e := b.waiting.Front(); e != nil; e = b.waiting.Front() {
		w := e.Value.(*waiter)
		if !b.fits(w.n) {
			return
		}
		b.used += w.n
		b.waiting.Remove(e)
		close(w.ready)
	}
}

// give gives n back.
func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.serve()
}

func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
