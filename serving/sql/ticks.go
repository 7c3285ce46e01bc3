package sql

import (
	"sync"
	"time"
)

// Whoever wakes up beside threads of low priority should have a processor at
// once. Linux does let him wait, for up to a tick of its clock (4 ms where it
// ticks 250 times a second), if he has just had more than his share: it looks
// again who is to run at a tick, or when a thread goes to sleep. So while heavy
// queries may take all processors, a thread of our own wakes up and goes to
// sleep on each of them much more often (docs/proposals/025).

// tickEvery is how long nobody waits for more than that. Each tick costs some
// four microseconds of a virtual machine.
const tickEvery = 250 * time.Microsecond

// ticks counts heavy queries that are at work, and has processors look again
// while there are as many as take all of them.
type ticks struct {
	processors []int // that this process may use, by number
	from       int   // heavy queries, with DuckDB's own threads, take them all

	mu      sync.Mutex // guards the fields below
	heavy   int        // queries at work whose priority has fallen
	tickers *tickers   // nil before they are first needed, and after the end
	over    bool
}

// newTicks returns the ticks of an engine that has threads beside the queries'
// own.
func newTicks(pool int) *ticks {
	p := usable()
	return &ticks{processors: p, from: max(1, len(p)-pool)}
}

// begin tells that a heavy query is at work, end that it is not any more. With
// no ticks at all, which are nil, they do nothing.
func (t *ticks) begin() { t.count(1) }
func (t *ticks) end()   { t.count(-1) }

func (t *ticks) count(more int) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heavy += more
	on := t.heavy >= t.from
	if t.over || t.tickers == nil && !on {
		return
	}
	if t.tickers == nil {
		t.tickers = newTickers(t.processors, tickEvery)
	}
	t.tickers.set(on)
}

// close ends the threads. Calling it twice is fine.
func (t *ticks) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if t.tickers != nil {
		t.tickers.close()
		t.tickers = nil
	}
}
