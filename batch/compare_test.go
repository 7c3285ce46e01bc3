package batch_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"anabranch/batch"
	"anabranch/event"
	"anabranch/schemas"
)

// groups splits rows of the truth into group and cells.
func groups(rows []string, keys int) map[string]string {
	out := map[string]string{}
	for _, row := range rows {
		cells := strings.Split(row, "|")
		out[strings.Join(cells[:keys], "|")] = strings.Join(cells[keys:], "|")
	}
	return out
}

// planned takes every step of a run but the last two.
func planned(t *testing.T, r *batch.Runner, q batch.Request) batch.PlanRef {
	t.Helper()
	plan, err := r.Plan(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	finishSteps(t, r, plan)
	return plan
}

func TestCompareCountsWhatTheTruthSays(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 30, 60, 10, 60)
	r := w.runner(t, w.bucket)
	mustRun(t, r, nightly("one", w.begin(t)))
	before := w.truth(w.newest(t).Cut)
	w.history(t, rnd, 12, 90, 10, 60)
	plan := planned(t, r, nightly("two", w.begin(t)))
	c, err := r.Compare(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.runner(t, w.bucket).Compare(t.Context(), plan)
	if err != nil || fmt.Sprint(again) != fmt.Sprint(c) {
		t.Errorf("a second comparison: %v\n%+v\n%+v", err, c, again)
	}
	after := w.truth(plan.Cut)
	for _, v := range c.Views {
		keys := map[string]int{"daily": 2, "items": 1}[v.View]
		old, is := groups(before.views[v.View], keys), groups(after.views[v.View], keys)
		var same, added, changed int64
		for key, cells := range is {
			switch was, ok := old[key]; {
			case !ok:
				added++
			case was == cells:
				same++
			default:
				changed++
			}
		}
		if v.Same != same || v.Added != added || v.Changed != changed || v.Removed != 0 || added+changed == 0 {
			t.Errorf("%s: same %d added %d changed %d removed %d, want %d %d %d 0", v.View, v.Same, v.Added, v.Changed, v.Removed, same, added, changed)
		}
		n := v.Totals[0]
		if n.Column != "n" || n.Old != fmt.Sprint(before.counted) || n.New != fmt.Sprint(after.counted) {
			t.Errorf("%s: total %+v, want %d and %d", v.View, n, before.counted, after.counted)
		}
		if rows := w.comparison(t, v.Object); int64(len(rows)) < v.Added+v.Changed {
			t.Errorf("%s: %d cells in %s, %d groups differ", v.View, len(rows), v.Object, v.Added+v.Changed)
		}
		if len(v.Largest) == 0 || v.Largest[0].Old == v.Largest[0].New {
			t.Errorf("%s: largest %+v", v.View, v.Largest)
		}
	}
	if c.Beyond(1) != "" || c.Beyond(0) == "" || c.Equal() {
		t.Errorf("beyond everything %q, beyond nothing %q", c.Beyond(1), c.Beyond(0))
	}
	if md := c.Markdown(); !strings.Contains(md, "| daily |") || !strings.Contains(md, "All differing cells") {
		t.Error(md)
	}
	if _, err := r.Publish(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	back, err := r.CompareVersions(t.Context(), 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range back.Views { // and the other way round
		if w := c.Views[i]; v.Removed != w.Added || v.Changed != w.Changed || v.Same != w.Same || v.Digest == w.Digest {
			t.Errorf("%s: back %+v, there %+v", v.View, v, w)
		}
	}
}

// A backfill that changes nothing is seen to change nothing, though its files
// are new; a wrong definition is seen, and an approval of one difference holds
// for the same difference only.
func TestCompareOfBackfills(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 30, 60, 10, 60)
	r := w.runner(t, w.bucket)
	mustRun(t, r, nightly("one", w.begin(t)))
	c, err := r.Compare(t.Context(), planned(t, r, backfill("same")))
	if err != nil || !c.Equal() || c.Beyond(0) != "" || !strings.Contains(c.Markdown(), "Every cell is equal") {
		t.Fatalf("%v %+v", err, c)
	}
	views := slices.Clone(w.views)
	views[1] = w.other
	other := w.runner(t, w.bucket, func(o *batch.Options) { o.Views = views })
	var digests []string
	for _, id := range []string{"wrong", "wrong-again"} {
		c, err := other.Compare(t.Context(), planned(t, other, backfill(id)))
		if err != nil {
			t.Fatal(err)
		}
		v := c.Views[2]
		if v.View != "items" || v.OldVersion == v.NewVersion || v.Changed == 0 || v.Added+v.Removed != 0 || !strings.Contains(c.Markdown(), "changed definition") {
			t.Errorf("%+v", v)
		}
		for _, d := range v.Largest {
			if d.Column != "latest" || d.Old <= d.New {
				t.Errorf("earliest instead of latest: %+v", d)
			}
		}
		digests = append(digests, c.Digest)
	}
	if digests[0] != digests[1] {
		t.Errorf("one difference has the digests %v", digests)
	}
}

// comparison reads the cells of a comparison.
func (w *world) comparison(t *testing.T, object string) (rows []string) {
	t.Helper()
	data := w.object(t, object)
	f, err := schemas.OpenParquet(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	err = f.Read(t.Context(), nil, nil, func(b *event.Batch) error {
		rows = append(rows, text(b)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
