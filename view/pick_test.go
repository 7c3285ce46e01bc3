package view

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"anabranch/event"
)

// A pick has the rows of Groups that it is about, byte for byte, and leaves the
// state as it was.
func TestPick(t *testing.T) {
	t.Parallel()
	shape := event.NewShape(
		event.Field{Name: "s", Type: event.Type{Kind: event.String}, Nullable: true},
		event.Field{Name: "ts", Type: event.Type{Kind: event.Timestamp}, Nullable: true},
		event.Field{Name: "w", Type: event.Type{Kind: event.Decimal, Precision: 30, Scale: 2}, Nullable: true},
		event.Field{Name: "f", Type: event.Type{Kind: event.Float64}, Nullable: true})
	v, err := Compile(t.Context(), Source{Name: "v", SQL: "SELECT s, ts, w, f, count(*) AS n, min(ts) AS low FROM events GROUP BY ALL"}, shape, "")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	random := func(n int) *event.Batch {
		b := &event.Batch{Shape: shape, N: n, Columns: make([]event.Column, 4)}
		dict := &event.Dict{Offsets: []uint32{0}}
		for i := range 4 {
			dict.Append(fmt.Appendf(nil, "v%d", i))
		}
		for i, f := range shape.Fields {
			c := &b.Columns[i]
			c.Type, c.Valid = f.Type, event.NewBitmap(n)
			for row := range n {
				if r.IntN(4) > 0 {
					c.Valid.Set(row)
				}
				switch k := r.IntN(4); i {
				case 0:
					c.Codes, c.Dict = append(c.Codes, uint32(k)), dict
				case 1:
					c.Ints = append(c.Ints, int64(k)-2)
				case 2:
					c.Wide = append(c.Wide, event.Int128{Hi: int64(k) - 2, Lo: uint64(k)})
				case 3:
					c.Floats = append(c.Floats, []float64{0, math.Copysign(0, -1), math.NaN(), 1.5}[k])
				}
			}
		}
		return b
	}
	render := func(b *event.Batch, i int) string {
		var out []any
		for c := range b.Columns {
			switch col := &b.Columns[c]; {
			case !col.Valid.Get(i):
				out = append(out, nil)
			case col.Ints != nil:
				out = append(out, col.Ints[i])
			case col.Wide != nil:
				out = append(out, col.Wide[i])
			case col.Floats != nil:
				out = append(out, col.Floats[i]+0)
			default:
				out = append(out, bytes.Clone(col.Bytes(i)))
			}
		}
		return fmt.Sprint(out...)
	}
	st, found := v.New(), 0
	for range 400 {
		if err := st.Fold(random(r.IntN(4)), nil); err != nil {
			t.Fatal(err)
		}
		all, err := st.Groups()
		if err != nil {
			t.Fatal(err)
		}
		ask := random(1)
		p := &Pick{Keys: make([]*event.Column, 4), Range: -1, From: int64(r.IntN(4)) - 3, To: int64(r.IntN(4)) - 1}
		if all.N > 0 && r.IntN(2) == 0 {
			ask = all.Gather([]uint32{uint32(r.IntN(all.N))})
		}
		open := r.IntN(4) // how many keys stay open, about
		for k := range p.Keys {
			if r.IntN(4) >= open {
				p.Keys[k] = &ask.Columns[k]
			}
		}
		if r.IntN(3) == 0 {
			p.Range = 1
		}
		var want []string
		for i := range all.N {
			one := all.Gather([]uint32{uint32(i)})
			takes := true
			for k, c := range p.Keys {
				alone := func(c event.Column) string {
					return render(&event.Batch{Columns: []event.Column{c}}, 0)
				}
				takes = takes && (c == nil || alone(*c) == alone(one.Columns[k]))
			}
			if at := &one.Columns[1]; p.Range == 1 {
				takes = takes && at.Valid.Get(0) && at.Ints[0] >= p.From && at.Ints[0] < p.To
			}
			if takes {
				want = append(want, render(all, i))
			}
		}
		b, err := st.Pick(p)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if b != nil {
			for i := range b.N {
				got = append(got, render(b, i))
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%+v of %d groups:\n%q, want\n%q", p, all.N, got, want)
		}
		found += len(got)
	}
	if found < 200 {
		t.Errorf("only %d groups were picked", found)
	}
}
