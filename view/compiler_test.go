package view

import (
	"strings"
	"testing"

	"anabranch/event"
)

// TestOneTextLeavesNothingForTheNext compiles texts of several shapes and
// schemas, good and bad, with one Compiler: each as with one of its own.
func TestOneTextLeavesNothingForTheNext(t *testing.T) {
	t.Parallel()
	a := event.NewShape(event.Field{Name: "k", Type: event.Type{Kind: event.String}}, event.Field{Name: "x", Type: event.Type{Kind: event.Int64}})
	b := event.NewShape(event.Field{Name: "k", Type: event.Type{Kind: event.String}}, event.Field{Name: "y", Type: event.Type{Kind: event.Float64}})
	c, err := NewCompiler(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, text := range []string{
		"SELECT k, sum(x) AS s FROM events GROUP BY ALL",
		"SELECT k, sum(x) AS s FROM shop.events GROUP BY ALL",
		"SELECT k, sum(y) AS s FROM shop.events GROUP BY ALL",
		"SELECT k, sum(nothing) AS s FROM shop.events GROUP BY ALL",
		"SELECT k, sum(y) FILTER (WHERE k IN (SELECT k FROM shop.events)) AS s FROM events GROUP BY ALL",
		"SELECT k, sum(y) AS s FROM pg_catalog.events GROUP BY ALL",
		"SELECT k FROM",
	} {
		for _, shape := range []*event.Shape{a, b, a} {
			src := Source{Name: "v", SQL: text}
			got, gotErr := c.View(t.Context(), src, shape, "")
			want, wantErr := Compile(t.Context(), src, shape, "")
			switch {
			case (gotErr == nil) != (wantErr == nil) || gotErr != nil && gotErr.Error() != wantErr.Error():
				t.Errorf("%s over %v: %v, alone: %v", text, shape.Names(), gotErr, wantErr)
			case gotErr == nil && (got.Version() != want.Version() || got.Output().Fields[1] != want.Output().Fields[1]):
				t.Errorf("%s over %v: another view than alone", text, shape.Names())
			}
		}
		_, gotErr := c.Predicate(t.Context(), Source{Name: "p", SQL: "y > 1"}, a)
		if gotErr == nil || !strings.Contains(gotErr.Error(), "y") {
			t.Errorf("a rule behind %s: %v", text, gotErr)
		}
	}
}

// BenchmarkCompile measures a text of a definition.
func BenchmarkCompile(b *testing.B) {
	c, err := NewCompiler(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for b.Loop() {
		if _, err := c.View(b.Context(), Source{Name: "day", SQL: retailViews[0].sql}, retailShape, "InvoiceDate"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCompileAlone measures the same with a Compiler for it alone.
func BenchmarkCompileAlone(b *testing.B) {
	for b.Loop() {
		if _, err := Compile(b.Context(), Source{Name: "day", SQL: retailViews[0].sql}, retailShape, "InvoiceDate"); err != nil {
			b.Fatal(err)
		}
	}
}
