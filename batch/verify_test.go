package batch_test

import (
	"encoding/json"
	"testing"

	"anabranch/batch"
	"anabranch/fault"
	"anabranch/view"
)

// A run whose notes do not add up is not verified: Verify finds each of the
// ways to lose or double something.
func TestVerifyFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	base, k := crashWorld(t)
	planned := base.runner(t, base.bucket)
	plan, err := planned.Plan(t.Context(), nightly("run", k))
	if err != nil {
		t.Fatal(err)
	}
	finishSteps(t, planned, plan)
	list := func(v any, i int) map[string]any { return v.([]any)[i].(map[string]any) }
	for name, c := range map[string]struct {
		note   string
		tamper func(note map[string]any)
	}{
		"an event that is not counted": {"compact/p0000.json", func(n map[string]any) { n["Counted"] = n["Counted"].(float64) - 1 }},
		"a duplicate too many":         {"compact/p0000.json", func(n map[string]any) { n["Duplicates"] = n["Duplicates"].(float64) + 1 }},
		"a row that was not read":      {"compact/p0001.json", func(n map[string]any) { n["Rows"] = n["Rows"].(float64) - 1 }},
		"a lost day file":              {"compact/p0000.json", func(n map[string]any) { n["Days"] = n["Days"].([]any)[1:] }},
		"a lost id run":                {"compact/p0000.json", func(n map[string]any) { n["Runs"] = n["Runs"].([]any)[1:] }},
		"a day folded with too few": {"gather.json", func(n map[string]any) {
			for day, rows := range n["Rows"].(map[string]any) {
				n["Rows"].(map[string]any)[day] = rows.(float64) - 1
				return
			}
		}},
		"a day without a state": {"gather.json", func(n map[string]any) {
			live := n["Views"].(map[string]any)["daily"].(map[string]any)["live"].(map[string]any)
			for day := range live {
				delete(live, day)
				return
			}
		}},
		"a state file that is not mentioned": {"gather.json", func(n map[string]any) {
			files := n["Views"].(map[string]any)["items"].(map[string]any)
			files["states"] = files["states"].([]any)[1:]
		}},
		"a result that is not there": {"finish/u000000.json", func(n map[string]any) { n["Units"] = n["Units"].([]any)[1:] }},
		"a result with a row too few": {"finish/u000000.json", func(n map[string]any) {
			f := list(list(n["Units"], 0)["Files"], 0)
			f["rows"] = f["rows"].(float64) - 1
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copied(t)
			text, err := w.archive.GetWork(t.Context(), plan.Run, c.note)
			if err != nil {
				t.Fatal(err)
			}
			note := map[string]any{}
			if err := json.Unmarshal(text, &note); err != nil {
				t.Fatal(err)
			}
			c.tamper(note)
			if text, err = json.Marshal(note); err != nil {
				t.Fatal(err)
			}
			if err := w.archive.PutWork(t.Context(), plan.Run, c.note, text); err != nil {
				t.Fatal(err)
			}
			r := w.runner(t, w.bucket)
			if report, err := r.Verify(t.Context(), plan); !fault.Is(err, fault.Bug) {
				t.Errorf("verified: %+v, %v", report, err)
			}
			if _, err := batch.Run(t.Context(), r, nightly("run", k)); !fault.Is(err, fault.Bug) {
				t.Errorf("the run: %v", err)
			}
			if m := w.newest(t); m.Version != 1 {
				t.Errorf("manifest %d was published", m.Version)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	for name, change := range map[string]func(*batch.Options){
		"no pipeline":     func(o *batch.Options) { o.Pipeline = "" },
		"no log":          func(o *batch.Options) { o.Log = nil },
		"no archive":      func(o *batch.Options) { o.Archive = nil },
		"no letters":      func(o *batch.Options) { o.Letters = nil },
		"no schemas":      func(o *batch.Options) { o.Schemas = nil },
		"an unknown time": func(o *batch.Options) { o.TimeField = "when" },
		"a text as time":  func(o *batch.Options) { o.TimeField = "item" },
		"minus rows":      func(o *batch.Options) { o.FoldRows = -1 },
		"a view twice":    func(o *batch.Options) { o.Views = append(o.Views, w.other) },
		"a nameless rule": func(o *batch.Options) { o.Filters = []view.NamedPredicate{{Predicate: o.Filters[0].Predicate}} },
	} {
		o := batch.Options{Pipeline: pipeline, Schemas: w.set, Views: w.views, Filters: w.filters, Log: w.log, Archive: w.archive, Letters: w.letters, TimeField: "ts"}
		if _, err := batch.New(o); err != nil {
			t.Fatal(err)
		}
		change(&o)
		if _, err := batch.New(o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := w.runner(t, w.bucket)
	day := func(d int32) *int32 { return &d }
	for name, q := range map[string]batch.Request{
		"no kind":                     {RunID: "x"},
		"a nightly without a barrier": {Kind: batch.Nightly, RunID: "x"},
		"a nightly of one view":       {Kind: batch.Nightly, RunID: "x", K: 1, View: "daily"},
		"a backfill with a barrier":   {Kind: batch.Backfill, RunID: "x", K: 1},
		"a backfill backwards":        {Kind: batch.Backfill, RunID: "x", From: day(2), To: day(1)},
		"no run id":                   {Kind: batch.Backfill},
		"a run id with a slash":       {Kind: batch.Backfill, RunID: "x/y"},
		"a run id with a space":       {Kind: batch.Backfill, RunID: "x y"},
	} {
		if _, err := r.Plan(t.Context(), q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
