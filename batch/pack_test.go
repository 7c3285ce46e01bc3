package batch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/fault"
	"anabranch/schemas"
)

func compaction(id string) batch.Request {
	return batch.Request{Kind: batch.Compaction, RunID: id, Reason: "too many files", By: "me"}
}

// nights publishes some nights, each with late events, and with those of before.
func (w *world) nights(t *testing.T, nights, frames int, before ...func(night int)) {
	t.Helper()
	rnd := seeded(t)
	for night := range nights {
		for _, fn := range before {
			fn(night)
		}
		w.history(t, rnd, frames, 60*(night+1), 200, 20)
		mustRun(t, w.runner(t, w.bucket), nightly(fmt.Sprint("night-", night), w.begin(t)))
	}
}

// files counts the day files and state files of a manifest.
func files(m *archive.Manifest) (days, states int) {
	for _, v := range m.Views {
		states += len(v.States)
	}
	return len(m.Days), states
}

// A compaction says the same with fewer files; what comes behind it goes on as
// if there had been none.
func TestCompaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.nights(t, 6, 12)
	before := w.newest(t)
	r := w.runner(t, w.bucket)
	p := mustRun(t, r, compaction("one"))
	m := w.newest(t)
	if p.Version != 7 || m.Kind != batch.Compaction || m.K != before.K || m.Definition != before.Definition || m.By != "me" || m.Run != "one" {
		t.Errorf("published %+v: %+v", p, m)
	}
	w.check(t, m)
	w.sound(t)
	days, states := files(m)
	if wasDays, wasStates := files(before); days != 4 && days != 3 && days != 2 || states != len(m.Views) || wasDays < 8 || wasStates < 12 {
		t.Errorf("%d day files and %d files of states became %d and %d", wasDays, wasStates, days, states) // one for each partition and schema version, one for each view; a night may have nothing for a partition
	}
	for key, v := range m.Views {
		if !slices.Equal(v.Results, before.Views[key].Results) {
			t.Errorf("%s: its results have changed", key)
		}
	}
	notes := len(w.names(t))
	if p := mustRun(t, r, compaction("two")); !p.Already || p.Version != 7 || len(w.names(t)) != notes {
		t.Errorf("again: %+v", p) // and nothing is left of it
	}
	if look, err := r.Compactable(t.Context()); err != nil || len(look.Kinds) != 1+len(w.views) || look.Kinds[0].Of != len(m.Days) || look.Kinds[0].Files != 0 {
		t.Errorf("%+v %v", look, err)
	}

	// Counted anew from what was put together, all answers are the same.
	mustRun(t, r, backfill("all"))
	w.check(t, w.newest(t))
	c, err := r.CompareVersions(t.Context(), 6, 8)
	if err != nil || !c.Equal() {
		t.Errorf("%v %+v", err, c)
	}
	w.history(t, seeded(t), 12, 500, 200, 20)
	mustRun(t, r, nightly("late", w.begin(t)))
	w.check(t, w.newest(t))
	mustRun(t, r, compaction("three"))
	w.check(t, w.newest(t))
	w.sound(t)
	if plan, err := r.PlanAudit(t.Context(), batch.AuditRequest{Days: 50}); err != nil {
		t.Error(err)
	} else {
		for _, u := range plan.Units {
			if a, err := r.Audit(t.Context(), plan.Version, u); err != nil || a.Drifted > 0 {
				t.Errorf("%+v %v", a, err)
			}
		}
	}
}

// What is made of a lost file that was put together are its bytes, though the
// parts of it are gone.
func TestLostPackedFilesAreRebuilt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.nights(t, 4, 12, func(night int) { w.surely(t, 200+night) })
	r := w.runner(t, w.bucket)
	mustRun(t, r, compaction("one"))
	w.surely(t, 200)
	w.history(t, seeded(t), 12, 500, 200, 20)
	mustRun(t, r, nightly("late", w.begin(t)))
	mustRun(t, r, compaction("two")) // of what was put together already, too
	w.clock.Advance(day)
	if _, err := w.open(w.bucket).Collect(t.Context(), 1, 0); err != nil {
		t.Fatal(err)
	}
	m, twice := w.newest(t), 0
	asked := map[uint64]bool{}
	for _, f := range m.Days {
		twice = max(twice, len(f.Packed))
		good := w.object(t, f.Name)
		w.spoil(t, f.Name)
		old, made, err := batch.RebuildPacked(t.Context(), m, f, func(k uint64) (*batch.Runner, func(), error) {
			asked[k] = true
			return w.runner(t, w.bucket), func() {}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(old) != fmt.Sprint(made) || !bytes.Equal(w.object(t, f.Name), good) {
			t.Errorf("%+v came back as %+v", old, made)
		}
	}
	if twice < 5 || len(asked) != 5 {
		t.Errorf("%d chunks in a file, of the barriers %v", twice, asked)
	}
	w.check(t, m)
}

// Every step twice and from two processes; who loses plans again.
func TestCompactionStepsTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.nights(t, 3, 10)
	a, b := w.runner(t, w.bucket), w.runner(t, w.bucket)
	plan, err := a.Plan(t.Context(), compaction("run"))
	if err != nil || plan.Packs == 0 || plan.Packed == nil || len(plan.Packed.Kinds) != 1+len(w.views) {
		t.Fatalf("%+v %v", plan, err)
	}
	if again, err := b.Plan(t.Context(), compaction("run")); err != nil || again.Packs != plan.Packs {
		t.Errorf("%+v %v", again, err)
	}
	if _, err := a.Verify(t.Context(), plan); !fault.Is(err, fault.Invalid) {
		t.Errorf("verified before anything was done: %v", err)
	}
	for i := range plan.Packs {
		first, err := a.Pack(t.Context(), plan, i)
		if err != nil {
			t.Fatal(err)
		}
		second, err := b.Pack(t.Context(), plan, i)
		if err != nil || first.Reuse || !second.Reuse || first.Rows != second.Rows || first.Bytes != second.Bytes || first.Label == "" {
			t.Errorf("%+v, then %+v, %v", first, second, err)
		}
	}
	if _, err := a.Pack(t.Context(), plan, plan.Packs); !fault.Is(err, fault.Invalid) {
		t.Errorf("a unit that is not there: %v", err)
	}
	report, err := a.Verify(t.Context(), plan)
	if err != nil || report.Objects == 0 {
		t.Fatalf("%+v %v", report, err)
	}
	if files, into := report.Packed.Files(); into != report.Objects || files <= into {
		t.Errorf("%d files became %d; %+v", files, into, report)
	}
	w.history(t, seeded(t), 5, 50, 200, 20)
	mustRun(t, b, nightly("first", w.begin(t)))
	if _, err := a.Publish(t.Context(), plan); !fault.Is(err, fault.Conflict) {
		t.Errorf("the loser: %v", err)
	}
	if p := mustRun(t, a, compaction("run")); p.Version != 5 {
		t.Errorf("%+v", p)
	}
	w.check(t, w.newest(t))
	for name, bad := range map[string]batch.Request{
		"a view":   {Kind: batch.Compaction, RunID: "bad1", View: "items"},
		"a sample": {Kind: batch.Compaction, RunID: "bad2", Sample: 3},
	} {
		if _, err := a.Plan(t.Context(), bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A unit that has lost a row, or a file of it, is noticed before anything is
// published.
func TestCompactionThatLosesSomethingIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.nights(t, 3, 10)
	r := w.runner(t, w.bucket)
	plan, err := r.Plan(t.Context(), compaction("run"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range plan.Packs {
		if _, err := r.Pack(t.Context(), plan, i); err != nil {
			t.Fatal(err)
		}
	}
	for i := range plan.Packs {
		note := fmt.Sprintf("pack/u%06d.json", i)
		good, err := w.archive.GetWork(t.Context(), "run", note)
		if err != nil {
			t.Fatal(err)
		}
		for what, change := range map[string]func(n map[string]any){
			"a row is lost": func(n map[string]any) {
				for _, c := range n["Is"].(map[string]any) {
					c.(map[string]any)["Rows"] = 100_000
					break
				}
			},
			"a row is another": func(n map[string]any) {
				for _, c := range n["Is"].(map[string]any) {
					c.(map[string]any)["Hi"] = 1
					break
				}
			},
			"a file is lost": func(n map[string]any) { n["Days"], n["States"] = nil, nil },
			"a day is lost": func(n map[string]any) {
				for _, f := range slices.Concat(list(n["Days"]), list(n["States"])) {
					f.(map[string]any)["days"] = f.(map[string]any)["days"].([]any)[1:]
				}
			},
		} {
			var n map[string]any
			d := json.NewDecoder(bytes.NewReader(good))
			d.UseNumber() // hashes are larger than what a float64 tells apart
			if err := d.Decode(&n); err != nil {
				t.Fatal(err)
			}
			change(n)
			bad, err := json.Marshal(n)
			if err == nil {
				err = w.archive.PutWork(t.Context(), "run", note, bad)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Verify(t.Context(), plan); !fault.Is(err, fault.Bug) {
				t.Errorf("unit %d, %s: %v", i, what, err)
			}
		}
		if err := w.archive.PutWork(t.Context(), "run", note, good); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Verify(t.Context(), plan); err != nil {
		t.Error(err)
	}
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// What is large enough stays, and so do files of another schema version and
// those whose raw events have expired.
func TestCompactionLeavesAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.nights(t, 3, 10)
	large := w.runner(t, w.bucket, func(o *batch.Options) { o.PackBytes = 4 })
	if p := mustRun(t, large, compaction("one")); !p.Already {
		t.Errorf("files that are large enough: %+v", p)
	}
	keep := keeps(schemas.Retention{Raw: 10 * aDay})
	w.old(20 * aDay)
	r := w.runner(t, w.bucket, keep)
	if _, err := r.Expire(t.Context(), false, "test", "ana"); err != nil {
		t.Fatal(err)
	}
	gone := func() (names []string) {
		for _, f := range w.newest(t).Days {
			if f.Gone {
				names = append(names, f.Name)
			}
		}
		return names
	}
	before := gone()
	mustRun(t, r, compaction("two"))
	if after := gone(); len(before) == 0 || !slices.Equal(before, after) {
		t.Errorf("gone were %v, and are %v", before, after)
	}
	w.check(t, w.newest(t))
	w.sound(t)
}

// A rollback across a compaction: where no event came since, nothing is folded;
// else the days with new events, and they count once.
func TestRollbackAcrossACompaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.nights(t, 3, 10)
	views := slices.Clone(w.views)
	views[1] = w.other
	mustRun(t, w.runner(t, w.bucket, func(o *batch.Options) { o.Views = views }), batch.Request{Kind: batch.Backfill, RunID: "other"}) // version 4
	w.answers(t, w.newest(t), "other")
	r := w.runner(t, w.bucket, w.changed(t))
	mustRun(t, r, compaction("one")) // 5
	w.answers(t, w.newest(t), "other")
	plan, err := r.Plan(t.Context(), batch.Request{Kind: batch.Rollback, RunID: "look", Back: 3})
	if err != nil {
		t.Fatal(err)
	}
	if units, err := r.Spread(t.Context(), plan); err != nil || units.N != 0 {
		t.Errorf("nothing came since, and %d units are folded: %v", units.N, err)
	}
	w.history(t, seeded(t), 4, 900, 200, 5)
	mustRun(t, r, nightly("late", w.begin(t)))
	mustRun(t, r, compaction("two"))
	mustRun(t, r, batch.Request{Kind: batch.Rollback, RunID: "back", Back: 3})
	m := w.newest(t)
	w.answers(t, m, "items")
	if n, _ := files(m); n > 4 {
		t.Errorf("%d day files are back", n)
	}
	w.history(t, seeded(t), 4, 900, 200, 5)
	mustRun(t, r, nightly("later", w.begin(t)))
	mustRun(t, r, compaction("three"))
	w.answers(t, w.newest(t), "items")
	w.sound(t)
}

// Raw events of the first night have expired, and late ones of its days were put
// together with those of a night that the version to go back to has: they count
// once, and only they.
func TestRollbackAcrossACompactionOfExpiredDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.bucket = bucket.NewMemoryAt(w.clock)
	w.archive, w.letters = w.open(w.bucket), deadletter.New(w.bucket, pipeline)
	w.nights(t, 1, 12)
	w.clock.Advance(20 * aDay)
	w.surely(t, 300) // of a day that the next night does not touch
	w.history(t, seeded(t), 10, 900, 200, 20)
	mustRun(t, w.runner(t, w.bucket), nightly("base", w.begin(t)))
	base := w.newest(t) // 2
	r := w.runner(t, w.bucket)
	w.surely(t, 200)
	w.history(t, seeded(t), 10, 1200, 200, 20)
	mustRun(t, r, nightly("late", w.begin(t)))
	// The old ones cannot be put together with those of today, as they expire
	// before them.
	keep := keeps(schemas.Retention{Raw: 10 * aDay})
	packing := w.runner(t, w.bucket, keep)
	mustRun(t, packing, compaction("one"))
	mixed := 0
	for _, f := range w.newest(t).Days {
		ks := map[uint64]bool{}
		for _, c := range f.Chunks() {
			ks[c.K] = true
		}
		if ks[base.K] && ks[base.K+1] {
			mixed++
		}
		if ks[base.K] && ks[1] {
			t.Errorf("what is old was put together with what is not: %+v", f.Packed)
		}
	}
	if mixed == 0 {
		t.Fatal("no file has events from before and behind the version to go back to")
	}
	e, err := packing.Expire(t.Context(), false, "test", "ana")
	if err != nil || kindOf(e, "segments").Objects == 0 {
		t.Fatalf("%+v %v", e, err)
	}
	for _, f := range base.Days { // also what was put together since
		_, there, err := w.archive.Written(t.Context(), f.Name)
		if gone := f.K < base.K; err != nil || there == gone {
			t.Errorf("%s of barrier %d is there: %t, %v", f.Name, f.K, there, err)
		}
	}
	mustRun(t, packing, batch.Request{Kind: batch.Rollback, RunID: "back", Back: base.Version})
	m := w.newest(t)
	w.check(t, m)
	if m.Base != base.Version {
		t.Errorf("%+v", m)
	}
	live := maps.Clone(m.Views["items"].Live)
	mustRun(t, packing, compaction("two"))
	if m = w.newest(t); maps.Equal(live, m.Views["items"].Live) {
		t.Error("nothing was put together")
	}
	w.check(t, m)
	w.sound(t)
}
