package sql_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/sql"
	"anabranch/view"
)

// exactly returns the rows of a query as they come, and its receipt.
func (b *bench) exactly(r sql.Request) (string, serving.Receipt, error) {
	b.Helper()
	a, err := b.engine.Query(b.Context(), r)
	if err != nil {
		return "", serving.Receipt{}, err
	}
	defer a.Close()
	var out strings.Builder
	for {
		row, err := a.Next()
		if err != nil {
			b.Fatal(err)
		}
		if row == nil {
			return out.String(), a.Receipt, nil
		}
		fmt.Fprintln(&out, row...)
	}
}

// The answers of many moments come again, byte for byte, after the pipeline has
// gone on, versions were published and the cuts of then are dropped; and an
// error that names the oldest there is once a version is gone.
func TestAsOfReceipt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(9, 1))
	type folded struct {
		at uint64
		e  *event.Batch
	}
	var log []folded
	replays := 0
	b.sources[0].Past = func(_ context.Context, m *archive.Manifest, at event.Cut, views []*view.View) (*view.Delta, error) {
		replays++
		d := &view.Delta{States: map[string]*view.State{}, At: at.Clone(), Since: m.K}
		for _, v := range views {
			d.States[v.Name()] = v.New()
			for _, f := range slices.Backward(log) { // in another order than then
				if f.at >= m.Cut[0] && f.at < at[0] {
					if err := d.States[v.Name()].Fold(f.e, nil); err != nil {
						return nil, err
					}
				}
			}
		}
		return d, nil
	}
	const query = "SELECT * FROM shops.by_shop"
	type answer struct {
		rows    string
		receipt serving.Receipt
	}
	var answers []answer
	var below []*event.Batch
	for k := uint64(1); k <= 3; k++ {
		for i := range uint64(4) {
			e := b.events(r, 1+r.IntN(30))
			log = append(log, folded{k*10 + i, e})
			b.fold(k*10+i+1, e)
			rows, receipt, err := b.exactly(sql.Request{SQL: query})
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, answer{rows, receipt})
		}
		// All of that becomes the past of version k.
		for _, f := range log[len(log)-4:] {
			below = append(below, f.e)
		}
		b.publishAt(k, (k+1)*10, below...)
		b.speed.mu.Lock()
		b.speed.at = event.Cut{(k + 1) * 10}
		for _, v := range b.views {
			b.speed.states[v.Name()] = v.New()
		}
		b.speed.mu.Unlock()
	}
	for range 5 { // so that the cuts of then are dropped
		b.fold(b.speed.at[0]+1, b.events(r, 3))
		b.ask("SELECT * FROM shops.by_hour")
	}
	for i, a := range answers {
		text, err := json.Marshal(a.receipt)
		if err != nil {
			t.Fatal(err)
		}
		clause := " as of  receipt '" + strings.ReplaceAll(string(text), "'", "''") + "' ; "
		for _, ask := range []sql.Request{{SQL: query, AsOf: &a.receipt}, {SQL: query + clause}} {
			rows, receipt, err := b.exactly(ask)
			if err != nil {
				t.Fatalf("answer %d: %v", i, err)
			}
			again, _ := json.Marshal(receipt)
			if rows != a.rows || string(again) != string(text) {
				t.Errorf("answer %d: now\n%s%s\nthen\n%s%s", i, rows, again, a.rows, text)
			}
		}
	}
	if replays < len(answers) || replays > len(answers)+2 {
		t.Errorf("%d replays for %d receipts", replays, len(answers))
	}

	// What a receipt cannot be.
	last := answers[len(answers)-1].receipt
	forged := func(change func(*serving.PipelineReceipt)) *serving.Receipt {
		p := last.Pipelines["shops"]
		change(&p)
		return &serving.Receipt{AsOf: last.AsOf, Pipelines: map[string]serving.PipelineReceipt{"shops": p}}
	}
	for name, c := range map[string]struct {
		asOf *serving.Receipt
		kind fault.Kind
		code string
	}{
		"another history":     {forged(func(p *serving.PipelineReceipt) { p.ManifestHash = "x" }), fault.Invalid, "receipt_invalid"},
		"below the cut":       {forged(func(p *serving.PipelineReceipt) { p.At = event.Cut{1} }), fault.Invalid, "receipt_invalid"},
		"other partitions":    {forged(func(p *serving.PipelineReceipt) { p.At = event.Cut{1, 2} }), fault.Invalid, "receipt_invalid"},
		"other rows":          {forged(func(p *serving.PipelineReceipt) { p.RowsSpeed++ }), fault.Corrupt, ""},
		"other filter rules":  {forged(func(p *serving.PipelineReceipt) { p.Rules = "x" }), fault.NotFound, "receipt_gone"},
		"a version of a view": {forged(func(p *serving.PipelineReceipt) { p.Views = map[string]string{"by_shop": "x"} }), fault.NotFound, "receipt_gone"},
		"another pipeline":    {&serving.Receipt{Pipelines: map[string]serving.PipelineReceipt{"other": {}}}, fault.Invalid, "receipt_invalid"},
		"no such version":     {forged(func(p *serving.PipelineReceipt) { p.Manifest = 99 }), fault.NotFound, "receipt_gone"},
	} {
		if rows, _, err := b.exactly(sql.Request{SQL: query, AsOf: c.asOf}); !fault.Is(err, c.kind) || fault.CodeOf(err) != c.code {
			t.Errorf("%s: %q, %v (%s)", name, rows, err, fault.CodeOf(err))
		}
	}
	receipt, err := json.Marshal(last)
	if err != nil {
		t.Fatal(err)
	}
	then, _, err := b.exactly(sql.Request{SQL: query, AsOf: &last})
	if err != nil {
		t.Fatal(err)
	}
	for _, clause := range []string{" AS OF RECEIPT '%s'", "\nas of -- what was told\n receipt /* ; */ '%s' -- then\n; ;", " AS OF RECEIPT $$%s$$"} {
		if rows, _, err := b.exactly(sql.Request{SQL: query + fmt.Sprintf(clause, receipt)}); err != nil || rows != then {
			t.Errorf("%s: %q, %v, want %q", clause, rows, err, then)
		}
	}
	if rows, _, err := b.exactly(sql.Request{SQL: "SELECT ' AS OF RECEIPT ''x''' AS x"}); err != nil {
		t.Errorf("a text with the clause: %q, %v", rows, err)
	}
	if _, _, err := b.exactly(sql.Request{SQL: query + " AS OF RECEIPT 'yesterday'"}); fault.CodeOf(err) != "receipt_invalid" || !strings.Contains(err.Error(), "column 44") {
		t.Errorf("no receipt: %v", err)
	}
	if _, _, err := b.exactly(sql.Request{SQL: query, AsOf: forged(func(p *serving.PipelineReceipt) { p.Manifest = 99 })}); err == nil || !strings.Contains(err.Error(), "the oldest version that shops still has is 1, of ") {
		t.Errorf("what there is: %v", err)
	}

	// Of another pipeline an answer cannot be told to cover anything.
	for _, query := range []string{query, "SELECT 1"} {
		fresh := serving.Fresh{AtLeast: map[string]event.Cut{"shop": {1}}}
		_, err := b.engine.Query(t.Context(), sql.Request{SQL: query, Fresh: fresh})
		if !fault.Is(err, fault.Invalid) || fault.CodeOf(err) != "receipt_invalid" || !strings.Contains(err.Error(), `there is no pipeline "shop": did you mean "shops"?`) {
			t.Errorf("at least a receipt of another pipeline: %v (%s)", err, fault.CodeOf(err))
		}
	}

	// The files of a version go.
	m, err := b.archive.Manifest(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range m.Views["by_hour"].Results {
		if err := b.bucket.Delete(t.Context(), f.Name); err != nil {
			t.Fatal(err)
		}
	}
	b.sources[0].Batch = archive.Open(b.bucket, "shops", b.set, archive.Options{Partitions: 1, CacheDir: filepath.Join(b.cache, "again")}) // nothing is cached
	of1 := answers[5].receipt
	p := of1.Pipelines["shops"]
	p.Views = nil
	if rows, _, err := b.exactly(sql.Request{SQL: "SELECT * FROM shops.by_hour", AsOf: &serving.Receipt{Pipelines: map[string]serving.PipelineReceipt{"shops": p}}}); !fault.Is(err, fault.NotFound) || fault.CodeOf(err) != "receipt_gone" {
		t.Errorf("its files are gone: %q, %v", rows, err)
	}
}
