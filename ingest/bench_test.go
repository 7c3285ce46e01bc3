package ingest

import (
	"strings"
	"sync"
	"testing"

	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/schemas"
	"anabranch/stream"
	"anabranch/stream/natslog"
)

// BenchmarkAccept takes NDJSON bodies of 10,000 events: into a memory log, and
// durably into the embedded NATS, from one sender and from eight.
func BenchmarkAccept(b *testing.B) {
	const events = 10_000
	schema, err := schemas.Parse(1, []byte(shopAvro))
	if err != nil {
		b.Fatal(err)
	}
	body := sales("x", events)
	run := func(b *testing.B, store stream.Store, senders int) {
		l, err := store.Open(b.Context(), "shop", 4)
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		g, err := New(Options{Pipeline: "shop", Schema: schema, Identity: shopIdentity, Log: l, Letters: deadletter.New(bucket.NewMemory(), "shop")})
		if err != nil {
			b.Fatal(err)
		}
		if err := g.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		defer g.Stop()
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		b.ResetTimer()
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				for i := s; i < b.N; i += senders {
					if a, err := g.Accept(b.Context(), strings.NewReader(body), Meta{Size: int64(len(body))}); err != nil || a.Accepted != events {
						b.Error(a, err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.ReportMetric(float64(b.N)*events/b.Elapsed().Seconds(), "events/s")
	}
	b.Run("memory/senders=1", func(b *testing.B) { run(b, stream.NewMemory(), 1) })
	for _, senders := range []int{1, 8} {
		b.Run(map[int]string{1: "nats/senders=1", 8: "nats/senders=8"}[senders], func(b *testing.B) {
			store, err := natslog.Open(b.Context(), natslog.Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			run(b, store, senders)
		})
	}
}
