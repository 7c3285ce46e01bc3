package speed

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"anabranch/archive"
	"anabranch/fault"
)

// partition is the state of one partition and the loop that changes it.
//
// The loop alone writes; what it shares with readers lies under mu or is
// atomic. The newest generation's states change only under mu, closed
// generations never.
type partition struct {
	opt      *Options
	progress *progress
	n        int
	log      *slog.Logger
	total    totals

	// Owned by the loop.
	hot      hot
	runs     *archive.Runs // ids below the known manifest's cut; nil: there are none
	known    *archive.Manifest
	due      []due            // generations to forget, oldest first
	forgetAt <-chan time.Time // when the first of due is; nil: not asked for
	retry    <-chan time.Time // when to try again to adopt; nil: nothing failed
	scratch  scratch
	shelf    *shelf
	kept     []stored // the snapshots on the shelf, as far as this process knows
	records  int      // since the last snapshot
	began    int64    // when the loop began, microseconds since 1970
	changed  bool     // anything since the last snapshot

	broken     bool // states hold half a record: never snapshot them
	rebuilding bool // states are to be built anew from the newest cut, see rebuild

	noticed atomic.Pointer[archive.Manifest] // the newest one known of
	wake    chan struct{}                    // holds a token when noticed changed
	asks    chan ask
	ended   chan struct{} // closed when the loop has ended

	next    atomic.Uint64 // everything below is folded; stored under mu
	safe    atomic.Uint64 // see Speed.SafeTrim
	abandon atomic.Bool   // tests: stop as kill -9 does, without a last snapshot
	pending atomic.Int64  // when the frame in hand was ingested, microseconds; 0: none

	mu      sync.Mutex // guards what follows
	gens    []*generation
	maxTime int64 // newest event time folded
	behind  bool  // the states are being rebuilt and must not be shown
	err     error // why the partition has stopped for good
	trouble error // what it is trying again
	mirror  mirror
}

// mirror is what Stats shows of the loop's own state.
type mirror struct {
	manifest, k uint64
	hotIDs      int
	hotBytes    int64
	snapshot    uint64    // next of the newest snapshot
	snapshotAt  time.Time // when it was taken
}

// due says that what lies below the generation of barrier k is to be forgotten
// at a time.
type due struct {
	k  uint64
	at time.Time
}

type ask struct {
	what request
	done chan<- error
}

type request int

const (
	settle      request = iota // answer once all noticed so far is dealt with and no write is under way
	snapshotNow                // answer once a snapshot is durable
	rebuildNow                 // answer once nothing of what was will be used again
)

func newPartition(o *Options, pr *progress, n int) *partition {
	p := &partition{
		opt: o, progress: pr, n: n, log: o.Logger.With("part", "speed", "pipeline", o.Pipeline, "partition", n),
		wake: make(chan struct{}, 1), asks: make(chan ask), ended: make(chan struct{}), maxTime: noTime,
	}
	p.total.filtered = make([]atomic.Int64, len(o.Filters))
	p.shelf = newShelf(o, n)
	return p
}

// notice remembers the newest manifest and wakes the loop.
func (p *partition) notice(m *archive.Manifest) {
	for {
		old := p.noticed.Load()
		if old != nil && old.Version >= m.Version {
			return
		}
		if p.noticed.CompareAndSwap(old, m) {
			break
		}
	}
	select {
	case p.wake <- struct{}{}:
	default: // a token is there already
	}
}

// ask has the loop do something and waits for its answer.
func (p *partition) ask(ctx context.Context, what request) error {
	done := make(chan error, 1)
	select {
	case p.asks <- ask{what, done}:
	case <-p.ended:
		return fault.New(fault.Transient, "speed of pipeline %q has stopped", p.opt.Pipeline)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-done: // the loop answers whatever it has taken
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// halt stops folding for good: the error is what Since and Stats show until
// somebody has looked at it. The other partitions go on.
func (p *partition) halt(err error) {
	p.log.Error("partition stopped", "next", p.next.Load(), "kind", fault.KindOf(err).String(), "error", err)
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	p.progress.bump()
}

func (p *partition) stoppedErr() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *partition) setTrouble(err error) {
	p.mu.Lock()
	p.trouble = err
	p.mu.Unlock()
}
