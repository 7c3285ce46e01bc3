package view

import (
	"encoding/binary"
	"math/bits"
)

// heads are the first bytes of texts, by which most are told apart without a look at
// the texts, which lie at random in megabytes. Many begin alike (a prefix, a year), so
// a head begins behind what all have in common, up to eight bytes.
type heads struct {
	of     []uint64 // by group: eight bytes from skip on, zeros behind the end; of a group without a text anything
	common uint64   // the first eight bytes of a text; all begin with skip of them
	skip   int
	met    bool // that is, any text
}

// head returns the head of v, a text of c or one to compare with them. Texts with different heads are
// in the order of these.
func (h *heads) head(v []byte, c *cells) uint64 {
	first := eight(v)
	if differ := first ^ h.common; differ>>(64-8*h.skip) != 0 || !h.met {
		h.narrow(first, c)
	}
	if h.skip == 0 {
		return first
	}
	if len(v) >= 16 {
		return binary.BigEndian.Uint64(v[h.skip:])
	}
	return eight(v[min(h.skip, len(v)):])
}

// narrow makes skip what a text that begins otherwise leaves of it, at most eight times
// in the life of h, and writes the heads of c's texts anew.
func (h *heads) narrow(first uint64, c *cells) {
	if !h.met {
		h.common, h.skip, h.met = first, 8, true
		return
	}
	h.skip = bits.LeadingZeros64(first^h.common) / 8
	for g := range c.spans {
		v := c.str(uint32(g))
		h.of[g] = eight(v[min(h.skip, len(v)):])
	}
}

// eight returns the first eight bytes of v, with zeros behind its end, in their order.
func eight(v []byte) uint64 {
	if len(v) >= 8 {
		return binary.BigEndian.Uint64(v)
	}
	var b [8]byte
	copy(b[:], v)
	return binary.BigEndian.Uint64(b[:])
}

func (h *heads) clone() *heads {
	if h == nil {
		return nil
	}
	c := *h
	c.of = append([]uint64(nil), h.of...)
	return &c
}

func (h *heads) bytes() int64 {
	if h == nil {
		return 0
	}
	return sliceBytes(h.of)
}
