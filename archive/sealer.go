package archive

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/lifecycle"
	"anabranch/stream"
)

// SealerOptions say when an open segment is sealed. A barrier always seals.
type SealerOptions struct {
	MaxRows  int64         // default 1,000,000
	MaxBytes int64         // of frames as they lie in the log; default 64 MiB
	MaxAge   time.Duration // since its first frame was read; default 5 min
}

// Sealer copies the log into segments, each partition in a goroutine of its
// own. Any number of sealers may run for one pipeline: the first to write a
// segment wins and the others go on behind it.
type Sealer struct {
	a       *Archive
	log     stream.Log
	opts    SealerOptions
	loop    lifecycle.Loop
	metrics *sealerMetrics
	parts   []*sealing

	mu    sync.Mutex    // guards watch; taken behind a partition's
	watch chan struct{} // closed at the next change of any partition's state; nil: nobody waits
}

var _ lifecycle.Part = (*Sealer)(nil)

// sealing is the work on one partition.
type sealing struct {
	*Sealer
	partition int

	mu    sync.Mutex // guards stats
	stats SealerStats
}

// SealerStats tells how one partition is doing since the start.
type SealerStats struct {
	Sealed   uint64 // offset below which everything is in segments
	Read     uint64 // offset below which everything was read
	Segments int64  // written by this sealer
	Rows     int64  // in them
	Repeats  int64  // frames whose producer and sequence were seen before: retried appends
	Missing  int64  // frames that producers numbered and that are not in the log: lost, or still to come
	Err      error  // why this partition is not being sealed just now; nil when it is
}

// NewSealer returns a sealer of log into a.
func NewSealer(a *Archive, log stream.Log, o SealerOptions) *Sealer {
	o.MaxRows = cmp.Or(o.MaxRows, 1_000_000)
	o.MaxBytes = cmp.Or(o.MaxBytes, 64<<20)
	o.MaxAge = cmp.Or(o.MaxAge, 5*time.Minute)
	s := &Sealer{a: a, log: log, opts: o, metrics: newSealerMetrics(a.opts.Metrics, a.pipeline)}
	for p := range log.Partitions() {
		s.parts = append(s.parts, &sealing{Sealer: s, partition: p})
	}
	return s
}

// Start finds the end of each partition's chain and begins to seal there.
func (s *Sealer) Start(ctx context.Context) error {
	for _, p := range s.parts {
		end, _, err := s.a.sealedEnd(ctx, p.partition)
		if err != nil {
			return fmt.Errorf("find the end of the segments of partition %d: %w", p.partition, err)
		}
		p.note(func(st *SealerStats) { st.Sealed, st.Read = end, end })
	}
	for _, p := range s.parts {
		s.loop.Go(p.run)
	}
	return nil
}

// Stop ends sealing. What was not sealed stays in the log.
func (s *Sealer) Stop() { s.loop.Stop() }

// Sealed returns how far each partition is sealed: the log below may go as
// far as the archive is concerned. It has a value for every partition.
func (s *Sealer) Sealed() event.Cut {
	cut := make(event.Cut, len(s.parts))
	for i, st := range s.Stats() {
		cut[i] = st.Sealed
	}
	return cut
}

// Stats returns the state of each partition.
func (s *Sealer) Stats() []SealerStats {
	out := make([]SealerStats, len(s.parts))
	for i, p := range s.parts {
		out[i] = p.state()
	}
	return out
}

func (p *sealing) state() SealerStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

func (p *sealing) note(change func(*SealerStats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.stats)
	p.Sealer.mu.Lock()
	defer p.Sealer.mu.Unlock()
	if p.watch != nil {
		close(p.watch)
		p.watch = nil
	}
}

// changed is closed at the next change of what Stats tells.
func (s *Sealer) changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watch == nil {
		s.watch = make(chan struct{})
	}
	return s.watch
}

// sealedEnd returns where the chain of a partition ends, and the footer of its
// last segment when one lies above the published cut. It looks only at what
// was sealed since then.
func (a *Archive) sealedEnd(ctx context.Context, partition int) (uint64, *segmentMeta, error) {
	at := uint64(0)
	m, err := a.Newest(ctx)
	switch kind := fault.KindOf(err); {
	case err == nil && partition < len(m.Cut):
		at = m.Cut[partition] // a segment ends there
	case kind == fault.Corrupt || kind == fault.Invalid:
		// Sealing goes on without a manifest; the list is longer, that is all.
	case err != nil:
		return 0, nil, err
	}
	objects, err := a.listSegments(ctx, partition, at)
	if err != nil || len(objects) == 0 {
		return at, nil, err
	}
	s, meta, err := a.readSegmentMeta(ctx, partition, objects[len(objects)-1])
	return s.To, meta, err
}

const (
	retryFirst = 100 * time.Millisecond
	retryLast  = 10 * time.Second
)

// run seals until ctx ends, or until something is wrong that waiting does not
// mend.
func (p *sealing) run(ctx context.Context) {
	log := p.a.opts.Log.With("pipeline", p.a.pipeline, "partition", p.partition)
	began := uint64(0) // where the attempt before this one began
	for wait := retryFirst; ; {
		err := p.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		st := p.state()
		moved := st.Sealed > began
		began = st.Sealed
		if moved {
			wait = retryFirst
		}
		if fault.Is(err, fault.Conflict) && moved {
			log.Info("archive: another sealer was first; going on behind its segment", "offset", st.Sealed)
			continue
		}
		p.note(func(st *SealerStats) { st.Err = err })
		p.metrics.failed(p.partition, err)
		switch fault.KindOf(err) {
		case fault.Corrupt, fault.Invalid, fault.Poison, fault.Bug:
			log.Error("archive: sealing of a partition has stopped", "offset", st.Read, "error", err)
			return
		}
		log.Warn("archive: sealing is interrupted", "error", err, "retry_in", wait)
		select {
		case <-p.a.opts.Clock.After(wait):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, retryLast)
	}
}
