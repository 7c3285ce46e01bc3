package batch_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/fault"
	"anabranch/view"
)

// keyed is a version of a view under the key that it has beside the declared
// one.
func (w *world) keyed(t *testing.T, v *view.View) *view.View {
	t.Helper()
	schema := w.set.Newest()
	out, err := view.Compile(t.Context(), view.Source{Name: archive.ViewKey(v.Name(), v.Version()), SQL: v.SQL()}, schema.Shape(), "ts")
	if err != nil {
		t.Fatal(err)
	}
	if out.Version() != v.Version() {
		t.Fatalf("the name of a view goes into its version")
	}
	return out
}

// changed has the view items declared in its other version.
func (w *world) changed(t *testing.T) func(*batch.Options) {
	views := slices.Clone(w.views)
	views[1] = w.other
	old := w.keyed(t, w.views[1])
	return func(o *batch.Options) { o.Views, o.Older = views, []*view.View{old} }
}

// answers checks that view items answers with the truth of one of its versions
// at the manifest's cut; how is its name in the truth.
func (w *world) answers(t *testing.T, m *archive.Manifest, how string) {
	t.Helper()
	v := w.views[1]
	if how == "other" {
		v = w.other
	}
	key, files := m.Answers("items")
	if files == nil || files.Version != v.Version() {
		t.Fatalf("version %d answers items from %q, want %s", m.Version, key, how)
	}
	of := v
	if key != "items" {
		of = w.keyed(t, v)
	}
	if got, want := w.results(t, m, of), w.truth(m.Cut).views[how]; !slices.Equal(got, want) {
		t.Errorf("version %d, %s:\n%q\n%q", m.Version, how, got, want)
	}
}

func TestAHeldVersionStandsBesideTheOneThatAnswers(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 20, 50, 200, 70)
	mustRun(t, w.runner(t, w.bucket), nightly("one", w.begin(t)))

	w.history(t, rnd, 5, 70, 200, 70)
	r := w.runner(t, w.bucket, w.changed(t))
	q := nightly("two", w.begin(t))
	q.Hold = true
	plan := planned(t, r, q)
	c, err := r.Compare(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if v := c.Views[2]; v.View != "items" || v.Added+v.Removed != 0 || v.Changed == 0 || v.OldVersion == v.NewVersion {
		t.Errorf("both versions are compared at one cut: %+v", v)
	}
	if _, err := r.Publish(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	w.answers(t, w.newest(t), "items")

	// It stays held, and both are kept up to date.
	w.history(t, rnd, 5, 90, 200, 70)
	mustRun(t, r, nightly("three", w.begin(t)))
	w.answers(t, w.newest(t), "items")
	mustRun(t, r, backfill("four"))
	w.answers(t, w.newest(t), "items")

	if _, err := r.Canary(t.Context(), "items", 10, "try it", "me"); err != nil {
		t.Fatal(err)
	}
	mustRun(t, r, nightly("canary", w.begin(t)))
	if m := w.newest(t); m.Canary["items"] != 10 {
		t.Errorf("the canary is gone: %+v", m.Canary)
	}
	for name, bad := range map[string]func() (batch.Published, error){
		"too much":     func() (batch.Published, error) { return r.Canary(t.Context(), "items", 101, "", "") },
		"none is held": func() (batch.Published, error) { return r.Canary(t.Context(), "daily", 10, "", "") },
	} {
		if _, err := bad(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 2 {
		p, err := r.Serve(t.Context(), "items", w.other.Version(), "better", "me")
		if err != nil {
			t.Fatal(err)
		}
		m := w.newest(t)
		w.answers(t, m, "other")
		if m.Kind != batch.Promote || m.Reason != "better" || p.Version != 7 || m.Canary["items"] != 0 {
			t.Errorf("%+v %+v", p, m)
		}
	}
	mustRun(t, r, nightly("eight", w.begin(t)))
	w.answers(t, w.newest(t), "other")
	if _, err := r.Serve(t.Context(), "items", w.views[1].Version(), "worse", "me"); err != nil {
		t.Fatal(err)
	}
	w.answers(t, w.newest(t), "items")
	w.history(t, rnd, 3, 90, 200, 70)
	mustRun(t, r, nightly("six", w.begin(t)))
	w.answers(t, w.newest(t), "items")

	// Whoever declares the old one again gets it.
	mustRun(t, w.runner(t, w.bucket), nightly("seven", w.begin(t)))
	m := w.newest(t)
	w.answers(t, m, "items")
	if key, _ := m.Answers("items"); key != "items" || len(m.Views) != 3 {
		t.Errorf("%q answers, there are %d views", key, len(m.Views))
	}
	if _, err := r.Serve(t.Context(), "items", "0000", "", ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("a version that is not there: %v", err)
	}
}

func TestAnUnheldVersionAnswersAtOnceAndTheOldOneIsKept(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 20, 50, 200, 70)
	mustRun(t, w.runner(t, w.bucket), nightly("one", w.begin(t)))
	r := w.runner(t, w.bucket, w.changed(t))
	w.history(t, rnd, 5, 70, 200, 70)
	mustRun(t, r, nightly("two", w.begin(t)))
	w.answers(t, w.newest(t), "other")
	if _, err := r.Serve(t.Context(), "items", w.views[1].Version(), "oh no", "me"); err != nil {
		t.Fatal(err)
	}
	w.answers(t, w.newest(t), "items")
}

func TestRollback(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 20, 50, 200, 70)
	mustRun(t, w.runner(t, w.bucket), nightly("one", w.begin(t)))
	before := w.newest(t)

	// The other version without the old one beside it, and events since.
	views := slices.Clone(w.views)
	views[1] = w.other
	w.history(t, rnd, 8, 900, 200, 9)
	mustRun(t, w.runner(t, w.bucket, func(o *batch.Options) { o.Views = views }), nightly("two", w.begin(t)))
	w.answers(t, w.newest(t), "other")

	r := w.runner(t, w.bucket, w.changed(t))
	back := batch.Request{Kind: batch.Rollback, RunID: "back", Back: 1, View: "items", Reason: "it was wrong", By: "me"}
	plan, err := r.Plan(t.Context(), back)
	if err != nil {
		t.Fatal(err)
	}
	finishSteps(t, r, plan)
	if _, err := r.Publish(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	m := w.newest(t)
	w.answers(t, m, "items")
	if m.Base != 1 || m.Kind != batch.Rollback || m.K != plan.K || m.Views["items"].Version != w.other.Version() {
		t.Errorf("%+v", m)
	}
	files, kept := m.Views[archive.ViewKey("items", w.views[1].Version())], 0
	for day, file := range files.Live {
		if before.Views["items"].Live[day] == file {
			kept++
		}
	}
	if kept == 0 || kept == len(files.Live) {
		t.Errorf("%d of %d days are those of then; days with events since are folded anew, and only they", kept, len(files.Live))
	}
	w.history(t, rnd, 3, 90, 200, 70)
	mustRun(t, r, nightly("three", w.begin(t)))
	w.answers(t, w.newest(t), "items")

	// Nothing has happened since version 4: it costs one put.
	back = batch.Request{Kind: batch.Rollback, RunID: "again", Back: 4}
	if plan, err = r.Plan(t.Context(), back); err != nil {
		t.Fatal(err)
	}
	if units, err := r.Spread(t.Context(), plan); err != nil || units.N != 0 {
		t.Errorf("%d units, %v", units.N, err)
	}
	for name, bad := range map[string]batch.Request{
		"no such version":    {Kind: batch.Rollback, RunID: "bad1", Back: 99},
		"no version":         {Kind: batch.Rollback, RunID: "bad2"},
		"no such view":       {Kind: batch.Rollback, RunID: "bad3", Back: 1, View: "itmes"},
		"a barrier":          {Kind: batch.Rollback, RunID: "bad4", Back: 1, K: 3},
		"a nightly with one": {Kind: batch.Nightly, RunID: "bad5", Back: 1, K: 3},
	} {
		if _, err := r.Plan(t.Context(), bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A backfill that went wrong is taken back, day by day, though no definition
// has changed.
func TestRollbackOfABackfill(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 20, 50, 200, 70)
	r := w.runner(t, w.bucket)
	mustRun(t, r, nightly("one", w.begin(t)))
	one := w.newest(t)
	mustRun(t, r, backfill("two"))
	p := mustRun(t, r, batch.Request{Kind: batch.Rollback, RunID: "three", Back: 1})
	m := w.newest(t)
	w.check(t, m)
	for name, files := range m.Views {
		if !slices.EqualFunc(files.Results, one.Views[name].Results, func(a, b archive.ResultFile) bool { return a.Name == b.Name }) || p.Version != 3 {
			t.Errorf("%s: %+v, then %+v", name, files.Results, one.Views[name].Results)
		}
	}
	c, err := r.CompareVersions(t.Context(), 2, 3)
	if err != nil || !c.Equal() {
		t.Errorf("%v %+v", err, c)
	}
}

// A rollback goes no further back than what a collector is sure to keep, also
// where the files happen to be there still.
func TestRollbackTooFar(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.history(t, rand.New(rand.NewPCG(1, 0)), 2, 10, 10, 2)
	r := w.runner(t, w.bucket)
	mustRun(t, r, nightly("night", w.begin(t)))
	for n := range archive.KeepVersions {
		mustRun(t, r, batch.Request{Kind: batch.Backfill, RunID: fmt.Sprint("again-", n)})
	}
	if _, err := batch.Run(t.Context(), r, batch.Request{Kind: batch.Rollback, RunID: "far", Back: 1}); !fault.Is(err, fault.Invalid) {
		t.Errorf("back to version 1 of %d: %v", w.newest(t).Version, err)
	}
	mustRun(t, r, batch.Request{Kind: batch.Rollback, RunID: "near", Back: 2})
}
