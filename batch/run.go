package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"anabranch/fault"
)

const (
	// plansOfRun bounds how often Run plans again; each time another run has
	// got through, so somebody makes progress.
	plansOfRun = 10
	// sealedPoll is how often Run looks whether its barrier is sealed.
	sealedPoll = 200 * time.Millisecond
)

// Run takes all steps of a run in this process, planning again when another
// run publishes meanwhile. For a nightly without K it begins a new cycle; a
// sealer must be running somewhere. The same RunID again goes on where that
// run stopped.
func Run(ctx context.Context, r *Runner, q Request) (Published, error) {
	if q.Kind == Nightly && q.K == 0 {
		k, err := r.begin(ctx, q.run())
		if err != nil {
			return Published{}, fmt.Errorf("run %s: %w", q.RunID, err)
		}
		q.K = k
	}
	if q.Kind == Nightly {
		if err := r.awaitSealed(ctx, q.K); err != nil && !done(err) {
			return Published{}, fmt.Errorf("run %s: %w", q.RunID, err)
		}
	}
	for range plansOfRun {
		out, err := r.attempt(ctx, q)
		switch {
		case done(err):
			m, err := r.Archive.Newest(ctx)
			if err != nil {
				return Published{}, err
			}
			return Published{Version: m.Version, K: m.K, Cut: m.Cut, Already: true}, nil
		case !fault.Is(err, fault.Conflict):
			return out, err
		}
		r.Logger.Info("planning again", "pipeline", r.Pipeline, "run", q.run(), "because", err)
		q.Attempt++
	}
	return Published{}, fault.New(fault.Throttled, "run %s: other runs published before it %d times", q.RunID, plansOfRun)
}

// begin opens a cycle, or finds the one that the run has begun before.
func (r *Runner) begin(ctx context.Context, run string) (k uint64, err error) {
	if k, err = r.BarrierOf(ctx, run); err != nil {
		return 0, err
	}
	return k, r.AppendBarriers(ctx, k)
}

func (r *Runner) awaitSealed(ctx context.Context, k uint64) error {
	for {
		_, ok, err := r.Sealed(ctx, k)
		if err != nil || ok {
			return err
		}
		select {
		case <-r.Clock.After(sealedPoll):
		case <-ctx.Done():
			return fmt.Errorf("wait for barrier %d to be sealed: %w", k, errors.Join(context.Cause(ctx), ctx.Err()))
		}
	}
}

// attempt takes the steps from one plan to its publication.
func (r *Runner) attempt(ctx context.Context, q Request) (Published, error) {
	plan, err := r.Plan(ctx, q)
	if err != nil {
		return Published{}, err
	}
	each := func(n int, do func(ctx context.Context, unit int) (Ref, error)) error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(r.Parallel)
		for i := range n {
			group.Go(func() error {
				_, err := do(ctx, i)
				return err
			})
		}
		return group.Wait()
	}
	if q.Kind == Compaction {
		if plan.Packs == 0 {
			return Published{Version: plan.Parent, K: plan.K, Cut: plan.Cut, Already: true}, nil
		}
		if err := each(plan.Packs, func(ctx context.Context, i int) (Ref, error) { return r.Pack(ctx, plan, i) }); err != nil {
			return Published{}, err
		}
		if _, err := r.Verify(ctx, plan); err != nil {
			return Published{}, err
		}
		return r.Publish(ctx, plan)
	}
	err = each(len(plan.Compact), func(ctx context.Context, i int) (Ref, error) { return r.Compact(ctx, plan, plan.Compact[i]) })
	if err != nil {
		return Published{}, err
	}
	folds, err := r.Spread(ctx, plan)
	if err != nil {
		return Published{}, err
	}
	if err := each(folds.N, func(ctx context.Context, i int) (Ref, error) { return r.Fold(ctx, plan, i) }); err != nil {
		return Published{}, err
	}
	finishes, err := r.Gather(ctx, plan)
	if err != nil {
		return Published{}, err
	}
	if err := each(finishes.N, func(ctx context.Context, i int) (Ref, error) { return r.Finish(ctx, plan, i) }); err != nil {
		return Published{}, err
	}
	if _, err := r.Verify(ctx, plan); err != nil {
		return Published{}, err
	}
	return r.Publish(ctx, plan)
}
