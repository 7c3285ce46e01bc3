package view

import (
	"math"
	"math/bits"
)

// An exact sum of doubles is a whole number of units of 2^-1074, the smallest
// double, so it can be added up without rounding and then does not depend on
// the order of its terms. Doubles reach over 2098 bits; a group keeps only the
// window of 32-bit digits that its own values needed (most need four or five).
// The digits live in 64-bit limbs, so that carries wait for 2^30 additions.

// digits is the most that a sum of 2^62 doubles has, with room to spare.
const digits = 72

// exact is the sum of one group; its limbs are in the arena of its slab.
type exact struct {
	n     uint64 // values added, of any kind
	off   uint32
	adds  uint32 // since limbs were last carried
	base  int16  // the digit of the first limb
	class uint8  // 1<<class limbs; 0 is none
	seen  uint8  // of sawNaN, sawInf, sawNegInf
}

const (
	sawNaN = 1 << iota
	sawInf
	sawNegInf
)

const maxAdds = 1 << 30

// exactSums are the sums of many groups.
type exactSums struct {
	cells []exact
	limbs arena[int64]
}

// add adds x to group g.
func (s *exactSums) add(g uint32, x float64) {
	c := &s.cells[g]
	c.n++
	b := math.Float64bits(x)
	m, e := b&(1<<52-1), int(b>>52)&0x7ff
	switch e {
	case 0x7ff:
		switch {
		case m != 0:
			c.seen |= sawNaN
		case b>>63 == 0:
			c.seen |= sawInf
		default:
			c.seen |= sawNegInf
		}
		return
	case 0:
		if m == 0 {
			return
		}
		e = 1
	default:
		m |= 1 << 52
	}
	// x is m units shifted left by e-1.
	first, shift := (e-1)>>5, uint(e-1)&31
	k := first - int(c.base)
	if k < 0 || k+3 > 1<<c.class || c.adds >= maxAdds {
		s.reach(c, first, first+3)
		k = first - int(c.base)
	}
	c.adds++
	l := s.limbs.block(c.off, c.class)[k : k+3 : k+3]
	lo, hi := m<<shift, int64(m>>(64-shift))
	sign := int64(b) >> 63
	l[0] += int64(lo&math.MaxUint32) ^ sign - sign
	l[1] += int64(lo>>32) ^ sign - sign
	l[2] += hi ^ sign - sign
}

// reach makes the window of c hold the digits [from, to), with all carries
// done so that there is room for maxAdds additions.
func (s *exactSums) reach(c *exact, from, to int) {
	var d number
	s.number(c, &d)
	if !d.zero() {
		from, to = min(from, d.low), max(to, d.high)
	}
	class := max(c.class, 2)
	for 1<<class < to-from {
		class++
	}
	base := from - (1<<class-(to-from))/2
	base = max(base, 0)
	if class != c.class {
		if c.class != 0 {
			s.limbs.release(c.off, c.class)
		}
		c.off, c.class = s.limbs.alloc(class), class
	} else {
		clear(s.limbs.block(c.off, class))
	}
	c.base, c.adds = int16(base), 0
	s.put(c, &d)
}

// put adds d to the limbs of c, whose window holds it.
func (s *exactSums) put(c *exact, d *number) {
	l := s.limbs.block(c.off, c.class)
	for i := d.low; i < d.high; i++ {
		v := int64(d.digit[i])
		if d.negative {
			v = -v
		}
		l[i-int(c.base)] += v
	}
	c.adds++
}

// addNumber adds d to the sum of group g, without counting a value.
func (s *exactSums) addNumber(g uint32, d *number) {
	if d.zero() {
		return
	}
	c := &s.cells[g]
	if k := d.low - int(c.base); k < 0 || d.high-int(c.base) > 1<<c.class || c.class == 0 || c.adds >= maxAdds {
		s.reach(c, d.low, d.high)
	}
	s.put(c, d)
}

// number is an exact sum as sign and magnitude; equal sums are equal numbers.
// Only the digits [low, high) are not zero; without any, low is high.
type number struct {
	negative  bool
	low, high int
	digit     [digits]uint32
}

func (d *number) zero() bool { return d.low == d.high }

// trim sets low and high.
func (d *number) trim() {
	d.low, d.high = 0, digits
	for d.high > 0 && d.digit[d.high-1] == 0 {
		d.high--
	}
	for d.low < d.high && d.digit[d.low] == 0 {
		d.low++
	}
	if d.low == d.high {
		d.low, d.high, d.negative = 0, 0, false
	}
}

// number sets d, which is zero, to the sum of c.
func (s *exactSums) number(c *exact, d *number) {
	if c.class == 0 {
		return
	}
	limbs := s.limbs.block(c.off, c.class)
	top := len(limbs)
	for top > 0 && limbs[top-1] == 0 {
		top--
	}
	carry := int64(0)
	i := int(c.base)
	for _, l := range limbs[:top] {
		carry += l
		d.digit[i] = uint32(carry)
		carry >>= 32
		i++
	}
	for ; i < digits; i++ {
		d.digit[i] = uint32(carry)
		carry >>= 32
	}
	if carry < 0 {
		// Two's complement: negate.
		d.negative = true
		plus := uint64(1)
		for i := range d.digit {
			plus += uint64(^d.digit[i])
			d.digit[i] = uint32(plus)
			plus >>= 32
		}
	}
	d.trim()
}

// float returns the nearest double, ties to even; beyond the largest it is
// infinite.
func (d *number) float() float64 {
	if d.zero() {
		return 0
	}
	// The upper 64 bits of the number, left-aligned, and whether any follow.
	at := func(i int) uint64 {
		if i < 0 {
			return 0
		}
		return uint64(d.digit[i])
	}
	h := d.high - 1
	lead := uint(bits.LeadingZeros32(d.digit[h]))
	top := at(h)<<32 | at(h-1)
	next := at(h - 2)
	top = top<<lead | next<<lead>>32
	rest := uint32(next<<lead) != 0 || d.low < h-2
	// Keep 53 bits. Below the normal range nothing is cut off, because the
	// unit is the smallest double.
	mantissa, cut := top>>11, top&(1<<11-1)
	if cut > 1<<10 || cut == 1<<10 && (rest || mantissa&1 == 1) {
		mantissa++
	}
	exponent := 32*h + 32 - int(lead) - 53 - 1074 // of the mantissa's last bit
	f := math.Ldexp(float64(mantissa), exponent)
	if d.negative {
		return -f
	}
	return f
}
