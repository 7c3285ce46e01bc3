package schemas

import (
	"bytes"
	"fmt"
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

// TestFramesOfDistinctTexts: where hardly a text comes twice they are not looked
// for, and those that do come twice read as they were.
func TestFramesOfDistinctTexts(t *testing.T) {
	t.Parallel()
	shape := event.NewShape(event.Field{Name: "id", Type: event.Type{Kind: event.String}}, event.Field{Name: "country", Type: event.Type{Kind: event.String}})
	s := schemaOf(t, shape)
	f := s.NewFrameBuilder()
	const rows = 1500
	for n := range 2 * distinctDicts {
		b := &event.Batch{Shape: shape, N: rows, IDs: make([]event.ID, rows), Hashes: make([]uint64, rows), Columns: []event.Column{
			{Type: shape.Fields[0].Type, Dict: &event.Dict{}}, {Type: shape.Fields[1].Type, Dict: &event.Dict{}}}}
		for i := range rows {
			id, country := fmt.Sprint(n, "-", i), fmt.Sprint("c", i%7)
			if i%20 == 19 {
				id = fmt.Sprint(n, "-", i-10) // of an earlier row, with a code of its own
			}
			for j, text := range []string{id, country} {
				c := &b.Columns[j]
				c.Codes = append(c.Codes, c.Dict.Append([]byte(text)))
			}
		}
		f.Append(b, nil)
		body, err := f.Finish()
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.DecodeFrame(body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := sameBatch(got, b); diff != "" {
			t.Fatalf("frame %d: %s", n, diff)
		}
		wantIDs := rows
		if n%(distinctDicts+1) == 0 { // looked for
			wantIDs -= rows / 20
		}
		if ids, countries := got.Columns[0].Dict.Len(), got.Columns[1].Dict.Len(); ids != wantIDs || countries != 7 {
			t.Fatalf("frame %d has %d ids and %d countries in its dictionaries, want %d and 7", n, ids, countries, wantIDs)
		}
	}
}
