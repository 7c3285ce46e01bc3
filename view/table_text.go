package view

import (
	"math"

	"anabranch/event"
	"anabranch/fault"
)

// A table whose only key is a text has no index of records: byCode has slot+1 of each
// code, behind that of null. What is known of a dictionary's texts is their slots, so a row
// costs one look.

// onlyText reports whether these keys are one text.
func onlyText(types []event.Type) bool {
	return len(types) == 1 && types[0].Storage() == event.InCodes
}

// lookupTexts is lookup of such a table.
func (t *table) lookupTexts(c *event.Column, n int) ([]uint32, error) {
	if err := t.room(n); err != nil {
		return nil, err
	}
	t.slots = sized(t.slots, n)
	slots := t.slots
	if c.Dict.Len() > 0 {
		d := t.dicts[0]
		known := d.translation(c.Dict)
		asked := t.strangers(known, c, n)
		if err := d.internAll(c.Dict, asked, known); err != nil {
			d.last = nil
			return nil, err
		}
		t.coded(d.values.Len())
		for _, v := range asked {
			known[v] = t.ofCode(uint64(known[v]-1)<<32) + 1
		}
		for i, v := range c.Codes[:n] {
			slots[i] = known[v] - 1
		}
	}
	if c.Valid.Count(n) == n {
		return slots, nil
	}
	t.coded(0)
	null := t.ofCode(1)
	for i := range slots {
		if !c.Valid.Get(i) {
			slots[i] = null
		}
	}
	return slots, nil
}

// room is whether there are slots for n more groups. The error is Full.
func (t *table) room(n int) error {
	if uint64(t.n)+uint64(n) > math.MaxUint32-1 {
		return fault.New(fault.Full, "group table of %d groups: no room for more", t.n)
	}
	return nil
}

// coded makes places for so many codes, and null.
func (t *table) coded(n int) { t.byCode = extend(t.byCode, max(n+1-len(t.byCode), 0)) }

// placeOf is the place in byCode of a record.
func placeOf(rec uint64) uint64 { return (rec>>32 + 1) * (1 - rec&1) }

// ofCode returns the slot of a record, making it if there is none.
func (t *table) ofCode(rec uint64) uint32 {
	at := &t.byCode[placeOf(rec)]
	if *at == 0 {
		t.recs = append(t.recs, rec)
		t.n++
		*at = uint32(t.n)
	}
	return *at - 1
}

// placeTexts is place of such a table.
func (t *table) placeTexts(n int) []uint32 {
	t.coded(t.dicts[0].values.Len())
	for i, rec := range t.rows[:n] {
		t.slots[i] = t.ofCode(rec)
	}
	return t.slots
}
