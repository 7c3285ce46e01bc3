package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestMain is a side of a comparison when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "side" {
		if err := Side(context.Background(), os.Args[2], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestPayments(t *testing.T) {
	t.Parallel()
	const n = 20_000
	p, other := NewPayments(7, n, 0), NewPayments(7, n/2, 0)
	ids, copies, late := map[string]string{}, 0, 0
	for i := range n {
		line := string(p.AppendJSON(nil, i))
		if again := string(other.AppendJSON(nil, i)); again != line {
			t.Fatalf("event %d is %s and %s", i, line, again)
		}
		var e struct {
			ID string `json:"event_id"`
			TS string `json:"ts"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || len(e.ID) != 26 || len(line) < 180 || len(line) > 220 {
			t.Fatalf("event %d: %v: %s", i, err, line)
		}
		switch first, known := ids[e.ID]; {
		case known && first != line:
			t.Fatalf("id %s has two events:\n%s%s", e.ID, first, line)
		case known:
			copies++
		case e.TS < "2026-01-05":
			late++
		}
		ids[e.ID] = line
	}
	if copies < n/60 || copies > n/40 || late < n/150 || late > n/70 {
		t.Errorf("of %d events %d are copies and %d late", n, copies, late)
	}
}

// TestSuites measures every row once on few events: both sides answer, and the
// same.
func TestSuites(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Dir: t.TempDir(), Events: 20_000, Seed: 3, Rounds: 1, Example: "../../../examples/retail", Self: []string{self, "side"},
		Only: []string{"batch-sketches", "growth-query", "growth-publish", "decode-json"}, Commit: "test", Say: t.Logf,
	}
	out := t.TempDir()
	for _, s := range []string{"batch", "growth", "decode"} {
		r, err := Run(t.Context(), s, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Write(out); err != nil {
			t.Fatal(err)
		}
	}
	results, err := ReadResults(out)
	if err != nil || len(results) != 3 {
		t.Fatal(results, err)
	}
	w := results[0].Rows[0]
	if w.Ours.Median <= 0 || w.Peer == nil || w.Peer.Median <= 0 || !strings.HasPrefix(w.Answers, "profile: ") {
		t.Errorf("batch: %+v", w)
	}
	for _, column := range []string{"cards", "p50", "p99"} {
		ours, peer := w.Figures["% error of "+column+", ours"], w.Figures["% error of "+column+", peer"]
		if ours > 2 {
			t.Errorf("%s is off by %v %%, the peer's by %v", column, ours, peer)
		}
	}
	for _, w := range results[1].Rows {
		if w.Ours.Median <= 0 || w.Peer == nil || w.Peer.Median <= 0 {
			t.Errorf("growth: %+v", w)
		}
	}
	if w := results[2].Rows[0]; w.Missed == "" {
		t.Errorf("a row without its peer: %+v", w)
	}
	page, err := Page("before "+pageBegin+" old "+pageEnd+" behind", results)
	if err != nil || !strings.HasPrefix(page, "before ") || !strings.HasSuffix(page, " behind") || strings.Contains(page, " old ") || !strings.Contains(page, "approximate distinct") {
		t.Errorf("the page: %v\n%s", err, page)
	}
	if _, err := Page("nothing", results); err == nil {
		t.Error("a page without a place was made")
	}
}

// TestAnswersThatDiffer has a side answer wrongly.
func TestAnswersThatDiffer(t *testing.T) {
	t.Parallel()
	o := Options{Dir: t.TempDir(), Events: 2000, Seed: 1}
	d, err := Prepare(t.Context(), o.Dir, Data{Kind: "payments", Seed: 1, Events: 2000}, "", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	task := Task{Dir: o.Dir, Data: Data{Kind: "payments", Seed: 1, Events: 2000}, Views: []string{"volume"}, Own: t.TempDir(), Cores: 1}
	j, err := newFoldJob(t.Context(), &task)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	for _, wrong := range []bool{false, true} {
		n, err := j.run(t.Context())
		if err != nil || n != d.Counted {
			t.Fatal(n, d.Counted, err)
		}
		if wrong {
			total := j.(*foldJob).rows[0][0].Column("total")
			total.Wide[0].Lo++
		}
		path := t.TempDir() + "/answer.parquet"
		if err := j.answer(t.Context(), []string{path}); err != nil {
			t.Fatal(err)
		}
		c, err := newChecker(t.Context(), task)
		if err != nil {
			t.Fatal(err)
		}
		c.answers = [][]string{{path}}
		if err := compareViews(c); (err != nil) != wrong {
			t.Errorf("an answer that is wrong (%t): %v", wrong, err)
		}
		c.close()
	}
}

func TestSideRefuses(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, task := range []string{"", `{"Job": "nothing"}`} {
		if err := Side(t.Context(), task, strings.NewReader("run\n"), &out); err == nil {
			t.Errorf("task %q was taken", task)
		}
	}
}

func TestRegressions(t *testing.T) {
	t.Parallel()
	result := func(values ...Row) []*Result { return []*Result{{Suite: "batch", Rows: values}} }
	ratio := func(low, median, high float64) Row {
		return Row{Name: "a", Value: Spread{median, low, high}, Peer: &Spread{}}
	}
	for name, c := range map[string]struct {
		before, now Row
		worse       int
	}{
		"better":               {ratio(1, 1.1, 1.2), ratio(2, 2.1, 2.2), 0},
		"worse":                {ratio(2, 2.1, 2.2), ratio(1, 1.1, 1.2), 1},
		"within the rounds":    {ratio(2, 2.1, 2.2), ratio(1.5, 1.9, 2.05), 0},
		"within what is noise": {ratio(2.09, 2.1, 2.11), ratio(2.06, 2.07, 2.08), 0},
		"smaller is better":    {Row{Name: "a", Less: true, Value: Spread{10, 9, 11}}, Row{Name: "a", Less: true, Value: Spread{20, 19, 21}}, 1},
		"another amount":       {Row{Name: "a", Data: "1", Value: Spread{10, 9, 11}}, Row{Name: "a", Data: "2", Value: Spread{1, 1, 1}}, 0},
		"no longer measured":   {ratio(1, 1.1, 1.2), Row{Name: "a", Missed: "no peer"}, 1},
	} {
		if worse, notes := Regressions(result(c.before), result(c.now)); len(worse) != c.worse {
			t.Errorf("%s: worse %q, notes %q", name, worse, notes)
		}
	}
	if s := spreadOf([]float64{5, 1, 2, 4, 3}); s != (Spread{3, 2, 4}) {
		t.Errorf("the spread of five is %v", s)
	}
}
