package metamorphic

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/deadletter"
	"anabranch/fault"
)

// run takes all steps of a run with the given runner. It waits for the
// sealer with the world's own, whose calls are not counted.
func (w *world) run(ctx context.Context, r *batch.Runner, q *batch.Request) error {
	if q.Kind == batch.Nightly && q.K == 0 {
		k, err := r.NextBarrier(ctx)
		if err != nil {
			return err
		}
		if err := r.AppendBarriers(ctx, k); err != nil {
			return err
		}
		q.K = k
	}
	for began := time.Now(); q.Kind == batch.Nightly; time.Sleep(200 * time.Microsecond) { // the sealer has no signal to wait for
		_, ok, err := w.runner.Sealed(ctx, q.K)
		if ok || errors.Is(err, batch.ErrDone) {
			break
		}
		if err != nil {
			return fmt.Errorf("barrier %d: %w", q.K, err)
		}
		if time.Since(began) > 5*time.Minute {
			return fmt.Errorf("barrier %d is not sealed: %+v", q.K, w.sealer.Stats())
		}
	}
	_, err := batch.Run(ctx, r, *q)
	return err
}

func (w *world) request(a Action, kind string) *batch.Request {
	w.runs++
	q := &batch.Request{Kind: kind, RunID: fmt.Sprintf("run-%d", w.runs)}
	if kind == batch.Backfill {
		q.From, q.To = a.From, a.To
	}
	return q
}

// rival returns a runner as another process has it, whose calls go through f.
func (w *world) rival(f *fuse) (*batch.Runner, error) {
	w.rivals++
	objects := &fused{w.bucket, f}
	a := archive.Open(objects, w.name, w.definition.set, archive.Options{Partitions: w.set.Partitions, CacheDir: filepath.Join(w.dir, fmt.Sprintf("rival-%d", w.rivals))})
	return w.newRunner(&fusedLog{w.log.Log, f}, a, deadletter.New(objects, w.name))
}

// batch runs one batch: to its end, or until it dies or freezes.
func (w *world) batch(a Action) error {
	if a.Do != batch.Nightly {
		if m, err := w.archive.Newest(w.ctx); err != nil || m.Version == 0 {
			return err
		}
	}
	q := w.request(a, a.Do)
	switch {
	case a.Freeze > 0:
		return w.freeze(q, a.Freeze)
	case a.Die > 0:
		ctx, cancel := context.WithCancelCause(w.ctx)
		defer cancel(nil)
		r, err := w.rival(&fuse{at: int64(a.Die), kill: cancel})
		if err != nil {
			return err
		}
		w.loose = true
		err = w.run(ctx, r, q)
		if errors.Is(context.Cause(ctx), errDied) {
			w.saw("a batch died")
			if q.K > 0 || q.Kind != batch.Nightly {
				w.died = append(w.died, *q)
			}
		} else if err != nil {
			return fmt.Errorf("%s %s: %w", a.Do, q.RunID, err)
		}
		return w.published(a)
	}
	if err := w.run(w.ctx, w.runner, q); err != nil {
		return fmt.Errorf("%s %s: %w", a.Do, q.RunID, err)
	}
	if m, err := w.archive.Newest(w.ctx); err == nil && m.Run == q.RunID && m.Kind == batch.Compaction {
		w.saw("files were put together")
	}
	if q.Kind != batch.Compaction { // which would find what others have left since
		w.lastRun = q
	}
	if q.Kind == batch.Nightly && len(w.frozen) == 0 {
		w.loose = false
	}
	return w.published(a)
}

// published looks at what became visible.
func (w *world) published(a Action) error {
	if err := w.follow(false); err != nil {
		return err
	}
	m, err := w.archive.Newest(w.ctx)
	if err != nil {
		return err
	}
	if !a.Quiet {
		w.speed.Notice(m)
	}
	return w.checkManifest(m)
}

// race lets two runs go at once, one of which may die.
func (w *world) race(a Action) error {
	ctx, cancel := context.WithCancelCause(w.ctx)
	defer cancel(nil)
	f := &fuse{kill: cancel, at: int64(a.Die)}
	r, err := w.rival(f)
	if err != nil {
		return err
	}
	m, err := w.archive.Newest(w.ctx)
	if err != nil {
		return err
	}
	kind := batch.Nightly
	if m.Version > 0 && a.From != nil {
		kind = batch.Backfill
	}
	mine, other := w.request(a, batch.Nightly), w.request(a, kind)
	failed := make(chan error, 1)
	w.loose = w.loose || a.Die > 0
	go func() { failed <- w.run(ctx, r, other) }()
	err = w.run(w.ctx, w.runner, mine)
	otherErr := <-failed
	if err == nil && otherErr != nil && !errors.Is(context.Cause(ctx), errDied) {
		err = otherErr
	}
	if err != nil {
		return fmt.Errorf("race of %s and %s: %w", mine.RunID, other.RunID, err)
	}
	w.lastRun = mine
	w.saw("batches at once")
	return w.published(a)
}

// again takes up the last run once more: nothing may change. Runs that died
// may go on, to their end.
func (w *world) again() error {
	before, err := w.archive.Newest(w.ctx)
	if err != nil {
		return err
	}
	if len(w.died) > 0 {
		q := w.died[0]
		w.died = w.died[1:]
		if err := w.run(w.ctx, w.runner, &q); err != nil {
			return fmt.Errorf("run %s, which had died: %w", q.RunID, err)
		}
		if m, err := w.archive.Newest(w.ctx); err == nil && m.Version > before.Version {
			w.saw("a run that died was taken up again")
		}
		return w.published(Action{})
	}
	if w.lastRun == nil {
		return nil
	}
	if _, err := batch.Run(w.ctx, w.runner, *w.lastRun); err != nil {
		return err
	}
	after, err := w.archive.Newest(w.ctx)
	if err == nil && after.Version != before.Version {
		err = fmt.Errorf("run %s came back and published manifest %d", w.lastRun.RunID, after.Version)
	}
	return err
}

// frozenRun is a run that stands still, as a stopped process does, with all it
// knew.
type frozenRun struct {
	fuse   *fuse
	later  bool // its definition
	done   chan error
	cancel context.CancelCauseFunc
}

// end lets a run die where it stands.
func (f *frozenRun) end() {
	f.cancel(errDied)
	f.fuse.thaw()
	<-f.done
}

func (w *world) freeze(q *batch.Request, at int) error {
	f := &fuse{at: int64(at), frozen: make(chan struct{}), wake: make(chan struct{})}
	r, err := w.rival(f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(w.ctx)
	run := &frozenRun{fuse: f, later: w.definition.later, done: make(chan error, 1), cancel: cancel}
	w.loose = true
	go func() { run.done <- w.run(ctx, r, q) }()
	select {
	case <-f.frozen:
		w.frozen = append(w.frozen, run)
	case err := <-run.done:
		cancel(nil)
		if err != nil {
			return fmt.Errorf("%s: %w", q.RunID, err)
		}
	}
	return w.published(Action{Quiet: true})
}

// wake lets the frozen runs go on: each comes to a good end or finds that it
// was overtaken.
func (w *world) wake() error {
	for len(w.frozen) > 0 {
		run := w.frozen[0]
		w.frozen = slices.Delete(w.frozen, 0, 1)
		run.fuse.thaw()
		err := <-run.done
		run.cancel(nil)
		w.saw("a frozen batch woke up")
		// One of a definition that is no more may meet what it cannot read.
		if old := run.later != w.definition.later && fault.Is(err, fault.Invalid); err != nil && !old {
			return fmt.Errorf("a run woke up: %w", err)
		}
		if err := w.published(Action{}); err != nil {
			return err
		}
	}
	return nil
}
