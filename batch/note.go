package batch

import (
	"context"
	"encoding/json"
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
	if err := json.Unmarshal(text, v); err != nil {
		return false, fault.New(fault.Corrupt, "run %s: note %s: %w", run, name, err)
	}
	return true, nil
}

// needNote reads a note that an earlier step has left.
func (r *Runner) needNote(ctx context.Context, run, name string, v any) error {
	found, err := r.getNote(ctx, run, name, v)
	if err == nil && !found {
		err = fault.New(fault.Invalid, "run %s has no note %s: an earlier step has not been taken, or its notes were collected", run, name)
	}
	return err
}

func (r *Runner) putNote(ctx context.Context, run, name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fault.New(fault.Bug, "run %s: note %s: %w", run, name, err)
	}
	return r.Archive.PutWork(ctx, run, name, text)
}
