package server

import (
	"context"
	"fmt"
	"time"

	"anabranch/activities"
	"anabranch/batch"
	"anabranch/event"
	"anabranch/fault"
)

// runner lends batch to the activities. The types of activities are kept in
// histories and so change slowly; those of batch are a library's.
type runner struct{ batch *batch.Runner }

var _ activities.Runner = runner{}

func (r runner) NextBarrier(ctx context.Context) (uint64, error) { return r.batch.NextBarrier(ctx) }

func (r runner) AppendBarriers(ctx context.Context, k uint64) error {
	return r.batch.AppendBarriers(ctx, k)
}

func (r runner) Sealed(ctx context.Context, k uint64) (event.Cut, bool, error) {
	return r.batch.Sealed(ctx, k)
}

func (r runner) Plan(ctx context.Context, q activities.Request) (activities.Plan, error) {
	from, err := dayOf("from", q.From)
	if err != nil {
		return activities.Plan{}, err
	}
	to, err := dayOf("to", q.To)
	if err != nil {
		return activities.Plan{}, err
	}
	p, err := r.batch.Plan(ctx, batch.Request{
		Kind: q.Kind, Reason: q.Reason, By: q.By, RunID: q.RunID, Attempt: q.Attempt, K: q.K, View: q.View, From: from, To: to,
	})
	if err != nil {
		return activities.Plan{}, err
	}
	return activities.Plan{Ref: activities.PlanRef{Run: p.Run, K: p.K, Parent: p.Parent}, Compact: p.Compact, Rows: p.Rows}, nil
}

// dayOf returns the days since 1970 of a day like 2011-03-01, nil for none.
func dayOf(what, day string) (*int32, error) {
	if day == "" {
		return nil, nil
	}
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s %q: want a day like 2011-03-01", what, day)
	}
	n := int32(t.Unix() / 86400)
	return &n, nil
}

func (r runner) Compact(ctx context.Context, p activities.PlanRef, partition int) (activities.Done, error) {
	return done(r.batch.Compact(ctx, planRef(p), partition))
}

func (r runner) Spread(ctx context.Context, p activities.PlanRef) (activities.Units, error) {
	return units(r.batch.Spread(ctx, planRef(p)))
}

func (r runner) Fold(ctx context.Context, p activities.PlanRef, unit int) (activities.Done, error) {
	return done(r.batch.Fold(ctx, planRef(p), unit))
}

func (r runner) Gather(ctx context.Context, p activities.PlanRef) (activities.Units, error) {
	return units(r.batch.Gather(ctx, planRef(p)))
}

func (r runner) Finish(ctx context.Context, p activities.PlanRef, unit int) (activities.Done, error) {
	return done(r.batch.Finish(ctx, planRef(p), unit))
}

func (r runner) Verify(ctx context.Context, p activities.PlanRef) (activities.Report, error) {
	v, err := r.batch.Verify(ctx, planRef(p))
	if err != nil {
		return activities.Report{}, err
	}
	return activities.Report{Rows: v.Counted, Text: fmt.Sprintf(
		"%d new rows: %d counted, %d duplicate, %d filtered, %d in conflict; %d event days, %d result files, %d new objects of %d bytes",
		v.Rows, v.Counted, v.Duplicates, v.Filtered, v.Conflicts, v.Days, v.Results, v.Objects, v.Bytes)}, nil
}

func (r runner) Publish(ctx context.Context, p activities.PlanRef) (activities.Published, error) {
	v, err := r.batch.Publish(ctx, planRef(p))
	if err != nil {
		return activities.Published{}, err
	}
	return activities.Published{Version: v.Version, K: v.K, Already: v.Already}, nil
}

// planRef names a plan again; what else stands in it is in its note.
func planRef(p activities.PlanRef) batch.PlanRef {
	return batch.PlanRef{Run: p.Run, K: p.K, Parent: p.Parent}
}

func done(r batch.Ref, err error) (activities.Done, error) {
	if err != nil {
		return activities.Done{}, err
	}
	return activities.Done{Label: r.Label, Rows: r.Rows, Bytes: r.Bytes, Reuse: r.Reuse}, nil
}

func units(u batch.Units, err error) (activities.Units, error) {
	if err != nil {
		return activities.Units{}, err
	}
	return activities.Units{N: u.N, Labels: u.Labels, Days: u.Days, Rows: u.Rows}, nil
}
