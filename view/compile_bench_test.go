package view

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
)

// BenchmarkEval measures WHERE, keys and arguments of the retail view by day,
// without the group table.
func BenchmarkEval(b *testing.B) {
	v, err := Compile(context.Background(), Source{Name: "day", SQL: retailViews[0].sql}, retailShape, "InvoiceDate")
	if err != nil {
		b.Fatal(err)
	}
	rows := retailRows(rand.New(rand.NewPCG(1, 1)), 4096)
	eval := v.program.newEval()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := eval(rows, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows.N), "ns/row")
}

// TestEvalAllocatesNothing holds for the keys and arguments of whole views
// once their scratch has grown.
func TestEvalAllocatesNothing(t *testing.T) {
	rows := retailRows(rand.New(rand.NewPCG(1, 1)), 1000)
	for _, view := range retailViews[:7] {
		v, err := Compile(context.Background(), Source{Name: "v", SQL: view.sql}, retailShape, "InvoiceDate")
		if err != nil {
			t.Fatal(err)
		}
		eval := v.program.newEval()
		if n := testing.AllocsPerRun(10, func() { eval(rows, nil) }); n > 8 {
			t.Errorf("%s: %v allocations for a batch", view.sql, n)
		}
	}
}

// TestViewsAndPredicatesAreShared folds and asks in several goroutines at once.
func TestViewsAndPredicatesAreShared(t *testing.T) {
	t.Parallel()
	rows := retailRows(rand.New(rand.NewPCG(2, 1)), 500)
	v, err := Compile(context.Background(), Source{Name: "v", SQL: retailViews[5].sql}, retailShape, "InvoiceDate")
	if err != nil {
		t.Fatal(err)
	}
	p, err := CompilePredicate(context.Background(), Source{Name: "p", SQL: "starts_with(InvoiceNo, 'A') OR CustomerID IS NULL"}, retailShape)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s := v.New()
			out := make([]bool, rows.N)
			for range 5 {
				if err := s.Fold(rows, nil); err != nil {
					t.Error(err)
				}
				if err := p.Eval(rows, out); err != nil {
					t.Error(err)
				}
			}
			if _, err := s.Result(); err != nil {
				t.Error(err)
			}
			invoices, customers := rows.Column("InvoiceNo"), rows.Column("CustomerID")
			for i, got := range out {
				if want := invoices.Bytes(i)[0] == 'A' || !customers.Valid.Get(i); got != want {
					t.Errorf("row %d: %v", i, got)
				}
			}
		})
	}
	wg.Wait()
}
