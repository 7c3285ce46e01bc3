package view

import (
	"encoding/binary"
	"math"
	"math/big"
	"slices"

	"anabranch/event"
	"anabranch/internal/planted"
)

// Quantiles by DDSketch (Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable
// quantile sketch with relative-error guarantees", VLDB 2019) with its linearly
// interpolated mapping: 64 buckets an octave, so that a bucket's number is a
// value's sign, exponent and upper six bits of mantissa. The answer is within
// 1/129 < 1 % of the value that quantile_disc gives, see quantileRank; integers
// are rounded after that. Magnitudes below 2^-1022 count as zero. NaN is above all, as in SQL.
//
// A group's buckets are a hash table: bucket<<46 + count in one word, 0 empty; as
// long as no count needs more, bucket<<14 + count in half a word.
const (
	bucketShift = 46
	bucketCount = 1<<bucketShift - 1
	smallShift  = 14
	smallCount  = 1<<smallShift - 1
	zeroBucket  = 1 << 17 // so that the buckets of negative values stay positive
	topBucket   = zeroBucket + 0x7ff8<<2
)

// bucketOf returns the bucket of x; buckets are in the order of their values.
func bucketOf(x float64) uint64 {
	b := math.Float64bits(x)
	k := b << 1 >> (bucketShift + 1)
	switch {
	case x != x:
		return topBucket
	case k < 64:
		return zeroBucket
	case b>>63 == 1:
		return zeroBucket - k
	}
	return zeroBucket + k
}

// bucketValue returns the value whose relative distance to both ends of bucket
// k is the same.
func bucketValue(k uint64) float64 {
	switch {
	case k == zeroBucket:
		return 0
	case k == topBucket:
		return math.NaN()
	case k < zeroBucket:
		return -bucketValue(2*zeroBucket - k)
	}
	low := math.Float64frombits((k - zeroBucket) << bucketShift)
	if math.IsInf(low, 1) {
		return low
	}
	// Bits 0..5 of k are the upper mantissa: the ends are (64+m)/64 and
	// (65+m)/64 of the octave, and 2ab/(a+b) lies between them.
	m := float64(64 + (k-zeroBucket)&63)
	return low * (2 * (m + 1) / (2*m + 1))
}

// quantileSlab is approx_quantile.
type quantileSlab struct {
	q     float64
	in    event.Type
	cells []quantileCell
	small arena[uint32]
	large arena[uint64]
}

type quantileCell struct {
	off     uint32 // in small or large
	used    uint32
	class   uint8 // 0 is none
	isLarge bool
}

func (s *quantileSlab) grow(n int) { s.cells = extend(s.cells, n-len(s.cells)) }

func (s *quantileSlab) fold(f *folding) {
	switch s.in.Storage() {
	case event.InInts:
		for _, i := range f.sel {
			s.add(f.slots[i], bucketOf(float64(f.arg.Ints[i])), 1)
		}
	case event.InFloats:
		for _, i := range f.sel {
			s.add(f.slots[i], bucketOf(f.arg.Floats[i]), 1)
		}
	case event.InWide:
		for _, i := range f.sel {
			s.add(f.slots[i], bucketOf(f.arg.Wide[i].Float64()), 1)
		}
	}
}

func (s *quantileSlab) add(g uint32, bucket, n uint64) {
	c := &s.cells[g]
	if c.isLarge {
		s.addLarge(c, bucket, n)
		return
	}
	if c.class == 0 {
		c.class = 2
		c.off = s.small.alloc(c.class)
	}
	t := s.small.block(c.off, c.class)
	mask := uint32(len(t) - 1)
	// Neighbours in value are neighbours here: a group's values are mostly
	// within a few octaves, which then fill the table without collisions.
	// Whether a bucket is new cannot be foretold, so there is no branch for it.
	p := uint32(bucket) & mask
	for taken(t[p])&taken(t[p]>>smallShift^uint32(bucket)) != 0 {
		p = (p + 1) & mask
	}
	is := taken(t[p]) // 1 where the bucket is there
	if uint64(t[p]&smallCount)+n > smallCount {
		s.widen(c)
		s.addLarge(c, bucket, n)
		return
	}
	t[p] += uint32(n) + uint32(bucket<<smallShift)&(is-1)
	if c.used += 1 - is; int(c.used)*4 > len(t)*3 {
		enlarge(c, &s.small, smallShift)
	}
}

// addLarge is add where entries are words.
func (s *quantileSlab) addLarge(c *quantileCell, bucket, n uint64) {
	t := s.large.block(c.off, c.class)
	mask := uint64(len(t) - 1)
	p := bucket & mask
	for t[p] != 0 && t[p]>>bucketShift != bucket {
		p = (p + 1) & mask
	}
	if t[p] != 0 {
		// Saturate rather than run into the bucket's number.
		t[p] += min(n, bucketCount-t[p]&bucketCount)
		return
	}
	t[p] = bucket<<bucketShift | min(n, bucketCount)
	if c.used++; int(c.used)*4 > len(t)*3 {
		enlarge(c, &s.large, bucketShift)
	}
}

// widen gives c the same table with words as entries.
func (s *quantileSlab) widen(c *quantileCell) {
	off := s.large.alloc(c.class)
	t := s.large.block(off, c.class)
	for p, e := range s.small.block(c.off, c.class) {
		t[p] = widened(e)
	}
	s.small.release(c.off, c.class)
	c.off, c.isLarge = off, true
}

func widened(e uint32) uint64 { return uint64(e>>smallShift)<<bucketShift | uint64(e&smallCount) }

// enlarge gives c a table of twice the size.
func enlarge[E uint32 | uint64](c *quantileCell, in *arena[E], shift int) {
	oldOff, oldClass := c.off, c.class
	c.class++
	c.off = in.alloc(c.class)
	t := in.block(c.off, c.class)
	mask := E(len(t) - 1)
	for _, e := range in.block(oldOff, oldClass) {
		if e != 0 {
			p := e >> shift & mask
			for t[p] != 0 {
				p = (p + 1) & mask
			}
			t[p] = e
		}
	}
	in.release(oldOff, oldClass)
}

// used appends the buckets of group g that are in use.
func (s *quantileSlab) used(dst []uint64, g uint32) []uint64 {
	c := &s.cells[g]
	switch {
	case c.class == 0:
	case c.isLarge:
		for _, e := range s.large.block(c.off, c.class) {
			if e != 0 {
				dst = append(dst, e)
			}
		}
	default:
		for _, e := range s.small.block(c.off, c.class) {
			if e != 0 {
				dst = append(dst, widened(e))
			}
		}
	}
	return dst
}

// entries appends the buckets of group g that are in use, lowest value first.
func (s *quantileSlab) entries(dst []uint64, g uint32) []uint64 {
	dst = s.used(dst, g)
	slices.Sort(dst)
	return dst
}

func (s *quantileSlab) merge(from slab, to []uint32) {
	o := from.(*quantileSlab)
	var entries []uint64
	for g := range o.cells {
		entries = o.used(entries[:0], uint32(g))
		for _, e := range entries {
			s.add(to[g], e>>bucketShift, e&bucketCount)
		}
	}
}

// encoder: how many buckets; for each the distance from the one before and how
// many values.
func (s *quantileSlab) encoder([]uint32) func([]byte, uint32) []byte {
	var entries []uint64
	return func(dst []byte, g uint32) []byte {
		entries = s.entries(entries[:0], g)
		dst = binary.AppendUvarint(dst, uint64(len(entries)))
		last := uint64(0)
		for _, e := range entries {
			dst = binary.AppendUvarint(dst, e>>bucketShift-last)
			dst = binary.AppendUvarint(dst, e&bucketCount)
			last = e >> bucketShift
		}
		return dst
	}
}

func (s *quantileSlab) decode(r *reader, g uint32) {
	at := uint64(0)
	for k := r.count(2); k > 0 && !r.bad; k-- {
		d, n := r.uvarint(), r.uvarint()
		if at += d; d == 0 || d > topBucket || !s.possible(at) || n == 0 || n > bucketCount {
			r.fail()
			return
		}
		s.add(g, at, n)
	}
}

// possible reports whether bucketOf may return k for a value of the type.
func (s *quantileSlab) possible(k uint64) bool {
	const infinite = 0x7ff0 << 2
	return k >= zeroBucket-infinite && k <= zeroBucket+infinite || k == topBucket && s.in.Kind == event.Float64
}

func (s *quantileSlab) finish(out *event.Column, order []uint32) int {
	n := len(order)
	var null nulls
	var entries []uint64
	low, high := limits64(out.Type)
	switch out.Type.Storage() {
	case event.InInts:
		out.Ints = make([]int64, n)
	case event.InFloats:
		out.Floats = make([]float64, n)
	case event.InWide:
		out.Wide = make([]event.Int128, n)
	}
	for i, g := range order {
		entries = s.entries(entries[:0], g)
		if len(entries) == 0 {
			null.set(i, n)
			continue
		}
		v := quantileOf(entries, s.q)
		switch {
		case out.Ints != nil:
			v = math.RoundToEven(v)
			switch {
			case v <= float64(low):
				out.Ints[i] = low
			case v >= float64(high):
				out.Ints[i] = high
			default:
				out.Ints[i] = int64(v)
			}
		case out.Floats != nil:
			out.Floats[i] = v
		default:
			out.Wide[i] = wideOf(v, out.Type)
		}
	}
	out.Valid = null.valid
	return -1
}

// quantileRank returns which of n sorted values, counted from 0, is the
// quantile q: the first that has a share of at least q at or below it. That is
// quantile_disc of SQL; q*n is taken as the whole number it is written as,
// when it only misses that by the rounding of q.
func quantileRank(q float64, n uint64) uint64 {
	share := q * float64(n)
	if whole := math.Round(share); math.Abs(share-whole) <= 1e-12*whole {
		share = whole
	}
	if planted.On(planted.QuantileRank) {
		return uint64(share)
	}
	return uint64(max(1, math.Ceil(share))) - 1
}

// quantileOf returns the quantile q of sorted buckets.
func quantileOf(entries []uint64, q float64) float64 {
	total := uint64(0)
	for _, e := range entries {
		total += e & bucketCount
	}
	rank := quantileRank(q, total)
	for _, e := range entries {
		if n := e & bucketCount; rank >= n {
			rank -= n
			continue
		}
		return bucketValue(e >> bucketShift)
	}
	return bucketValue(entries[len(entries)-1] >> bucketShift)
}

// limits64 returns the smallest and largest value of a type kept in Ints.
func limits64(t event.Type) (low, high int64) {
	switch t.Kind {
	case event.Int32, event.Date:
		return math.MinInt32, math.MaxInt32
	case event.Decimal:
		high = 1
		for range min(t.Precision, event.MaxNarrow) {
			high *= 10
		}
		return 1 - high, high - 1
	}
	return math.MinInt64, math.MaxInt64
}

// wideOf rounds v, which an estimate may have put slightly outside t, into t.
func wideOf(v float64, t event.Type) event.Int128 {
	low, high := limits128(t)
	switch {
	case v <= low.Float64():
		return low
	case v >= high.Float64():
		return high
	}
	b, _ := big.NewFloat(math.RoundToEven(v)).Int(nil)
	w, _ := event.Int128FromBig(b)
	return w
}

func (s *quantileSlab) clone() slab {
	return &quantileSlab{q: s.q, in: s.in, cells: append([]quantileCell(nil), s.cells...), small: s.small.clone(), large: s.large.clone()}
}

func (s *quantileSlab) reset() {
	s.cells = s.cells[:0]
	s.small.reset()
	s.large.reset()
}

func (s *quantileSlab) bytes() int64 { return sliceBytes(s.cells) + s.small.bytes() + s.large.bytes() }
