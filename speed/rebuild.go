package speed

import (
	"context"
	"fmt"

	"anabranch/event"
	"anabranch/fault"
)

// errRebuild ends following the log: the states are to be built anew.
var errRebuild = fault.New(fault.Conflict, "a rebuild was asked for")

// Rebuild throws the states and the snapshots of every partition away and
// folds them again from the newest cut on: from the log, and where that was
// trimmed above the cut, from the archive's segments. It returns where it began
// and where it had reached the end of the log. Meanwhile whoever asks is told
// to wait. Errors: Corrupt when neither log nor archive has some records; that
// of a partition that has stopped, which a restart looks at anew; those of ctx,
// and then the rebuild goes on.
func (s *Speed) Rebuild(ctx context.Context) (from, to event.Cut, err error) {
	if !s.running() {
		return nil, nil, fault.New(fault.Transient, "speed of pipeline %q has not started", s.opt.Pipeline)
	}
	m, err := s.opt.Archive.Newest(ctx)
	if err != nil {
		return nil, nil, err
	}
	to = make(event.Cut, len(s.part))
	for i, p := range s.part {
		if _, to[i], err = s.opt.Log.Bounds(ctx, i); err != nil {
			return nil, nil, fmt.Errorf("find the bounds of partition %d: %w", i, err)
		}
		if err := p.ask(ctx, rebuildNow); err != nil {
			return nil, nil, fmt.Errorf("rebuild partition %d: %w", i, err)
		}
	}
	return m.Cut.Clone(), to, s.rebuilt(ctx, to)
}

// rebuilt waits until no partition rebuilds and all have folded up to a cut.
func (s *Speed) rebuilt(ctx context.Context, to event.Cut) error {
	for {
		changed := s.Changed()
		behind := false
		for _, p := range s.part {
			if err := p.stoppedErr(); err != nil {
				return err
			}
			behind = behind || p.behindNow()
		}
		if !behind {
			return s.Wait(ctx, to)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for a rebuild: %w", context.Cause(ctx))
		}
	}
}

// distrust has the loop build the states anew. Nothing of what was is used
// again, after a crash either.
func (p *partition) distrust(ctx context.Context) error {
	if err := p.stoppedErr(); err != nil {
		return fmt.Errorf("it has stopped: %w", err)
	}
	if p.shelf.busy {
		p.wrote(<-p.shelf.written)
	}
	p.kept = nil
	p.safe.Store(0)
	if err := p.shelf.discard(ctx); err != nil {
		return err
	}
	p.rebuilding = true
	p.setBehind(true)
	return nil
}

// discard deletes all snapshots.
func (s *shelf) discard(ctx context.Context) error {
	all, err := s.list(ctx)
	if err != nil {
		return err
	}
	for _, at := range all {
		var err error
		if at.local {
			err = onDisk(s.disk.Remove(at.name), "delete snapshot "+at.name)
		} else {
			err = s.bucket.Delete(ctx, at.name)
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("delete snapshot %s: %w", at.name, err)
		}
	}
	return nil
}
