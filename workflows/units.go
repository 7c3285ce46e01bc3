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
// the other bounds only catch what hangs with a beating heart. Hearts beat every
// few seconds, and a step that is wrongly thought dead is only repeated: so the
// heartbeat's bound is short, and a run goes on soon after a kill.
const (
	heartbeatTimeout = 10 * time.Second
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
	if err := workflow.ExecuteActivity(long(ctx, summary), method, r.ofPlan()).Get(ctx, &units); err != nil {
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

// work does the units of one phase, a bounded number at a time. When the
// history has grown long it lets what was given out end and continues with a
// fresh one. The first error cancels the rest, and is returned once all have
// ended.
func (r *run) work(ctx workflow.Context, p phase) error {
	if order[p.name] < order[r.s.Phase] {
		return nil // done in an earlier history
	}
	if r.s.Phase != p.name {
		r.s.Next = 0
		r.enter(ctx, p.name)
	}
	if r.s.Working.IsZero() {
		r.s.Working = workflow.Now(ctx)
	}
	ctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	var first error
	all := workflow.NewWaitGroup(ctx)
	for range min(r.parallel, p.total-r.s.Next) {
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			for mine := 0; r.s.Next < p.total && first == nil; mine++ {
				// Each history gets something done, however long it says it is.
				if mine > 0 && tooLong(ctx) {
					return
				}
				i := r.s.Next
				r.s.Next++
				method, unit, summary := p.step(i)
				var done batch.Ref
				in := activities.Unit{Pipeline: r.request.Pipeline, Plan: *r.s.Plan, N: unit}
				if err := workflow.ExecuteActivity(long(ctx, summary), method, in).Get(ctx, &done); err != nil {
					if first == nil {
						first = err
						cancel()
					}
					return
				}
				r.did(ctx, p.name, done)
			}
		})
	}
	all.Wait(ctx)
	if first == nil && r.s.Next < p.total {
		s := r.s
		return workflow.NewContinueAsNewError(ctx, r.name, r.again(&s))
	}
	return first
}

// longHistory is far below what the server refuses (51,200 events), in case it
// does not suggest anything.
const longHistory = 20000

func tooLong(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > longHistory
}
