package batch

import (
	"context"
	"fmt"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
)

// NextBarrier returns the barrier of the next cycle: one more than the highest
// that was published or sealed. A barrier that a dead run has appended and
// that is not sealed yet is returned again, which is fine.
func (r *Runner) NextBarrier(ctx context.Context) (k uint64, err error) {
	m, err := r.Archive.Newest(ctx)
	if err != nil {
		return 0, err
	}
	k = m.K
	for p := range m.Cut {
		segments, err := r.Archive.Segments(ctx, p, m.Cut[p])
		if err != nil {
			return 0, err
		}
		for _, s := range segments {
			k = max(k, s.Barrier)
		}
	}
	return k + 1, nil
}

// BarrierOf returns the barrier that a run was planned with, or else the next
// one. Whoever drives a run may have forgotten how far it was, as Temporal does
// when the power goes before its files are synced: it goes on as it began.
func (r *Runner) BarrierOf(ctx context.Context, run string) (k uint64, err error) {
	p, err := r.planned(ctx, run)
	if err != nil {
		return 0, err
	}
	if p != nil {
		return p.K, nil
	}
	return r.NextBarrier(ctx)
}

// AppendBarriers appends barrier k to every partition. Repeating it is
// harmless: the first occurrence in log order counts.
//
// Barriers must have one order in all partitions, or the cut of a later one
// would lie behind that of an earlier. A run that died half way has appended
// its barrier to some partitions only, and may wake up when a later barrier
// is everywhere. So whoever appends k first appends, everywhere, all barriers
// below it that are not published: the sleeper's come as repetitions then.
func (r *Runner) AppendBarriers(ctx context.Context, k uint64) error {
	m, err := r.Archive.Newest(ctx)
	if err != nil {
		return err
	}
	for j := m.K + 1; j <= k; j++ {
		frame, err := event.AppendFrame(nil, event.Header{
			Kind: event.Barrier, Pipeline: r.Pipeline, Producer: "batch", Ingested: r.Clock.Now().UnixMicro(), Barrier: j,
		}, nil)
		if err != nil {
			return err
		}
		for p := range r.Log.Partitions() {
			if _, err := r.Log.Append(ctx, p, frame); err != nil {
				return fmt.Errorf("append barrier %d to partition %d of %s: %w", j, p, r.Pipeline, err)
			}
		}
	}
	r.Logger.Info("barrier appended", "pipeline", r.Pipeline, "barrier", k)
	return nil
}

// Sealed returns the cut of barrier k once the segments below it are sealed
// in every partition; until then ok is false and cut has zeros for the
// partitions that are not there yet. Ask again after a while. ErrDone when
// that barrier or a later one has been published.
func (r *Runner) Sealed(ctx context.Context, k uint64) (cut event.Cut, ok bool, err error) {
	m, err := r.Archive.Newest(ctx)
	if err != nil {
		return nil, false, err
	}
	return r.cutOf(ctx, m, k)
}

func (r *Runner) cutOf(ctx context.Context, m *archive.Manifest, k uint64) (cut event.Cut, ok bool, err error) {
	if k <= m.K {
		return m.Cut.Clone(), true, fmt.Errorf("barrier %d of %s: manifest %d stands at barrier %d: %w", k, r.Pipeline, m.Version, m.K, ErrDone)
	}
	cut, ok = make(event.Cut, len(m.Cut)), true
	for p := range cut {
		offset, found, err := r.Archive.BarrierAt(ctx, p, k, m.Cut[p])
		if err != nil {
			return nil, false, fmt.Errorf("look for barrier %d in partition %d of %s: %w", k, p, r.Pipeline, err)
		}
		if !found {
			ok = false
			continue
		}
		cut[p] = offset + 1
	}
	return cut, ok, nil
}

// newSegments returns the segments of a partition in [from, to), which must
// be whole.
func (r *Runner) newSegments(ctx context.Context, partition int, from, to uint64) ([]archive.Segment, error) {
	all, err := r.Archive.Segments(ctx, partition, from)
	if err != nil {
		return nil, err
	}
	at := from
	for i, s := range all {
		if at == to {
			return all[:i], nil
		}
		if s.Admit != "" {
			return nil, fault.New(fault.Invalid, "barrier %d of partition %d admits import %q: this version of batch cannot count imports", s.Barrier, partition, s.Admit)
		}
		at = s.To
	}
	if at != to {
		return nil, fault.New(fault.Corrupt, "the segments of partition %d from %d on end at %d, the cut is at %d", partition, from, at, to)
	}
	return all, nil
}
