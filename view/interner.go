package view

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/hugepage"

	"github.com/zeebo/xxh3"
)

// interner is a dictionary that holds each value once. Its values are only
// ever appended to, so that columns may share them.
type interner struct {
	values event.Dict

	// index has 32 bits of a text's hash, then code+1; 0 is empty. A text
	// stands at the place that the upper of these bits tell, or behind it. So an index is
	// doubled in the order of its places, without a look at a text.
	index []uint64
	shift uint8 // of 32 bits, to a place

	each uint32 // bytes of every text, so that offsets need not be read; 0: they differ

	loaded uint64 // what load has seen, so that it is not left out

	// last is the dictionary that known translates: own code + 1, or what the table makes of it, or 0.
	last  *event.Dict
	known []uint32
}

func (d *interner) clone() *interner {
	c := &interner{index: append([]uint64(nil), d.index...), shift: d.shift, each: d.each}
	c.values.Data = append([]byte(nil), d.values.Data...)
	c.values.Offsets = append([]uint32(nil), d.values.Offsets...)
	return c
}

func (d *interner) bytes() int64 {
	return sliceBytes(d.values.Data) + sliceBytes(d.values.Offsets) + sliceBytes(d.index) + sliceBytes(d.known)
}

// anew returns an empty interner with memory of d, which is used no more but for its values:
// results that were handed out share them.
func (d *interner) anew() *interner {
	clear(d.index)
	return &interner{index: d.index, shift: d.shift, known: d.known}
}

// translation returns for each code of from what is known of it here, or 0 where the
// caller has not asked yet.
func (d *interner) translation(from *event.Dict) []uint32 {
	if d.last != from {
		d.last, d.known = from, d.known[:0]
	}
	if n := from.Len(); n > len(d.known) {
		d.known = extend(d.known, n-len(d.known))
	}
	return d.known
}

// intern returns the code of v. The error is Full.
func (d *interner) intern(v []byte) (uint32, error) {
	d.reserve(1)
	return d.put(v, textHash(v))
}

// put is intern of a text with a hash, for which there is room in the index.
func (d *interner) put(v []byte, h uint32) (uint32, error) {
	index := d.index
	p := int(h >> d.shift)
	for ; index[p] != 0; p = (p + 1) & (len(index) - 1) {
		if e := index[p]; uint32(e>>32) == h {
			if c := uint32(e) - 1; equalTexts(d.text(c), v) {
				return c, nil
			}
		}
	}
	if uint64(len(d.values.Data))+uint64(len(v)) > math.MaxUint32 {
		return 0, fault.New(fault.Full, "group table: the strings of one key are over 4 GiB")
	}
	if len(v) > cap(d.values.Data)-len(d.values.Data) {
		d.values.Data = larger(d.values.Data, len(v))
	}
	if len(d.values.Offsets) == cap(d.values.Offsets) {
		d.values.Offsets = larger(d.values.Offsets, 2)
	}
	if n := uint32(len(v)); d.values.Len() == 0 {
		d.each = n
	} else if n != d.each {
		d.each = 0
	}
	c := d.values.Append(v)
	index[p] = uint64(h)<<32 | uint64(c+1)
	return c, nil
}

// text returns the text with a code.
func (d *interner) text(c uint32) []byte {
	if n := uint64(d.each); n > 0 {
		return d.values.Data[uint64(c)*n : uint64(c+1)*n]
	}
	return d.values.Value(c)
}

// larger returns s with room for n more elements and some besides, on large pages.
func larger[T any](s []T, n int) []T {
	if len(s) < 1<<20 {
		return slices.Grow(s, n)
	}
	return append(hugepage.Advise(make([]T, 0, len(s)+max(n, len(s)/2))), s...)
}

// find returns the code of v, if it has one.
func (d *interner) find(v []byte) (uint32, bool) {
	if len(d.index) == 0 {
		return 0, false
	}
	h := textHash(v)
	for p := int(h >> d.shift); d.index[p] != 0; p = (p + 1) & (len(d.index) - 1) {
		if e := d.index[p]; uint32(e>>32) == h {
			if c := uint32(e) - 1; equalTexts(d.text(c), v) {
				return c, true
			}
		}
	}
	return 0, false
}

// textHash is the hash of a text in an interner. Many keys are short: a text of two
// words is hashed as a record of keys is.
func textHash(v []byte) uint32 {
	n := len(v)
	if n < 8 || n > 16 {
		return uint32(xxh3.Hash(v) >> 32)
	}
	h := fold64(binary.LittleEndian.Uint64(v), uint64(n))
	return uint32(fold64(h^binary.LittleEndian.Uint64(v[n-8:]), uint64(n)) >> 32)
}

// equalTexts reports whether two texts are the same; two words are compared without a call.
func equalTexts(a, b []byte) bool {
	n := len(a)
	if n != len(b) {
		return false
	}
	if n < 8 || n > 16 {
		return string(a) == string(b)
	}
	return binary.LittleEndian.Uint64(a) == binary.LittleEndian.Uint64(b) &&
		binary.LittleEndian.Uint64(a[n-8:]) == binary.LittleEndian.Uint64(b[n-8:])
}

// reserve makes room in the index for n more texts, up to two thirds of it.
func (d *interner) reserve(n int) {
	size := len(d.index)
	for size = max(size, 1<<6); (d.values.Len()+n)*3 > size*2; {
		size *= 2
	}
	if size == len(d.index) {
		return
	}
	old := d.index
	d.index, d.shift = hugepage.Advise(make([]uint64, size)), uint8(32-bits.TrailingZeros(uint(size)))
	for _, e := range old {
		if e == 0 {
			continue
		}
		p := int(e >> 32 >> d.shift)
		for d.index[p] != 0 {
			p = (p + 1) & (size - 1)
		}
		d.index[p] = e
	}
}

// dictHashes keeps the hashes of one dictionary's values, each computed when
// the first row asks for it.
type dictHashes struct {
	last   *event.Dict
	hashes []event.Int128
	known  []bool
}

func (h *dictHashes) of(d *event.Dict) ([]event.Int128, []bool) {
	if h.last != d {
		h.last, h.hashes, h.known = d, h.hashes[:0], h.known[:0]
	}
	if n := d.Len() - len(h.known); n > 0 {
		h.hashes, h.known = extend(h.hashes, n), extend(h.known, n)
	}
	return h.hashes, h.known
}

func (h *dictHashes) bytes() int64 { return sliceBytes(h.hashes) + sliceBytes(h.known) }
