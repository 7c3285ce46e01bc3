package view

import (
	"encoding/binary"
	"maps"
	"math"
	"math/big"
	"math/bits"

	"anabranch/event"
	"anabranch/internal/planted"
)

// sumSlab adds integers and narrow decimals. No number of rows that a program
// can count makes 64-bit values leave 128 bits, so it never overflows; only the
// finished value can leave its type.
type sumSlab struct {
	avg   bool
	in    event.Type
	cells []sumCell
	more  map[uint32]wholeSum // by group: what its cell became too small for
}

// sumCell is a sum of less than 2^31 values.
type sumCell struct {
	lo uint64
	hi int32
	n  uint32 // values added; with its upper bit set it is full
}

// wholeSum is a sum of any number of values.
type wholeSum struct {
	lo uint64
	hi int64
	n  uint64
}

func (s *sumSlab) grow(n int) { s.cells = extend(s.cells, n-len(s.cells)) }

func (s *sumSlab) fold(f *folding) {
	ints := f.arg.Ints
	if f.all {
		ints = ints[:len(f.slots)]
		for i, g := range f.slots {
			if s.cells[g].add(ints[i]) {
				s.put(g, s.sum(g))
			}
		}
		return
	}
	for _, i := range f.sel {
		if g := f.slots[i]; s.cells[g].add(ints[i]) {
			s.put(g, s.sum(g))
		}
	}
}

// add reports whether c is full: then its sum is to be put aside.
func (c *sumCell) add(v int64) (full bool) {
	lo, carry := bits.Add64(c.lo, uint64(v), 0)
	c.lo = lo
	c.hi += int32(v>>63) + int32(carry)
	c.n++
	return c.n>>31 != 0
}

func (s *sumSlab) merge(from slab, to []uint32) {
	o := from.(*sumSlab)
	for g := range o.cells {
		s.put(to[g], s.sum(to[g]).plus(o.sum(uint32(g))))
	}
}

func (w wholeSum) plus(o wholeSum) wholeSum {
	lo, carry := bits.Add64(w.lo, o.lo, 0)
	return wholeSum{lo, w.hi + o.hi + int64(carry), w.n + o.n}
}

// sum returns the sum of group g.
func (s *sumSlab) sum(g uint32) wholeSum {
	c := &s.cells[g]
	w := wholeSum{c.lo, int64(c.hi), uint64(c.n)}
	if len(s.more) > 0 {
		w = w.plus(s.more[g])
	}
	return w
}

// put makes w the sum of group g. It goes into the cell if there is room for it
// and for all that can be added until the cell is full, which is 2^30 of hi.
func (s *sumSlab) put(g uint32, w wholeSum) {
	if len(s.more) > 0 {
		delete(s.more, g)
	}
	if w.n>>31 == 0 && w.hi>>29 == w.hi>>63 {
		s.cells[g] = sumCell{w.lo, int32(w.hi), uint32(w.n)}
		return
	}
	if s.more == nil {
		s.more = map[uint32]wholeSum{}
	}
	s.cells[g], s.more[g] = sumCell{}, w
}

func (s *sumSlab) encoder([]uint32) func([]byte, uint32) []byte {
	return func(dst []byte, g uint32) []byte {
		c := s.sum(g)
		dst = binary.AppendUvarint(dst, c.n)
		if c.n > 0 {
			dst = appendInt192(dst, c.lo, uint64(c.hi), c.hi>>63)
		}
		return dst
	}
}

func (s *sumSlab) decode(r *reader, g uint32) {
	n := r.times()
	if n == 0 {
		return
	}
	lo, mid, hi := r.int192()
	// n values of 64 bits cannot reach further.
	if hi != int64(mid)>>63 || uint64(int64(mid)>>63^int64(mid)) > n {
		r.fail()
		return
	}
	s.put(g, s.sum(g).plus(wholeSum{lo, int64(mid), n}))
}

func (s *sumSlab) finish(out *event.Column, order []uint32) int {
	value := func(g uint32) (event.Int128, bool, uint64) {
		c := s.sum(g)
		return event.Int128{Hi: c.hi, Lo: c.lo}, true, c.n
	}
	if s.avg {
		return finishAvg(out, order, s.in, value)
	}
	return finishSum(out, order, value)
}

func (s *sumSlab) clone() slab {
	return &sumSlab{s.avg, s.in, append([]sumCell(nil), s.cells...), maps.Clone(s.more)}
}
func (s *sumSlab) reset()       { s.cells, s.more = s.cells[:0], nil }
func (s *sumSlab) bytes() int64 { return sliceBytes(s.cells) + mapEntryBytes*int64(len(s.more)) }

// wideSumSlab adds 128-bit values in 192 bits: a sum that leaves its type half
// way and comes back is exact, whatever the order of its rows.
type wideSumSlab struct {
	avg   bool
	in    event.Type
	cells []wideSumCell
}

type wideSumCell struct {
	lo, mid uint64
	hi      int64
	n       uint64
}

func (c *wideSumCell) add(lo, mid uint64, hi int64, n uint64) {
	var carry uint64
	c.lo, carry = bits.Add64(c.lo, lo, 0)
	c.mid, carry = bits.Add64(c.mid, mid, carry)
	c.hi += hi + int64(carry)
	c.n += n
}

func (c *wideSumCell) value() (event.Int128, bool, uint64) {
	return event.Int128{Hi: int64(c.mid), Lo: c.lo}, c.hi == int64(c.mid)>>63, c.n
}

func (s *wideSumSlab) grow(n int) { s.cells = extend(s.cells, n-len(s.cells)) }

func (s *wideSumSlab) fold(f *folding) {
	for _, i := range f.sel {
		v := f.arg.Wide[i]
		s.cells[f.slots[i]].add(v.Lo, uint64(v.Hi), v.Hi>>63, 1)
	}
}

func (s *wideSumSlab) merge(from slab, to []uint32) {
	for g, o := range from.(*wideSumSlab).cells {
		s.cells[to[g]].add(o.lo, o.mid, o.hi, o.n)
	}
}

func (s *wideSumSlab) encoder([]uint32) func([]byte, uint32) []byte {
	return func(dst []byte, g uint32) []byte {
		c := &s.cells[g]
		dst = binary.AppendUvarint(dst, c.n)
		if c.n > 0 {
			dst = appendInt192(dst, c.lo, c.mid, c.hi)
		}
		return dst
	}
}

func (s *wideSumSlab) decode(r *reader, g uint32) {
	n := r.times()
	if n == 0 {
		return
	}
	lo, mid, hi := r.int192()
	if uint64(hi>>63^hi) > n {
		r.fail()
		return
	}
	s.cells[g].add(lo, mid, hi, n)
}

func (s *wideSumSlab) finish(out *event.Column, order []uint32) int {
	value := func(g uint32) (event.Int128, bool, uint64) { return s.cells[g].value() }
	if s.avg {
		return finishAvg(out, order, s.in, value)
	}
	return finishSum(out, order, value)
}

func (s *wideSumSlab) clone() slab {
	return &wideSumSlab{s.avg, s.in, append([]wideSumCell(nil), s.cells...)}
}
func (s *wideSumSlab) reset()       { s.cells = s.cells[:0] }
func (s *wideSumSlab) bytes() int64 { return sliceBytes(s.cells) }

// limits128 returns the smallest and largest value of a type kept in Wide.
func limits128(t event.Type) (low, high event.Int128) {
	if t.Kind != event.Decimal {
		return event.Int128{Hi: math.MinInt64}, event.Int128{Hi: math.MaxInt64, Lo: math.MaxUint64}
	}
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Precision)), nil)
	high, _ = event.Int128FromBig(ten.Sub(ten, big.NewInt(1)))
	low, _ = high.Neg()
	return low, high
}

// finishSum fills out with sums; value returns a group's sum, whether it fits
// 128 bits, and how many values were added.
func finishSum(out *event.Column, order []uint32, value func(uint32) (event.Int128, bool, uint64)) int {
	out.Wide = make([]event.Int128, len(order))
	low, high := limits128(out.Type)
	bad := -1
	var null nulls
	for i, g := range order {
		v, fits, n := value(g)
		if n == 0 {
			null.set(i, len(order))
			continue
		}
		if planted.On(planted.FloatSums) {
			b, _ := big.NewFloat(v.Float64()).Int(nil)
			v, fits = event.Int128FromBig(b)
		}
		if !fits || v.Compare(low) < 0 || v.Compare(high) > 0 {
			if bad < 0 {
				bad = i
			}
			continue
		}
		out.Wide[i] = v
	}
	out.Valid = null.valid
	return bad
}

// finishAvg fills out with averages, rounded as DuckDB rounds them: it divides
// in extended precision (a mantissa of 64 bits) and rounds the quotient to a
// double; 16-bit decimals are divided as doubles.
func finishAvg(out *event.Column, order []uint32, in event.Type, value func(uint32) (event.Int128, bool, uint64)) int {
	out.Floats = make([]float64, len(order))
	bad := -1
	var null nulls
	scale := duckPow10(int(in.Scale))
	short := in.Kind == event.Decimal && in.Precision <= 4
	var sum, by, quotient big.Float
	for i, g := range order {
		v, fits, n := value(g)
		switch {
		case n == 0:
			null.set(i, len(order))
		case !fits:
			if bad < 0 {
				bad = i
			}
		case short:
			out.Floats[i] = v.Float64() / (float64(n) * scale)
		default:
			sum.SetPrec(64)
			if v.IsInt64() {
				sum.SetInt64(v.Int64())
			} else {
				sum.SetInt(v.Big())
			}
			by.SetPrec(64).SetUint64(n)
			if in.Scale > 0 {
				by.Mul(&by, new(big.Float).SetFloat64(scale))
			}
			out.Floats[i], _ = quotient.SetPrec(64).Quo(&sum, &by).Float64()
		}
	}
	out.Valid = null.valid
	return bad
}

// duckPow10 returns 10^n, up to 38, as DuckDB makes a double of its 128-bit
// powers of ten: half by half, with 2^64-1 in the place of 2^64.
func duckPow10(n int) float64 {
	p := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
	w, _ := event.Int128FromBig(p)
	return float64(w.Lo) + float64(w.Hi)*float64(math.MaxUint64)
}
