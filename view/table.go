package view

import (
	"math"
	"math/bits"

	"anabranch/event"
)

// maxKeys is how many keys a view may have: one null bit each in one word.
const maxKeys = 64

// table gives each tuple of keys a slot: 0, 1, 2, ... in order of appearance (a text
// that is the only key comes before null of the same batch).
// A tuple is a record of words: a bit for each key that is null, and the keys'
// codes (see place); a null key has code zero. Codes are integers as they are,
// floats as ordFloat, strings as their code in the table's own dictionary.
type table struct {
	types    []event.Type
	places   []place // by key
	width    int     // words in a record, 0 without keys
	n        int
	recs     []uint64    // n records
	index    []uint32    // open addressing, see entry; 0 is empty
	byCode   []uint32    // instead of it where the only key is a text
	slotBits uint8       // of an entry
	dicts    []*interner // by key; nil where it is not a string
	partials partials

	memo *memo // nil: of no use for these keys

	// Scratch of lookup.
	codes  [][]uint32 // by key, of texts: own code plus one
	rows   []uint64
	hashes []uint64
	slots  []uint32
	found  []uint32
	every  []uint32 // 0, 1, 2, ...
	touch  uint32
}

func newTable(types []event.Type) *table {
	t := &table{types: types, dicts: make([]*interner, len(types)), memo: newMemo(types), codes: make([][]uint32, len(types))}
	t.places, t.width = placed(types)
	for i, k := range types {
		if k.Storage() == event.InCodes {
			t.dicts[i] = &interner{}
		}
	}
	t.reset()
	return t
}

func (t *table) reset() {
	t.recs = t.recs[:0]
	clear(t.index)
	t.byCode = t.byCode[:0]
	t.n = 0
	t.partials.reset()
	if t.width == 0 {
		t.n = 1
	}
	if t.memo != nil {
		t.memo.forget()
	}
	for i, d := range t.dicts {
		if d != nil {
			t.dicts[i] = d.anew()
		}
	}
}

func (t *table) clone() *table {
	c := &table{
		types: t.types, places: t.places, width: t.width, n: t.n, dicts: make([]*interner, len(t.dicts)), memo: newMemo(t.types), codes: make([][]uint32, len(t.types)),
		recs: append([]uint64(nil), t.recs...), index: append([]uint32(nil), t.index...), slotBits: t.slotBits,
		byCode: append([]uint32(nil), t.byCode...),
	}
	for i, d := range t.dicts {
		if d != nil {
			c.dicts[i] = d.clone()
		}
	}
	return c
}

func (t *table) bytes() int64 {
	n := sliceBytes(t.recs) + sliceBytes(t.index) + sliceBytes(t.byCode) + sliceBytes(t.rows) + sliceBytes(t.hashes) + sliceBytes(t.slots) + sliceBytes(t.found) + sliceBytes(t.every) + t.partials.bytes()
	if t.memo != nil {
		n += t.memo.bytes()
	}
	for _, d := range t.dicts {
		if d != nil {
			n += d.bytes()
		}
	}
	return n
}

// lookup returns the slot of each of n rows of keys, making slots for tuples
// it has not seen. It is valid until the next call. The error is Full: no room
// for more groups or strings; then no slot was made.
func (t *table) lookup(keys []event.Column, n int) ([]uint32, error) {
	if onlyText(t.types) {
		return t.lookupTexts(&keys[0], n)
	}
	for k := range keys {
		if t.dicts[k] != nil {
			if err := t.translate(k, &keys[k], n); err != nil {
				return nil, err
			}
		}
	}
	m := t.memo
	if m == nil || !m.begin(keys, t.dicts, n, t.n) {
		for len(t.every) < n {
			t.every = append(t.every, uint32(len(t.every)))
		}
		t.encode(keys, t.every[:n])
		return t.place(n)
	}
	m.find(keys, t.codes, n)
	t.encode(keys, m.asked)
	found, err := t.place(len(m.asked))
	if err != nil {
		m.forget()
		return nil, err
	}
	t.found = append(t.found[:0], found...)
	t.slots = sized(t.slots, n)
	m.learn(t.found, t.slots)
	return t.slots, nil
}

// translate writes the table's own codes, plus one, of n texts to t.codes[k];
// null is 0.
func (t *table) translate(k int, c *event.Column, n int) error {
	codes := sized(t.codes[k], n)
	t.codes[k] = codes
	if c.Dict.Len() == 0 { // all rows are null
		clear(codes)
		return nil
	}
	d := t.dicts[k]
	known := d.translation(c.Dict)
	if err := d.internAll(c.Dict, t.strangers(known, c, n), known); err != nil {
		d.last = nil
		return err
	}
	for i, v := range c.Codes[:n] {
		codes[i] = known[v]
	}
	if c.Valid != nil {
		for i := range codes {
			if !c.Valid.Get(i) {
				codes[i] = 0
			}
		}
	}
	return nil
}

// strangers returns those codes of n texts that have no translation yet, each once, and
// marks them as known. Whether one has cannot be foretold, so each is
// written and the next goes over it unless it is a stranger.
func (t *table) strangers(known []uint32, c *event.Column, n int) []uint32 {
	t.found = sized(t.found, n)
	k := uint32(0)
	for i, v := range c.Codes[:n] {
		if c.Valid != nil && !c.Valid.Get(i) {
			continue // its code says nothing
		}
		t.found[k] = v
		is := taken(known[v])
		k += 1 - is
		known[v] |= is - 1
	}
	return t.found[:k]
}

// encode fills t.rows with the records of the given rows of keys.
func (t *table) encode(keys []event.Column, given []uint32) {
	t.rows = extend(t.rows[:0], len(given)*t.width)
	rows, w := t.rows, t.width
	for k := range keys {
		c, at, shift := &keys[k], t.places[k].word, t.places[k].shift
		switch c.Type.Storage() {
		case event.InInts:
			for i, r := range given {
				rows[i*w+at] = uint64(c.Ints[r])
			}
		case event.InFloats:
			for i, r := range given {
				rows[i*w+at] = uint64(ordFloat(c.Floats[r]))
			}
		case event.InWide:
			for i, r := range given {
				rows[i*w+at], rows[i*w+at+1] = uint64(c.Wide[r].Hi), c.Wide[r].Lo
			}
		case event.InCodes:
			for i, r := range given {
				rows[i*w+at] |= uint64(max(t.codes[k][r], 1)-1) << shift
			}
		}
		if c.Valid == nil {
			continue
		}
		for i, r := range given {
			if c.Valid.Get(int(r)) {
				continue
			}
			rows[i*w] |= 1 << k
			switch c.Type.Storage() {
			case event.InInts, event.InFloats:
				rows[i*w+at] = 0
			case event.InWide:
				rows[i*w+at], rows[i*w+at+1] = 0, 0
			}
		}
	}
}

func hashWords(rec []uint64) uint64 {
	var h uint64
	for _, v := range rec {
		h = fold64(h^v, uint64(len(rec)))
	}
	return h
}

// place looks up the n records in t.rows. Hashing all, touching all their
// places, then probing lets the loads from a large index overlap.
func (t *table) place(n int) ([]uint32, error) {
	t.slots = extend(t.slots[:0], n)
	w := t.width
	if w == 0 {
		return t.slots, nil
	}
	if err := t.room(n); err != nil {
		return nil, err
	}
	if onlyText(t.types) {
		return t.placeTexts(n), nil
	}
	if len(t.index) == 0 {
		t.rehash(1 << 6)
	}
	t.hashes = extend(t.hashes[:0], n)
	hashes, rows, slots, index := t.hashes, t.rows, t.slots, t.index
	for i := range hashes {
		hashes[i] = hashWords(rows[i*w : i*w+w])
	}
	mask := uint64(len(index) - 1)
	const touched = 1 << 15 // entries; a smaller index stays in cache anyway
	if mask >= touched {
		var sum uint32
		for _, h := range hashes {
			sum += index[h&mask]
		}
		t.touch = sum
	}
	last := ^uint64(0)
	for i, h := range hashes {
		rec := rows[i*w : i*w+w]
		if h == last && i > 0 && equalWords(rec, rows[i*w-w:i*w]) {
			slots[i] = slots[i-1]
			continue
		}
		last = h
		p := h & mask
		for {
			e := index[p]
			if e == 0 {
				index[p] = t.entry(h, t.n)
				t.recs = append(t.recs, rec...)
				slots[i] = uint32(t.n)
				t.n++
				if t.n*4 > len(index)*3 {
					t.rehash(len(index) * 2)
					index, mask = t.index, uint64(len(t.index)-1)
				}
				break
			}
			if slot, ok := t.maybe(e, h); ok {
				if equalWords(rec, t.recs[slot*w:slot*w+w]) {
					slots[i] = uint32(slot)
					break
				}
			}
			p = (p + 1) & mask
		}
	}
	return slots, nil
}

// entry is what stands in the index for a slot with this hash: slot+1, for which
// there are as many bits as the size of the index has, and in the bits above it
// those of the hash. No record is looked at whose bits differ; in a large index there are few
// of them, but then 2^32 slots have room as well.
func (t *table) entry(h uint64, slot int) uint32 {
	return uint32(h>>32)>>t.slotBits<<t.slotBits | uint32(slot+1)
}

// maybe returns the slot of an entry, and whether it may be that of a hash.
func (t *table) maybe(e uint32, h uint64) (slot int, ok bool) {
	return int(e&^(math.MaxUint32<<t.slotBits)) - 1, (e^uint32(h>>32))>>t.slotBits == 0
}

func equalWords(a, b []uint64) bool {
	b = b[:len(a)]
	for i, v := range a {
		if v != b[i] {
			return false
		}
	}
	return true
}

// rehash fills an index of size places from the records.
func (t *table) rehash(size int) {
	t.index, t.slotBits = make([]uint32, size), uint8(min(bits.Len(uint(size-1)), 32))
	mask := uint64(size - 1)
	for s := range t.n {
		h := hashWords(t.recs[s*t.width : (s+1)*t.width])
		p := h & mask
		for t.index[p] != 0 {
			p = (p + 1) & mask
		}
		t.index[p] = t.entry(h, s)
	}
}

// adopt makes a slot for every record of o and returns them by o's slots.
func (t *table) adopt(o *table) ([]uint32, error) {
	t.rows = append(t.rows[:0], o.recs...)
	for k, from := range o.dicts {
		if from == nil {
			continue
		}
		known := make([]uint32, from.values.Len())
		for c := range known {
			var err error
			if known[c], err = t.dicts[k].intern(from.values.Value(uint32(c))); err != nil {
				return nil, err
			}
		}
		p := &t.places[k]
		for i := range o.n {
			rec := t.rows[i*t.width : (i+1)*t.width]
			if rec[0]>>k&1 == 0 {
				p.set(rec, uint64(known[p.get(rec)]))
			}
		}
	}
	return t.place(o.n)
}
