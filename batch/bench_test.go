package batch_test

import (
	"fmt"
	"testing"

	"anabranch/archive"
	"anabranch/batch"
)

// BenchmarkNightly takes a first night of new events, from sealed segments to
// the published manifest, with every object in memory.
func BenchmarkNightly(b *testing.B) {
	const events = 400_000
	w := newWorld(b, 2)
	for n := 0; n < events; n += 4000 {
		sales := make([]sale, 4000)
		for i := range sales {
			id := (n+i)*2 + n/4000%2
			sales[i] = sale{id: id, item: id % 4001, ts: int64(id%90)*dayMicros + int64(id)*1_000_003%dayMicros, amount: int64(id % 9000), pieces: 1}
		}
		w.append(b, n/4000%2, 2, sales...)
	}
	r := w.runner(b, w.bucket)
	if err := r.AppendBarriers(b.Context(), 1); err != nil {
		b.Fatal(err)
	}
	w.sealUntil(b, archive.SealerOptions{}, w.sealed(b, 1))
	full := func(o *batch.Options) { o.ChunkRows, o.FoldRows, o.MaxGroups, o.Parallel = 0, 0, 0, 2 }
	b.ResetTimer()
	for n := range b.N {
		c := w.copied(b)
		if _, err := batch.Run(b.Context(), c.runner(b, c.bucket, full), nightly(fmt.Sprint("run-", n), 1)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
