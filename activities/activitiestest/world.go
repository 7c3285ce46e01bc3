// Package activitiestest has a pipeline that exists only in memory, for tests
// of whatever runs batch steps: workflows, worker, the command line.
package activitiestest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"anabranch/activities"
	"anabranch/batch"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/ingest"
)

// World is a pipeline with nothing in it but the rules of batch: steps may be
// repeated, units must be done before what needs them, and only one of two
// runs that start from the same version is published. Set the fields before
// use.
type World struct {
	Partitions int // default 2
	Folds      int // units of Spread; default 3
	Finishes   int // units of Gather; default 2
	Packs      int // units of a compaction; default 3, none below zero

	// Takes is what the first plan of a run says of itself.
	Takes []string
	// Reviews, when not nil, is what a plan's review says.
	Reviews func(p batch.PlanRef) batch.Review

	// Audits, when not nil, is what an audit of a unit finds.
	Audits func(u batch.AuditUnit) batch.Audited
	// Verdicts, when not nil, is what the n-th comparison of a held version
	// says, from 1; it is held, and the same, when it is nil.
	Verdicts func(n int) batch.Judgement

	// Before, when not nil, is called before each step does anything, with its
	// name and unit (-1 for none); an error is the step's answer.
	Before func(ctx context.Context, step string, unit int) error

	mu       sync.Mutex // guards what follows
	version  uint64
	k        uint64
	barriers map[uint64]bool
	plans    map[string]*plan
	log      []string
	requests []batch.Request
	judged   int
}

type plan struct {
	ref  batch.PlanRef
	done map[string]bool
}

var _ activities.Runner = (*World)(nil)

// Activities returns activities over worlds by the name of their pipeline.
func Activities(worlds map[string]*World) *activities.Activities {
	runners := map[string]activities.Runner{}
	for name, w := range worlds {
		runners[name] = w
	}
	a := &activities.Activities{}
	a.Runners, a.Names = activities.ByName(runners)
	a.Judges = func(_ context.Context, name string) (activities.Judge, error) { return worlds[name], nil }
	a.Importers = func(_ context.Context, name string) (activities.Importer, error) { return worlds[name], nil }
	a.Releasers = func(_ context.Context, name string) (activities.Releaser, error) { return worlds[name], nil }
	a.Restore = func(_ context.Context, in activities.Restore) (activities.Restored, error) {
		return activities.Restored{Pipeline: in.Pipeline, Into: in.Into, Cut: "10,20", Events: 30, Frames: 2}, nil
	}
	a.RebuildSpeed = func(context.Context, string) (activities.SpeedRebuilt, error) {
		return activities.SpeedRebuilt{From: "[0:1 1:1]", To: "[0:9 1:9]", Equal: true, Checked: "every view", Events: 100, Views: map[string]int64{"sales": 0}}, nil
	}
	return a
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// Version returns the version that was published last, and its barrier.
func (w *World) Version() (version, k uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.version, w.k
}

// Log returns the steps that did something, in order: "fold 2".
func (w *World) Log() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.log...)
}

// Count returns how many steps of a name did something.
func (w *World) Count(step string) (n int) {
	for _, l := range w.Log() {
		if name, _, _ := strings.Cut(l, " "); name == step {
			n++
		}
	}
	return n
}

// Requests returns what plans were asked for.
func (w *World) Requests() []batch.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]batch.Request(nil), w.requests...)
}

// Intrude publishes a version as another run would.
func (w *World) Intrude() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.version++
}

// step notes that a step works; the lock is held when it returns nil.
func (w *World) step(ctx context.Context, name string, unit int) error {
	if w.Before != nil {
		if err := w.Before(ctx, name, unit); err != nil {
			return err
		}
	}
	w.mu.Lock()
	entry := name
	if unit >= 0 {
		entry = fmt.Sprintf("%s %d", name, unit)
	}
	w.log = append(w.log, entry)
	return nil
}

// Judge says what Verdicts does, once something was published.
func (w *World) Judge(ctx context.Context, _, _ string, _ float64) (batch.Judgement, error) {
	if err := w.step(ctx, "judge", -1); err != nil {
		return batch.Judgement{}, err
	}
	defer w.mu.Unlock()
	if w.version == 0 {
		return batch.Judgement{State: batch.Unbuilt}, nil
	}
	w.judged++
	if w.Verdicts != nil {
		return w.Verdicts(w.judged), nil
	}
	return batch.Judgement{Manifest: w.version, State: batch.Held, Groups: 10, Same: 10, Markdown: "Every cell is equal.\n"}, nil
}

// Share publishes a version that says so.
func (w *World) Share(ctx context.Context, view, _ string, percent float64, _, by string) (batch.Published, error) {
	return w.point(ctx, fmt.Sprintf("share %s %g by %s", view, percent, by))
}

// Serve publishes a version that says so.
func (w *World) Serve(ctx context.Context, view, _, _, by string) (batch.Published, error) {
	return w.point(ctx, fmt.Sprintf("serve %s by %s", view, by))
}

func (w *World) point(ctx context.Context, what string) (batch.Published, error) {
	if err := w.step(ctx, what, -1); err != nil {
		return batch.Published{}, err
	}
	defer w.mu.Unlock()
	w.version++
	return batch.Published{Version: w.version, K: w.k}, nil
}

// Release sends two pages of three letters.
func (w *World) Release(ctx context.Context, _ string, number int, _ ingest.Pick, _, _ string) (ingest.Released, error) {
	if err := w.step(ctx, "release", number); err != nil {
		return ingest.Released{}, err
	}
	defer w.mu.Unlock()
	return ingest.Released{Released: 3, Next: []string{"2026-03-01.r.2", ""}[min(number, 1)]}, nil
}

// BarrierOf is the one the run was planned with, or one above the published.
func (w *World) BarrierOf(ctx context.Context, _ string) (uint64, error) {
	if err := w.step(ctx, "barrier", -1); err != nil {
		return 0, err
	}
	defer w.mu.Unlock()
	return w.k + 1, nil
}

// AppendBarriers remembers the barrier.
func (w *World) AppendBarriers(ctx context.Context, k uint64) error {
	if err := w.step(ctx, "append", -1); err != nil {
		return err
	}
	defer w.mu.Unlock()
	if w.barriers == nil {
		w.barriers = map[uint64]bool{}
	}
	w.barriers[k] = true
	return nil
}

// Sealed is true the second time it is asked.
func (w *World) Sealed(ctx context.Context, k uint64) (event.Cut, bool, error) {
	if err := w.step(ctx, "sealed", -1); err != nil {
		return nil, false, err
	}
	defer w.mu.Unlock()
	if k <= w.k {
		return nil, false, published(k)
	}
	asked := 0
	for _, l := range w.log {
		if l == "sealed" {
			asked++
		}
	}
	return event.Cut{k * 10, k * 10}, w.barriers[k] && asked > 1, nil
}

func published(k uint64) error {
	return fmt.Errorf("barrier %d: %w", k, batch.ErrDone)
}

// Plan starts from the version there is.
func (w *World) Plan(ctx context.Context, r batch.Request) (batch.PlanRef, error) {
	if err := w.step(ctx, "plan", -1); err != nil {
		return batch.PlanRef{}, err
	}
	defer w.mu.Unlock()
	w.requests = append(w.requests, r)
	if r.Kind == batch.Nightly && r.K <= w.k {
		return batch.PlanRef{}, published(r.K)
	}
	run := fmt.Sprintf("%s-%d", r.RunID, r.Attempt)
	if w.plans[run] == nil {
		k := r.K
		if r.Kind != batch.Nightly {
			k = w.k
		}
		if w.plans == nil {
			w.plans = map[string]*plan{}
		}
		ref := batch.PlanRef{Run: run, Kind: r.Kind, K: k, Cut: event.Cut{k * 10, k * 10}, Parent: w.version}
		if r.Kind == batch.Nightly {
			for p := range or(w.Partitions, 2) {
				ref.Compact, ref.Rows = append(ref.Compact, p), ref.Rows+1000
			}
		}
		if r.Kind == batch.Compaction {
			packed := w.small()
			ref.Packs, ref.Packed, ref.Rows = w.packs(), &packed, int64(w.packs())*1000
		}
		if ref.Takes = r.Takes; r.Attempt == 0 {
			ref.Takes = w.Takes
		}
		w.plans[run] = &plan{ref: ref, done: map[string]bool{}}
	}
	return w.plans[run].ref, nil
}

// Estimate knows no rate.
func (w *World) Estimate(ctx context.Context, _ batch.Request) (batch.Estimate, error) {
	if err := w.step(ctx, "estimate", -1); err != nil {
		return batch.Estimate{}, err
	}
	defer w.mu.Unlock()
	n := or(w.Folds, 3)
	return batch.Estimate{Version: w.version, From: "2011-03-01", To: "2011-03-31", Days: n, Rows: int64(n) * 1000, Files: n, Views: []string{"sales"}, Units: n, Results: or(w.Finishes, 2)}, nil
}

// unit does one unit of a plan, once.
func (w *World) unit(ctx context.Context, p batch.PlanRef, name string, unit, of int, label string) (batch.Ref, error) {
	if err := w.step(ctx, name, unit); err != nil {
		return batch.Ref{}, err
	}
	defer w.mu.Unlock()
	pl := w.plans[p.Run]
	if pl == nil || unit < 0 || unit >= of {
		return batch.Ref{}, fault.New(fault.Bug, "%s %d of plan %s: there is no such unit", name, unit, p.Run)
	}
	key := fmt.Sprintf("%s %d", name, unit)
	again := pl.done[key]
	pl.done[key] = true
	return batch.Ref{Label: label, Rows: 1000, Bytes: 64, Reuse: again}, nil
}

// all reports whether the first n units of a name are done.
func (w *World) all(p batch.PlanRef, name string, n int) error {
	for i := range n {
		if pl := w.plans[p.Run]; pl == nil || !pl.done[fmt.Sprintf("%s %d", name, i)] {
			return fault.New(fault.Bug, "plan %s: %s %d has not been done", p.Run, name, i)
		}
	}
	return nil
}

// Compact does a partition.
func (w *World) Compact(ctx context.Context, p batch.PlanRef, partition int) (batch.Ref, error) {
	return w.unit(ctx, p, "compact", partition, or(w.Partitions, 2), fmt.Sprintf("partition %d", partition))
}

// Spread tells the units to fold.
func (w *World) Spread(ctx context.Context, p batch.PlanRef) (batch.Units, error) {
	if err := w.step(ctx, "spread", -1); err != nil {
		return batch.Units{}, err
	}
	defer w.mu.Unlock()
	return units(or(w.Folds, 3), "2011-03-%02d to 2011-03-%02d"), nil
}

func units(n int, label string) batch.Units {
	u := batch.Units{N: n, Days: n, Rows: int64(n) * 1000}
	for i := range min(n, 1000) {
		u.Labels = append(u.Labels, fmt.Sprintf(label, i%28+1, i%28+1))
	}
	return u
}

// Fold does a unit.
func (w *World) Fold(ctx context.Context, p batch.PlanRef, unit int) (batch.Ref, error) {
	return w.unit(ctx, p, "fold", unit, or(w.Folds, 3), "days")
}

// Gather tells the units to finish; all folds must be done.
func (w *World) Gather(ctx context.Context, p batch.PlanRef) (batch.Units, error) {
	if err := w.step(ctx, "gather", -1); err != nil {
		return batch.Units{}, err
	}
	defer w.mu.Unlock()
	if err := w.all(p, "fold", or(w.Folds, 3)); err != nil {
		return batch.Units{}, err
	}
	return units(or(w.Finishes, 2), "sales 2011-03-%02d..%02d"), nil
}

// Finish does a unit.
func (w *World) Finish(ctx context.Context, p batch.PlanRef, unit int) (batch.Ref, error) {
	return w.unit(ctx, p, "finish", unit, or(w.Finishes, 2), "sales")
}

// Verify checks that every unit is done.
func (w *World) Verify(ctx context.Context, p batch.PlanRef) (batch.Report, error) {
	if err := w.step(ctx, "verify", -1); err != nil {
		return batch.Report{}, err
	}
	defer w.mu.Unlock()
	if p.Kind == batch.Compaction {
		return batch.Report{Packed: p.Packed}, w.all(p, "pack", w.packs())
	}
	if err := w.all(p, "finish", or(w.Finishes, 2)); err != nil {
		return batch.Report{}, err
	}
	return batch.Report{Rows: 5000, Counted: 5000}, nil
}

// Review finds nothing that is different.
func (w *World) Review(ctx context.Context, p batch.PlanRef) (batch.Review, error) {
	if err := w.step(ctx, "review", -1); err != nil {
		return batch.Review{}, err
	}
	defer w.mu.Unlock()
	if err := w.all(p, "finish", or(w.Finishes, 2)); err != nil {
		return batch.Review{}, err
	}
	if w.Reviews != nil {
		return w.Reviews(p), nil
	}
	return batch.Review{Old: p.Parent, Digest: "e3b0c44298fc1c14", Equal: true, Policy: "auto", Markdown: "Every cell is equal.\n"}, nil
}

// Publish makes the plan's version the next, once.
func (w *World) Publish(ctx context.Context, p batch.PlanRef) (batch.Published, error) {
	if err := w.step(ctx, "publish", -1); err != nil {
		return batch.Published{}, err
	}
	defer w.mu.Unlock()
	pl := w.plans[p.Run]
	switch {
	case pl == nil:
		return batch.Published{}, fault.New(fault.Bug, "no plan %s", p.Run)
	case pl.done["published"]:
		return batch.Published{Version: p.Parent + 1, K: p.K, Already: true}, nil
	case w.version != p.Parent:
		return batch.Published{}, fault.New(fault.Conflict, "version %d was published by another run", w.version)
	}
	pl.done["published"] = true
	w.version, w.k = w.version+1, p.K
	return batch.Published{Version: w.version, K: w.k}, nil
}
