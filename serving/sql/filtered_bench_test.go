package sql_test

import (
	"testing"
	"time"

	"anabranch/serving/sql"
)

// BenchmarkFilteredOverlay asks for a few groups of a merged view, a tenth of
// which speed has touched.
func BenchmarkFilteredOverlay(b *testing.B) {
	it := openItems(b, *benchGroups/10)
	for _, c := range []struct{ name, where string }{
		{"four by the first key", "item IN (10, 2001, 500000, 999999)"},
		{"one by the first key", "item = 500000"},
		{"a range of the first key", "item BETWEEN 500000 AND 500100"},
		{"a shop", "shop = 'shop 7' AND item < 5000"},
		{"nothing", "item = -5"},
		{"by the second key", "shop = 'nobody'"},
	} {
		b.Run(c.name, func(b *testing.B) {
			ask := func(where string) {
				if _, err := drain(b.Context(), it.engine, sql.Request{SQL: "SELECT * FROM shops.by_item WHERE " + where}); err != nil {
					b.Fatal(err)
				}
			}
			ask(c.where)
			var wall, took []time.Duration
			for b.Loop() {
				at, before := time.Now(), processorTime(b)
				ask(c.where)
				wall, took = append(wall, time.Since(at)), append(took, processorTime(b)-before)
			}
			b.ReportMetric(median(wall), "ms/wall")
			b.ReportMetric(median(took), "cpu-ms")
		})
	}
}
