package view

import (
	"encoding/binary"
	"math"

	"anabranch/event"
)

// floatSumSlab is sum or avg of doubles: the exact sum, rounded once.
type floatSumSlab struct {
	avg bool
	exactSums
}

func (s *floatSumSlab) grow(n int) { s.cells = extend(s.cells, n-len(s.cells)) }

func (s *floatSumSlab) fold(f *folding) {
	for _, i := range f.sel {
		s.add(f.slots[i], f.arg.Floats[i])
	}
}

func (s *floatSumSlab) merge(from slab, to []uint32) {
	o := from.(*floatSumSlab)
	for g := range o.cells {
		c := &o.cells[g]
		var d number
		o.number(c, &d)
		s.cells[to[g]].n += c.n
		s.cells[to[g]].seen |= c.seen
		s.addNumber(to[g], &d)
	}
}

// encoder: how many values; then, if any, a byte of what was seen and the sign;
// then the magnitude's bytes from the first to the last that is not zero: the
// place of the first, how many, the bytes, little end first.
func (s *floatSumSlab) encoder([]uint32) func([]byte, uint32) []byte {
	return func(dst []byte, g uint32) []byte {
		c := &s.cells[g]
		dst = binary.AppendUvarint(dst, c.n)
		if c.n == 0 {
			return dst
		}
		var d number
		s.number(c, &d)
		flags := c.seen
		if d.negative {
			flags |= negative
		}
		dst = append(dst, flags)
		var raw [4 * digits]byte
		for i := d.low; i < d.high; i++ {
			binary.LittleEndian.PutUint32(raw[4*i:], d.digit[i])
		}
		low, high := 4*d.low, 4*d.high
		for low < high && raw[low] == 0 {
			low++
		}
		for low < high && raw[high-1] == 0 {
			high--
		}
		dst = binary.AppendUvarint(dst, uint64(low))
		dst = binary.AppendUvarint(dst, uint64(high-low))
		return append(dst, raw[low:high]...)
	}
}

const negative = 1 << 3

func (s *floatSumSlab) decode(r *reader, g uint32) {
	n := r.times()
	if n == 0 {
		return
	}
	flags := r.byte()
	low := r.uvarint()
	v := r.take(r.count(1))
	// A sum of 2^56 doubles stays below digit 68, so that sums of sums do too.
	if flags >= negative<<1 || low > 4*68 || low+uint64(len(v)) > 4*68 {
		r.fail()
	}
	if r.bad {
		return
	}
	var raw [4 * digits]byte
	copy(raw[low:], v)
	var d number
	for i := range d.digit {
		d.digit[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	d.negative = flags&negative != 0
	d.trim()
	s.cells[g].n += n
	s.cells[g].seen |= flags &^ negative
	s.addNumber(g, &d)
}

func (s *floatSumSlab) finish(out *event.Column, order []uint32) int {
	out.Floats = make([]float64, len(order))
	var null nulls
	for i, g := range order {
		c := &s.cells[g]
		if c.n == 0 {
			null.set(i, len(order))
			continue
		}
		f := s.value(c)
		if s.avg {
			f /= float64(c.n)
		}
		out.Floats[i] = f
	}
	out.Valid = null.valid
	return -1
}

// value returns the sum of c, rounded.
func (s *exactSums) value(c *exact) float64 {
	switch {
	case c.seen&sawNaN != 0, c.seen&(sawInf|sawNegInf) == sawInf|sawNegInf:
		return math.NaN()
	case c.seen&sawInf != 0:
		return math.Inf(1)
	case c.seen&sawNegInf != 0:
		return math.Inf(-1)
	}
	var d number
	s.number(c, &d)
	return d.float()
}

func (s *floatSumSlab) clone() slab {
	return &floatSumSlab{s.avg, exactSums{append([]exact(nil), s.cells...), s.limbs.clone()}}
}

func (s *floatSumSlab) reset() {
	s.cells = s.cells[:0]
	s.limbs.reset()
}

func (s *floatSumSlab) bytes() int64 { return sliceBytes(s.cells) + s.limbs.bytes() }
