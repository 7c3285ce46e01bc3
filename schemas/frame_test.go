package schemas

import (
	"bytes"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/ipc"

	"anabranch/event"
	"anabranch/fault"
)

func TestFrameRoundTrip(t *testing.T) {
	t.Parallel()
	r := seeded(t, 11)
	for range 300 {
		s := schemaOf(t, randomShape(r))
		f := s.NewFrameBuilder()
		for range 2 { // a builder is used again
			var want []*event.Batch
			for range r.IntN(4) {
				b := randomBatch(r, s.shape, r.IntN(150))
				if r.IntN(2) == 0 {
					f.Append(b, nil)
					want = append(want, b)
					continue
				}
				rows := []uint32{}
				for i := range b.N {
					if r.IntN(3) == 0 {
						rows = append(rows, uint32(i))
					}
				}
				f.Append(b, rows)
				want = append(want, b.Gather(rows))
			}
			n, estimate := f.Len(), f.Bytes()
			body, err := f.Finish()
			if err != nil {
				t.Fatal(err)
			}
			if estimate < len(body)/3 || estimate > 3*len(body)+1024 {
				t.Fatalf("%d bytes, estimated %d", len(body), estimate)
			}
			got, err := s.DecodeFrame(body)
			if err != nil {
				t.Fatal(err)
			}
			if got.N != n {
				t.Fatalf("%d rows, want %d", got.N, n)
			}
			if diff := sameBatch(got, concat(s.shape, want)); diff != "" {
				t.Fatalf("shape %v: %s", s.shape.Names(), diff)
			}
		}
	}
}

// TestArrowReadsOurFrames: with its schema message in front, a body is a
// stream that any Arrow reader understands.
func TestArrowReadsOurFrames(t *testing.T) {
	t.Parallel()
	r := seeded(t, 12)
	for range 30 {
		s := schemaOf(t, randomShape(r))
		f := s.NewFrameBuilder()
		f.Append(randomBatch(r, s.shape, 1+r.IntN(50)), nil)
		n := f.Len()
		body, err := f.Finish()
		if err != nil {
			t.Fatal(err)
		}
		in, err := ipc.NewReader(bytes.NewReader(append(bytes.Clone(s.frames.message), body...)))
		if err != nil {
			t.Fatal(err)
		}
		if !in.Next() || in.Record().NumRows() != int64(n) || in.Err() != nil {
			t.Fatal(in.Err())
		}
	}
}

func TestFrameWithFlippedBits(t *testing.T) {
	t.Parallel()
	r := seeded(t, 13)
	for range 20 {
		s := schemaOf(t, randomShape(r))
		f := s.NewFrameBuilder()
		f.Append(randomBatch(r, s.shape, 1+r.IntN(40)), nil)
		body, err := f.Finish()
		if err != nil {
			t.Fatal(err)
		}
		use := func(bad []byte) {
			b, err := s.DecodeFrame(bad)
			if err != nil {
				if !fault.Is(err, fault.Corrupt) {
					t.Fatal(err)
				}
				return
			}
			// A flipped value cannot be seen here (the frame's checksum is for
			// that), but every value must be one that can be used.
			for i := range b.Columns {
				for row := range b.N {
					cell(&b.Columns[i], row)
				}
			}
		}
		for range 300 {
			use(flip(r, body))
		}
		for range 50 {
			use(body[:r.IntN(len(body))])
		}
	}
}

func TestFrameOfAnotherSchemaIsCorrupt(t *testing.T) {
	t.Parallel()
	one := schemaOf(t, event.NewShape(event.Field{Name: "a", Type: event.Type{Kind: event.Int32}}))
	two := schemaOf(t, event.NewShape(event.Field{Name: "a", Type: event.Type{Kind: event.String}}))
	f := one.NewFrameBuilder()
	f.Append(randomBatch(seeded(t, 14), one.shape, 3), nil)
	body, err := f.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.DecodeFrame(body); !fault.Is(err, fault.Corrupt) {
		t.Fatal(err)
	}
}
