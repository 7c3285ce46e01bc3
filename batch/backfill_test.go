package batch_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/stream"
)

var anyLetter = deadletter.Options{}

// position renders the place of an event of the nth record.
func (w *world) position(partition, record, row int) string {
	return event.Position{Partition: int32(partition), Offset: w.records[partition][record].offset, Row: int32(row)}.String()
}

// dyingLog takes so many appends and no more.
type dyingLog struct {
	stream.Log
	left int
}

func (l *dyingLog) Append(ctx context.Context, partition int, frame []byte) (uint64, error) {
	if l.left--; l.left < 0 {
		return 0, fault.New(fault.Transient, "the log died")
	}
	return l.Log.Append(ctx, partition, frame)
}

// finishSteps takes the steps of a plan up to Publish.
func finishSteps(t *testing.T, r *batch.Runner, plan batch.PlanRef) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range plan.Compact {
		_, err := r.Compact(t.Context(), plan, p)
		check(err)
	}
	units, err := r.Spread(t.Context(), plan)
	check(err)
	for i := range units.N {
		_, err := r.Fold(t.Context(), plan, i)
		check(err)
	}
	units, err = r.Gather(t.Context(), plan)
	check(err)
	for i := range units.N {
		_, err := r.Finish(t.Context(), plan, i)
		check(err)
	}
	_, err = r.Verify(t.Context(), plan)
	check(err)
}

func backfill(id string) batch.Request {
	return batch.Request{Kind: batch.Backfill, RunID: id, Reason: "a test", By: "me"}
}

func TestBackfill(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	r := w.runner(t, w.bucket)
	if _, err := batch.Run(t.Context(), r, backfill("nothing")); !fault.Is(err, fault.Invalid) {
		t.Errorf("a backfill of nothing: %v", err)
	}
	w.history(t, rnd, 30, 80, 10, 60)
	mustRun(t, r, nightly("night", w.begin(t)))
	before := w.newest(t)
	w.history(t, rnd, 5, 80, 10, 60) // above the cut: not its business

	from, to := int32(20), int32(44)
	q := backfill("some")
	q.View, q.From, q.To = "daily", &from, &to
	p := mustRun(t, r, q)
	m := w.newest(t)
	w.check(t, m)
	if m.Version != before.Version+1 || m.K != before.K || !slices.Equal(m.Cut, before.Cut) || m.Kind != batch.Backfill || m.Reason != "a test" || m.By != "me" || p.Version != m.Version {
		t.Errorf("a backfill published %+v", m)
	}
	if !slices.EqualFunc(m.Days, before.Days, func(a, b archive.DayFile) bool { return a.Name == b.Name }) {
		t.Error("a backfill wrote day files")
	}
	for name, files := range m.Views {
		for day, file := range files.Live {
			again := name == "daily" && day >= from && day <= to
			if again == (before.Views[name].Live[day] == file) {
				t.Errorf("view %s, day %d: computed again: %v, its file went from %s to %s", name, day, again, before.Views[name].Live[day], file)
			}
		}
	}

	mustRun(t, r, backfill("everything"))
	m = w.newest(t)
	w.check(t, m)
	for name, files := range m.Views {
		for day, file := range files.Live {
			if before.Views[name].Live[day] == file {
				t.Errorf("a whole backfill left day %d of view %s", day, name)
			}
		}
	}

	q = backfill("wrong")
	q.View = "dayly"
	if _, err := batch.Run(t.Context(), r, q); !fault.Is(err, fault.Invalid) {
		t.Errorf("a view that is not there: %v", err)
	}
	q = backfill("everything")
	q.View = "daily"
	if _, err := r.Plan(t.Context(), q); !fault.Is(err, fault.Invalid) {
		t.Errorf("one run id, two requests: %v", err)
	}
}

// The loser of a publication plans again from the winner.
func TestRace(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	r := w.runner(t, w.bucket)
	w.history(t, rnd, 20, 80, 10, 20)
	mustRun(t, r, nightly("night-1", w.begin(t)))
	w.history(t, rnd, 10, 80, 10, 20)
	k := w.begin(t)

	slow, err := r.Plan(t.Context(), nightly("night-2", k))
	if err != nil {
		t.Fatal(err)
	}
	finishSteps(t, r, slow)
	late, err := r.Plan(t.Context(), backfill("late"))
	if err != nil {
		t.Fatal(err)
	}
	finishSteps(t, r, late)
	mustRun(t, r, backfill("quick"))
	if _, err := r.Publish(t.Context(), slow); !fault.Is(err, fault.Conflict) {
		t.Errorf("the nightly publishes over a backfill it does not know: %v", err)
	}
	if p := mustRun(t, r, nightly("night-2", k)); p.Version != 3 || p.K != k || p.Already {
		t.Errorf("the nightly, planned again: %+v", p)
	}
	w.check(t, w.newest(t))
	if _, err := r.Publish(t.Context(), late); !fault.Is(err, fault.Conflict) {
		t.Errorf("the backfill publishes over a nightly it does not know: %v", err)
	}
	if p := mustRun(t, r, backfill("late")); p.Version != 4 || p.K != k {
		t.Errorf("the backfill, planned again: %+v", p)
	}
	w.check(t, w.newest(t))
}

// Many at once, each in a process of its own, over a sealer that runs: every
// request is published exactly once.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 20, 80, 10, 20)
	mustRun(t, w.runner(t, w.bucket), nightly("first", w.begin(t)))
	w.history(t, rnd, 20, 80, 10, 20)
	s := archive.NewSealer(w.archive, w.log, archive.SealerOptions{})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	stop := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() { // Run waits for its barrier by the clock
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				w.clock.Advance(time.Second)
			}
		}
	})
	requests := []batch.Request{backfill("b1"), {Kind: batch.Nightly, RunID: "n1"}, backfill("b2"), {Kind: batch.Nightly, RunID: "n2"}, backfill("b3")}
	published := make([]batch.Published, len(requests))
	var wg sync.WaitGroup
	for i, q := range requests {
		r := w.runner(t, w.bucket)
		wg.Go(func() {
			var err error
			if published[i], err = batch.Run(t.Context(), r, q); err != nil {
				t.Errorf("run %s: %v", q.RunID, err)
			}
		})
	}
	wg.Wait()
	close(stop)
	ticking.Wait()
	m := w.newest(t)
	w.check(t, m)
	var versions []string
	for i, p := range published {
		if !p.Already {
			versions = append(versions, fmt.Sprint(p.Version))
		} else if requests[i].Kind == batch.Backfill {
			t.Errorf("backfill %s: %+v", requests[i].RunID, p)
		}
	}
	slices.Sort(versions)
	if uint64(len(versions)) != m.Version-1 || len(slices.Compact(versions)) != int(m.Version-1) || m.K < 2 {
		t.Errorf("versions %q published, the newest is %d at barrier %d", versions, m.Version, m.K)
	}
	for v := uint64(1); v <= m.Version; v++ {
		each, err := w.archive.Manifest(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		if each.Version != m.Version {
			w.checkViews(t, each)
		}
	}
}

// checkViews compares an older manifest with the truth, without the letters,
// which are those of today.
func (w *world) checkViews(t *testing.T, m *archive.Manifest) {
	t.Helper()
	want := w.truth(m.Cut)
	for _, v := range w.views {
		if got := w.results(t, m, v); !slices.Equal(got, want.views[v.Name()]) {
			t.Errorf("manifest %d, view %s:\n got %q\nwant %q", m.Version, v.Name(), got, want.views[v.Name()])
		}
	}
}
