package batch_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/view"
)

// audited audits the newest version and returns all units together.
func (w *world) audited(t *testing.T, q batch.AuditRequest, change ...func(*batch.Options)) (batch.AuditPlan, batch.Audited) {
	t.Helper()
	r := w.runner(t, w.bucket, change...)
	plan, err := r.PlanAudit(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var all batch.Audited
	for _, u := range plan.Units {
		got, err := r.Audit(t.Context(), plan.Version, u)
		if err != nil {
			t.Fatal(err)
		}
		all.Counted += got.Counted
		all.Groups += got.Groups
		all.Drifted += got.Drifted
		all.Drifts = append(all.Drifts, got.Drifts...)
		if len(got.Skipped) > 0 {
			t.Errorf("%s: skipped %v", u.Label, got.Skipped)
		}
	}
	return plan, all
}

// republish publishes the newest version again, with a change.
func (w *world) republish(t *testing.T, change func(next *archive.Manifest)) {
	t.Helper()
	m := w.newest(t)
	next := *m
	next.Version, next.Parent, next.Days = m.Version+1, m.Hash(), slices.Clone(m.Days)
	next.Views = map[string]*archive.ViewFiles{}
	for key, files := range m.Views {
		f := *files
		f.States, f.Results, f.Live = slices.Clone(f.States), slices.Clone(f.Results), maps.Clone(f.Live)
		next.Views[key] = &f
	}
	change(&next)
	if err := w.open(w.bucket).Publish(t.Context(), &next); err != nil {
		t.Fatal(err)
	}
}

func auditWorld(t *testing.T) *world {
	w := newWorld(t, 3)
	rnd := seeded(t)
	for night := range 3 {
		w.history(t, rnd, 20, 90, 15000+night*3, 9)
		mustRun(t, w.runner(t, w.bucket, func(o *batch.Options) { o.MaxGroups = 60 }), nightly(fmt.Sprint("night-", night), w.begin(t)))
	}
	w.check(t, w.newest(t))
	return w
}

// TestAuditFindsNothingWhereNothingIsWrong audits all days, and the same sample
// twice.
func TestAuditFindsNothingWhereNothingIsWrong(t *testing.T) {
	t.Parallel()
	w := auditWorld(t)
	plan, all := w.audited(t, batch.AuditRequest{})
	m := w.newest(t)
	if all.Drifted != 0 || all.Counted != m.Counted || plan.Rows != m.Counted || plan.Days != plan.Of || len(plan.Units) < 2 || all.Groups == 0 {
		t.Errorf("%+v\n%+v\nof %d events", plan, all, m.Counted)
	}
	one, _ := w.audited(t, batch.AuditRequest{Days: 4, Seed: 7})
	two, got := w.audited(t, batch.AuditRequest{Days: 4, Seed: 7})
	if one.Days != 4 || fmt.Sprint(one) != fmt.Sprint(two) || got.Drifted != 0 {
		t.Errorf("%v\n%v", one, two)
	}
	other := one
	for seed := uint64(8); seed < 20 && fmt.Sprint(other) == fmt.Sprint(one); seed++ { // two may choose the same days
		other, _ = w.audited(t, batch.AuditRequest{Days: 4, Seed: seed})
	}
	if fmt.Sprint(other) == fmt.Sprint(one) {
		t.Errorf("every seed chooses %v", one)
	}
	from, to := int32(15001), int32(15004)
	some, got := w.audited(t, batch.AuditRequest{From: &from, To: &to})
	if some.Days == 0 || some.Days > 4 || got.Drifted != 0 || got.Counted != some.Rows {
		t.Errorf("%v %+v", some, got)
	}
	if _, err := w.runner(t, w.bucket).PlanAudit(t.Context(), batch.AuditRequest{From: &to, To: &from}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// TestAuditNamesADrift plants what no checksum finds: files that were written
// wrong.
func TestAuditNamesADrift(t *testing.T) {
	t.Parallel()
	t.Run("a result", func(t *testing.T) {
		t.Parallel()
		w := auditWorld(t)
		var item string
		w.replaceResult(t, "items", func(b *event.Batch) {
			item = string(b.Column("item").Bytes(0))
			b.Column("n").Ints[0] += 5
		})
		_, all := w.audited(t, batch.AuditRequest{Days: 1, Seed: 3})
		if all.Drifted != 1 || all.Drifts[0].View != "items" || all.Drifts[0].Where != "results of all" || all.Drifts[0].Column != "n" || all.Drifts[0].Group[0] != item {
			t.Fatalf("%+v", all)
		}
		was, is := int64(0), int64(0)
		if _, err := fmt.Sscan(all.Drifts[0].Served, &was); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(all.Drifts[0].Recomputed, &is); err != nil || was-is != 5 {
			t.Errorf("%+v", all.Drifts[0])
		}
		if s := all.Drifts[0].String(); !strings.Contains(s, "items["+item+"].n: served") {
			t.Error(s)
		}
	})
	t.Run("a group that nobody had", func(t *testing.T) {
		t.Parallel()
		w := auditWorld(t)
		w.replaceResult(t, "items", func(b *event.Batch) { // its first group is served twice, its second not at all
			c := b.Column("item")
			c.Codes[1] = c.Codes[0]
		})
		_, all := w.audited(t, batch.AuditRequest{Days: 1, Seed: 3})
		missing, added := 0, 0
		for _, d := range all.Drifts {
			if d.Served == "" {
				missing++
			}
			if d.Recomputed == "" {
				added++
			}
		}
		if missing < 3 || added < 3 {
			t.Errorf("%+v", all)
		}
	})
	t.Run("a state", func(t *testing.T) {
		t.Parallel()
		w := auditWorld(t)
		day, other := twoDaysOfAMonth(t, w.newest(t))
		w.replaceState(t, "daily", day)
		_, all := w.audited(t, batch.AuditRequest{From: &day, To: &day})
		if all.Drifted == 0 {
			t.Fatal("nothing was found")
		}
		for _, d := range all.Drifts {
			if d.View != "daily" || d.Where != "states of "+dateOf(day) || d.Served != "" {
				t.Errorf("%+v", d) // the results were made before, and are right
			}
		}
		if _, all := w.audited(t, batch.AuditRequest{From: &other, To: &other}); all.Drifted == 0 || all.Drifts[0].Where != "results of "+monthOf(day) {
			t.Errorf("the month, with the day's states as they are: %+v", all)
		}
	})
	t.Run("a lost event", func(t *testing.T) {
		t.Parallel()
		w := auditWorld(t)
		var day int32 // one that has events, whatever the seed
		w.republish(t, func(next *archive.Manifest) {
			for i, f := range next.Days {
				next.Days[i].Days = slices.Clone(f.Days)
				for j, of := range f.Days {
					if of.Rows > 0 {
						day = of.Day
						next.Days[i].Days[j].Rows--
						return
					}
				}
			}
		})
		_, all := w.audited(t, batch.AuditRequest{From: &day, To: &day})
		if where := "events of " + dateOf(day); all.Drifted != 1 || all.Drifts[0].Where != where {
			t.Errorf("%+v", all)
		}
	})
}

// twoDaysOfAMonth returns two days that the view of days has states of. Which
// days have events is the seed's.
func twoDaysOfAMonth(t *testing.T, m *archive.Manifest) (day, other int32) {
	t.Helper()
	days := slices.Sorted(maps.Keys(m.Views["daily"].Live))
	for i := 1; i < len(days); i++ {
		if day, other = days[i-1], days[i]; monthOf(day) == monthOf(other) {
			return day, other
		}
	}
	t.Fatalf("no two of the days %v are of one month", days)
	return 0, 0
}

func dateOf(day int32) string { return time.Unix(int64(day)*86400, 0).UTC().Format(time.DateOnly) }

func monthOf(day int32) string { return dateOf(day)[:len("2011-01")] }

// replaceResult publishes a version in which the first rows of a view are
// others.
func (w *world) replaceResult(t *testing.T, view string, change func(b *event.Batch)) {
	t.Helper()
	w.republish(t, func(next *archive.Manifest) {
		files := next.Views[view]
		at := 0
		for i, f := range files.Results {
			if f.Rows > files.Results[at].Rows {
				at = i
			}
		}
		f := files.Results[at]
		var rows *event.Batch
		if err := w.archive.ReadResult(t.Context(), f, nil, func(b *event.Batch) error { rows = b; return nil }); err != nil {
			t.Fatal(err)
		}
		change(rows)
		wrong, err := w.archive.WriteResult(t.Context(), view, files.Version, f.Period, f.Shard, "planted", rows)
		if err != nil {
			t.Fatal(err)
		}
		files.Results[at] = wrong
	})
}

// replaceState publishes a version in which the states of a day lack a group.
func (w *world) replaceState(t *testing.T, view string, day int32) {
	t.Helper()
	w.republish(t, func(next *archive.Manifest) {
		files := next.Views[view]
		i := slices.IndexFunc(files.States, func(f archive.StateFile) bool { return f.Name == files.Live[day] })
		out := w.archive.NewStates(view, files.Version, "planted")
		defer out.Abandon()
		err := w.archive.ReadStates(t.Context(), files.States[i], map[int32]bool{day: true}, func(d int32, b *event.Batch) error {
			rows := make([]uint32, b.N-1)
			for r := range rows {
				rows[r] = uint32(r + 1)
			}
			return out.Write(d, b.Gather(rows))
		})
		if err != nil {
			t.Fatal(err)
		}
		wrong, err := out.Close(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		files.States = append(files.States, wrong)
		files.Live[day] = wrong.Name
	})
}

// TestAuditTakesTheFiltersOfThen: what was counted under an older definition is
// judged by it.
func TestAuditTakesTheFiltersOfThen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	rnd := seeded(t)
	then := map[string][]view.NamedPredicate{"d1": w.filters, "d2": nil}
	define := func(name string) func(*batch.Options) {
		return func(o *batch.Options) {
			o.Definition, o.Filters = name, then[name]
			o.FiltersThen = func(_ context.Context, d string) ([]view.NamedPredicate, error) { return then[d], nil }
		}
	}
	for night, name := range []string{"d1", "d1", "d2", "d1", "d2"} {
		w.history(t, rnd, 12, 200, 15000, 9)
		mustRun(t, w.runner(t, w.bucket, define(name)), nightly(fmt.Sprint("night-", night), w.begin(t)))
	}
	if plan, all := w.audited(t, batch.AuditRequest{}, define("d2")); all.Drifted != 0 || all.Counted != plan.Rows {
		t.Errorf("%+v", all)
	}
	if _, all := w.audited(t, batch.AuditRequest{}); all.Drifted == 0 {
		t.Error("the filters of now give the same")
	}
}
