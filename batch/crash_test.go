package batch_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/bucket/faultbucket"
	"anabranch/deadletter"
	"anabranch/fault"
	"anabranch/internal/clock"
)

// copied returns the world with a copy of its bucket, and a clock of its own.
func (w *world) copied(t testing.TB) *world {
	t.Helper()
	c := *w
	c.clock = clock.NewManual(w.clock.Now())
	b := bucket.NewMemoryAt(c.clock)
	for info, err := range w.bucket.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		from, _, err := w.bucket.Get(t.Context(), info.Name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Put(t.Context(), info.Name, bytes.NewReader(data), bucket.Condition{})
		if err != nil {
			t.Fatal(err)
		}
	}
	c.bucket = b
	c.archive = c.open(b)
	c.letters = deadletter.New(b, pipeline)
	return &c
}

// crashWorld has one published night and a second one sealed.
func crashWorld(t *testing.T) (*world, uint64) { return crashWorldOf(t, seeded(t)) }

func crashWorldOf(t *testing.T, rnd *rand.Rand) (*world, uint64) {
	t.Helper()
	w := newWorld(t, 2)
	w.bucket = bucket.NewMemoryAt(w.clock)
	w.archive, w.letters = w.open(w.bucket), deadletter.New(w.bucket, pipeline)
	w.surely(t, 10)
	w.history(t, rnd, 10, 40, 10, 5)
	mustRun(t, w.runner(t, w.bucket), nightly("night-1", w.begin(t)))
	w.surely(t, 12)
	w.history(t, rnd, 10, 40, 12, 5)
	return w, w.begin(t)
}

// packWorldOf has both nights published: files that a compaction puts together.
func packWorldOf(t *testing.T, rnd *rand.Rand) *world {
	t.Helper()
	w, k := crashWorldOf(t, rnd)
	mustRun(t, w.runner(t, w.bucket), nightly("night-2", k))
	return w
}

func oneAtATime(o *batch.Options) {
	o.Parallel = 1
	o.FoldRows, o.MaxGroups = 100, 100
}

// A run dies at its nth call of the bucket, before or after the call had its
// effect, for every n. Whoever takes the work up again, as the same run or as
// another, publishes exactly one version, and readers never see anything but
// the last whole one.
func TestDieAtEveryCall(t *testing.T) {
	t.Parallel()
	base, k := crashWorld(t)
	pack := packWorldOf(t, seeded(t))
	for _, c := range []struct {
		name  string
		base  *world
		q     batch.Request
		after bool
	}{
		{"nightly, the call undone", base, nightly("run", k), false},
		{"nightly, the answer lost", base, nightly("run", k), true},
		{"backfill, the answer lost", base, backfill("run"), true},
		{"compaction, the call undone", pack, compaction("run"), false},
		{"compaction, the answer lost", pack, compaction("run"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for n, died := rand.IntN(stride), true; died; n += stride {
				w := c.base.copied(t)
				next := w.newest(t).Version + 1
				faulty := faultbucket.Wrap(w.bucket, faultbucket.From(n, faultbucket.Harm{Kind: fault.Transient, After: c.after}))
				_, err := batch.Run(t.Context(), w.runner(t, faulty, oneAtATime), c.q)
				died = len(faulty.Calls()) > n
				if died && err == nil {
					t.Fatalf("%v failed and nobody noticed", faulty.Calls()[n])
				}
				if !died && err != nil {
					t.Fatalf("a run without faults: %v", err)
				}
				found := w.newest(t)
				w.checkViews(t, found)
				if found.Version > next {
					t.Fatalf("died at call %d and published manifest %d", n, found.Version)
				}
				q, other := c.q, n/stride%2 == 1
				if other {
					q.RunID = "other"
				}
				p := mustRun(t, w.runner(t, w.bucket, oneAtATime), q)
				m := w.newest(t)
				w.check(t, m)
				want := next
				if found.Version == next && q.Kind == batch.Backfill && other {
					want++ // the dead one had published; this is one more
				}
				if m.Version != want || p.Version != want || q.Kind == batch.Nightly && m.K != k {
					t.Fatalf("died at call %d: the newest manifest is %d at barrier %d, published %+v", n, m.Version, m.K, p)
				}
				if t.Failed() {
					t.Fatalf("died at %v", faulty.Calls()[min(n, len(faulty.Calls())-1)])
				}
			}
		})
	}
}

// One call fails and the run goes on or stops: the next attempt of the same
// run ends it. The kinds of faults take turns.
func TestOneCallFails(t *testing.T) {
	t.Parallel()
	base, k := crashWorld(t)
	harms := []faultbucket.Harm{
		{Kind: fault.Throttled}, {Kind: fault.Full}, {Kind: fault.Transient, Body: true, Bytes: 7}, {Kind: fault.Transient, After: true},
	}
	turn := rand.IntN(len(harms))
	for n, hit := rand.IntN(stride), true; hit; n += stride {
		w := base.copied(t)
		h := harms[(n/stride+turn)%len(harms)]
		faulty := faultbucket.Wrap(w.bucket, faultbucket.Nth(n, h))
		r := w.runner(t, faulty, oneAtATime)
		_, err := batch.Run(t.Context(), r, nightly("run", k))
		hit = len(faulty.Calls()) > n
		if err != nil && !fault.KindOf(err).Retryable() {
			t.Fatalf("%v gets %+v: %v (%s), which tells the caller not to try again", faulty.Calls()[n], h, err, fault.KindOf(err))
		}
		faulty.Set(nil)
		mustRun(t, r, nightly("run", k))
		if m := w.newest(t); m.Version != 2 || m.K != k {
			t.Fatalf("call %d gets %+v: the newest manifest is %d at barrier %d", n, h, m.Version, m.K)
		}
		if w.check(t, w.newest(t)); t.Failed() {
			t.Fatalf("call %d gets %+v", n, h)
		}
	}
}

// Every step twice, and from two processes: the second finds what the first
// has made.
func TestStepsTwice(t *testing.T) {
	t.Parallel()
	w, k := crashWorld(t)
	a, b := w.runner(t, w.bucket), w.runner(t, w.bucket)
	plan, err := a.Plan(t.Context(), nightly("run", k))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := b.Plan(t.Context(), nightly("run", k)); err != nil || fmt.Sprint(again) != fmt.Sprint(plan) {
		t.Errorf("plan again: %+v, %v; was %+v", again, err, plan)
	}
	if !slices.Equal(plan.Compact, []int{0, 1}) || plan.K != k || plan.Parent != 1 || plan.Rows == 0 {
		t.Errorf("plan %+v", plan)
	}
	if _, err := a.Spread(t.Context(), plan); !fault.Is(err, fault.Invalid) {
		t.Errorf("spread before compact: %v", err)
	}
	twice := func(what string, do func(*batch.Runner) (batch.Ref, error)) {
		t.Helper()
		first, err := do(a)
		if err != nil {
			t.Fatal(err)
		}
		second, err := do(b)
		if first.Reuse || !second.Reuse || err != nil {
			t.Errorf("%s: %+v, then %+v, %v", what, first, second, err)
		}
		if second.Reuse = false; first != second || first.Label == "" {
			t.Errorf("%s: %+v, then %+v", what, first, second)
		}
	}
	for _, p := range plan.Compact {
		twice("compact", func(r *batch.Runner) (batch.Ref, error) { return r.Compact(t.Context(), plan, p) })
	}
	if _, err := a.Gather(t.Context(), plan); !fault.Is(err, fault.Invalid) {
		t.Errorf("gather before spread: %v", err)
	}
	units, err := a.Spread(t.Context(), plan)
	if err != nil || units.N == 0 || len(units.Labels) != units.N {
		t.Fatalf("units %+v, %v", units, err)
	}
	for i := range units.N {
		twice("fold", func(r *batch.Runner) (batch.Ref, error) { return r.Fold(t.Context(), plan, i) })
	}
	if _, err := a.Fold(t.Context(), plan, units.N); !fault.Is(err, fault.Invalid) {
		t.Errorf("fold a unit that is not there: %v", err)
	}
	units, err = a.Gather(t.Context(), plan)
	if err != nil || units.N == 0 {
		t.Fatalf("units %+v, %v", units, err)
	}
	for i := range units.N {
		twice("finish", func(r *batch.Runner) (batch.Ref, error) { return r.Finish(t.Context(), plan, i) })
	}
	report, err := a.Verify(t.Context(), plan)
	if err != nil || report.Rows != plan.Rows || report.Objects == 0 || report.Filtered != report.FilteredBy["sample"] {
		t.Errorf("report %+v, %v", report, err)
	}
	for _, r := range []*batch.Runner{a, b, a} {
		if p, err := r.Publish(t.Context(), plan); err != nil || p.Version != 2 {
			t.Errorf("publish: %+v, %v", p, err)
		}
	}
	w.check(t, w.newest(t))
}
