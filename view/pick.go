package view

import (
	"anabranch/event"

	"github.com/zeebo/xxh3"
)

// Pick takes some groups of a view: those whose keys have given values and lie
// in a range of one of them.
type Pick struct {
	// Keys has, for each key of the view, a row that it has to be equal to, null
	// to null; nil takes any.
	Keys []*event.Column
	// Range is the key that has to lie from From up to below To, a number or a
	// time; -1: none has to.
	Range    int
	From, To int64
}

// Pick returns those of the rows of Groups that p takes, in no given order; nil
// for none. It changes nothing that others see of the state. A pick of some keys costs what
// the groups with these do, but for the first of its kind and for groups that are
// new; one of no key looks at every group.
func (s *State) Pick(p *Pick) (*event.Batch, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	order := s.table.pick(p)
	if len(order) == 0 {
		return nil, nil
	}
	return s.groups(order, s.table.columns(order, nil))
}

// pick returns the slots that p takes.
func (t *table) pick(p *Pick) []uint32 {
	if t.width == 0 {
		return []uint32{0}
	}
	want := make([]uint64, t.width)
	var known uint64 // the keys that are asked for
	words := make([]int, 0, t.width)
	at, ranged := 1, 0
	for k, kind := range t.types {
		wide := kind.Storage() == event.InWide
		if c := p.Keys[k]; c != nil {
			known |= 1 << k
			words = append(words, at)
			if wide {
				words = append(words, at+1)
			}
			switch {
			case !c.Valid.Get(0):
				want[0] |= 1 << k
			case wide:
				want[at], want[at+1] = uint64(c.Wide[0].Hi), c.Wide[0].Lo
			case kind.Storage() == event.InFloats:
				want[at] = uint64(ordFloat(c.Floats[0]))
			case kind.Storage() == event.InCodes:
				code, ok := t.dicts[k].find(c.Bytes(0))
				if !ok {
					return nil
				}
				want[at] = uint64(code)
			default:
				want[at] = uint64(c.Ints[0])
			}
		}
		if k == p.Range {
			ranged = at
		}
		if at++; wide {
			at++
		}
	}
	if ranged == 0 && len(words) == t.width-1 {
		if slot, ok := t.slot(want); ok {
			return []uint32{slot}
		}
		return nil
	}
	var order []uint32
	take := func(g int) {
		rec := t.recs[g*t.width : (g+1)*t.width]
		if (rec[0]^want[0])&known != 0 {
			return
		}
		for _, w := range words {
			if rec[w] != want[w] {
				return
			}
		}
		if ranged > 0 && (rec[0]>>p.Range&1 == 1 || int64(rec[ranged]) < p.From || int64(rec[ranged]) >= p.To) {
			return
		}
		order = append(order, uint32(g))
	}
	if !t.partials.those(t, known, words, want, take) {
		for g := range t.n {
			take(g)
		}
	}
	return order
}

// slot returns the slot of a record, if it has one.
func (t *table) slot(rec []uint64) (uint32, bool) {
	if t.width == 0 {
		return 0, true
	}
	if len(t.index) == 0 {
		return 0, false
	}
	h, mask := hashWords(rec), uint64(len(t.index)-1)
	for p := h & mask; t.index[p] != 0; p = (p + 1) & mask {
		if e := t.index[p]; (e^h)>>32 == 0 {
			slot := int(uint32(e)) - 1
			if equalWords(rec, t.recs[slot*t.width:(slot+1)*t.width]) {
				return uint32(slot), true
			}
		}
	}
	return 0, false
}

// find returns the code of v, if it has one.
func (d *interner) find(v []byte) (uint32, bool) {
	if len(d.index) == 0 {
		return 0, false
	}
	h, mask := xxh3.Hash(v), uint64(len(d.index)-1)
	for p := h & mask; d.index[p] != 0; p = (p + 1) & mask {
		if e := d.index[p]; (e^h)>>32 == 0 {
			if c := uint32(e) - 1; string(d.values.Value(c)) == string(v) {
				return c, true
			}
		}
	}
	return 0, false
}
