package speed

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/lifecycle"
)

// Speed folds the events of one pipeline. Every method is safe for concurrent
// use; it is a lifecycle.Part.
type Speed struct {
	opt  Options
	bad  error // Options were wrong; Start says so
	loop lifecycle.Loop
	part []*partition
	progress

	eager bool // tests: Changes hands out what changed, however much that is

	mu      sync.Mutex // guards the fields below
	started bool
	stopped bool
}

// New returns a Speed that Start brings to life.
func New(o Options) *Speed {
	s := &Speed{}
	s.opt, s.bad = o.defaulted()
	if s.bad != nil {
		return s
	}
	for n := range s.opt.Log.Partitions() {
		s.part = append(s.part, newPartition(&s.opt, &s.progress, n))
	}
	if s.opt.Metrics != nil {
		s.bad = register(s.opt.Metrics, s)
	}
	return s
}

// Start restores every partition from its newest whole snapshot, or at the
// newest manifest's cut, and begins to fold. It returns once that is done:
// the partitions then still have to catch up with the log, which Since and
// Wait know. A Speed starts once.
func (s *Speed) Start(ctx context.Context) error {
	if s.bad != nil {
		return s.bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return fault.New(fault.Bug, "speed of pipeline %q: started twice", s.opt.Pipeline)
	}
	m, err := s.opt.Archive.Newest(ctx)
	if err != nil {
		return fmt.Errorf("speed of pipeline %q: %w", s.opt.Pipeline, err)
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, p := range s.part {
		g.Go(func() error { return p.restore(gctx, m) })
	}
	if err := g.Wait(); err != nil {
		for _, p := range s.part {
			p.closeRuns()
		}
		return fmt.Errorf("speed of pipeline %q: %w", s.opt.Pipeline, err)
	}
	s.started = true
	for _, p := range s.part {
		s.loop.Go(p.run)
	}
	return nil
}

func (s *Speed) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started
}

// Stop ends folding and writes a last snapshot of each partition.
func (s *Speed) Stop() {
	s.loop.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.progress.bump()
}

// Notice tells that manifest m was published. Each partition adopts it once
// it has passed m's cut; an older manifest than one noticed before is ignored.
// Notice returns at once.
func (s *Speed) Notice(m *archive.Manifest) {
	for _, p := range s.part {
		p.notice(m)
	}
}

// At returns the next offset of each partition: everything below is folded.
func (s *Speed) At() event.Cut {
	at := make(event.Cut, len(s.part))
	for i, p := range s.part {
		at[i] = p.next.Load()
	}
	return at
}

// Changed returns a channel that is closed at the next progress of any
// partition: a record folded, a manifest adopted, a partition that stopped.
// Take it before looking, then look, then wait.
func (s *Speed) Changed() <-chan struct{} { return s.progress.changed() }

// Wait returns once everything below at is folded. Errors: those of ctx; the
// error of a partition that has stopped below at, Corrupt for example.
func (s *Speed) Wait(ctx context.Context, at event.Cut) error {
	if len(at) > len(s.part) {
		return fault.New(fault.Invalid, "wait for cut %s: pipeline %q has %d partitions", at, s.opt.Pipeline, len(s.part))
	}
	for {
		changed := s.Changed()
		reached := true
		for i, next := range at {
			if p := s.part[i]; p.next.Load() < next {
				reached = false
				if err := p.stoppedErr(); err != nil {
					return err
				}
			}
		}
		if reached {
			return nil
		}
		s.mu.Lock()
		stopped := s.stopped
		s.mu.Unlock()
		if stopped {
			return fault.New(fault.Transient, "wait for cut %s: speed of pipeline %q is stopping", at, s.opt.Pipeline)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for cut %s, folded so far %s: %w", at, s.At(), context.Cause(ctx))
		}
	}
}

// Snapshot writes a snapshot of every partition now and returns once all are
// durable: before an upgrade, say. Errors of the partitions are joined.
func (s *Speed) Snapshot(ctx context.Context) error {
	if !s.running() {
		return fault.New(fault.Transient, "speed of pipeline %q has not started", s.opt.Pipeline)
	}
	var errs []error
	for _, p := range s.part {
		if err := p.ask(ctx, snapshotNow); err != nil {
			errs = append(errs, fmt.Errorf("partition %d: %w", p.n, err))
		}
	}
	return errors.Join(errs...)
}

// SafeTrim returns the offsets below which no partition will ever read the
// log again: those of the older of the two snapshots kept. Zero for a
// partition without any. What is not archived must not be trimmed either.
func (s *Speed) SafeTrim() event.Cut {
	at := make(event.Cut, len(s.part))
	for i, p := range s.part {
		at[i] = p.safe.Load()
	}
	return at
}
