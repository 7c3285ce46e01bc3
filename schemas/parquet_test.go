package schemas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"anabranch/event"
	"anabranch/fault"
)

// writeFile returns a file of random batches, and its row groups as batches.
func writeFile(t *testing.T, r *rand.Rand, shape *event.Shape, rows int) ([]byte, []*event.Batch) {
	t.Helper()
	var out bytes.Buffer
	w := NewParquetWriter(&out, shape)
	var groups, open []*event.Batch
	end := func() {
		if err := w.EndRowGroup(); err != nil {
			t.Fatal(err)
		}
		if b := concat(shape, open); b.N > 0 {
			groups = append(groups, b)
		}
		open = nil
	}
	for range r.IntN(6) {
		b := randomBatch(r, shape, r.IntN(rows))
		b.IDs, b.Hashes = nil, nil
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		open = append(open, b)
		if r.IntN(2) == 0 {
			end()
		}
	}
	end()
	if err := w.Close(map[string]string{"pipeline": "retail", "n": "ü"}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), groups
}

func readAll(f *ParquetFile, groups []int, columns []string) (*event.Batch, error) {
	var got []*event.Batch
	var shape *event.Shape
	err := f.Read(context.Background(), groups, columns, func(b *event.Batch) error {
		got, shape = append(got, b), b.Shape
		return nil
	})
	if err != nil || shape == nil {
		return nil, err
	}
	return concat(shape, got), nil
}

// closeAndCompare closes w and wants the file to read as want.
func closeAndCompare(t *testing.T, w *ParquetWriter, out *bytes.Buffer, want *event.Batch) {
	t.Helper()
	if err := w.Close(nil); err != nil {
		t.Fatal(err)
	}
	f, err := OpenParquet(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(f, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := sameBatch(got, want); diff != "" {
		t.Fatal(diff)
	}
}

func TestParquetRoundTrip(t *testing.T) {
	t.Parallel()
	r := seeded(t, 21)
	for range 60 {
		shape := randomShape(r)
		rows := 100
		if r.IntN(10) == 0 {
			rows = 3 * readRows
		}
		data, groups := writeFile(t, r, shape, rows)
		f, err := OpenParquet(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(f.Meta(), map[string]string{"pipeline": "retail", "n": "ü"}) {
			t.Fatal(f.Meta())
		}
		if len(f.RowGroups()) != len(groups) {
			t.Fatalf("%d row groups, want %d", len(f.RowGroups()), len(groups))
		}
		if len(groups) == 0 {
			continue
		}
		got, err := readAll(f, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := sameBatch(got, concat(shape, groups)); diff != "" {
			t.Fatal(diff)
		}
		var scanned []*event.Batch // copies
		if err := f.Scan(context.Background(), nil, nil, func(b *event.Batch) error {
			scanned = append(scanned, concat(shape, []*event.Batch{b}))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if diff := sameBatch(concat(shape, scanned), got); diff != "" {
			t.Fatal(diff)
		}
		kept, done := r.IntN(len(shape.Fields)+1), []*event.Batch{}
		scanned = nil
		if err := f.ReadKept(context.Background(), nil, nil, kept, func(b *event.Batch) error {
			scanned = append(scanned, concat(shape, []*event.Batch{b}))
			done = append(done, &event.Batch{Shape: event.NewShape(shape.Fields[:kept]...), N: b.N, Columns: b.Columns[:kept]})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if diff := sameBatch(concat(shape, scanned), got); diff != "" {
			t.Fatal(diff)
		}
		first := &event.Batch{Shape: event.NewShape(shape.Fields[:kept]...), N: got.N, Columns: got.Columns[:kept]}
		if diff := sameBatch(concat(first.Shape, done), first); diff != "" {
			t.Fatal(diff)
		}
		g := r.IntN(len(groups))
		name := shape.Names()[r.IntN(len(shape.Fields))]
		got, err = readAll(f, []int{g}, []string{name})
		if err != nil {
			t.Fatal(err)
		}
		i := shape.Index(name)
		want := &event.Batch{Shape: event.NewShape(shape.Fields[i]), N: groups[g].N, Columns: groups[g].Columns[i : i+1]}
		if diff := sameBatch(got, want); diff != "" {
			t.Fatal(diff)
		}
	}
}

// TestParquetOfManyPages: a row group of every type, of more than one page a
// column.
func TestParquetOfManyPages(t *testing.T) {
	t.Parallel()
	r := seeded(t, 27)
	var fields []event.Field
	for k := event.Bool; k <= event.Huge; k++ {
		for _, precision := range []uint8{7, 17, 27} {
			one := event.Type{Kind: k}
			if k == event.Decimal {
				one.Precision = precision
			} else if precision > 7 {
				continue
			}
			for _, nullable := range []bool{false, true} {
				fields = append(fields, event.Field{Name: fmt.Sprintf("%s, %t", one, nullable), Type: one, Nullable: nullable})
			}
		}
	}
	shape := event.NewShape(fields...)
	var out bytes.Buffer
	w := NewParquetWriter(&out, shape)
	var want []*event.Batch
	for _, n := range []int{1, 30_000, 4096, 50_000} {
		b := randomBatch(r, shape, n)
		b.IDs, b.Hashes = nil, nil
		want = append(want, b)
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	closeAndCompare(t, w, &out, concat(shape, want))
}

// TestParquetGivesUpLargeDictionaries: when texts hardly repeat, and behind
// maxDictionary, pages hold plain values, and one batch can see both kinds.
func TestParquetGivesUpLargeDictionaries(t *testing.T) {
	t.Parallel()
	r := seeded(t, 22)
	for n := range 4 {
		nullable, repeats := n&1 == 1, n&2 == 2
		shape := event.NewShape(event.Field{Name: "id", Type: event.Type{Kind: event.Bytes}, Nullable: nullable})
		var out bytes.Buffer
		w := NewParquetWriter(&out, shape)
		var want []*event.Batch
		for range 100 {
			b := &event.Batch{Shape: shape, N: 1500, Columns: []event.Column{{Type: event.Type{Kind: event.Bytes}, Dict: &event.Dict{}}}}
			c := &b.Columns[0]
			if nullable {
				c.Valid = event.NewBitmap(b.N)
			}
			for i := range b.N {
				if repeats && i%3 > 0 {
					c.Codes = append(c.Codes, c.Codes[i-1])
				} else {
					v := make([]byte, 50)
					for j := range v {
						v[j] = byte(r.Uint32())
					}
					c.Codes = append(c.Codes, c.Dict.Append(v))
				}
				if nullable && r.IntN(4) > 0 {
					c.Valid.Set(i)
				}
			}
			want = append(want, b)
			if err := w.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		closeAndCompare(t, w, &out, concat(shape, want))
	}
}

func TestParquetWithFlippedBitsAndCutEnds(t *testing.T) {
	t.Parallel()
	r := seeded(t, 23)
	for range 8 {
		shape := randomShape(r)
		data, groups := writeFile(t, r, shape, 300)
		read := func(bad []byte) error {
			f, err := OpenParquet(bytes.NewReader(bad), int64(len(bad)))
			if err != nil {
				return err
			}
			got, err := readAll(f, nil, nil)
			if err == nil && got != nil {
				if diff := sameBatch(got, concat(shape, groups)); diff != "" {
					t.Fatalf("damage unseen: %s", diff)
				}
			}
			return err
		}
		for range 400 {
			if err := read(flip(r, data)); err != nil && !fault.Is(err, fault.Corrupt) {
				t.Fatal(err)
			}
		}
		for range 50 {
			if err := read(data[:r.IntN(len(data))]); !fault.Is(err, fault.Corrupt) {
				t.Fatal(err)
			}
		}
	}
}

func TestParquetErrorsKeepTheirKind(t *testing.T) {
	t.Parallel()
	r := seeded(t, 24)
	shape := event.NewShape(event.Field{Name: "a", Type: event.Type{Kind: event.Int64}})
	var out bytes.Buffer
	w := NewParquetWriter(&out, shape)
	if err := w.Write(randomBatch(r, shape, 10)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(nil); err != nil {
		t.Fatal(err)
	}
	f, err := OpenParquet(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	none := func(*event.Batch) error { return nil }
	if err := f.Read(ctx, nil, []string{"b"}, none); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	if err := f.Read(ctx, []int{1}, nil, none); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	mine := errors.New("mine")
	if err := f.Read(ctx, nil, nil, func(*event.Batch) error { return mine }); !errors.Is(err, mine) {
		t.Fatal(err)
	}
	full := fault.New(fault.Full, "disk full")
	w = NewParquetWriter(failing{full}, shape)
	if err = w.Write(randomBatch(r, shape, 10)); err == nil {
		err = w.Close(nil)
	}
	if !fault.Is(err, fault.Full) {
		t.Fatal(err)
	}
	if _, err := OpenParquet(failing{fault.New(fault.Throttled, "busy")}, 1000); !fault.Is(err, fault.Throttled) {
		t.Fatal(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error)         { return 0, f.err }
func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }
