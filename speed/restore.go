package speed

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/planted"
	"anabranch/stream"
)

// restore brings the partition to life before its loop starts: from the
// newest snapshot that is whole, fits the views and need not be replayed from
// below the newest cut; else empty at that cut. M is the newest manifest.
func (p *partition) restore(ctx context.Context, m *archive.Manifest) error {
	p.noticed.Store(m)
	places, err := p.shelf.list(ctx)
	if err != nil {
		return err
	}
	for _, at := range places {
		s, err := p.fitting(ctx, at, m)
		switch {
		case err == nil:
			return p.resume(ctx, at, s, m)
		case errors.Is(err, errUnfit), errors.Is(err, errOtherViews), fault.Is(err, fault.Corrupt), fault.Is(err, fault.NotFound):
			p.log.Warn("snapshot not used", "snapshot", at.name, "kind", fault.KindOf(err).String(), "error", err)
			p.total.unfit.Add(1)
		default:
			return err // unreachable just now: better wait than fold a day again
		}
	}
	return p.begin(ctx, m)
}

// errUnfit says that a snapshot is whole but of no use.
var errUnfit = fault.New(fault.Conflict, "of no use")

// fitting reads a snapshot and checks that folding can go on from it.
func (p *partition) fitting(ctx context.Context, at place, m *archive.Manifest) (*snapshot, error) {
	data, err := p.shelf.get(ctx, at)
	if err != nil {
		return nil, err
	}
	s, err := decode(p.opt, data)
	if err != nil {
		return nil, err
	}
	unfit := func(why string, args ...any) (*snapshot, error) {
		return nil, fmt.Errorf("%s: %w", fmt.Sprintf(why, args...), errUnfit)
	}
	switch {
	case s.pipeline != p.opt.Pipeline || s.partition != p.n || s.partitions != p.opt.Log.Partitions():
		return nil, fault.New(fault.Corrupt, "snapshot: is of partition %d of %d of pipeline %q", s.partition, s.partitions, s.pipeline)
	case s.next < p.cutOf(m):
		return unfit("it ends at %d, below the newest cut at %d", s.next, p.cutOf(m))
	case s.manifest > m.Version || s.k > m.K || s.cut > p.cutOf(m):
		// It has forgotten ids that the newest manifest's runs do not hold.
		return unfit("it knows manifest %d, and the archive's newest is %d", s.manifest, m.Version)
	case find(s.gens, m.K) < 0:
		return unfit("it has no generation at barrier %d", m.K)
	}
	r, err := p.opt.Log.Read(ctx, p.n, s.next)
	switch {
	case errors.Is(err, stream.ErrTrimmed):
		return unfit("the log was trimmed above its next offset %d", s.next)
	case fault.Is(err, fault.Corrupt):
		return s, nil // the log itself is damaged: the loop will say so, loudly
	case err != nil:
		return nil, err
	}
	return s, r.Close()
}

// resume takes on a fitting snapshot and the newest manifest, whose cut it
// has passed.
func (p *partition) resume(ctx context.Context, at place, s *snapshot, m *archive.Manifest) error {
	if err := p.openRuns(ctx, m); err != nil {
		return err
	}
	if !planted.On(planted.HotIDsForgotten) {
		p.hot = s.hot
	}
	p.hot.forget(p.cutOf(m))
	p.mu.Lock()
	p.gens, p.maxTime = s.gens, s.maxTime
	p.next.Store(s.next)
	p.mirror.snapshot, p.mirror.snapshotAt = s.next, s.created
	p.mu.Unlock()
	p.setKnown(m)
	p.kept = []stored{{at.seq, s.next}}
	p.safe.Store(s.next)
	p.due = append(p.due, due{m.K, p.opt.Clock.Now().Add(max(p.opt.Grace, 0))})
	p.changed = s.manifest != m.Version
	p.log.Info("restored", "snapshot", at.name, "next", s.next, "hot_ids", p.hot.n, "generations", len(s.gens), "manifest", m.Version)
	return nil
}

// begin starts empty at m's cut: everything below is in the batch views and
// the id runs.
func (p *partition) begin(ctx context.Context, m *archive.Manifest) error {
	if err := p.openRuns(ctx, m); err != nil {
		return err
	}
	p.hot = hot{}
	p.due, p.forgetAt = nil, nil
	p.mu.Lock()
	p.gens, p.maxTime = []*generation{p.opt.open(m.K)}, noTime
	p.next.Store(p.cutOf(m))
	p.mu.Unlock()
	p.setKnown(m)
	p.changed, p.broken, p.records = true, false, 0
	p.kept = nil // what they allow to trim is needed again
	p.safe.Store(0)
	p.log.Info("starting empty at the cut", "next", p.cutOf(m), "barrier", m.K, "manifest", m.Version)
	return nil
}

// rebuild starts again from the newest cut, in the middle of things: the log
// no longer has what comes next, or the known runs were collected. Where the
// log was trimmed above the cut, the archive's segments fill the gap.
func (p *partition) rebuild(ctx context.Context) error {
	m, err := p.opt.Archive.Newest(ctx)
	if err != nil {
		return err
	}
	if old := p.noticed.Load(); old != nil && old.Version > m.Version {
		m = old
	}
	p.notice(m)
	if !p.behindNow() && !p.broken && m.Version > p.known.Version && p.next.Load() >= p.cutOf(m) {
		// Only the runs were gone, perhaps, and the newest ones will do.
		if r, err := p.opt.Log.Read(ctx, p.n, p.next.Load()); err == nil {
			if err := errors.Join(p.take(ctx, m), r.Close()); err == nil {
				p.rebuilding = false
				return nil
			}
		}
	}
	p.setBehind(true)
	p.closeRuns()
	if err := p.begin(ctx, m); err != nil {
		return err
	}
	r, err := p.opt.Log.Read(ctx, p.n, p.next.Load())
	if err == nil {
		p.setBehind(false)
		p.rebuilding = false
		return r.Close()
	}
	if !errors.Is(err, stream.ErrTrimmed) {
		return err
	}
	segments, err := p.replaySegments(ctx, math.MaxUint64)
	if err != nil {
		return err
	}
	r, err = p.opt.Log.Read(ctx, p.n, p.next.Load())
	if errors.Is(err, stream.ErrTrimmed) {
		return fault.New(fault.Corrupt, "partition %d, offset %d: the records from here on are neither in the log nor in the archive's segments", p.n, p.next.Load())
	}
	if err != nil {
		return err
	}
	p.log.Info("rebuilt from the archive", "segments", segments, "next", p.next.Load())
	p.setBehind(false)
	p.rebuilding = false
	return r.Close()
}

func (p *partition) setBehind(behind bool) {
	p.mu.Lock()
	p.behind = behind
	p.mu.Unlock()
	p.progress.bump()
}

// stretch is the rows of one batch that came in one frame.
type stretch struct {
	batch    *event.Batch
	from, to int
	offset   uint64
}

// replaySegments folds what sealed segments hold from next on, up to below, and
// returns how many it has read.
func (p *partition) replaySegments(ctx context.Context, below uint64) (read int, err error) {
	segments, err := p.opt.Archive.Segments(ctx, p.n, p.next.Load())
	if err != nil {
		return 0, err
	}
	for _, seg := range segments {
		if p.next.Load() >= below {
			break
		}
		if err := p.replay(ctx, seg, below); err != nil {
			return read, fmt.Errorf("replay segment %s: %w", seg.Name, err)
		}
		read++
	}
	return read, nil
}

// replay folds a sealed segment, or what of it lies below an offset, as if it
// came from the log. Nobody sees the states meanwhile.
func (p *partition) replay(ctx context.Context, seg archive.Segment, below uint64) error {
	var parts []stretch
	err := p.opt.Archive.ReadSegment(ctx, seg, func(b *event.Batch, offsets []uint64, rows []int32) error {
		for from := 0; from < b.N; {
			to := from + 1
			for to < b.N && offsets[to] == offsets[from] {
				to++
			}
			if offsets[from] < below {
				parts = append(parts, stretch{b, from, to, offsets[from]})
			}
			from = to
		}
		return nil
	})
	if err != nil {
		return err
	}
	// A segment of several schema versions is in log order for each version
	// only. A frame has one version, so sorting its stretches is enough.
	slices.SortStableFunc(parts, func(a, b stretch) int {
		switch {
		case a.offset < b.offset:
			return -1
		case a.offset > b.offset:
			return 1
		}
		return 0
	})
	for _, s := range parts {
		b := s.batch
		if s.to-s.from < b.N {
			rows := make([]uint32, 0, s.to-s.from)
			for i := s.from; i < s.to; i++ {
				rows = append(rows, uint32(i))
			}
			b = b.Gather(rows)
		}
		if err := p.apply(ctx, b, s.offset, 0); err != nil {
			return err
		}
	}
	if seg.To > below {
		p.mu.Lock()
		p.next.Store(below)
		p.mu.Unlock()
		return nil
	}
	if seg.Barrier > 0 {
		if err := p.barrier(seg.Barrier, seg.Admit, seg.To); err != nil {
			return err
		}
	} else {
		p.mu.Lock()
		p.next.Store(seg.To)
		p.mu.Unlock()
	}
	p.progress.bump()
	return nil
}
