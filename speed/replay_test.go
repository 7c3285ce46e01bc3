package speed

import (
	"bytes"
	"context"
	"runtime"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/stream"
)

// long is a log of many records, which are made as they are read: nobody holds
// it in memory.
type long struct {
	stream.Log
	frames  [][]byte
	records uint64
	each    func() // called for every Next
}

func (l *long) Bounds(context.Context, int) (uint64, uint64, error) { return 0, l.records, nil }

func (l *long) Read(_ context.Context, _ int, from uint64) (stream.Reader, error) {
	return &longReader{long: l, at: from}, nil
}

type longReader struct {
	*long
	at uint64
}

// Next returns as much as a reader of a real log gives at once.
func (r *longReader) Next(ctx context.Context) (out []stream.Record, err error) {
	r.each()
	for size := 0; r.at < r.records && size < 4<<20; r.at++ {
		frame := bytes.Clone(r.frames[r.at%uint64(len(r.frames))])
		out, size = append(out, stream.Record{Offset: r.at, Frame: frame}), size+len(frame)
	}
	if len(out) == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return out, nil
}

func (r *longReader) Close() error { return nil }

// A start behind a long log takes memory for what the events leave in groups and
// ids, and for a few batches of records; not for the log.
func TestReplayOfALongLog(t *testing.T) {
	f := fixed(t)
	one, err := stream.NewMemory().Open(t.Context(), testPipeline, 1)
	if err != nil {
		t.Fatal(err)
	}
	l := &long{Log: one}
	var size, total uint64
	for n := range 4 {
		facts := make([]fact, 4000)
		for i := range facts {
			id := uint64(n*len(facts) + i)
			facts[i] = fact{id: event.ID{Hi: id * 0x9e3779b97f4a7c15, Lo: id}, key: i % 50, day: i % 30, val: int64(i)}
		}
		l.frames = append(l.frames, f.frameOf(t, 2, facts))
		size += uint64(len(l.frames[n])) / 4
	}
	l.records = 192 << 20 / size
	total = l.records * size
	var before, most uint64
	l.each = func() {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if before == 0 {
			before = m.HeapAlloc
		}
		most = max(most, m.HeapAlloc)
	}
	s := New(Options{
		Pipeline: testPipeline, Schemas: f.set, Views: f.views, Filters: f.filters, Log: l, TimeField: "ts", SnapshotEvery: time.Hour,
		Archive: archive.Open(bucket.NewMemory(), testPipeline, f.set, archive.Options{Partitions: 1}),
	})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = s.Wait(t.Context(), event.Cut{l.records})
	s.Stop()
	if err != nil {
		t.Fatal(err)
	}
	grown := int64(most) - int64(before)
	t.Logf("%d MiB in %d records replayed; the heap grew by %.1f MiB at most", total>>20, l.records, float64(grown)/(1<<20))
	if grown > 40<<20 {
		t.Errorf("replaying %d MiB takes %d MiB of memory", total>>20, grown>>20)
	}
}
