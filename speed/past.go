package speed

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/stream"
	"anabranch/view"
)

// ErrPastGone says that records between a cut and an earlier position are
// neither in the log nor in the archive any more, or the id runs of that cut.
var ErrPastGone = fault.New(fault.NotFound, "what lies between the cut and the position is gone")

// Past returns what Since returned for the cut of manifest m when the
// partitions stood at an earlier position, of any versions of views: it reads
// the log from the cut up to there, and where that was trimmed the archive's
// segments, and folds them anew with the filters in force. What the
// partitions hold is left alone. It costs what folding those events costs, and
// memory for their ids and groups.
//
// Errors: ErrPastGone; Invalid for a position that was never reached.
func (s *Speed) Past(ctx context.Context, m *archive.Manifest, at event.Cut, views []*view.View) (*view.Delta, error) {
	if len(at) != len(s.part) {
		return nil, fault.New(fault.Invalid, "position %s: pipeline %q has %d partitions", at, s.opt.Pipeline, len(s.part))
	}
	o := *s.part[0].opt
	o.Views, o.Dir, o.Bucket, o.Delay, o.Folding = views, "", nil, nil, nil
	d := newDelta(m.K, len(views))
	asked := make([]int, len(views))
	for i := range asked {
		asked[i] = i
	}
	into := make([]*view.State, len(views))
	for n := range s.part {
		p := newPartition(&o, &progress{}, n)
		err := p.reach(ctx, m, at[n])
		if err == nil {
			err = p.since(m.K, asked, into, d, nil, nil)
		}
		p.closeRuns()
		if err != nil {
			return nil, fmt.Errorf("speed of pipeline %q, partition %d, at %d since manifest %d: %w", o.Pipeline, n, at[n], m.Version, err)
		}
	}
	for i, v := range views {
		if into[i] == nil {
			into[i] = v.New()
		}
		d.States[v.Name()] = into[i]
	}
	d.At = at.Clone()
	return d, nil
}

// reach begins at m's cut and folds up to below.
func (p *partition) reach(ctx context.Context, m *archive.Manifest, below uint64) error {
	if err := p.begin(ctx, m); err != nil {
		return gone(err)
	}
	if below < p.next.Load() {
		return fault.New(fault.Invalid, "position %d lies below the cut at %d", below, p.next.Load())
	}
	first, end, err := p.opt.Log.Bounds(ctx, p.n)
	if err != nil {
		return err
	}
	if below > end {
		return fault.New(fault.Invalid, "position %d is above the end of the log at %d", below, end)
	}
	switch {
	case below == p.next.Load():
		return nil
	case first == end: // the log is empty, and a log may begin above 0
		return gone(p.reachBySegments(ctx, below))
	}
	r, err := p.opt.Log.Read(ctx, p.n, p.next.Load())
	if errors.Is(err, stream.ErrTrimmed) {
		if err = p.reachBySegments(ctx, below); err != nil || p.next.Load() >= below {
			return gone(err)
		}
		r, err = p.opt.Log.Read(ctx, p.n, p.next.Load())
	}
	if err != nil {
		return gone(err)
	}
	return errors.Join(p.reachByLog(ctx, r, below), r.Close())
}

// reachBySegments folds what segments hold from next on, up to below.
func (p *partition) reachBySegments(ctx context.Context, below uint64) error {
	newest, err := p.opt.Archive.Newest(ctx)
	if err != nil {
		return err
	}
	if first := newest.RawFrom(p.n).From; first > p.next.Load() {
		return fmt.Errorf("the segments below %d have expired: %w", first, ErrPastGone)
	}
	_, err = p.replaySegments(ctx, below)
	return err
}

// reachByLog folds records up to below. There is one at below - 1 or above.
func (p *partition) reachByLog(ctx context.Context, r stream.Reader, below uint64) error {
	for p.next.Load() < below {
		records, err := r.Next(ctx)
		if err != nil {
			return gone(err)
		}
		i := slices.IndexFunc(records, func(rec stream.Record) bool { return rec.Offset >= below })
		if i >= 0 {
			records = records[:i]
		}
		if err := p.fold(ctx, fetched{records: records, at: p.opt.Clock.Now()}); err != nil {
			return gone(err)
		}
		if i >= 0 {
			return nil
		}
	}
	return nil
}

// gone tells what is not there any more from other errors.
func gone(err error) error {
	if fault.Is(err, fault.NotFound) && !errors.Is(err, ErrPastGone) {
		return errors.Join(ErrPastGone, err)
	}
	return err
}
