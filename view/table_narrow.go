package view

import (
	"math/bits"

	"anabranch/event"
)

// Whole numbers that come in no order but are few (a flag, an hour of the day, the
// number of a shop) are a memo's codes as texts are: how far they are from the least,
// plus one; null is 0. Times rise and stay the same for long, and make rounds.

const (
	narrowRange = 1 << 13 // values, from the least to the largest, that are few
	narrowRows  = 64      // of a batch that shows it
)

// narrowKey is what is known of an integer key.
type narrowKey struct {
	first       int64    // its code is 1
	least, most int64    // that were met
	met         bool     // that is, any
	codes       []uint32 // of the rows of this batch
}

// mayBeNarrow reports whether integers of a type may come in no order.
func mayBeNarrow(t event.Type) bool {
	switch t.Kind {
	case event.Bool, event.Int32, event.Int64, event.Decimal:
		return true
	}
	return false
}

// divide tells the integer keys that are narrow from those that make rounds, by n
// rows of them.
func (m *memo) divide(keys []event.Column, n int) {
	m.narrow, m.wide = m.narrow[:0], m.wide[:0]
	for _, k := range m.ints {
		p := &m.known[k]
		p.meet(&keys[k], n)
		values := uint64(p.most) - uint64(p.least) + 1
		if n < narrowRows || !mayBeNarrow(keys[k].Type) || p.least == p.most || values-1 >= narrowRange {
			m.wide = append(m.wide, k)
			continue
		}
		width := 1 << bits.Len64(values+values/4) // a few more on both sides, and null
		if m.size*width > memoCells {
			m.wide = append(m.wide, k)
			continue
		}
		m.size *= width
		m.width[k], p.first = uint32(width), p.least-int64((uint64(width)-1-values)/2)
		m.narrow = append(m.narrow, k)
	}
}

// meet looks at n integers.
func (p *narrowKey) meet(c *event.Column, n int) {
	for i, v := range c.Ints[:n] {
		switch {
		case c.Valid != nil && !c.Valid.Get(i):
		case !p.met:
			p.least, p.most, p.met = v, v, true
		default:
			p.least, p.most = min(p.least, v), max(p.most, v)
		}
	}
}

// encode finds the codes of the narrow keys of n rows. False: there is none for a
// value.
func (m *memo) encode(keys []event.Column, n int) bool {
	for _, k := range m.narrow {
		p, c := &m.known[k], &keys[k]
		p.codes = sized(p.codes, n)
		before, over := uint64(p.first)-1, uint64(0)
		for i, v := range c.Ints[:n] {
			code := uint64(v) - before
			if c.Valid != nil && !c.Valid.Get(i) {
				code = 0
			} else if code-1 >= uint64(m.width[k])-1 {
				over = 1
			}
			p.codes[i] = uint32(code)
		}
		if over != 0 {
			return false
		}
	}
	return true
}
