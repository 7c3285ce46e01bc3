package speed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"anabranch/fault"
	"anabranch/stream"
)

// run is the loop: follow the log, and after an error try again or stop for
// good.
func (p *partition) run(ctx context.Context) {
	defer close(p.ended)
	defer p.last()
	p.began = p.opt.Clock.Now().UnixMicro()
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
		switch again := errors.Is(err, stream.ErrTrimmed) || errors.Is(err, errRunsGone) || errors.Is(err, errRebuild); {
		case again:
			p.rebuilding = true
			if attempt == 0 {
				p.log.Warn("starting again from the newest cut", "next", p.next.Load(), "error", err)
				continue
			}
		case lasting(err):
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

// lasting reports that trying again would meet the same bytes again. What the
// object store denies or does not find today may be put right by somebody, and
// no restart should be needed then.
func lasting(err error) bool {
	switch fault.KindOf(err) {
	case fault.Corrupt, fault.Invalid, fault.Poison, fault.Bug:
		return true
	}
	return false
}

// backoff is how long to wait after the given number of failures in a row.
func backoff(attempt int) time.Duration {
	return min(50*time.Millisecond<<min(attempt, 10), 10*time.Second)
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
	first, end, err := p.opt.Log.Bounds(ctx, p.n)
	if err != nil {
		return fmt.Errorf("find the bounds of partition %d: %w", p.n, err)
	}
	r, err := p.opt.Log.Read(ctx, p.n, p.next.Load())
	if err != nil {
		return fmt.Errorf("read the log of partition %d from %d: %w", p.n, p.next.Load(), err)
	}
	if first == end && p.next.Load() < end {
		// A log may number its records from 1. Nothing is there, and nothing
		// that was there is gone, or Read had said so: whoever waits for the
		// head of this partition has waited enough.
		p.mu.Lock()
		p.next.Store(end)
		p.mu.Unlock()
		p.progress.bump()
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
			if p.answer(ctx, a); p.rebuilding {
				return errRebuild
			}
		case <-tick:
			if every := p.opt.SnapshotEvery; p.save(ctx) {
				tick = p.opt.Clock.After(every)
			} else {
				tick = p.opt.Clock.After(every / 16)
			}
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
	at      time.Time
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
			case out <- fetched{records, err, p.opt.Clock.Now()}:
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
		p.opt.Folding.Observe(p.opt.Clock.Now().Sub(got.at))
	}
	p.pending.Store(0) // after an error it stays: the frame still waits
	if got.err != nil {
		return fmt.Errorf("read the log of partition %d: %w", p.n, got.err)
	}
	return nil
}

// answer does what was asked.
func (p *partition) answer(ctx context.Context, a ask) {
	switch a.what {
	case settle:
		if p.shelf.busy {
			p.wrote(<-p.shelf.written)
		}
		a.done <- nil
	case snapshotNow:
		a.done <- p.saveNow(ctx)
	case rebuildNow:
		a.done <- p.distrust(ctx)
	}
}
