package view

import (
	"bytes"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"anabranch/event"
)

// TestCountsBeyondTheirCells counts past 2^32 by folding, merging and reading.
func TestCountsBeyondTheirCells(t *testing.T) {
	t.Parallel()
	c := &countSlab{low: []uint32{math.MaxUint32 - 1, 7}}
	c.fold(&folding{slots: []uint32{0, 1, 0, 0}, all: true})
	c.fold(&folding{slots: []uint32{0, 1, 0, 0}, sel: []uint32{2, 3}})
	want := []uint64{math.MaxUint32 + 4, 8}
	both := c.clone().(*countSlab)
	both.merge(c, []uint32{0, 1})
	read := &countSlab{low: make([]uint32, 2)}
	for g := range want {
		b := c.encoder(nil)(nil, uint32(g))
		read.decode(&reader{b: b}, uint32(g))
		if got := read.encoder(nil)(nil, uint32(g)); !bytes.Equal(got, b) {
			t.Errorf("group %d: written as % x, and after reading as % x", g, b, got)
		}
		if got := c.count(uint32(g)); got != want[g] {
			t.Errorf("group %d: %d, want %d", g, got, want[g])
		}
		if got := both.count(uint32(g)); got != 2*want[g] {
			t.Errorf("group %d merged with itself: %d, want %d", g, got, 2*want[g])
		}
	}
	out := event.Column{}
	c.finish(&out, []uint32{1, 0})
	if out.Ints[0] != 8 || out.Ints[1] != math.MaxUint32+4 {
		t.Errorf("finished as %v", out.Ints)
	}
	both.reset()
	if both.grow(1); both.count(0) != 0 {
		t.Errorf("%d after reset", both.count(0))
	}
}

// TestSumsBeyondTheirCells compares sums of many and of large values, folded,
// merged and read in any order, with those of big integers.
func TestSumsBeyondTheirCells(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	value := func() int64 { return []int64{math.MinInt64, math.MaxInt64, -1, 1, r.Int64() - r.Int64()}[r.IntN(5)] }
	for range 200 {
		const groups = 3
		s := &sumSlab{}
		s.grow(groups)
		var want [groups]big.Int
		var counts [groups]uint64
		for range 30 {
			g := uint32(r.IntN(groups))
			switch r.IntN(3) {
			case 0: // rows, the cell nearly full
				if c := &s.cells[g]; c.n < 1<<30 {
					// As if rows of zero had come before.
					missing := 1<<31 - c.n - uint32(1+r.IntN(3))
					c.n += missing
					counts[g] += uint64(missing)
				}
				f := &folding{arg: &event.Column{}, all: r.IntN(2) == 0}
				for i := range 5 {
					v := value()
					f.slots, f.sel, f.arg.Ints = append(f.slots, g), append(f.sel, uint32(i)), append(f.arg.Ints, v)
					want[g].Add(&want[g], big.NewInt(v))
				}
				counts[g] += 5
				s.fold(f)
			case 1: // what somebody else has counted
				n := r.Uint64N(1 << (1 + r.IntN(40)))
				sum := new(big.Int).Mul(big.NewInt(value()), new(big.Int).SetUint64(n))
				w, ok := event.Int128FromBig(sum)
				if !ok {
					t.Fatal(sum)
				}
				b := (&sumSlab{cells: make([]sumCell, 1), more: map[uint32]wholeSum{0: {w.Lo, w.Hi, n}}}).encoder(nil)(nil, 0)
				rd := &reader{b: b}
				if s.decode(rd, g); rd.bad {
					t.Fatalf("% x is not read", b)
				}
				want[g].Add(&want[g], sum)
				counts[g] += n
			case 2:
				o := s.clone().(*sumSlab)
				s.merge(o, []uint32{0, 1, 2})
				for g := range groups {
					want[g].Lsh(&want[g], 1)
					counts[g] *= 2
				}
				if counts[0] > 1<<50 {
					s.reset()
					s.grow(groups)
					want, counts = [groups]big.Int{}, [groups]uint64{}
				}
			}
			for g := range groups {
				got := s.sum(uint32(g))
				if sum := (event.Int128{Hi: got.hi, Lo: got.lo}).Big(); got.n != counts[g] || sum.Cmp(&want[g]) != 0 {
					t.Fatalf("group %d: %v of %d values, want %v of %d", g, sum, got.n, &want[g], counts[g])
				}
			}
		}
	}
}

// TestQuantilesBeyondHalfAWord counts values past what half a word holds, by
// folding, merging and reading, and compares the buckets with a map.
func TestQuantilesBeyondHalfAWord(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	slabOf := func() *quantileSlab { return &quantileSlab{q: 0.5, in: event.Type{Kind: event.Int64}} }
	for range 50 {
		const groups = 3
		s := slabOf()
		s.grow(groups)
		var want [groups]map[uint64]uint64
		for g := range want {
			want[g] = map[uint64]uint64{}
		}
		for range 20 {
			g := uint32(r.IntN(groups))
			switch r.IntN(3) {
			case 0:
				f := &folding{arg: &event.Column{}}
				few := 1 + r.Int64N(1<<r.IntN(12))
				for i := range uint32(1000) {
					v := r.Int64N(few) - few/3
					f.slots, f.sel, f.arg.Ints = append(f.slots, g), append(f.sel, i), append(f.arg.Ints, v)
					want[g][bucketOf(float64(v))]++
				}
				s.fold(f)
			case 1: // what somebody else has counted
				o, v, n := slabOf(), float64(r.IntN(100)), 1+r.Uint64N(1<<(1+r.IntN(20)))
				o.grow(1)
				o.add(0, bucketOf(v), n)
				want[g][bucketOf(v)] += n
				rd := &reader{b: o.encoder(nil)(nil, 0)}
				if s.decode(rd, g); rd.bad || len(rd.b) > 0 {
					t.Fatalf("%d values of %v are not read", n, v)
				}
			case 2:
				s.merge(s.clone(), []uint32{0, 1, 2})
				for g := range want {
					for bucket := range want[g] {
						want[g][bucket] *= 2
					}
				}
			}
		}
		for g := range want {
			got := s.entries(nil, uint32(g))
			if len(got) != len(want[g]) {
				t.Fatalf("group %d has %d buckets, want %d", g, len(got), len(want[g]))
			}
			for _, e := range got {
				if n := want[g][e>>bucketShift]; e&bucketCount != n {
					t.Fatalf("group %d: %d values in bucket %d, want %d", g, e&bucketCount, e>>bucketShift, n)
				}
			}
		}
	}
}
