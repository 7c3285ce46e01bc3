package batch_test

import (
	"maps"
	"strings"
	"testing"

	"anabranch/batch"
	"anabranch/view"
)

// TestAViewThatCannotBeFinishedStopsNoOther folds an event for which one view
// has no result: the batch publishes, that view says why it has no answer, the
// others go on, and it answers again once it is changed.
func TestAViewThatCannotBeFinishedStopsNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	compile := func(sql string) *view.View {
		v, err := view.Compile(t.Context(), view.Source{Name: "shares", SQL: sql}, w.set.Newest().Shape(), "ts")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	with := func(v *view.View) func(*batch.Options) {
		return func(o *batch.Options) { o.Views = append([]*view.View{v}, w.views...) }
	}
	shares := compile("SELECT item, sum(CAST(amount * 10000000 AS INTEGER)) AS share FROM events GROUP BY ALL")
	w.append(t, 0, 2, sale{id: 1, item: 1, ts: dayMicros, amount: 5, pieces: 1})
	mustRun(t, w.runner(t, w.bucket, with(shares)), nightly("good", w.begin(t)))
	if m := w.newest(t); m.Views["shares"].Unfinished() != "" {
		t.Fatalf("unfinished: %s", m.Views["shares"].Unfinished())
	}
	w.append(t, 1, 2, sale{id: 2, item: 2, ts: 2 * dayMicros, amount: 99_999, pieces: 1}) // does not fit
	for _, name := range []string{"bad", "still-bad"} {
		mustRun(t, w.runner(t, w.bucket, with(shares)), nightly(name, w.begin(t)))
		m := w.newest(t)
		if why := m.Views["shares"].Unfinished(); !strings.Contains(why, "view shares") || !strings.Contains(why, `item = "item 2"`) {
			t.Fatalf("unfinished: %q", why)
		}
		others := *m // which are whole
		others.Views = maps.Clone(m.Views)
		delete(others.Views, "shares")
		w.check(t, &others)
	}
	mustRun(t, w.runner(t, w.bucket, with(compile("SELECT item, sum(CAST(amount AS INTEGER)) AS share FROM events GROUP BY ALL"))), nightly("changed", w.begin(t)))
	if m := w.newest(t); m.Views["shares"].Unfinished() != "" {
		t.Fatalf("changed, and unfinished: %s", m.Views["shares"].Unfinished())
	}
}
