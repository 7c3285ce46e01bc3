package view

import (
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"anabranch/event"

	_ "github.com/duckdb/duckdb-go/v2"
)

// TestAvgRoundsAsDuckDB compares averages with DuckDB's to the last bit.
func TestAvgRoundsAsDuckDB(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("duckdb", "")
	check(t, err)
	t.Cleanup(func() { _ = db.Close() })
	r := rand.New(rand.NewPCG(11, 12))
	const groups = 200
	for _, typ := range []event.Type{
		{Kind: event.Int32}, {Kind: event.Int64}, {Kind: event.Huge},
		{Kind: event.Decimal, Precision: 4, Scale: 2}, {Kind: event.Decimal, Precision: 9, Scale: 3}, {Kind: event.Decimal, Precision: 18, Scale: 6},
		{Kind: event.Decimal, Precision: 25, Scale: 10}, {Kind: event.Decimal, Precision: 38, Scale: 37},
	} {
		low, high := limits128(typ)
		if typ.Storage() == event.InInts {
			l, h := limits64(typ)
			low, high = event.Int128Of(l), event.Int128Of(h)
		}
		v := testView([]event.Type{{Kind: event.Int64}}, []event.Type{typ},
			[]aggregate{{fn: aggAvg, by: -1, filter: -1, in: typ, out: event.Type{Kind: event.Float64}}})
		b := &event.Batch{Shape: event.NewShape(event.Field{Name: "g", Type: event.Type{Kind: event.Int64}}, event.Field{Name: "v", Type: typ}),
			Columns: []event.Column{{Type: event.Type{Kind: event.Int64}}, {Type: typ}}}
		var rows []string
		for g := range groups {
			for range 1 + r.IntN(12) {
				n := event.MulInt64(int64(r.Uint64())>>r.IntN(64), int64(r.Uint64())>>(20+r.IntN(44)))
				if n.Compare(low) < 0 || n.Compare(high) > 0 || r.IntN(2) == 0 {
					n = event.Int128Of(r.Int64N(19999) - 9999)
				}
				b.Columns[0].Ints = append(b.Columns[0].Ints, int64(g))
				if typ.Storage() == event.InInts {
					b.Columns[1].Ints = append(b.Columns[1].Ints, n.Int64())
				} else {
					b.Columns[1].Wide = append(b.Columns[1].Wide, n)
				}
				rows = append(rows, fmt.Sprintf("(%d, '%s'::%s)", g, n.FormatDecimal(int(typ.Scale)), typ.SQL()))
				b.N++
			}
		}
		s := v.New()
		check(t, s.Fold(b, nil))
		_, result, err := s.Finish()
		check(t, err)
		found, err := db.Query("SELECT g, avg(v) FROM (VALUES " + strings.Join(rows, ", ") + ") t(g, v) GROUP BY g ORDER BY g")
		check(t, err)
		for i := 0; found.Next(); i++ {
			var g int64
			var want float64
			check(t, found.Scan(&g, &want))
			if got := result.Columns[1].Floats[i]; math.Float64bits(got) != math.Float64bits(want) {
				t.Errorf("%v, group %d: %v, DuckDB says %v", typ, g, got, want)
			}
		}
		check(t, found.Err())
	}
}
