// Package activities holds one repeatable step of a batch run each. A step
// calls batch, beats its heart while that works, and turns the kind of an
// error into what Temporal should do about it. Order and time are decided in
// workflows, the arithmetic is done in batch.
//
// Only names, ranges, cuts and counts pass through here, because all of it is
// kept in Temporal's history; rows stay in the bucket.
package activities

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"anabranch/batch"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
)

// Runner is what this package needs of batch, for one pipeline; *batch.Runner
// is one. Every method may be called again with the same arguments after any
// error, from another process too, and then does the same or finds it done.
// Errors have kinds; what each step means is said in package batch.
type Runner interface {
	BarrierOf(ctx context.Context, run string) (uint64, error)
	AppendBarriers(ctx context.Context, k uint64) error
	Sealed(ctx context.Context, k uint64) (cut event.Cut, ok bool, err error)
	Plan(ctx context.Context, q batch.Request) (batch.PlanRef, error)
	Estimate(ctx context.Context, q batch.Request) (batch.Estimate, error)
	Compact(ctx context.Context, p batch.PlanRef, partition int) (batch.Ref, error)
	Spread(ctx context.Context, p batch.PlanRef) (batch.Units, error)
	Fold(ctx context.Context, p batch.PlanRef, unit int) (batch.Ref, error)
	Gather(ctx context.Context, p batch.PlanRef) (batch.Units, error)
	Finish(ctx context.Context, p batch.PlanRef, unit int) (batch.Ref, error)
	Verify(ctx context.Context, p batch.PlanRef) (batch.Report, error)
	Review(ctx context.Context, p batch.PlanRef) (batch.Review, error)
	Publish(ctx context.Context, p batch.PlanRef) (batch.Published, error)
}

var _ Runner = (*batch.Runner)(nil)

// Activities are the steps. Their methods are registered by worker; workflows
// name them by method.
type Activities struct {
	// Runners returns the runner of a pipeline, false when there is none. It
	// may wait for one that is being opened; its error, with a kind, says that
	// it cannot be known now.
	Runners func(ctx context.Context, pipeline string) (Runner, bool, error)
	// Releasers returns what sends dead letters of a pipeline back; it is
	// asked after Runners. nil: this worker sends none.
	Releasers func(ctx context.Context, pipeline string) (Releaser, error)
	// Importers returns what imports files into a pipeline; asked after Runners.
	// nil: this worker imports none.
	Importers func(ctx context.Context, pipeline string) (Importer, error)
	// Audited hears what each unit of an audit came to; nil: nobody does.
	Audited func(AuditFound)
	// Judges returns what compares versions of a pipeline's views and has them
	// answer; it is asked after Runners. nil: this worker judges none.
	Judges func(ctx context.Context, pipeline string) (Judge, error)
	// RebuildSpeed builds the speed layer of a pipeline anew and compares it
	// with the raw events; nil: this worker has none.
	RebuildSpeed func(ctx context.Context, pipeline string) (SpeedRebuilt, error)
	// Restore puts a pipeline as of then into another one; nil: this worker
	// cannot.
	Restore func(ctx context.Context, in Restore) (Restored, error)
	// Names returns the names of all pipelines, for the message about one
	// that does not exist; may be nil.
	Names func() []string
	// Clock waits between polls and heartbeats; default clock.Wall.
	Clock clock.Clock
	// Poll is the pause between two looks for sealed segments; default 200 ms.
	Poll time.Duration
}

func (a *Activities) clock() clock.Clock {
	if a.Clock == nil {
		return clock.Wall
	}
	return a.Clock
}

// runner returns the runner of a pipeline or an Invalid that names those there
// are.
func (a *Activities) runner(ctx context.Context, pipeline string) (Runner, error) {
	r, ok, err := a.Runners(ctx, pipeline)
	if err != nil {
		return nil, fmt.Errorf("open pipeline %q: %w", pipeline, err)
	}
	if ok {
		return r, nil
	}
	err = fault.WithCode(fault.New(fault.Invalid, "no pipeline %q", pipeline), "unknown_pipeline")
	if a.Names == nil {
		return nil, err
	}
	names := slices.Clone(a.Names())
	slices.Sort(names)
	if len(names) == 0 {
		return nil, fault.WithHint(err, "none is deployed, deploy it first")
	}
	return nil, fault.WithHint(err, "there are %s", strings.Join(names, ", "))
}

// step runs one call of a runner as an activity.
func step[T any](ctx context.Context, a *Activities, pipeline string, call func(context.Context, Runner) (T, error)) (T, error) {
	var none T
	stop := a.beat(ctx)
	defer stop()
	r, err := a.runner(ctx, pipeline)
	if err != nil {
		return none, ToTemporal(ctx, err)
	}
	got, err := guarded(ctx, r, call)
	if err != nil {
		return none, ToTemporal(ctx, err)
	}
	return got, nil
}

// guarded turns a panic into a Bug: doing the same again would panic again, so
// the run has to end and say so instead of trying for half an hour.
func guarded[T any](ctx context.Context, r Runner, call func(context.Context, Runner) (T, error)) (got T, err error) {
	defer func() {
		if p := recover(); p != nil {
			if activity.IsActivity(ctx) {
				activity.GetLogger(ctx).Error("a step panicked", "panic", p, "stack", string(debug.Stack()))
			}
			err = fault.New(fault.Bug, "panic: %v", p)
		}
	}()
	return call(ctx, r)
}

// beatEvery is how often a step says that it lives. The answer to a heartbeat
// also brings the news that the run was cancelled.
const beatEvery = 2 * time.Second

// beat sends heartbeats until stop is called, which waits for the last one.
func (a *Activities) beat(ctx context.Context) (stop func()) {
	if !activity.IsActivity(ctx) {
		return func() {}
	}
	return repeat(ctx, a.clock(), beatEvery, func() { activity.RecordHeartbeat(ctx) })
}

// repeat calls do at once and every so often until stop is called or ctx ends.
func repeat(ctx context.Context, clk clock.Clock, every time.Duration, do func()) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			do()
			select {
			case <-clk.After(every):
			case <-end:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { close(end); <-ended }
}

// NextBarrier chooses the barrier of a run.
func (a *Activities) NextBarrier(ctx context.Context, in Target) (Barrier, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (Barrier, error) {
		k, err := r.BarrierOf(ctx, in.RunID)
		return Barrier{K: k}, err
	})
}

// AppendBarriers appends the barrier of a run to every partition.
func (a *Activities) AppendBarriers(ctx context.Context, in AtBarrier) error {
	_, err := step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (struct{}, error) {
		return struct{}{}, r.AppendBarriers(ctx, in.K)
	})
	return err
}

// AwaitSealed waits until everything below the barrier is in the archive.
func (a *Activities) AwaitSealed(ctx context.Context, in AtBarrier) (Sealed, error) {
	poll := a.Poll
	if poll <= 0 {
		poll = 200 * time.Millisecond
	}
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (Sealed, error) {
		for {
			cut, ok, err := r.Sealed(ctx, in.K)
			if err != nil || ok {
				return Sealed{Cut: cut}, err
			}
			select {
			case <-a.clock().After(poll):
			case <-ctx.Done():
				return Sealed{}, ctx.Err()
			}
		}
	})
}

// Plan decides what to recompute.
func (a *Activities) Plan(ctx context.Context, in Request) (batch.PlanRef, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.PlanRef, error) {
		q, err := in.batch()
		if err != nil {
			return batch.PlanRef{}, err
		}
		return r.Plan(ctx, q)
	})
}

// Estimate says what a backfill would do.
func (a *Activities) Estimate(ctx context.Context, in Request) (batch.Estimate, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.Estimate, error) {
		return Estimate(ctx, r, in)
	})
}

// Estimate says what a backfill would do, outside of a workflow.
func Estimate(ctx context.Context, r Runner, in Request) (batch.Estimate, error) {
	q, err := in.batch()
	if err != nil {
		return batch.Estimate{}, err
	}
	return r.Estimate(ctx, q)
}

// Compact makes the day files of one partition.
func (a *Activities) Compact(ctx context.Context, in Unit) (batch.Ref, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.Ref, error) { return r.Compact(ctx, in.Plan, in.N) })
}

// Spread splits the days to fold into units.
func (a *Activities) Spread(ctx context.Context, in OfPlan) (batch.Units, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.Units, error) { return r.Spread(ctx, in.Plan) })
}

// Fold makes the states of one unit.
func (a *Activities) Fold(ctx context.Context, in Unit) (batch.Ref, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.Ref, error) { return r.Fold(ctx, in.Plan, in.N) })
}

// Gather splits the results to finish into units.
func (a *Activities) Gather(ctx context.Context, in OfPlan) (batch.Units, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.Units, error) { return r.Gather(ctx, in.Plan) })
}

// Finish makes the results of one unit.
func (a *Activities) Finish(ctx context.Context, in Unit) (batch.Ref, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.Ref, error) { return r.Finish(ctx, in.Plan, in.N) })
}

// Verify checks what was made.
func (a *Activities) Verify(ctx context.Context, in OfPlan) (batch.Report, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.Report, error) { return r.Verify(ctx, in.Plan) })
}

// Review compares what was made with what is published.
func (a *Activities) Review(ctx context.Context, in OfPlan) (batch.Review, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.Review, error) { return r.Review(ctx, in.Plan) })
}

// Publish makes it the present.
func (a *Activities) Publish(ctx context.Context, in OfPlan) (batch.Published, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.Published, error) { return r.Publish(ctx, in.Plan) })
}

// ByName returns a Runners and a Names over a map that does not change.
func ByName(runners map[string]Runner) (func(context.Context, string) (Runner, bool, error), func() []string) {
	return func(_ context.Context, name string) (Runner, bool, error) { r, ok := runners[name]; return r, ok, nil },
		func() []string { return slices.Collect(maps.Keys(runners)) }
}
