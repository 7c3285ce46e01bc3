package speed

import (
	"context"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/stream"
)

// BenchmarkFold folds frames of 500 new events each, from the bytes in the
// log to the states of two views and one filter rule.
func BenchmarkFold(b *testing.B) {
	const perFrame = 500
	f := fixed(b)
	l, err := stream.NewMemory().Open(b.Context(), testPipeline, 1)
	if err != nil {
		b.Fatal(err)
	}
	n := uint64(0)
	end := uint64(0)
	for range b.N {
		facts := make([]fact, perFrame)
		for i := range facts {
			n++
			facts[i] = fact{id: event.ID{Hi: n * 0x9e3779b97f4a7c15, Lo: n}, key: i % 50, day: int(n>>16) % 30, val: int64(i)}
		}
		offset, err := l.Append(b.Context(), 0, f.frameOf(b, 2, facts))
		if err != nil {
			b.Fatal(err)
		}
		end = offset + 1
	}
	s := New(Options{
		Pipeline: testPipeline, Schemas: f.set, Views: f.views, Filters: f.filters, Log: l, TimeField: "ts", SnapshotEvery: time.Hour,
		Archive: archive.Open(bucket.NewMemory(), testPipeline, f.set, archive.Options{Partitions: 1}),
	})
	b.ReportAllocs()
	b.ResetTimer()
	if err := s.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := s.Wait(b.Context(), event.Cut{end}); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/perFrame, "ns/event")
	s.Stop()
}

// BenchmarkSince asks for two views of 1500 and 50 groups.
func BenchmarkSince(b *testing.B) {
	f := fixed(b)
	l, err := stream.NewMemory().Open(b.Context(), testPipeline, 1)
	if err != nil {
		b.Fatal(err)
	}
	end := uint64(0)
	for day := range 30 {
		facts := make([]fact, 50)
		for i := range facts {
			facts[i] = fact{id: event.ID{Hi: uint64(day), Lo: uint64(i)}, key: i, day: day, val: int64(i)}
		}
		if end, err = l.Append(b.Context(), 0, f.frameOf(b, 2, facts)); err != nil {
			b.Fatal(err)
		}
	}
	s := New(Options{
		Pipeline: testPipeline, Schemas: f.set, Views: f.views, Log: l, TimeField: "ts",
		Archive: archive.Open(bucket.NewMemory(), testPipeline, f.set, archive.Options{Partitions: 1}),
	})
	if err := s.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer s.Stop()
	if err := s.Wait(b.Context(), event.Cut{end + 1}); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		if _, err := s.Since(context.Background(), 0, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1550, "ns/group")
}
