package view

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"anabranch/event"
	"anabranch/fault"
)

// testKinds are the types that random programs use for keys and arguments.
var testKinds = []event.Type{
	{Kind: event.Bool}, {Kind: event.Int32}, {Kind: event.Int64}, {Kind: event.Float64},
	{Kind: event.Decimal, Precision: 12, Scale: 2}, {Kind: event.Decimal, Precision: 30, Scale: 3},
	{Kind: event.Timestamp}, {Kind: event.Date}, {Kind: event.String}, {Kind: event.Bytes}, {Kind: event.Huge},
}

// testView returns a view whose evaluator takes its keys, then its arguments,
// from the first columns of a batch as they are; a column named "where" (Bool)
// picks rows and one named "failed" (Bool) marks those whose expressions fail.
func testView(keys []event.Type, args []event.Type, aggs []aggregate) *View {
	v := &View{source: Source{Name: "sales"}, version: "v1"}
	var fields []event.Field
	for i, t := range keys {
		fields = append(fields, event.Field{Name: fmt.Sprintf("k%d", i), Type: t, Nullable: true})
		v.keys = append(v.keys, i)
	}
	for i, a := range aggs {
		fields = append(fields, event.Field{Name: fmt.Sprintf("a%d", i), Type: a.out, Nullable: true})
	}
	v.output = event.NewShape(fields...)
	v.program = &program{
		keys: keys, aggs: aggs,
		newEval: func() evaluator {
			return func(b *event.Batch, rows []uint32) (*inputs, error) {
				if rows == nil {
					for i := range b.N {
						rows = append(rows, uint32(i))
					}
				}
				if w := b.Column("where"); w != nil {
					rows = slices.DeleteFunc(slices.Clone(rows), func(r uint32) bool { return w.Ints[r] == 0 })
				}
				g := b.Gather(rows)
				in := &inputs{n: g.N, keys: g.Columns[:len(keys)], args: g.Columns[len(keys) : len(keys)+len(args)]}
				if f := g.Column("failed"); f != nil {
					for i, v := range f.Ints {
						if v != 0 {
							if in.failed == nil {
								in.failed = event.NewBitmap(g.N)
							}
							in.failed.Set(i)
							in.why = fault.New(fault.Invalid, "row does not compute")
							for a := range in.args { // no meaning: another one in every batch
								if c := &in.args[a]; c.Ints != nil {
									c.Ints[i] = int64(g.N)
								} else if c.Floats != nil {
									c.Floats[i] = float64(g.N)
								}
							}
						}
					}
				}
				return in, nil
			}
		},
		post: func(groups *event.Batch) (*event.Batch, error) {
			return &event.Batch{Shape: v.output, N: groups.N, Columns: groups.Columns}, nil
		},
	}
	return v
}

// outType is the type of a finished aggregate as the compiler would set it.
func outType(fn aggFunc, in event.Type) event.Type {
	switch fn {
	case aggSum:
		switch in.Kind {
		case event.Decimal:
			return event.Type{Kind: event.Decimal, Precision: 38, Scale: in.Scale}
		case event.Float64:
			return in
		}
		return event.Type{Kind: event.Huge}
	case aggAvg:
		return event.Type{Kind: event.Float64}
	case aggMin, aggMax, aggArgMin, aggArgMax, aggApproxQuantile:
		return in
	}
	return event.Type{Kind: event.Int64}
}

// randomView returns a view of random keys and of every aggregate that its
// random arguments allow, and the shape of its events.
func randomView(r *rand.Rand) (*View, *event.Shape) {
	var keys, args []event.Type
	for range r.IntN(4) {
		keys = append(keys, testKinds[r.IntN(len(testKinds))])
	}
	for range 1 + r.IntN(4) {
		args = append(args, testKinds[r.IntN(len(testKinds))])
	}
	filter := len(args)
	args = append(args, event.Type{Kind: event.Bool})
	pick := func() int {
		if r.IntN(3) == 0 {
			return filter
		}
		return -1
	}
	aggs := []aggregate{{fn: aggCountStar, arg: -1, by: -1, filter: pick(), out: event.Type{Kind: event.Int64}}}
	for i, t := range args[:filter] {
		fns := []aggFunc{aggCount, aggMin, aggMax, aggCountDistinct, aggApproxDistinct}
		switch t.Kind {
		case event.Int32, event.Int64, event.Huge, event.Decimal, event.Float64:
			fns = append(fns, aggSum, aggAvg, aggApproxQuantile)
		}
		for _, fn := range fns {
			aggs = append(aggs, aggregate{fn: fn, arg: i, by: -1, filter: pick(), in: t, out: outType(fn, t), quantile: 0.5})
		}
		by := r.IntN(filter)
		for _, fn := range []aggFunc{aggArgMin, aggArgMax} {
			aggs = append(aggs, aggregate{fn: fn, arg: i, by: by, filter: pick(), in: t, byType: args[by], out: t})
		}
	}
	r.Shuffle(len(aggs), func(i, j int) { aggs[i], aggs[j] = aggs[j], aggs[i] })
	var fields []event.Field
	for i, t := range append(slices.Clone(keys), args...) {
		fields = append(fields, event.Field{Name: fmt.Sprintf("c%d", i), Type: t, Nullable: true})
	}
	fields = append(fields, event.Field{Name: "where", Type: event.Type{Kind: event.Bool}}, event.Field{Name: "failed", Type: event.Type{Kind: event.Bool}})
	return testView(keys, args, aggs), event.NewShape(fields...)
}

// randomColumn returns n values, of few when narrow.
func randomColumn(r *rand.Rand, t event.Type, n int, narrow bool) event.Column {
	c := event.Column{Type: t}
	if r.IntN(2) == 0 {
		c.Valid = event.NewBitmap(n)
		for i := range n {
			if r.IntN(5) > 0 {
				c.Valid.Set(i)
			}
		}
	}
	spread := int64(1000)
	if narrow {
		spread = 3
	}
	small := func() int64 { return r.Int64N(2*spread+1) - spread }
	switch t.Storage() {
	case event.InInts:
		c.Ints = make([]int64, n)
		for i := range c.Ints {
			switch c.Ints[i] = small(); {
			case t.Kind == event.Bool:
				c.Ints[i] &= 1
			case t.Kind == event.Int64 && !narrow && r.IntN(4) == 0:
				c.Ints[i] = []int64{math.MaxInt64, math.MinInt64, int64(r.Uint64())}[r.IntN(3)]
			}
		}
	case event.InFloats:
		c.Floats = make([]float64, n)
		odd := r.IntN(3) == 0 // whole columns only, else nearly every sum were NaN
		for i := range c.Floats {
			switch c.Floats[i] = float64(small()) / 8; {
			case odd && r.IntN(8) == 0:
				c.Floats[i] = []float64{math.NaN(), math.Inf(1), math.Copysign(0, -1)}[r.IntN(3)]
			case !narrow && r.IntN(2) == 0:
				c.Floats[i] = math.Ldexp(r.Float64()-0.5, r.IntN(300)-150)
			}
		}
	case event.InWide:
		c.Wide = make([]event.Int128, n)
		for i := range c.Wide {
			if c.Wide[i] = event.Int128Of(small()); !narrow && r.IntN(3) == 0 {
				c.Wide[i] = event.MulInt64(int64(r.Uint64()), int64(r.Uint64()>>30))
			}
		}
	case event.InCodes:
		c.Codes = make([]uint32, n)
		c.Dict = &event.Dict{}
		for range 1 + r.IntN(int(2*spread)) {
			v := fmt.Sprintf("%d", small())
			c.Dict.Append([]byte(strings.Repeat(v, 1+r.IntN(2)))) // some twice
		}
		for i := range c.Codes {
			c.Codes[i] = uint32(r.IntN(c.Dict.Len()))
		}
	}
	return c
}

func randomBatch(r *rand.Rand, shape *event.Shape, keys, n int, failing bool) *event.Batch {
	b := &event.Batch{Shape: shape, N: n}
	for i, f := range shape.Fields {
		c := randomColumn(r, f.Type, n, i < keys || r.IntN(4) == 0)
		switch f.Name {
		case "where":
			for i := range c.Ints {
				c.Ints[i] = min(int64(r.IntN(10)), 1)
			}
		case "failed":
			for i := range c.Ints {
				if c.Ints[i] = 0; failing && r.IntN(20) == 0 {
					c.Ints[i] = 1
				}
			}
		}
		b.Columns = append(b.Columns, c)
	}
	return b
}

// image is the bytes of a batch: equal batches have equal images.
func image(b *event.Batch) []byte {
	var out []byte
	u := func(v uint64) { out = binary.LittleEndian.AppendUint64(out, v) }
	u(uint64(b.N))
	for i := range b.Columns {
		c := &b.Columns[i]
		out = append(out, b.Shape.Fields[i].Name...)
		out = append(out, byte(c.Type.Kind), c.Type.Precision, c.Type.Scale)
		for row := range b.N {
			if !c.Valid.Get(row) {
				out = append(out, 0)
				continue
			}
			out = append(out, 1)
			switch c.Type.Storage() {
			case event.InInts:
				u(uint64(c.Ints[row]))
			case event.InFloats:
				u(math.Float64bits(c.Floats[row]))
			case event.InWide:
				u(uint64(c.Wide[row].Hi))
				u(c.Wide[row].Lo)
			case event.InCodes:
				u(uint64(c.Codes[row])) // dictionaries are canonical too
				u(uint64(len(c.Bytes(row))))
				out = append(out, c.Bytes(row)...)
			}
		}
		if c.Dict != nil {
			u(uint64(c.Dict.Len()))
			out = append(out, c.Dict.Data...)
		}
	}
	return out
}

// finishImage is what Finish returns, as bytes; an error is part of it.
func finishImage(t *testing.T, s *State) []byte {
	t.Helper()
	groups, result, err := s.Finish()
	if groups == nil {
		t.Fatal(err)
	}
	out := image(groups)
	if err != nil {
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "view sales: ") || !strings.Contains(err.Error(), "group") {
			t.Fatalf("error %v, want Invalid naming view and group", err)
		}
		return append(out, "error"...)
	}
	return append(out, image(result)...)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnyOrderOfFoldsAndMergesGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 1))
		v, shape := randomView(r)
		failing := r.IntN(6) == 0
		var batches []*event.Batch
		whole := v.New()
		for range 1 + r.IntN(5) {
			b := randomBatch(r, shape, len(v.program.keys), r.IntN(400), failing)
			batches = append(batches, b)
			check(t, whole.Fold(b, nil))
		}
		want := finishImage(t, whole)
		if !failing {
			compareWithOracle(t, seed, v, whole, batches)
		}

		// Deal the rows out to states, in random order and splits, some by a
		// round trip, then merge the states in a random tree.
		states := make([]*State, 1+r.IntN(6))
		for i := range states {
			states[i] = v.New()
		}
		type part struct {
			b    *event.Batch
			rows []uint32
		}
		var parts []part
		for _, b := range batches {
			rows := r.Perm(b.N)
			for len(rows) > 0 {
				n := 1 + r.IntN(len(rows))
				p := part{b: b}
				for _, row := range rows[:n] {
					p.rows = append(p.rows, uint32(row))
				}
				parts, rows = append(parts, p), rows[n:]
			}
		}
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		for _, p := range parts {
			i := r.IntN(len(states))
			check(t, states[i].Fold(p.b, p.rows))
			if r.IntN(4) == 0 {
				states[i] = travel(t, r, states[i])
			}
		}
		for len(states) > 1 {
			i := r.IntN(len(states) - 1)
			into, from := states[i], states[len(states)-1]
			if r.IntN(2) == 0 {
				into, from = from, into
			}
			if r.IntN(2) == 0 {
				check(t, into.Merge(from))
			} else {
				groups, err := from.Groups()
				check(t, err)
				order := make([]uint32, groups.N)
				for k, row := range r.Perm(groups.N) {
					order[k] = uint32(row)
				}
				check(t, into.MergeGroups(groups.Gather(order)))
			}
			if states[i] = into; r.IntN(2) == 0 {
				states[i] = travel(t, r, into)
			}
			states = states[:len(states)-1]
		}
		if got := finishImage(t, states[0]); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: %d groups differ from %d", seed, states[0].Len(), whole.Len())
		}
		if states[0].Bytes() <= 0 {
			t.Fatal("no bytes")
		}
	}
}

// travel returns s as it comes out of a snapshot, a clone, its groups, or a
// state that was used before.
func travel(t *testing.T, r *rand.Rand, s *State) *State {
	t.Helper()
	to := s.view.New()
	if r.IntN(2) == 0 {
		check(t, to.Merge(s))
		to.Reset()
	}
	switch r.IntN(3) {
	case 0:
		data, err := s.AppendBinary([]byte("x"))
		check(t, err)
		check(t, to.UnmarshalBinary(data[1:]))
	case 1:
		groups, err := s.Groups()
		check(t, err)
		check(t, to.MergeGroups(groups))
	default:
		to = s.Clone()
		check(t, s.Merge(to)) // shares nothing
		s.Reset()
	}
	return to
}
