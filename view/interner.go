package view

import (
	"encoding/binary"
	"math"

	"anabranch/event"
	"anabranch/fault"

	"github.com/zeebo/xxh3"
)

// interner is a dictionary that holds each value once. Its values are only
// ever appended to, so that columns may share them.
type interner struct {
	values event.Dict
	index  []uint64 // upper half of the hash, then code+1

	// last is the dictionary that known translates: own code + 1, or 0.
	last  *event.Dict
	known []uint32
}

func (d *interner) clone() *interner {
	c := &interner{index: append([]uint64(nil), d.index...)}
	c.values.Data = append([]byte(nil), d.values.Data...)
	c.values.Offsets = append([]uint32(nil), d.values.Offsets...)
	return c
}

func (d *interner) bytes() int64 {
	return sliceBytes(d.values.Data) + sliceBytes(d.values.Offsets) + sliceBytes(d.index) + sliceBytes(d.known)
}

// translation returns for each code of from its code here + 1, or 0 where the
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

// intern returns the code of v.
func (d *interner) intern(v []byte) (uint32, error) {
	h := textHash(v)
	if n := d.values.Len(); n*3 >= len(d.index)*2 {
		d.rehash(max(1<<6, len(d.index)*2))
	}
	mask := uint64(len(d.index) - 1)
	p := h & mask
	for ; d.index[p] != 0; p = (p + 1) & mask {
		if e := d.index[p]; (e^h)>>32 == 0 {
			if c := uint32(e) - 1; string(d.values.Value(c)) == string(v) {
				return c, nil
			}
		}
	}
	if uint64(len(d.values.Data))+uint64(len(v)) > math.MaxUint32 {
		return 0, fault.New(fault.Full, "group table: the strings of one key are over 4 GiB")
	}
	c := d.values.Append(v)
	d.index[p] = h>>32<<32 | uint64(c+1)
	return c, nil
}

// textHash is the hash of a text in an interner. Many keys are short: a text of two
// words is hashed as a record of keys is.
func textHash(v []byte) uint64 {
	n := len(v)
	if n < 8 || n > 16 {
		return xxh3.Hash(v)
	}
	h := fold64(binary.LittleEndian.Uint64(v), uint64(n))
	return fold64(h^binary.LittleEndian.Uint64(v[n-8:]), uint64(n))
}

func (d *interner) rehash(size int) {
	d.index = make([]uint64, size)
	mask := uint64(size - 1)
	for c := range d.values.Len() {
		h := textHash(d.values.Value(uint32(c)))
		p := h & mask
		for d.index[p] != 0 {
			p = (p + 1) & mask
		}
		d.index[p] = h>>32<<32 | uint64(c+1)
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
