package batch_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"anabranch/batch"
	"anabranch/fault"
)

func TestNightlyAfterNightly(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 3)
	for night := range 5 {
		if night != 3 { // a night without an event
			w.history(t, rnd, 25, 60, 100*night, 40)
		}
		before := w.newest(t)
		k := w.begin(t)
		w.history(t, rnd, 3, 60, 100*night, 40) // belongs to the next night
		r := w.runner(t, w.bucket)
		p := mustRun(t, r, nightly(fmt.Sprintf("night-%d", night), k))
		m := w.newest(t)
		if p.Already || p.Version != before.Version+1 || p.K != k || m.Version != p.Version || m.K != k || m.Kind != batch.Nightly || m.Parent != before.Hash() {
			t.Fatalf("night %d published %+v; the newest manifest is %d at barrier %d", night, p, m.Version, m.K)
		}
		w.check(t, m)
		// Only what new events touched was computed again.
		touched := map[int32]bool{}
		for _, f := range m.Days {
			if f.K == k {
				for _, d := range f.Days {
					touched[d.Day] = true
				}
			}
		}
		for name, files := range m.Views {
			for day, file := range files.Live {
				if was := before.Views[name]; was != nil && (was.Live[day] == file) == touched[day] {
					t.Errorf("night %d, view %s: day %d was touched: %v; its state file went from %q to %q", night, name, day, touched[day], was.Live[day], file)
				}
			}
		}
		// The same night again, by the same run and by another one.
		if p, err := batch.Run(t.Context(), r, nightly(fmt.Sprintf("night-%d", night), k)); err != nil || p.Version != m.Version {
			t.Errorf("the same run again: %+v, %v", p, err)
		}
		if p := mustRun(t, r, nightly("again", k)); !p.Already || p.Version != m.Version {
			t.Errorf("another run of the same night: %+v", p)
		}
		if _, err := r.Plan(t.Context(), nightly("again", k)); !errors.Is(err, batch.ErrDone) || !fault.Is(err, fault.Conflict) {
			t.Errorf("plan of a published night: %v", err)
		}
		if v := w.newest(t).Version; v != m.Version {
			t.Errorf("manifest %d was published by a run that had nothing to do", v)
		}
	}
}

func TestNightlyWithoutEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	mustRun(t, w.runner(t, w.bucket), nightly("first", w.begin(t)))
	m := w.newest(t)
	w.check(t, m)
	if got := w.results(t, m, w.views[2]); !slices.Equal(got, []string{"0"}) {
		t.Errorf("count(*) of nothing is %q", got)
	}
}

// Tiers: after many nights there are few id runs, and they still know all.
func TestIdRunsAreMerged(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 1)
	for night := range 12 {
		w.history(t, rnd, 4, 2000, 10, 5)
		mustRun(t, w.runner(t, w.bucket), nightly(fmt.Sprint("night-", night), w.begin(t)))
	}
	m := w.newest(t)
	w.check(t, m)
	if n := len(m.Runs[0]); n > 8 {
		t.Errorf("%d id runs after 12 nights", n)
	}
}

func TestChangedViewIsRebuilt(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 30, 50, 200, 70)
	mustRun(t, w.runner(t, w.bucket), nightly("one", w.begin(t)))
	before := w.newest(t)
	w.history(t, rnd, 2, 50, 200, 3)
	k := w.begin(t)
	views := slices.Clone(w.views)
	views[1] = w.other
	change := func(o *batch.Options) { o.Views = views[:2] } // and one is dropped
	mustRun(t, w.runner(t, w.bucket, change), nightly("two", k))
	m := w.newest(t)
	w.check(t, m, views[:2]...)
	if m.Views["items"].Version != w.other.Version() || len(m.Views["items"].Live) != len(m.Views["daily"].Live) {
		t.Errorf("the changed view: %+v", m.Views["items"])
	}
	kept := 0
	for day, file := range m.Views["daily"].Live {
		if before.Views["daily"].Live[day] == file {
			kept++
		}
	}
	if kept == 0 {
		t.Error("the view that did not change was computed again as a whole")
	}
}

// TestARunIsOneRequest: the plan of a run is not that of another request with
// its id.
func TestARunIsOneRequest(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 1)
	r := w.runner(t, w.bucket)
	w.history(t, rnd, 10, 50, 0, 5)
	mustRun(t, r, nightly("first", w.begin(t)))
	w.history(t, rnd, 10, 50, 0, 5)
	q := nightly("run", w.begin(t))
	if _, err := r.Plan(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	later, other := q, q
	later.K++
	other.Kind, other.K = batch.Backfill, 0
	for _, q := range []batch.Request{later, other} {
		if p, err := r.Plan(t.Context(), q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s of barrier %d was given the plan %+v, %v", q.Kind, q.K, p, err)
		}
	}
}

// TestWhoeverDrivesARunMayForget takes the steps of a run again from the
// first, before and after it has published.
func TestWhoeverDrivesARunMayForget(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	for _, published := range []bool{false, true} {
		w.history(t, rnd, 10, 50, 0, 5)
		r := w.runner(t, w.bucket)
		run := fmt.Sprint("run-", published)
		q := nightly(run, w.begin(t))
		if _, err := r.Plan(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if published {
			mustRun(t, r, q)
		}
		again := w.runner(t, w.bucket)
		k, err := again.BarrierOf(t.Context(), run)
		if err != nil || k != q.K {
			t.Fatalf("published %v: it begins anew with barrier %d instead of %d, %v", published, k, q.K, err)
		}
		if err := again.AppendBarriers(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		if _, _, err := again.Sealed(t.Context(), k); published != (fault.CodeOf(err) == fault.CodeOf(batch.ErrDone)) {
			t.Errorf("published %v: %v", published, err)
		}
		if _, err := again.Plan(t.Context(), q); err != nil {
			t.Errorf("published %v: %v", published, err)
		}
		if !published {
			mustRun(t, again, q)
		}
	}
}

func TestSealedAndBarriers(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 3)
	r := w.runner(t, w.bucket)
	w.history(t, rnd, 10, 50, 0, 5)
	k, err := r.NextBarrier(t.Context())
	if err != nil || k != 1 {
		t.Fatalf("the first barrier is %d, %v", k, err)
	}
	if _, ok, err := r.Sealed(t.Context(), 1); ok || err != nil {
		t.Errorf("sealed before it was appended: %v, %v", ok, err)
	}
	if _, err := r.Plan(t.Context(), nightly("early", 1)); !fault.Is(err, fault.Transient) {
		t.Errorf("a plan before its barrier is sealed: %v", err)
	}
	// A run dies when its barrier is in one partition only.
	dying := w.runner(t, w.bucket, func(o *batch.Options) { o.Log = &dyingLog{Log: o.Log, left: 1} })
	if err := dying.AppendBarriers(t.Context(), 1); err == nil {
		t.Fatal("the log did not die")
	}
	w.history(t, rnd, 10, 50, 0, 5)
	w.sealUntil(t, small, func() (bool, error) {
		k, err := r.NextBarrier(t.Context())
		return k == 2, err
	})
	if k, err = r.NextBarrier(t.Context()); err != nil || k != 2 {
		t.Fatalf("behind a dead barrier comes %d, %v", k, err)
	}
	if err := r.AppendBarriers(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	w.history(t, rnd, 10, 50, 0, 5)
	// The dead one wakes up.
	if err := w.runner(t, w.bucket).AppendBarriers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	w.history(t, rnd, 5, 50, 0, 5)
	w.sealUntil(t, small, w.sealed(t, 2))
	first, ok1, err1 := r.Sealed(t.Context(), 1)
	second, ok2, err2 := r.Sealed(t.Context(), 2)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || !second.AtLeast(first) {
		t.Fatalf("cut 1 is %s (%v, %v), cut 2 is %s (%v, %v)", first, ok1, err1, second, ok2, err2)
	}
	mustRun(t, r, nightly("one", 1))
	w.check(t, w.newest(t))
	mustRun(t, r, nightly("two", 2))
	m := w.newest(t)
	w.check(t, m)
	if !slices.Equal(m.Cut, second) || m.Version != 2 {
		t.Errorf("manifest %d has cut %s, want %s", m.Version, m.Cut, second)
	}
	if err := r.AppendBarriers(t.Context(), 2); err != nil {
		t.Errorf("a late append of a published barrier: %v", err)
	}
}

// An older batch never publishes over a newer.
func TestOlderNightIsDone(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 10, 50, 0, 5)
	k1 := w.begin(t)
	r := w.runner(t, w.bucket)
	older, err := r.Plan(t.Context(), nightly("older", k1))
	if err != nil {
		t.Fatal(err)
	}
	w.history(t, rnd, 10, 50, 0, 5)
	k2 := w.begin(t)
	if k2 != k1+1 {
		t.Fatalf("barriers %d and %d", k1, k2)
	}
	mustRun(t, r, nightly("newer", k2))
	m := w.newest(t)
	w.check(t, m)
	finishSteps(t, r, older)
	if _, err := r.Publish(t.Context(), older); !fault.Is(err, fault.Conflict) {
		t.Errorf("publish of the older: %v", err)
	}
	if p := mustRun(t, r, nightly("older", k1)); !p.Already || p.K != k2 {
		t.Errorf("the older run, run to its end: %+v", p)
	}
	if got := w.newest(t); got.Version != m.Version {
		t.Errorf("manifest %d was published", got.Version)
	}
}

// Conflicts are put once, also when another run finds them again on another
// day.
func TestConflictLettersAreNotDoubled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.append(t, 0, 2, sale{id: 1, ts: 5 * dayMicros, amount: 100, pieces: 2}, sale{id: 1, ts: 6 * dayMicros, amount: 100, pieces: 2})
	k := w.begin(t)
	r := w.runner(t, w.bucket)
	for _, id := range []string{"dead", "buried"} {
		plan, err := r.Plan(t.Context(), nightly(id, k))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Compact(t.Context(), plan, 0); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(24 * time.Hour)
	}
	mustRun(t, r, nightly("alive", k))
	w.check(t, w.newest(t))
	for l, err := range w.letters.List(t.Context(), anyLetter) {
		if err != nil || l.Position != w.position(0, 0, 1) || l.First != w.position(0, 0, 0) ||
			string(l.Raw) != `{"item":"item 0","ts":"1970-01-07T00:00:00","amount":1.00,"pieces":2}` {
			t.Errorf("letter %+v, %s, %v", l, l.Raw, err)
		}
	}
}
