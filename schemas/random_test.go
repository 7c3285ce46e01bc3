package schemas

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"anabranch/event"
)

// seeded returns a source of randomness whose seed a failing test shows.
func seeded(t testing.TB, seed uint64) *rand.Rand {
	t.Helper()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func randomShape(r *rand.Rand) *event.Shape {
	fields := make([]event.Field, 1+r.IntN(8))
	for i := range fields {
		t := event.Type{Kind: event.Kind(1 + r.IntN(int(event.Huge)))}
		if t.Kind == event.Decimal {
			t.Precision = uint8(1 + r.IntN(38))
			t.Scale = uint8(r.IntN(int(t.Precision) + 1))
		}
		fields[i] = event.Field{Name: fmt.Sprintf("f%d, (%s)", i, t), Type: t, Nullable: r.IntN(2) == 0, Doc: "a \"doc\""}
	}
	return event.NewShape(fields...)
}

// schemaOf returns a schema that has a shape without an Avro text: what frames
// and batches need.
func schemaOf(t testing.TB, shape *event.Shape) *Schema {
	t.Helper()
	frames, err := newFrameCodec(shape)
	if err != nil {
		t.Fatal(err)
	}
	return &Schema{version: 1, shape: shape, frames: frames}
}

func randomBatch(r *rand.Rand, shape *event.Shape, n int) *event.Batch {
	b := &event.Batch{Shape: shape, N: n, Columns: make([]event.Column, len(shape.Fields)), IDs: make([]event.ID, n), Hashes: make([]uint64, n)}
	for i := range n {
		b.IDs[i], b.Hashes[i] = event.ID{Hi: r.Uint64(), Lo: r.Uint64()}, r.Uint64()
	}
	for i, f := range shape.Fields {
		b.Columns[i] = randomColumn(r, f, n)
	}
	return b
}

func randomColumn(r *rand.Rand, f event.Field, n int) event.Column {
	c := event.Column{Type: f.Type}
	if f.Nullable && r.IntN(3) > 0 {
		c.Valid = event.NewBitmap(n)
		share := r.Float64() * 1.2 // sometimes nothing is null after all, sometimes everything
		for i := range n {
			if r.Float64() < share {
				c.Valid.Set(i)
			}
		}
	}
	if f.Type.Storage() == event.InCodes {
		c.Dict = &event.Dict{}
		for range 1 + r.IntN(1+n) {
			v := make([]byte, r.IntN(20))
			for i := range v {
				v[i] = byte('a' + r.IntN(3))
				if f.Type.Kind == event.Bytes {
					v[i] = byte(r.Uint32())
				}
			}
			c.Dict.Append(v)
		}
	}
	for range n {
		switch f.Type.Storage() {
		case event.InInts:
			c.Ints = append(c.Ints, randomInt(r, f.Type))
		case event.InFloats:
			c.Floats = append(c.Floats, []float64{0, -1.5, math.Inf(1), math.MaxFloat64, r.NormFloat64()}[r.IntN(5)])
		case event.InWide:
			w := event.Int128{Hi: int64(r.Uint64()) >> (2 + r.IntN(62)), Lo: r.Uint64()}
			if f.Type.Kind == event.Decimal {
				w = event.Int128Of(randomInt(r, event.Type{Kind: event.Decimal, Precision: min(18, f.Type.Precision)}))
				for range int(f.Type.Precision) - 18 {
					w, _ = times10(w)
				}
			}
			c.Wide = append(c.Wide, w)
		case event.InCodes:
			c.Codes = append(c.Codes, uint32(r.IntN(c.Dict.Len())))
		}
	}
	return c
}

func times10(v event.Int128) (event.Int128, bool) {
	sum, ok := event.Int128{}, true
	for range 10 {
		var fits bool
		sum, fits = sum.Add(v)
		ok = ok && fits
	}
	return sum, ok
}

func randomInt(r *rand.Rand, t event.Type) int64 {
	limit := int64(math.MaxInt64)
	switch t.Kind {
	case event.Bool:
		return int64(r.IntN(2))
	case event.Int32:
		limit = math.MaxInt32
	case event.Date:
		limit = 700000
	case event.Timestamp:
		limit = 60000000000000000
	case event.Decimal:
		limit = int64(math.Pow10(int(t.Precision))) - 1
	}
	switch r.IntN(6) {
	case 0:
		return limit
	case 1:
		return -limit
	case 2:
		return 0
	}
	return (r.Int64N(limit) - limit/2) >> r.IntN(40)
}

// sameBatch says where two batches differ, "" when nowhere. Two dictionaries
// differ only when the rows do.
func sameBatch(a, b *event.Batch) string {
	if a.N != b.N || len(a.Columns) != len(b.Columns) {
		return fmt.Sprintf("%d rows of %d columns, %d of %d", a.N, len(a.Columns), b.N, len(b.Columns))
	}
	for i := range a.Columns {
		for row := range a.N {
			if x, y := cell(&a.Columns[i], row), cell(&b.Columns[i], row); x != y {
				return fmt.Sprintf("column %s, row %d: %s, %s", a.Shape.Fields[i].Name, row, x, y)
			}
		}
		if a.Columns[i].Type != b.Columns[i].Type || a.Shape.Fields[i] != b.Shape.Fields[i] {
			return fmt.Sprintf("field %d: %v, %v", i, a.Shape.Fields[i], b.Shape.Fields[i])
		}
	}
	for row := range a.N {
		if a.IDs != nil && b.IDs != nil && (a.IDs[row] != b.IDs[row] || a.Hashes[row] != b.Hashes[row]) {
			return fmt.Sprintf("row %d: ids %v, %v", row, a.IDs[row], b.IDs[row])
		}
	}
	return ""
}

// cell renders one value so that different values are different texts.
func cell(c *event.Column, row int) string {
	if !c.Valid.Get(row) {
		return "null"
	}
	switch c.Type.Storage() {
	case event.InFloats:
		return fmt.Sprintf("%x", math.Float64bits(c.Floats[row]))
	case event.InWide:
		return fmt.Sprint(c.Wide[row])
	case event.InCodes:
		return fmt.Sprintf("%q", c.Bytes(row))
	}
	return fmt.Sprint(c.Ints[row])
}

// concat returns the rows of batches of one shape as one batch.
func concat(shape *event.Shape, batches []*event.Batch) *event.Batch {
	out := &event.Batch{Shape: shape, Columns: make([]event.Column, len(shape.Fields))}
	for i, f := range shape.Fields {
		g := gatherer{Column: event.Column{Type: f.Type}}
		g.interner.reset()
		n := 0
		for _, b := range batches {
			g.append(&b.Columns[i], nil, n, b.N)
			n += b.N
		}
		g.Dict = g.interner.dict
		out.Columns[i] = g.Column
	}
	for _, b := range batches {
		out.N += b.N
		out.IDs = append(out.IDs, b.IDs...)
		out.Hashes = append(out.Hashes, b.Hashes...)
	}
	if len(out.IDs) == 0 {
		out.IDs, out.Hashes = nil, nil
	}
	return out
}

func flip(r *rand.Rand, b []byte) []byte {
	bad := bytes.Clone(b)
	bit := r.IntN(8 * len(b))
	bad[bit/8] ^= 1 << (bit % 8)
	return bad
}

// timeText renders microseconds since 1970 as the retail data writes times.
func timeText(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02 15:04:05")
}
