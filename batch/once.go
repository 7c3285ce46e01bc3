package batch

import (
	"context"
	"fmt"
)

// noted is what one unit of a step has come to, as its note keeps it.
type noted interface{ ref() Ref }

// once takes one unit of a step, or finds that it has been taken: its note
// stands in the folder of the run then. prepare looks at what is asked for, and
// the work that it returns, which fills done, begins when it is its turn.
func (r *Runner) once(ctx context.Context, ref PlanRef, step, note string, done noted, prepare func() (work func(context.Context) error, err error)) (_ Ref, err error) {
	defer r.metrics.step(step, r.Clock)()
	defer r.overtaken(ctx, ref, &err)
	if found, err := r.getNote(ctx, ref.Run, note, done); err != nil || found {
		out := done.ref()
		out.Reuse = true
		return out, err
	}
	work, err := prepare()
	if err != nil {
		return Ref{}, err
	}
	ctx, turn, err := r.Pace.Begin(ctx)
	if err != nil {
		return Ref{}, err
	}
	defer turn.End()
	if err := work(ctx); err != nil {
		return Ref{}, fmt.Errorf("run %s: %w", ref.Run, err)
	}
	if err := r.putNote(ctx, ref.Run, note, done); err != nil {
		return Ref{}, err
	}
	return done.ref().paced(turn), nil
}
