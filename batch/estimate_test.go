package batch_test

import (
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"anabranch/batch"
	"anabranch/fault"
	"anabranch/internal/clock"
)

// TestEstimateIsWhatARunThenDoes: every count of the plan against the run.
func TestEstimateIsWhatARunThenDoes(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	r := w.runner(t, w.bucket, func(o *batch.Options) { o.MaxGroups = 1 }) // a step for each result
	if _, err := r.Estimate(t.Context(), batch.Request{}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "run a nightly first") {
		t.Fatal(err)
	}
	w.history(t, rnd, 30, 60, 100, 160)
	mustRun(t, r, nightly("one", w.begin(t)))
	from, to := int32(110), int32(140)
	for name, q := range map[string]batch.Request{"all": {}, "some": {From: &from, To: &to}, "one-view": {View: "daily", From: &from}} {
		e, err := r.Estimate(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		q.Kind, q.RunID = batch.Backfill, name
		plan, err := r.Plan(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		folds, err := r.Spread(t.Context(), plan)
		if err != nil {
			t.Fatal(err)
		}
		for i := range folds.N {
			if _, err := r.Fold(t.Context(), plan, i); err != nil {
				t.Fatal(err)
			}
		}
		finishes, err := r.Gather(t.Context(), plan)
		if err != nil {
			t.Fatal(err)
		}
		if e.Units != folds.N || e.Rows != folds.Rows || e.Days != folds.Days || e.Results != finishes.N || e.Bytes <= 0 || e.Files <= 0 || e.Groups <= 0 || e.Days == 0 {
			t.Errorf("%s: estimate %+v, run %+v %+v", name, e, folds, finishes)
		}
		if want := 1; q.View != "" && len(e.Views) != want {
			t.Errorf("%s: views %v", name, e.Views)
		}
		if e.Version != 1 || len(e.Warnings) != 0 {
			t.Errorf("%s: %+v", name, e)
		}
		if text := e.Text(); !strings.Contains(text, e.From) {
			t.Errorf("%s", text)
		}
	}
	if _, err := r.Estimate(t.Context(), batch.Request{View: "nobody"}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	changed := w.runner(t, w.bucket, w.changed(t))
	e, err := changed.Estimate(t.Context(), batch.Request{From: &from, To: &from})
	if err != nil || len(e.Warnings) != 1 || !strings.Contains(e.Warnings[0], "view items has a changed definition") {
		t.Errorf("%+v %v", e, err)
	}
}

// TestEstimateWarnsOfDaysWhoseEventsAreGone: such days keep their numbers.
func TestEstimateWarnsOfDaysWhoseEventsAreGone(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 30, 60, 100, 160)
	r := w.runner(t, w.bucket)
	mustRun(t, r, nightly("one", w.begin(t)))
	m := *w.newest(t)
	m.Version, m.Parent, m.Days = m.Version+1, m.Hash(), nil
	if err := w.archive.Publish(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	e, err := r.Estimate(t.Context(), batch.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if e.Days != 0 || len(e.Warnings) != 3 || !strings.Contains(e.Warnings[0], "are gone: 1970-") || !strings.HasSuffix(e.Warnings[0], "they keep the numbers that they have") {
		t.Errorf("%+v", e)
	}
}

// ticking is a clock that goes on by a second with each look at it.
type ticking struct {
	clock.Clock
	n *atomic.Int64
}

func (c ticking) Now() time.Time { return time.Unix(c.n.Add(1), 0) }

// TestEstimateTakesThePaceOfEarlierRuns: with units one after the other, each
// takes one second of a clock that is looked at twice in each; how many states
// are merged is known about.
func TestEstimateTakesThePaceOfEarlierRuns(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 30, 60, 100, 160)
	r := w.runner(t, w.bucket, func(o *batch.Options) {
		o.Clock, o.Parallel, o.MaxGroups = ticking{clock.Wall, &atomic.Int64{}}, 1, 1 // a step for each result
	})
	mustRun(t, r, nightly("one", w.begin(t)))
	for n := 1; n <= 7; n++ {
		e, err := r.Estimate(t.Context(), batch.Request{})
		if err != nil {
			t.Fatal(err)
		}
		rate := float64(e.Rows) / float64(e.Units)
		if e.Runs != min(n, 5) || math.Abs(e.Rate-rate) > 1e-9 || math.Abs(e.Seconds-float64(e.Units+e.Results)) > 0.03*e.Seconds {
			t.Fatalf("after %d runs: %+v, want %g a second", n, e, rate)
		}
		mustRun(t, r, backfill(fmt.Sprint("again", n)))
	}
}

// TestSampleIsSpreadEvenly over the days asked for, and its comparison finds
// nothing that is different.
func TestSampleIsSpreadEvenly(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 30, 60, 100, 160)
	r := w.runner(t, w.bucket)
	mustRun(t, r, nightly("one", w.begin(t)))
	all, err := r.Estimate(t.Context(), batch.Request{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2, 5, all.Days, all.Days + 10} {
		e, err := r.Estimate(t.Context(), batch.Request{Sample: n})
		if err != nil || e.Days != min(n, all.Days) || e.From != all.From || n > 1 && e.To != all.To {
			t.Errorf("%d: %+v %v", n, e, err)
		}
	}
	q := backfill("sample")
	q.Sample = 5
	if review, err := r.Review(t.Context(), planned(t, r, q)); err != nil || !review.Equal {
		t.Errorf("%+v %v", review, err)
	}
}
