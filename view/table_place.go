package view

import (
	"math"

	"anabranch/event"
)

// place is where a key's code is in a record: a word, or half of one for the code
// of a text. The first word begins with the null bits of all keys; a wide key has
// the word behind its own as well.
type place struct {
	word  int
	shift uint8
	mask  uint64
}

// placed returns the places of keys and the words of a record, 0 without keys.
func placed(types []event.Type) (places []place, width int) {
	if len(types) == 0 {
		return nil, 0
	}
	places, width = make([]place, len(types)), 1
	half := -1 // a word whose upper half is free
	if len(types) <= 32 {
		half = 0
	}
	for k, typ := range types {
		switch typ.Storage() {
		case event.InCodes:
			if half >= 0 {
				places[k] = place{half, 32, math.MaxUint32}
				half = -1
				continue
			}
			places[k] = place{width, 0, math.MaxUint32}
			half = width
			width++
		case event.InWide:
			places[k] = place{width, 0, math.MaxUint64}
			width += 2
		default:
			places[k] = place{width, 0, math.MaxUint64}
			width++
		}
	}
	return places, width
}

// get returns the code in a record; of a wide key the upper half.
func (p *place) get(rec []uint64) uint64 { return rec[p.word] >> p.shift & p.mask }

func (p *place) set(rec []uint64, code uint64) {
	rec[p.word] = rec[p.word]&^(p.mask<<p.shift) | code<<p.shift
}

// write writes key k of a row into a record that is empty there. False: no record
// has that text.
func (t *table) write(rec []uint64, k int, c *event.Column, row int) bool {
	p := &t.places[k]
	switch {
	case !c.Valid.Get(row):
		rec[0] |= 1 << k
	case c.Type.Storage() == event.InWide:
		rec[p.word], rec[p.word+1] = uint64(c.Wide[row].Hi), c.Wide[row].Lo
	case c.Type.Storage() == event.InFloats:
		rec[p.word] = uint64(ordFloat(c.Floats[row]))
	case c.Type.Storage() == event.InCodes:
		code, ok := t.dicts[k].find(c.Bytes(row))
		if !ok {
			return false
		}
		p.set(rec, uint64(code))
	default:
		rec[p.word] = uint64(c.Ints[row])
	}
	return true
}

// rec returns the record of a group.
func (t *table) rec(g int) []uint64 { return t.recs[g*t.width : (g+1)*t.width] }

// nulls returns the null bits of a record.
func (t *table) nulls(rec []uint64) uint64 {
	return rec[0] & (math.MaxUint64 >> (maxKeys - len(t.types)))
}
