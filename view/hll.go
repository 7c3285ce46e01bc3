package view

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"anabranch/event"
	"anabranch/internal/planted"

	"github.com/zeebo/xxh3"
)

// HyperLogLog with 2^11 registers: its standard error is 1.04/sqrt(2048) =
// 2.3 % of the true number. A register holds the longest run of zeros, plus
// one, of the hashes that fall to it; the estimate is Ertl's improved raw
// estimator (Otmar Ertl, "New cardinality estimation algorithms for
// HyperLogLog sketches", 2017, algorithm 6), which needs no corrections for
// small and large numbers.
const (
	hllBits      = 11
	hllRegisters = 1 << hllBits
	hllRank      = 64 - hllBits + 1 // the largest value of a register

	// Up to this many registers in use are a hash table in memory, more are
	// one byte each.
	hllSparse = 192
	// Up to this many are written one by one, more as 6 bits for every one.
	hllWrittenSparse = 512
)

// hllEntry returns what a hash tells: register<<8 | rank.
func hllEntry(h uint64) uint32 {
	rank := bits.LeadingZeros64(h<<hllBits|1<<(hllBits-1)) + 1
	return uint32(h>>(64-hllBits))<<8 | uint32(rank)
}

// hllSlab is approx_count_distinct.
type hllSlab struct {
	in    event.Storage
	cells []hllCell
	// sparse tables: entries by open addressing, 0 is empty.
	sparse arena[uint32]
	dense  arena[byte] // hllRegisters bytes each

	last  *event.Dict
	known []uint32 // entries of the values of last
}

type hllCell struct {
	off   uint32 // in sparse or dense
	used  uint16 // registers in use, while sparse
	class uint8  // of the sparse table; 0 is none
	dense bool
}

func (s *hllSlab) grow(n int) { s.cells = extend(s.cells, n-len(s.cells)) }

func (s *hllSlab) fold(f *folding) {
	switch s.in {
	case event.InCodes:
		entries := s.entriesOf(f.arg.Dict, len(f.sel))
		for _, i := range f.sel {
			c := f.arg.Codes[i]
			if entries[c] == 0 {
				entries[c] = hllEntry(xxh3.Hash128(f.arg.Dict.Value(c)).Lo)
			}
			s.add(f.slots[i], entries[c])
		}
	case event.InWide:
		for _, i := range f.sel {
			v := f.arg.Wide[i]
			s.add(f.slots[i], hllEntry(mix(mix(uint64(v.Hi))^v.Lo)))
		}
	case event.InFloats:
		for _, i := range f.sel {
			s.add(f.slots[i], hllEntry(mix(uint64(ordFloat(f.arg.Floats[i])))))
		}
	default:
		for _, i := range f.sel {
			s.add(f.slots[i], hllEntry(mix(uint64(f.arg.Ints[i]))))
		}
	}
}

// entriesOf returns the entries of a dictionary's values, 0 where no row has
// asked yet. If so many rows as there are values are going to ask, all are computed at once.
func (s *hllSlab) entriesOf(d *event.Dict, rows int) []uint32 {
	if s.last != d {
		s.last, s.known = d, s.known[:0]
	}
	from := len(s.known)
	s.known = extend(s.known, d.Len()-from)
	if d.Len()-from <= rows {
		for c := from; c < len(s.known); c++ {
			s.known[c] = hllEntry(xxh3.Hash128(d.Value(uint32(c))).Lo)
		}
	}
	return s.known
}

func (s *hllSlab) add(g uint32, e uint32) {
	c := &s.cells[g]
	if c.dense {
		if r := &s.dense.block(c.off, hllBits)[e>>8]; *r < byte(e) {
			*r = byte(e)
		}
		return
	}
	if c.class == 0 {
		c.class = 2
		c.off = s.sparse.alloc(c.class)
	}
	t := s.sparse.block(c.off, c.class)
	mask := uint32(len(t) - 1)
	p := (e >> 8) & mask
	// Whether a register is in use cannot be foretold, so there is no branch for it.
	for taken(t[p])&taken((t[p]^e)>>8) != 0 {
		p = (p + 1) & mask
	}
	is := taken(t[p]) // 1 where the register is there
	if planted.On(planted.RegistersAdded) && is != 0 {
		e = e&^0xff | min(t[p]&0xff+e&0xff, hllRank)
	}
	t[p] = max(t[p], e)
	if c.used += uint16(1 - is); int(c.used)*4 > len(t)*3 {
		s.enlarge(c)
	}
}

// taken is 1 but for 0, without a branch.
func taken(entry uint32) uint32 { return uint32(-uint64(entry) >> 63) }

// enlarge gives c a table of twice the size, or the dense form.
func (s *hllSlab) enlarge(c *hllCell) {
	oldOff, oldClass := c.off, c.class
	if c.used > hllSparse {
		off := s.dense.alloc(hllBits)
		registers := s.dense.block(off, hllBits)
		for _, e := range s.sparse.block(oldOff, oldClass) {
			if e != 0 {
				registers[e>>8] = byte(e)
			}
		}
		*c = hllCell{off: off, dense: true}
	} else {
		c.class++
		c.off = s.sparse.alloc(c.class)
		t := s.sparse.block(c.off, c.class)
		mask := uint32(len(t) - 1)
		for _, e := range s.sparse.block(oldOff, oldClass) {
			if e != 0 {
				p := (e >> 8) & mask
				for t[p] != 0 {
					p = (p + 1) & mask
				}
				t[p] = e
			}
		}
	}
	s.sparse.release(oldOff, oldClass)
}

// entries appends the registers of group g that are in use, in order.
func (s *hllSlab) entries(dst []uint32, g uint32) []uint32 {
	c := &s.cells[g]
	switch {
	case c.dense:
		for i, r := range s.dense.block(c.off, hllBits) {
			if r != 0 {
				dst = append(dst, uint32(i)<<8|uint32(r))
			}
		}
	case c.class != 0:
		for _, e := range s.sparse.block(c.off, c.class) {
			if e != 0 {
				dst = append(dst, e)
			}
		}
		slices.Sort(dst)
	}
	return dst
}

func (s *hllSlab) merge(from slab, to []uint32) {
	o := from.(*hllSlab)
	var entries []uint32
	for g := range o.cells {
		entries = o.entries(entries[:0], uint32(g))
		for _, e := range entries {
			s.add(to[g], e)
		}
	}
}

// encoder: how many registers are in use; then, if few, for each the distance
// from the one before and its value; else all registers, 6 bits each.
func (s *hllSlab) encoder([]uint32) func([]byte, uint32) []byte {
	var entries []uint32
	return func(dst []byte, g uint32) []byte {
		entries = s.entries(entries[:0], g)
		dst = binary.AppendUvarint(dst, uint64(len(entries)))
		if len(entries) <= hllWrittenSparse {
			last := uint32(0)
			for _, e := range entries {
				dst = binary.AppendUvarint(dst, uint64(e>>8-last))
				dst = append(dst, byte(e))
				last = e >> 8
			}
			return dst
		}
		at := len(dst)
		dst = extend(dst, hllRegisters*6/8)
		for _, e := range entries {
			bit := e >> 8 * 6
			v := uint16(e&63) << (bit & 7)
			p := at + int(bit>>3)
			dst[p] |= byte(v)
			if v>>8 != 0 {
				dst[p+1] |= byte(v >> 8)
			}
		}
		return dst
	}
}

func (s *hllSlab) decode(r *reader, g uint32) {
	n := r.uvarint()
	if n > hllRegisters {
		r.fail()
	}
	if n <= hllWrittenSparse {
		at := uint64(0)
		for k := uint64(0); k < n && !r.bad; k++ {
			d := r.uvarint()
			rank := r.byte()
			if d > hllRegisters || k > 0 && d == 0 || at+d >= hllRegisters || rank == 0 || rank > hllRank {
				r.fail()
				return
			}
			at += d
			s.add(g, uint32(at)<<8|uint32(rank))
		}
		return
	}
	packed := r.take(hllRegisters * 6 / 8)
	if packed == nil {
		return
	}
	used := uint64(0)
	for i := range uint32(hllRegisters) {
		bit := i * 6
		v := uint16(packed[bit>>3])
		if int(bit>>3)+1 < len(packed) {
			v |= uint16(packed[bit>>3+1]) << 8
		}
		rank := uint32(v>>(bit&7)) & 63
		if rank > hllRank {
			r.fail()
			return
		}
		if rank != 0 {
			used++
			s.add(g, i<<8|rank)
		}
	}
	if used != n {
		r.fail()
	}
}

func (s *hllSlab) finish(out *event.Column, order []uint32) int {
	out.Ints = make([]int64, len(order))
	var entries []uint32
	for i, g := range order {
		entries = s.entries(entries[:0], g)
		out.Ints[i] = hllEstimate(entries)
	}
	return -1
}

// hllEstimate returns the number of distinct values that entries speak for.
func hllEstimate(entries []uint32) int64 {
	var count [hllRank + 1]float64
	count[0] = float64(hllRegisters - len(entries))
	for _, e := range entries {
		count[e&0xff]++
	}
	if len(entries) == 0 {
		return 0
	}
	const m = hllRegisters
	z := m * hllTau(1-count[hllRank]/m)
	for k := hllRank - 1; k >= 1; k-- {
		z = (z + count[k]) / 2
	}
	z += m * hllSigma(count[0]/m)
	return int64(math.Round(m * m / (2 * math.Ln2) / z))
}

// hllSigma is sigma of Ertl's paper: x + the sum of x^(2^k) * 2^(k-1).
func hllSigma(x float64) float64 {
	y, z := 1.0, x
	for {
		x *= x
		before := z
		z += x * y
		y += y
		if z == before {
			return z
		}
	}
}

// hllTau is tau of Ertl's paper: (1 - x - the sum of (1-x^(2^-k))^2 * 2^-k) / 3.
func hllTau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for {
		x = math.Sqrt(x)
		before := z
		y /= 2
		z -= (1 - x) * (1 - x) * y
		if z == before {
			return z / 3
		}
	}
}

func (s *hllSlab) clone() slab {
	return &hllSlab{in: s.in, cells: append([]hllCell(nil), s.cells...), sparse: s.sparse.clone(), dense: s.dense.clone()}
}

func (s *hllSlab) reset() {
	s.cells = s.cells[:0]
	s.dense.reset()
	s.sparse.reset()
}

func (s *hllSlab) bytes() int64 {
	return sliceBytes(s.cells) + s.sparse.bytes() + s.dense.bytes() + sliceBytes(s.known)
}
