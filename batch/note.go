package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"anabranch/fault"
)

// The notes of a run, one for each step or unit.
const (
	notePlan    = "plan.json"
	noteSpread  = "spread.json"
	noteGather  = "gather.json"
	noteCompact = "compact/p%04d.json"
	noteFold    = "fold/u%06d.json"
	noteFinish  = "finish/u%06d.json"
	notePack    = "pack/u%06d.json"
)

// getNote reads a note into v and reports whether there is one.
func (r *Runner) getNote(ctx context.Context, run, name string, v any) (found bool, err error) {
	text, err := r.Archive.GetWork(ctx, run, name)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("run %s: %w", run, err)
	}
	return true, readNote(run, name, text, v)
}

func readNote(run, name string, text []byte, v any) error {
	if err := json.Unmarshal(text, v); err != nil {
		return fault.New(fault.Corrupt, "run %s: note %s: %w", run, name, err)
	}
	return nil
}

// needNote reads a note that an earlier step has left.
func (r *Runner) needNote(ctx context.Context, run, name string, v any) error {
	found, err := r.getNote(ctx, run, name, v)
	if err == nil && !found {
		err = fmt.Errorf("run %s has no note %s: %w", run, name, errNoNote)
	}
	return err
}

func (r *Runner) putNote(ctx context.Context, run, name string, v any) error {
	text, err := noteText(run, name, v)
	if err != nil {
		return err
	}
	return r.Archive.PutWork(ctx, run, name, text)
}

func noteText(run, name string, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fault.New(fault.Bug, "run %s: note %s: %w", run, name, err)
	}
	return text, nil
}

// errNoNote says that a run lacks what an earlier step leaves.
var errNoNote = fault.New(fault.Invalid, "an earlier step has not been taken, or its notes were collected")

// overtaken is deferred by the steps of a run. What stops one may be that the
// run has published before, and that its notes were collected or the program's
// views have changed since: then it is done. A run that stood still for days may
// miss notes or files that were collected; when that is because another version
// was published since its plan, it has to plan again, as any loser.
func (r *Runner) overtaken(ctx context.Context, ref PlanRef, err *error) {
	lost := fault.Is(*err, fault.NotFound) || errors.Is(*err, errNoNote)
	if !lost && !fault.Is(*err, fault.Conflict) || done(*err) {
		return
	}
	m, e := r.Archive.Newest(ctx)
	if e != nil || m.Version <= ref.Parent {
		return
	}
	if next, e := r.Archive.Manifest(ctx, ref.Parent+1); e == nil && next.Run == ref.Run {
		*err = fmt.Errorf("run %s has published version %d before: %w", ref.Run, next.Version, ErrDone)
		return
	}
	if lost {
		*err = fault.New(fault.Conflict, "run %s was planned from version %d, version %d is published, and what the run needs was collected; plan again (%v)", ref.Run, ref.Parent, m.Version, *err)
	}
}
