package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/batch"
)

// How long steps may take. A worker that dies is noticed by its heartbeat, so
// the other bounds only catch what hangs with a beating heart. A step that is
// wrongly thought dead is only repeated, so the heartbeat's bound is short, and
// a run goes on soon after a kill; but on a machine so busy that the server
// answers late each try would end like the one before, so it is not shorter.
const (
	heartbeatTimeout = 20 * time.Second
	quickTimeout     = 5 * time.Minute
	longTimeout      = 2 * time.Hour
)

// retry is the pace for errors that may pass by themselves; which do is
// decided in activities. Thirty tries at this pace are about half an hour.
var retry = &temporal.RetryPolicy{
	InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute, MaximumAttempts: 30,
}

func quick(ctx workflow.Context, summary string) workflow.Context {
	return options(ctx, quickTimeout, summary)
}

func long(ctx workflow.Context, summary string) workflow.Context {
	return options(ctx, longTimeout, summary)
}

// final is for the step that publishes. A cancel comes too late for it: ended
// half way, nobody would know whether it had published.
func final(ctx workflow.Context, summary string) workflow.Context {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	return quick(ctx, summary)
}

func options(ctx workflow.Context, timeout time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: timeout, HeartbeatTimeout: heartbeatTimeout, RetryPolicy: retry, Summary: summary,
		// A cancelled run ends after its steps have: when it says cancelled,
		// nothing of it works any more.
		WaitForCancellation: true,
	})
}

// phase is a part of the work that is split into units.
type phase struct {
	name  string
	total int
	step  func(i int) (method any, unit int, summary string)
}

// compact makes day files, a unit for each partition.
func (r *run) compact(ctx workflow.Context) error {
	parts := r.s.Plan.Compact
	return r.work(ctx, phase{phaseCompact, len(parts), func(i int) (any, int, string) {
		return steps.Compact, parts[i], fmt.Sprintf("partition %d, %d of %d", parts[i], i+1, len(parts))
	}})
}

// fold makes the states of days.
func (r *run) fold(ctx workflow.Context) error {
	if err := r.split(ctx, phaseSpread, steps.Spread, "which days to fold", &r.s.Fold); err != nil {
		return err
	}
	return r.work(ctx, phase{phaseFold, r.s.Fold.N, func(i int) (any, int, string) { return steps.Fold, i, label(r.s.Fold, i) }})
}

// finish makes the results that readers see.
func (r *run) finish(ctx workflow.Context) error {
	if err := r.split(ctx, phaseGather, steps.Gather, "which results to finish", &r.s.Finish); err != nil {
		return err
	}
	return r.work(ctx, phase{phaseFinish, r.s.Finish.N, func(i int) (any, int, string) { return steps.Finish, i, label(r.s.Finish, i) }})
}

// split asks how much work the next phase has, unless that is known.
func (r *run) split(ctx workflow.Context, name string, method any, summary string, to **batch.Units) error {
	if *to != nil {
		return nil
	}
	r.enter(ctx, name)
	var units batch.Units
	if err := r.step(ctx, long, summary, method, r.ofPlan(), &units); err != nil {
		return err
	}
	*to = &units
	return nil
}

// label says for a person what a unit is.
func label(u *batch.Units, i int) string {
	of := fmt.Sprintf("unit %d of %d", i+1, u.N)
	if i < len(u.Labels) && u.Labels[i] != "" {
		return u.Labels[i] + ", " + of
	}
	return of
}

// step takes a step that is not split into units: when the run is not paused,
// and where that is wished again after it failed.
func (r *run) step(ctx workflow.Context, options func(workflow.Context, string) workflow.Context, summary string, method, in, out any) error {
	for {
		if err := r.await(ctx, func() bool { return !r.s.Steering.Paused }); err != nil {
			return err
		}
		r.running++
		err := workflow.ExecuteActivity(options(ctx, summary), method, in).Get(ctx, out)
		r.running--
		if err == nil || !r.mendable(err) {
			return err
		}
		r.failed(ctx, -1, summary, err)
		if err := r.await(ctx, func() bool { return len(r.s.Failed) == 0 }); err != nil {
			return err
		}
	}
}

// mendable reports whether to wait for a retry after an error. A plan that
// fails has cost nothing, so that a run which asks for what cannot be ends.
func (r *run) mendable(err error) bool {
	return r.patient && r.s.Plan != nil && !temporal.IsCanceledError(err) && !activities.IsConflict(err)
}

// work does the units of one phase, a bounded number at a time. When the
// history has grown long it lets what was given out end and continues with a
// fresh one. An error cancels the rest, and is returned once all have ended;
// or, where the run is patient, waits for a retry while the others go on.
func (r *run) work(ctx workflow.Context, p phase) error {
	if order[p.name] < order[r.s.Phase] {
		return nil // done in an earlier history
	}
	if r.s.Phase != p.name {
		r.s.Next = 0
		r.enter(ctx, p.name)
	}
	inner, cancel := workflow.WithCancel(ctx)
	defer cancel()
	var first error // that ends the phase
	given, more := 0, false
	give := func() bool { // a unit may be given out
		return !r.s.Steering.Paused && r.running < r.s.Steering.Parallel && len(r.s.Failed) < manyFailed && (len(r.s.Again) > 0 || r.s.Next < p.total)
	}
	left := func() bool { return r.running > 0 || len(r.s.Failed)+len(r.s.Again) > 0 || r.s.Next < p.total }
	for left() {
		// Each history gets something done, however long it says it is.
		if more = given >= r.s.Steering.Parallel && tooLong(ctx); more {
			break
		}
		if err := r.await(ctx, func() bool { return first != nil || give() || !left() }); err != nil && first == nil {
			first = err
		}
		if first != nil {
			break
		}
		if !give() {
			continue
		}
		i := r.next()
		given++
		if r.running == 0 {
			r.busy = workflow.Now(ctx)
		}
		r.running++ // here, as the coroutine begins later
		workflow.Go(inner, func(ctx workflow.Context) {
			done, err := r.unit(ctx, p, i)
			switch {
			case err == nil:
				r.did(ctx, p.name, done)
			case first != nil: // it was told to end
			case r.mendable(err):
				_, _, label := p.step(i)
				r.failed(ctx, i, label, err)
			default:
				first = err
				cancel()
			}
		})
	}
	// Also a cancelled run ends after its units.
	calm, _ := workflow.NewDisconnectedContext(ctx)
	if err := workflow.Await(calm, func() bool { return r.running == 0 }); err != nil {
		return err
	}
	if first == nil && more && left() {
		s := r.s
		return workflow.NewContinueAsNewError(ctx, r.name, r.again(&s))
	}
	return first
}

// manyFailed stops a run from trying everything when everything fails.
const manyFailed = 20

// next takes the unit that is given out next.
func (r *run) next() int {
	if len(r.s.Again) > 0 {
		i := r.s.Again[0]
		r.s.Again = r.s.Again[1:]
		return i
	}
	r.s.Next++
	return r.s.Next - 1
}

// unit does one unit. Only the time in which some unit runs is working time.
func (r *run) unit(ctx workflow.Context, p phase, i int) (done batch.Ref, err error) {
	method, unit, summary := p.step(i)
	in := activities.Unit{Pipeline: r.request.Pipeline, Plan: *r.s.Plan, N: unit}
	err = workflow.ExecuteActivity(long(ctx, summary), method, in).Get(ctx, &done)
	now := workflow.Now(ctx)
	r.s.Worked += now.Sub(r.busy)
	r.busy = now
	r.running--
	return done, err
}

// longHistory is far below what the server refuses (51,200 events), in case it
// does not suggest anything.
const longHistory = 20000

func tooLong(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > longHistory
}
