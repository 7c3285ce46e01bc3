package view

import (
	"math"

	"anabranch/event"
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
	want, known := make([]uint64, t.width), make([]uint64, t.width) // known: the bits of those keys that are asked for
	some, all := false, true
	for k, kind := range t.types {
		c, at := p.Keys[k], &t.places[k]
		if c == nil {
			all = false
			continue
		}
		some = true
		known[0] |= 1 << k
		known[at.word] |= at.mask << at.shift
		if kind.Storage() == event.InWide {
			known[at.word+1] = math.MaxUint64
		}
		if !t.write(want, k, c, 0) {
			return nil
		}
	}
	if all && p.Range < 0 {
		if slot, ok := t.slot(want); ok {
			return []uint32{slot}
		}
		return nil
	}
	var order []uint32
	take := func(g int) {
		rec := t.rec(g)
		for w, bits := range known {
			if (rec[w]^want[w])&bits != 0 {
				return
			}
		}
		if p.Range >= 0 {
			v := int64(t.places[p.Range].get(rec))
			if rec[0]>>p.Range&1 == 1 || v < p.From || v >= p.To {
				return
			}
		}
		order = append(order, uint32(g))
	}
	if !some || !t.partials.those(t, known, want, take) {
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
	if onlyText(t.types) {
		at := placeOf(rec[0])
		if at >= uint64(len(t.byCode)) || t.byCode[at] == 0 {
			return 0, false
		}
		return t.byCode[at] - 1, true
	}
	if len(t.index) == 0 {
		return 0, false
	}
	h, mask := hashWords(rec), uint64(len(t.index)-1)
	for p := h & mask; t.index[p] != 0; p = (p + 1) & mask {
		if slot, ok := t.maybe(t.index[p], h); ok && equalWords(rec, t.rec(slot)) {
			return uint32(slot), true
		}
	}
	return 0, false
}
