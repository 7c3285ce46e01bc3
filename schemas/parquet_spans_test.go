package schemas

import (
	"bytes"
	"context"
	"testing"

	"anabranch/event"
)

// tracked notes what is read of a file.
type tracked struct {
	*bytes.Reader
	read []Span
}

func (t *tracked) ReadAt(b []byte, off int64) (int, error) {
	t.read = append(t.read, Span{off, off + int64(len(b))})
	return t.Reader.ReadAt(b, off)
}

// TestSpansAreWhatIsRead: nothing outside of them is read, and of a file of
// many columns they are not all.
func TestSpansAreWhatIsRead(t *testing.T) {
	t.Parallel()
	r := seeded(t, 28)
	var fields []event.Field
	for _, name := range []string{"a", "b", "c", "d"} {
		fields = append(fields, event.Field{Name: name, Type: event.Type{Kind: event.Float64}})
	}
	shape := event.NewShape(fields...)
	var out bytes.Buffer
	w := NewParquetWriter(&out, shape)
	for range 3 {
		b := randomBatch(r, shape, 20_000)
		b.IDs, b.Hashes = nil, nil
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.EndRowGroup(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(nil); err != nil {
		t.Fatal(err)
	}
	from := &tracked{Reader: bytes.NewReader(out.Bytes())}
	f, err := OpenParquet(from, int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for group := range 3 {
		for _, gap := range []int64{0, 1 << 20} {
			columns := []string{"d", "a"}
			spans := f.Spans(group, columns, gap)
			size := int64(0)
			for _, s := range spans {
				size += s.To - s.From
			}
			all := f.Spans(group, shape.Names(), 0)
			if want := 2 - int(gap>>20); len(spans) != want || len(all) != 1 || gap == 0 && size >= all[0].To-all[0].From {
				t.Fatalf("group %d: %v of %v", group, spans, all)
			}
			from.read = nil
			if err := f.Read(context.Background(), []int{group}, columns, func(*event.Batch) error { return nil }); err != nil {
				t.Fatal(err)
			}
			for _, got := range from.read {
				in := false
				for _, s := range spans {
					in = in || s.From <= got.From && got.To <= s.To
				}
				if !in {
					t.Fatalf("group %d: %v is read, outside of %v", group, got, spans)
				}
			}
		}
	}
}
