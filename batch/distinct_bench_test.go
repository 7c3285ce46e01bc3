package batch

import (
	"math/rand/v2"
	"testing"

	"anabranch/event"
)

// BenchmarkDistinct enters a partition's ids, 2 % of them twice, into a table
// that has room for them.
func BenchmarkDistinct(b *testing.B) {
	const n, some = 1_500_000, 4096
	r := rand.New(rand.NewPCG(1, 2))
	ids := make([]event.ID, n)
	for i := range ids {
		if ids[i] = (event.ID{Hi: r.Uint64(), Lo: r.Uint64()}); i > 0 && r.IntN(50) == 0 {
			ids[i] = ids[max(0, i-1-r.IntN(25_000))]
		}
	}
	places, fresh := make([]int32, some), make([]bool, some)
	var d Distinct
	d.Reserve(n)
	for b.Loop() {
		d.Reset()
		for at := 0; at < n; at += some {
			d.Add(ids[at:min(at+some, n)], places, fresh)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/id")
}
