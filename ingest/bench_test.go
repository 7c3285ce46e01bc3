package ingest

import (
	"strings"
	"testing"

	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/schemas"
	"anabranch/stream"
)

// BenchmarkAccept takes NDJSON bodies of 10,000 events into a memory log.
func BenchmarkAccept(b *testing.B) {
	schema, err := schemas.Parse(1, []byte(shopAvro))
	if err != nil {
		b.Fatal(err)
	}
	store := stream.NewMemory()
	body := sales("x", 10_000)
	for range b.N {
		b.StopTimer() // a memory log keeps everything: a new one each time
		l, err := store.Open(b.Context(), "shop", 4)
		if err != nil {
			b.Fatal(err)
		}
		g, err := New(Options{Pipeline: "shop", Schema: schema, Identity: shopIdentity, Log: l, Letters: deadletter.New(bucket.NewMemory(), "shop"), Linger: -1})
		if err != nil {
			b.Fatal(err)
		}
		if err := g.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if a, err := g.Accept(b.Context(), strings.NewReader(body), Meta{}); err != nil || a.Accepted != 10_000 {
			b.Fatal(a, err)
		}
		b.StopTimer()
		g.Stop()
		l.Close()
		store = stream.NewMemory()
	}
	b.SetBytes(int64(len(body)))
	b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "events/s")
}
