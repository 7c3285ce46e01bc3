package speed

import (
	"context"
	"testing"
	"time"

	"anabranch/event"
	"anabranch/stream"
)

// numbered is a log whose records are numbered from 1, as some brokers do.
type numbered struct{ stream.Log }

func (l numbered) Append(ctx context.Context, p int, frame []byte) (uint64, error) {
	offset, err := l.Log.Append(ctx, p, frame)
	return offset + 1, err
}

func (l numbered) Bounds(ctx context.Context, p int) (first, next uint64, err error) {
	first, next, err = l.Log.Bounds(ctx, p)
	return first + 1, next + 1, err
}

func (l numbered) Read(ctx context.Context, p int, from uint64) (stream.Reader, error) {
	r, err := l.Log.Read(ctx, p, max(from, 1)-1)
	return numberedReader{r}, err
}

type numberedReader struct{ stream.Reader }

func (r numberedReader) Next(ctx context.Context) ([]stream.Record, error) {
	got, err := r.Reader.Next(ctx)
	for i := range got {
		got[i].Offset++
	}
	return got, err
}

// TestAnEmptyPartitionIsAsFarAsItsLog waits for the head of a log in which
// some partitions have never had a record.
func TestAnEmptyPartitionIsAsFarAsItsLog(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.speed.Stop()
	w.options = func(o *Options) { o.Log = numbered{w.log.Log} }
	w.start()
	w.log.Log.Append(t.Context(), 0, w.f.frameOf(t, 2, []fact{{id: event.ID{Hi: 1}, key: 1, day: 1, val: 1}}))
	head := make(event.Cut, w.log.Partitions())
	for p := range head {
		_, next, err := numbered{w.log.Log}.Bounds(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		head[p] = next
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := w.speed.Wait(ctx, head); err != nil {
		t.Fatal(err)
	}
}
