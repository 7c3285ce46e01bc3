package batch_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/view"
)

const aDay = 24 * time.Hour

func (w *world) names(t *testing.T) (all []string) {
	t.Helper()
	for info, err := range w.bucket.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info.Name)
	}
	return all
}

// old lets time pass since everything in the bucket was written.
func (w *world) old(d time.Duration) { w.clock.Advance(time.Since(w.clock.Now()) + d) }

func keeps(k schemas.Retention) func(*batch.Options) {
	return func(o *batch.Options) { o.Retention = k }
}

func kindOf(e batch.Expired, kind string) batch.Forgotten {
	for _, k := range e.Kinds {
		if k.Kind == kind {
			return k
		}
	}
	return batch.Forgotten{}
}

// sound checks that fsck would find nothing.
func (w *world) sound(t *testing.T) {
	t.Helper()
	err := w.open(w.bucket).Check(t.Context(), func(d archive.Damage) {
		if d.Kind != "orphan" {
			t.Errorf("damaged: %s %s: %v", d.Kind, d.File, d.Err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRawEventsExpire forgets raw events of the first night: what views have of
// them stays, copies of them are still known, and late events are still added
// to their days.
func TestRawEventsExpire(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 3)
	for night := range 4 {
		w.history(t, rnd, 20, 90, 15000+night*3, 9)
		mustRun(t, w.runner(t, w.bucket), nightly(fmt.Sprint("night-", night), w.begin(t)))
	}
	keep := keeps(schemas.Retention{Raw: 10 * aDay, Comparisons: 10 * aDay})
	r := w.runner(t, w.bucket, keep)
	all := w.names(t)
	if e, err := r.Expire(t.Context(), false, "test", "ana"); err != nil || e.Objects != 0 || e.Version != 4 {
		t.Fatalf("young: %+v %v", e, err)
	}
	w.old(20 * aDay)
	dry, err := r.Expire(t.Context(), true, "test", "ana")
	if err != nil || kindOf(dry, "segments").Objects == 0 || kindOf(dry, "day files").Objects == 0 || dry.Bytes == 0 || len(dry.Kept) == 0 || !dry.Dry {
		t.Fatalf("%+v %v", dry, err)
	}
	if got := w.names(t); !slices.Equal(got, all) {
		t.Errorf("a dry run has changed something: %q", got)
	}
	e, err := r.Expire(t.Context(), false, "test", "ana")
	if err != nil || e.Version != 5 || e.Objects != dry.Objects || e.Bytes != dry.Bytes {
		t.Fatalf("%+v %v, dry %+v", e, err, dry)
	}
	if got := w.names(t); len(got) != len(all)-e.Objects+1 {
		t.Errorf("%d objects were there, %d are, %d went", len(all), len(got), e.Objects)
	}
	m := w.newest(t)
	if m.Kind != batch.Expire || m.By != "ana" || m.K != 4 || m.RawFrom(0).From == 0 || m.RawFrom(0).From > m.Cut[0] {
		t.Errorf("%+v", m.Raw)
	}
	w.check(t, m)
	w.sound(t)
	if again, err := r.Expire(t.Context(), false, "test", "ana"); err != nil || again.Objects != 0 || again.Version != 5 {
		t.Errorf("again: %+v %v", again, err)
	}
	// What a process that died has left is taken the next time.
	left := kindOf(e, "segments").Names[0]
	if _, err := w.bucket.Put(t.Context(), left, bytes.NewReader([]byte("left")), bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	if again, err := r.Expire(t.Context(), false, "test", "ana"); err != nil || again.Objects != 1 || again.Kinds[0].Names[0] != left {
		t.Errorf("again: %+v %v", again, err)
	}

	// Copies of expired events, and late events of expired days.
	var first []sale
	for p, records := range w.records {
		if len(records) > 0 {
			first = records[0].sales
			w.append(t, p, 2, first...)
			late := first[0]
			late.id += 3000
			w.append(t, p, 2, late)
		}
	}
	mustRun(t, w.runner(t, w.bucket), nightly("late", w.begin(t)))
	w.check(t, w.newest(t))
	w.sound(t)

	// A backfill that needs them is refused; one that does not is not.
	_, err = batch.Run(t.Context(), r, batch.Request{Kind: batch.Backfill, RunID: "all"})
	if !fault.Is(err, fault.Invalid) || fault.CodeOf(err) != archive.RawGone || !strings.Contains(err.Error(), "have expired") {
		t.Errorf("a backfill of all: %v", err)
	}
	est, err := r.Estimate(t.Context(), batch.Request{})
	if err != nil || len(est.Warnings) == 0 || !strings.Contains(est.Warnings[0], "are gone") {
		t.Errorf("%+v %v", est, err)
	}
	from := int32(0)
	for _, f := range w.newest(t).Days {
		for _, d := range f.Days {
			if f.Gone {
				from = max(from, d.Day+1)
			}
		}
	}
	mustRun(t, r, batch.Request{Kind: batch.Backfill, RunID: "rest", From: &from})
	w.check(t, w.newest(t))

	// A changed definition cannot be computed: the old one goes on.
	changed := w.changed(t)
	w.history(t, rnd, 5, 90, 15000, 9)
	mustRun(t, w.runner(t, w.bucket, changed), nightly("changed", w.begin(t)))
	w.answers(t, w.newest(t), "items")
	if _, err := batch.Run(t.Context(), w.runner(t, w.bucket, changed), batch.Request{Kind: batch.Backfill, RunID: "changed-items", View: "items", From: &from}); !fault.Is(err, fault.Invalid) || fault.CodeOf(err) != archive.RawGone {
		t.Errorf("a backfill of a changed view: %v", err)
	}
	w.history(t, rnd, 5, 90, 15000, 9)
	mustRun(t, w.runner(t, w.bucket), nightly("back", w.begin(t)))
	w.check(t, w.newest(t))

	plan, found := w.audited(t, batch.AuditRequest{})
	if plan.Gone == 0 || plan.Days == 0 || found.Drifted != 0 || found.Counted != plan.Rows {
		t.Errorf("%+v %+v", plan, found)
	}
	// Every version that a rollback may go back to is still good for it.
	for v := uint64(1); v < w.newest(t).Version; v += 2 {
		mustRun(t, r, batch.Request{Kind: batch.Rollback, RunID: fmt.Sprint("back-", v), Back: v})
		w.check(t, w.newest(t))
	}
}

// TestLostRunsAreNotMadeOfExpiredSegments.
func TestLostRunsAreNotMadeOfExpiredSegments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	rnd := seeded(t)
	for night := range 3 {
		w.history(t, rnd, 12, 90, 15000+night*3, 9)
		mustRun(t, w.runner(t, w.bucket), nightly(fmt.Sprint("night-", night), w.begin(t)))
	}
	w.old(20 * aDay)
	r := w.runner(t, w.bucket, keeps(schemas.Retention{Raw: 10 * aDay}))
	if e, err := r.Expire(t.Context(), false, "", ""); err != nil || e.Objects == 0 {
		t.Fatalf("%+v %v", e, err)
	}
	m := w.newest(t)
	if _, err := r.RebuildRuns(t.Context(), m, 0, map[string]bool{m.Runs[0][0].Name: true}); !fault.Is(err, fault.Corrupt) || fault.CodeOf(err) != archive.RawGone {
		t.Error(err)
	}
	for _, f := range m.Days {
		if f.Gone {
			continue
		}
		if _, made, err := r.RebuildDays(t.Context(), m, f); err != nil || made[0].Name != f.Name {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

// TestVersionsAndLeftoversExpire.
func TestVersionsAndLeftoversExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	rnd := seeded(t)
	for night := range 2 {
		w.history(t, rnd, 5, 40, 15000, 5)
		mustRun(t, w.runner(t, w.bucket), nightly(fmt.Sprint("night-", night), w.begin(t)))
	}
	if c, err := w.runner(t, w.bucket).CompareVersions(t.Context(), 1, 2); err != nil || c.Equal() {
		t.Fatal(err)
	}
	if _, err := w.letters.PutPage(t.Context(), "release-1", 0, &deadletter.Page{}); err != nil {
		t.Fatal(err)
	}
	for range 38 {
		w.republish(t, func(*archive.Manifest) {})
	}
	keep := schemas.Retention{Versions: 32, Comparisons: 10 * aDay}
	w.old(20 * aDay)
	e, err := w.runner(t, w.bucket, keeps(keep)).Expire(t.Context(), false, "", "")
	if err != nil || kindOf(e, "manifests").Objects != 8 || kindOf(e, "comparisons").Objects == 0 || kindOf(e, "pages of releases").Objects != 0 || kindOf(e, "segments").Objects != 0 {
		t.Fatalf("%+v %v", e, err)
	}
	m := w.newest(t)
	if m.Oldest != 9 || m.Version != 41 {
		t.Errorf("version %d, the oldest is %d", m.Version, m.Oldest)
	}
	w.check(t, m)
	w.sound(t)
	if _, err := w.open(w.bucket).Manifest(t.Context(), 8); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	w.old(40 * aDay)
	if e, err := w.runner(t, w.bucket, keeps(keep)).Expire(t.Context(), false, "", ""); err != nil || kindOf(e, "pages of releases").Objects != 1 || kindOf(e, "manifests").Objects != 1 {
		t.Errorf("%+v %v", e, err)
	}
	// Where filter rules changed, versions say which were in force.
	change := func(o *batch.Options) {
		o.FiltersThen = func(_ context.Context, _ string) ([]view.NamedPredicate, error) { return w.filters, nil }
	}
	for range 3 {
		w.republish(t, func(*archive.Manifest) {})
	}
	w.old(80 * aDay)
	if e, err := w.runner(t, w.bucket, keeps(keep), change).Expire(t.Context(), true, "", ""); err != nil || kindOf(e, "manifests").Objects != 0 || len(e.Kept) != 1 {
		t.Errorf("%+v %v", e, err)
	}
}
