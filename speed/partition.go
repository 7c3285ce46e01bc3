package speed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/stream"
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
	imported struct{}         // ids of imports by the barrier that admits them: the place for them, see generation.until
	due      []due            // generations to forget, oldest first
	forgetAt <-chan time.Time // when the first of due is; nil: not asked for
	retry    <-chan time.Time // when to try again to adopt; nil: nothing failed
	scratch  scratch
	shelf    *shelf
	kept     []stored // the snapshots on the shelf, as far as this process knows
	records  int      // since the last snapshot
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
	settle      request = iota // answer once all noticed so far is dealt with
	snapshotNow                // answer once a snapshot is durable
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

// run is the loop: follow the log, and after an error try again or stop for
// good.
func (p *partition) run(ctx context.Context) {
	defer close(p.ended)
	defer p.last()
	for attempt := 0; ; attempt++ {
		before := p.next.Load()
		var err error
		if p.rebuilding {
			err = p.rebuild(ctx)
		}
		if err == nil {
			err = p.follow(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if p.next.Load() > before {
			attempt = 0
		}
		switch again := errors.Is(err, stream.ErrTrimmed) || errors.Is(err, errRunsGone); {
		case again:
			p.rebuilding = true
			if attempt == 0 {
				p.log.Warn("starting again from the newest cut", "next", p.next.Load(), "error", err)
				continue
			}
		case !fault.KindOf(err).Retryable():
			p.halt(err)
			p.idle(ctx, nil)
			return
		}
		wait := backoff(attempt)
		p.log.Warn("fold interrupted", "next", p.next.Load(), "retry_in", wait, "error", err)
		p.setTrouble(err)
		p.idle(ctx, p.opt.Clock.After(wait))
		if ctx.Err() != nil {
			return
		}
	}
}

// backoff is how long to wait after the given number of failures in a row.
func backoff(attempt int) time.Duration {
	return min(50*time.Millisecond<<min(attempt, 10), 10*time.Second)
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

// idle answers questions until the time comes or ctx ends.
func (p *partition) idle(ctx context.Context, until <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-until:
			return
		case a := <-p.asks:
			p.answer(ctx, a)
		case done := <-p.shelf.written:
			p.wrote(done)
		}
	}
}

// follow reads the log from next on and folds it until something fails.
func (p *partition) follow(ctx context.Context) error {
	r, err := p.opt.Log.Read(ctx, p.n, p.next.Load())
	if err != nil {
		return fmt.Errorf("read the log of partition %d from %d: %w", p.n, p.next.Load(), err)
	}
	p.setTrouble(nil)
	fetched, stop := p.fetch(ctx, r)
	defer stop()
	tick := p.opt.Clock.After(p.opt.SnapshotEvery)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case got := <-fetched:
			if err := p.fold(ctx, got); err != nil {
				return err
			}
		case <-p.wake:
		case <-p.retry:
			p.retry = nil
		case <-p.forgetAt:
			p.forgetAt = nil
		case a := <-p.asks:
			p.adopt(ctx)
			p.answer(ctx, a)
		case <-tick:
			p.save(ctx)
			tick = p.opt.Clock.After(p.opt.SnapshotEvery)
		case done := <-p.shelf.written:
			p.wrote(done)
		}
		p.adopt(ctx)
		p.forget()
		if p.records >= p.opt.SnapshotRecords {
			p.save(ctx)
		}
	}
}

// fetched is what one call of Next gave.
type fetched struct {
	records []stream.Record
	err     error
}

// fetch reads ahead of the loop by one batch of records, so that the loop can
// wait for other things as well. Stop ends it and closes the reader.
func (p *partition) fetch(ctx context.Context, r stream.Reader) (<-chan fetched, func()) {
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan fetched, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			records, err := r.Next(ctx)
			select {
			case out <- fetched{records, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	return out, func() {
		cancel()
		wg.Wait()
		if err := r.Close(); err != nil {
			p.log.Warn("close log reader", "error", err)
		}
	}
}

// fold folds the records of one batch.
func (p *partition) fold(ctx context.Context, got fetched) error {
	for _, rec := range got.records {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := p.record(ctx, rec); err != nil {
			return fmt.Errorf("partition %d, offset %d: %w", p.n, rec.Offset, err)
		}
	}
	p.pending.Store(0) // after an error it stays: the frame still waits
	if got.err != nil {
		return fmt.Errorf("read the log of partition %d: %w", p.n, got.err)
	}
	return nil
}

// record folds one record of the log. After an error nothing of it is folded
// (or p.broken is set).
func (p *partition) record(ctx context.Context, rec stream.Record) error {
	h, body, err := event.ParseFrame(rec.Frame)
	if err != nil {
		return err
	}
	if h.Pipeline != p.opt.Pipeline {
		return fault.New(fault.Corrupt, "a frame of pipeline %q lies in the log of %q", h.Pipeline, p.opt.Pipeline)
	}
	p.pending.Store(h.Ingested)
	switch h.Kind {
	case event.Rows:
		b, err := p.decode(h, body)
		if err != nil {
			return err
		}
		p.scratch.one[0] = rec.Offset
		if err := p.apply(ctx, b, p.scratch.one[:], rec.Offset+1); err != nil {
			return err
		}
	case event.Barrier:
		if err := p.barrier(h.Barrier, h.Admit, rec.Offset+1); err != nil {
			return err
		}
	default:
		return fault.New(fault.Corrupt, "frame of kind %d; this program knows rows (1) and barriers (2)", h.Kind)
	}
	p.records++
	p.total.frames.Add(1)
	p.progress.bump()
	return nil
}

// decode turns the body of a frame into a batch of the newest schema.
func (p *partition) decode(h event.Header, body []byte) (*event.Batch, error) {
	written, ok := p.opt.Schemas.Get(h.Schema)
	if !ok {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the frame follows schema version %d, which this program does not know", h.Schema),
			"deploy the pipeline definition that the gateway %q uses, then start speed again", h.Producer)
	}
	b, err := written.DecodeFrame(body)
	if err != nil {
		return nil, err
	}
	if b.N != int(h.Rows) || len(b.IDs) != b.N || len(b.Hashes) != b.N {
		return nil, fault.New(fault.Corrupt, "the frame announces %d events and holds %d with %d ids", h.Rows, b.N, len(b.IDs))
	}
	if newest := p.opt.Schemas.Newest(); newest != written {
		return newest.Upgrade(b, written)
	}
	return b, nil
}

// barrier closes the newest generation at the first occurrence of barrier k
// and opens the next; next is the offset behind it.
//
// A barrier at or below the known manifest's k is a repeated one, or one of a
// batch that can never be published over the newer: both are ignored.
func (p *partition) barrier(k uint64, admit string, next uint64) error {
	if admit != "" {
		return fault.New(fault.Invalid, "barrier %d admits import %q: this version of speed cannot count imports", k, admit)
	}
	if k == 0 {
		return fault.New(fault.Corrupt, "a barrier frame without a number")
	}
	p.changed = true
	p.mu.Lock()
	defer p.mu.Unlock()
	if k > p.known.K && find(p.gens, k) < 0 {
		p.gens = append(p.gens, p.opt.open(k))
	}
	p.next.Store(next)
	return nil
}

// answer does what was asked.
func (p *partition) answer(ctx context.Context, a ask) {
	switch a.what {
	case settle:
		a.done <- nil
	case snapshotNow:
		a.done <- p.saveNow(ctx)
	}
}
