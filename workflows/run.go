package workflows

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/batch"
	"anabranch/fault"
)

// maxAttempts bounds how often a run plans again because another one published
// first. Runs of one pipeline are few and one of them wins every time, so more
// means that something starts runs without end.
const maxAttempts = 8

// Resume is what a run knows; it goes along when the run continues with a
// fresh history.
type Resume struct {
	Started time.Time `json:"started"`
	RunID   string    `json:"run_id"`  // of the first history
	Attempt int       `json:"attempt"` // from 1
	K       uint64    `json:"k,omitempty"`
	Sealed  bool      `json:"sealed,omitempty"` // barrier K is appended and sealed
	Phase   string    `json:"phase"`
	Next    int       `json:"next"` // first unit of Phase that was not given out

	// What is known of this attempt.
	Plan   *batch.PlanRef `json:"plan,omitempty"`
	Fold   *batch.Units   `json:"fold,omitempty"`
	Finish *batch.Units   `json:"finish,omitempty"`
	Units  int            `json:"units"` // done
	Rows   int64          `json:"rows"`
	Bytes  int64          `json:"bytes"`
	Worked time.Duration  `json:"worked,omitempty"` // in which units ran
	Share  float64        `json:"share,omitempty"`  // of its time that the last unit could work, when it had to wait for events
	// Failed is what failed for good and waits for a retry, Again the units of
	// Phase to which that was granted.
	Failed []Failed `json:"failed,omitempty"`
	Again  []int    `json:"again,omitempty"`

	Estimate *batch.Estimate `json:"estimate,omitempty"`
	// Takes are the views that the first plan had take over; so do later ones.
	Takes []string `json:"takes,omitempty"`

	Steering Steering `json:"steering,omitzero"`
}

// run is one batch run.
type run struct {
	name    string // of the workflow type
	request activities.Request
	date    string // data date of a nightly run; may be empty
	// patient: what fails for good waits for a retry instead of failing the run.
	patient bool
	// compares: what was made is compared with what is published; approval:
	// whatever comes out, somebody has to approve it.
	compares, approval bool
	dry                bool // nothing is published
	resumed            bool
	s                  Resume
	again              func(*Resume) any // the input of the next history
	cancel             func()
	note               string

	review    *batch.Review // of this attempt
	small     *batch.Packed // of the dry run of a compaction
	running   int           // steps that run now
	busy      time.Time     // up to when Worked counts
	cancelled bool
	shown     string // of RunWaits
}

// defaultParallel is how many units of a run are given out at once.
const defaultParallel = 8

func newRun(name string, request activities.Request, parallel int, s *Resume) *run {
	r := &run{name: name, request: request}
	if s != nil {
		r.s, r.resumed = *s, true
	}
	r.s.Steering.Parallel = cmp.Or(r.s.Steering.Parallel, parallel, defaultParallel)
	return r
}

// steps names activities by method; it is never called.
var steps *activities.Activities

// do takes all steps.
func (r *run) do(ctx workflow.Context, again func(*Resume) any) (Result, error) {
	r.again = again
	ctx, r.cancel = workflow.WithCancel(ctx)
	if err := r.setup(ctx); err != nil {
		return Result{}, err
	}
	result, err := r.untilPublished(ctx)
	if activities.IsAlreadyPublished(err) {
		result, err = Result{Outcome: OutcomeNothing, Note: fmt.Sprintf("barrier %d has been published already", r.s.K), K: r.s.K}, nil
	}
	var more *workflow.ContinueAsNewError
	switch {
	case errors.As(err, &more):
		return Result{}, err
	case temporal.IsCanceledError(err):
		r.note = "nothing was published"
		r.enter(ctx, phaseCancelled)
		return Result{}, temporal.NewCanceledError("nothing was published")
	case err != nil:
		err = r.explain(err)
		r.note = err.Error()
		r.enter(ctx, phaseFailed)
		return Result{}, err
	}
	result.Attempts, result.Units, result.Rows, result.Bytes = r.s.Attempt, r.s.Units, r.s.Rows, r.s.Bytes
	result.Seconds = workflow.Now(ctx).Sub(r.s.Started).Seconds()
	r.note = result.Note
	if result.Outcome == OutcomePublished {
		r.note = fmt.Sprintf("published version %d", result.Version)
		for _, view := range r.s.Plan.Held {
			r.note += fmt.Sprintf("; its version of view %s is held, until `anabranch versions promote %s %[1]s`", view, r.request.Pipeline)
		}
	}
	r.enter(ctx, phaseDone)
	return result, nil
}

func (r *run) setup(ctx workflow.Context) error {
	info := workflow.GetInfo(ctx)
	if !r.resumed {
		r.s = Resume{Started: info.WorkflowStartTime, RunID: info.WorkflowExecution.RunID, Attempt: 1, Steering: r.s.Steering}
		if err := workflow.UpsertTypedSearchAttributes(ctx, r.attributes()...); err != nil {
			return err
		}
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		ctx.Done().Receive(ctx, nil)
		r.cancelled = true
		if !r.ended() {
			r.show(ctx)
		}
	})
	if err := r.listen(ctx); err != nil {
		return err
	}
	return workflow.SetQueryHandlerWithOptions(ctx, ProgressQuery, func() (Progress, error) { return r.progress(), nil },
		workflow.QueryHandlerOptions{Description: "How far the run is, as JSON."})
}

// untilPublished plans and works until it published, or another run did so
// too often.
func (r *run) untilPublished(ctx workflow.Context) (Result, error) {
	if r.request.Kind == batch.Nightly && !r.s.Sealed {
		if err := r.barrier(ctx); err != nil {
			return Result{}, err
		}
	}
	if r.request.Kind == batch.Backfill && r.s.Estimate == nil {
		if err := r.estimate(ctx); err != nil {
			return Result{}, err
		}
	}
	for {
		result, err := r.attempt(ctx)
		if !activities.IsConflict(err) || r.s.Steering.Rejected != nil || activities.IsAlreadyPublished(err) || r.s.Attempt >= maxAttempts {
			return result, err
		}
		workflow.GetLogger(ctx).Info("another run published first, planning again", "pipeline", r.request.Pipeline, "attempt", r.s.Attempt)
		// What was made stays in the bucket: the next plan takes up what fits.
		r.s = Resume{Started: r.s.Started, RunID: r.s.RunID, Attempt: r.s.Attempt + 1, K: r.s.K, Sealed: r.s.Sealed, Takes: r.s.Takes, Estimate: r.s.Estimate, Steering: r.s.Steering}
	}
}

// barrier chooses the cut of a nightly run and waits until the archive has all
// that is below it.
func (r *run) barrier(ctx workflow.Context) error {
	if r.s.K == 0 {
		r.enter(ctx, phaseBarrier)
		var b activities.Barrier
		if err := r.step(ctx, quick, "choose the next barrier", steps.NextBarrier, activities.Target{Pipeline: r.request.Pipeline, RunID: r.s.RunID}, &b); err != nil {
			return err
		}
		r.s.K = b.K
	}
	at := activities.AtBarrier{Pipeline: r.request.Pipeline, K: r.s.K}
	if err := r.step(ctx, quick, fmt.Sprintf("barrier %d into every partition", r.s.K), steps.AppendBarriers, at, nil); err != nil {
		return err
	}
	r.enter(ctx, phaseSealed)
	var sealed activities.Sealed
	if err := r.step(ctx, long, fmt.Sprintf("archive sealed up to barrier %d", r.s.K), steps.AwaitSealed, at, &sealed); err != nil {
		return err
	}
	r.s.Sealed = true
	return nil
}

// attempt plans, works and publishes once. A Conflict means: from the plan on
// again.
func (r *run) attempt(ctx workflow.Context) (Result, error) {
	if r.request.Kind == batch.Compaction && r.dry {
		return r.compactable(ctx)
	}
	if r.s.Plan == nil {
		if err := r.plan(ctx); err != nil {
			return Result{}, err
		}
	}
	r.review = nil
	work := []func(workflow.Context) error{r.compact, r.fold, r.finish}
	if r.request.Kind == batch.Compaction {
		if r.s.Plan.Packs == 0 {
			return r.nothingSmall(), nil
		}
		work = []func(workflow.Context) error{r.pack}
	}
	for _, do := range work {
		if err := do(ctx); err != nil {
			return Result{}, err
		}
	}
	of := r.ofPlan()
	r.enter(ctx, phaseVerify)
	var report batch.Report
	if err := r.step(ctx, long, "compare what was made with what went in", steps.Verify, of, &report); err != nil {
		return Result{}, err
	}
	if err := r.inspect(ctx); err != nil {
		return Result{}, err
	}
	if r.dry {
		return Result{Outcome: OutcomeDryRun, Note: r.tried(report.Pace), Report: report}, nil
	}
	r.enter(ctx, phasePublish)
	var published batch.Published
	if err := r.step(ctx, final, fmt.Sprintf("one conditional put on top of version %d", r.s.Plan.Parent), steps.Publish, of, &published); err != nil {
		return Result{}, err
	}
	return Result{Outcome: OutcomePublished, Version: published.Version, K: published.K, Report: report, Approval: r.s.Steering.Approval}, nil
}

// estimate says what there is to do, all of it.
func (r *run) estimate(ctx workflow.Context) error {
	r.enter(ctx, phaseEstimate)
	request := r.request
	request.RunID, request.Sample = r.s.RunID, 0
	return r.step(ctx, long, "how much that is", steps.Estimate, request, &r.s.Estimate)
}

// tried says what a dry run has come to.
func (r *run) tried(pace batch.Pace) string {
	said := fmt.Sprintf("a dry run of %d days, nothing was published", r.s.Fold.Days)
	if seconds := r.s.Estimate.At(pace); seconds > 0 {
		said += fmt.Sprintf("; all %d days at its pace take %s", r.s.Estimate.Days, batch.About(seconds))
	}
	return said
}

func (r *run) plan(ctx workflow.Context) error {
	r.enter(ctx, phasePlan)
	request := r.request
	request.K, request.RunID, request.Attempt, request.Takes = r.s.K, r.s.RunID, r.s.Attempt-1, r.s.Takes
	var plan batch.PlanRef
	if err := r.step(ctx, long, "what has to be counted", steps.Plan, request, &plan); err != nil {
		return err
	}
	r.s.Plan, r.s.Takes = &plan, plan.Takes
	return nil
}

func (r *run) ofPlan() activities.OfPlan {
	return activities.OfPlan{Pipeline: r.request.Pipeline, Plan: *r.s.Plan}
}

// explain puts the step's own words first.
func (r *run) explain(err error) error {
	return activities.Rephrase(err, func(said string, kind fault.Kind) string {
		if kind == fault.Conflict && r.s.Steering.Rejected == nil {
			return fmt.Sprintf("%s: other runs published first %d times in a row, last: %s: start it again when they are done", r.name, r.s.Attempt, said)
		}
		return fmt.Sprintf("%s, %s: %s", r.name, r.s.Phase, said)
	})
}
