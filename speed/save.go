package speed

import (
	"context"
	"fmt"
	"time"

	"anabranch/fault"
)

// lastSnapshot bounds how long Stop waits for a bucket, for the write under
// way and again for the last one.
const lastSnapshot = 15 * time.Second

// save begins to write a snapshot in the background, unless nothing has
// changed or the one before is still being written: folding goes on. It
// reports false when another partition is at it, because a snapshot is a copy
// of the states and one at a time is enough of them in memory.
func (p *partition) save(ctx context.Context) bool {
	if !p.shelf.usable() || !p.changed || p.shelf.busy {
		return true
	}
	if !p.progress.saving.CompareAndSwap(false, true) {
		return false
	}
	data, at, err := p.shoot()
	if err != nil {
		p.progress.saving.Store(false)
		p.noSnapshot(err)
		return true
	}
	p.shelf.busy = true
	// A write that has begun is finished even when the loop stops; last waits
	// for it, not for ever.
	ctx, p.shelf.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		durable, err := p.shelf.put(ctx, at.seq, data)
		data = nil
		p.progress.saving.Store(false)
		if !durable {
			at = stored{}
		}
		p.shelf.written <- written{at, err}
	}()
	return true
}

// shoot takes a snapshot of the moment.
func (p *partition) shoot() ([]byte, stored, error) {
	if p.broken || p.rebuilding {
		return nil, stored{}, fault.New(fault.Transient, "the states are not a whole just now")
	}
	data, err := p.encode()
	if err != nil {
		return nil, stored{}, err
	}
	p.shelf.seq++
	p.records, p.changed = 0, false
	return data, stored{p.shelf.seq, p.next.Load()}, nil
}

// wrote takes the answer of a background write.
func (p *partition) wrote(w written) {
	p.shelf.busy = false
	p.shelf.cancel()
	p.settleSnapshot(w.stored, w.err)
}

// settleSnapshot notes that a snapshot is durable, or why it is not.
func (p *partition) settleSnapshot(at stored, err error) {
	if err != nil {
		p.noSnapshot(err)
	}
	if at.seq == 0 {
		p.changed = true // still to be saved
		return
	}
	p.total.snapshots.Add(1)
	p.kept = append(p.kept, at)
	if n := len(p.kept); n > keepSnapshots {
		p.kept = p.kept[n-keepSnapshots:]
	}
	safe := p.kept[0].next
	for _, k := range p.kept {
		safe = min(safe, k.next)
	}
	p.safe.Store(safe)
	p.mu.Lock()
	p.mirror.snapshot, p.mirror.snapshotAt = at.next, p.opt.Clock.Now()
	p.mu.Unlock()
}

func (p *partition) noSnapshot(err error) {
	p.total.snapshotErrors.Add(1)
	p.log.Error("snapshot not written", "next", p.next.Load(), "kind", fault.KindOf(err).String(), "error", err)
}

// saveNow writes a snapshot and waits until it is durable; when nothing has
// changed since the last one, that one does.
func (p *partition) saveNow(ctx context.Context) error {
	if !p.shelf.usable() {
		return fault.New(fault.Invalid, "speed of pipeline %q has neither Options.Dir nor Options.Bucket for snapshots", p.opt.Pipeline)
	}
	if p.shelf.busy {
		p.wrote(<-p.shelf.written)
	}
	if !p.changed {
		return nil
	}
	data, at, err := p.shoot()
	if err == nil {
		var durable bool
		if durable, err = p.shelf.put(ctx, at.seq, data); !durable {
			at = stored{}
		}
		p.settleSnapshot(at, err)
	}
	if err != nil {
		return fmt.Errorf("snapshot of partition %d: %w", p.n, err)
	}
	return nil
}

// last ends the loop: the write under way is waited for, one more snapshot is
// taken, the runs are closed.
func (p *partition) last() {
	if p.shelf.busy {
		giveUp := time.AfterFunc(lastSnapshot, p.shelf.cancel)
		p.wrote(<-p.shelf.written)
		giveUp.Stop()
	}
	if p.shelf.usable() && !p.abandon.Load() && !p.broken && !p.rebuilding {
		ctx, cancel := context.WithTimeout(context.Background(), lastSnapshot)
		defer cancel()
		_ = p.saveNow(ctx) // logged and counted there
	}
	p.closeRuns()
}

// behindNow reports whether the states must not be shown.
func (p *partition) behindNow() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.behind
}
