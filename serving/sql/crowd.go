package sql

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Whoever wakes up beside threads of low priority should have a processor at
// once, whoever he is. Linux lets him wait, in two ways:
//
//   - A thread that has just had more than its share waits for up to a tick of
//     the system's clock (4 ms where it ticks 250 times a second): Linux looks
//     again who is to run at a tick, or when a thread goes to sleep. So while heavy
//     queries may take all processors, threads of our own wake up and go to
//     sleep on each of them much more often (tickers, docs/proposals/025).
//   - Where processors are shared out by sessions or control groups, as almost
//     everywhere, kernels from 6.13 on lose count of what a group with threads of
//     different priorities owes, and others, those of the kernel that write files
//     among them, can wait for seconds. So heavy queries nap all at once, for a
//     moment, again and again (naps, docs/proposals/030).
const (
	// Each tick costs some four microseconds of a virtual machine.
	tickEvery = 250 * time.Microsecond

	// What naps cost is napFor of napEvery, and what the system's timers are
	// late.
	napEvery = 2 * time.Millisecond
	napFor   = 100 * time.Microsecond
)

// crowd are the heavy queries that are at work. Tickers and naps are on while
// there are as many as take all processors.
type crowd struct {
	processors []int // that this process may use, by number
	from       int   // heavy queries, with DuckDB's own threads, take them all
	all        atomic.Bool

	mu      sync.Mutex // guards the fields below
	threads []int      // of queries at work whose priority has fallen
	tickers *tickers   // nil before they are first needed, and after the end, as are naps
	naps    *naps
	over    bool
}

// newCrowd returns the crowd of an engine that has threads beside the queries'
// own.
func newCrowd(pool int) *crowd {
	p := usable()
	return &crowd{processors: p, from: max(1, len(p)-pool)}
}

// begin tells that a thread is at work for a heavy query, end that it is not any
// more. With no crowd at all, which is nil, they do nothing.
func (c *crowd) begin(thread int) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.threads = append(c.threads, thread)
	c.changed()
}

func (c *crowd) end(thread int) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.threads, thread); i >= 0 {
		c.threads = slices.Delete(c.threads, i, i+1)
	}
	c.changed()
}

// takesAll reports whether heavy queries take all processors.
func (c *crowd) takesAll() bool { return c != nil && c.all.Load() }

// patiently runs f, which is DuckDB's work for a query, on a thread that lets go
// of its processor for whoever wakes up, as long as heavy queries take all of
// them.
func (c *crowd) patiently(f func()) {
	if !c.takesAll() {
		f()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	setPatient(0)
	defer endPatient(0)
	f()
}

// changed turns on and off what helps beside the crowd; the caller holds mu.
func (c *crowd) changed() {
	on := len(c.threads) >= c.from
	c.all.Store(on && !c.over)
	if c.over || c.tickers == nil && !on {
		return
	}
	if c.tickers == nil {
		c.tickers = newTickers(c.processors, tickEvery)
		c.naps = newNaps(napEvery, napFor)
	}
	c.tickers.set(on)
	if on {
		c.naps.set(c.threads)
	} else {
		c.naps.set(nil)
	}
}

// close ends the threads. Calling it twice is fine.
func (c *crowd) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	c.all.Store(false)
	if c.tickers != nil {
		c.tickers.close()
		c.naps.close()
		c.tickers, c.naps = nil, nil
	}
}
