package schemas

import (
	"bytes"

	"github.com/zeebo/xxh3"

	"anabranch/event"
)

// interner builds a dictionary in which each value stands once. Its table is
// open addressing over codes, so that adding a value that is already there
// allocates nothing.
type interner struct {
	dict  *event.Dict
	slots []slot // a power of two long, at most half full
	seed  uint64 // of the hashes
	// Of late hardly a value came twice, as with ids: in so many dictionaries
	// each gets a code of its own, which is cheaper than to look for it. Only
	// next begins that.
	distinct int

	short []shortWords // of the values of the dictionary, as many as appendCodes knows

	last     uint32 // code of the latest value, asked first: runs of equal values are common
	lastHash uint64
}

type slot struct {
	hash uint32
	code uint32 // plus one; 0 is empty
}

const (
	minSlots      = 64
	enoughValues  = 512 // to tell whether they repeat
	distinctDicts = 15  // until values are looked for again
)

// next is reset for who takes dictionaries in which a value stands twice;
// asked is for how many values a code was asked, and again means that the old
// dictionary may be written over.
func (t *interner) next(asked int, again bool) {
	if t.distinct > 0 {
		t.distinct--
	} else if asked >= enoughValues && 8*t.dict.Len() > 7*asked {
		t.distinct = distinctDicts
	}
	t.begin(again)
}

// reset begins a new dictionary, since the old one may be in use elsewhere.
func (t *interner) reset() { t.begin(false) }

// begin is reset, for a dictionary in the memory of the old one where that may be
// written over. It is another one still: who knows values by their dictionary
// does not take it for the old one.
func (t *interner) begin(again bool) {
	t.last, t.lastHash = 0, 0
	t.short = t.short[:0]
	if again && t.dict != nil {
		t.dict = &event.Dict{Offsets: t.dict.Offsets[:1], Data: t.dict.Data[:0]}
	} else {
		values, data := 16, 256 // or what the old one needed
		if t.dict != nil {
			values, data = max(values, len(t.dict.Offsets)), max(data, len(t.dict.Data))
		}
		t.dict = &event.Dict{Offsets: make([]uint32, 1, values+values/8), Data: make([]byte, 0, data+data/8)}
	}
	if t.slots == nil {
		t.slots = make([]slot, minSlots)
	} else {
		clear(t.slots)
	}
}

// code returns the code of v, adding v when it is new.
func (t *interner) code(v []byte) uint32 {
	if t.distinct > 0 { // also here: no hash is needed
		return t.dict.Append(v)
	}
	return t.codeOf(v, xxh3.HashSeed(v, t.seed))
}

// codeOf is code where the hash of v with the interner's seed is known.
func (t *interner) codeOf(v []byte, hash uint64) uint32 {
	if t.distinct > 0 {
		return t.dict.Append(v)
	}
	if hash == t.lastHash && t.dict.Len() > 0 && bytes.Equal(t.dict.Value(t.last), v) {
		return t.last
	}
	t.lastHash = hash
	return t.find(v, hash)
}

func (t *interner) find(v []byte, hash uint64) uint32 {
	h := uint32(hash)
	mask := uint32(len(t.slots) - 1)
	at := h & mask
	for ; t.slots[at].code != 0; at = (at + 1) & mask {
		if s := t.slots[at]; s.hash == h && bytes.Equal(t.dict.Value(s.code-1), v) {
			t.last = s.code - 1
			return t.last
		}
	}
	t.last = t.dict.Append(v)
	t.slots[at] = slot{h, t.last + 1}
	if 2*t.dict.Len() > len(t.slots) {
		t.grow()
	}
	return t.last
}

func (t *interner) grow() {
	old := t.slots
	t.slots = make([]slot, 2*len(old))
	mask := uint32(len(t.slots) - 1)
	for _, s := range old {
		if s.code == 0 {
			continue
		}
		at := s.hash & mask
		for t.slots[at].code != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = s
	}
}

// recoder maps the codes of one foreign dictionary after another to those of
// an interner, looking at each value once.
type recoder struct {
	codes []uint32 // plus one; 0 is not asked yet
	asked []uint32 // which are not 0: beginning anew costs what was asked, however large the dictionary
}

func (r *recoder) reset(d *event.Dict) {
	for _, code := range r.asked {
		r.codes[code] = 0
	}
	r.asked = r.asked[:0]
	if n := d.Len(); cap(r.codes) < n {
		r.codes = make([]uint32, n)
	} else {
		r.codes = r.codes[:n]
	}
}

func (r *recoder) code(t *interner, d *event.Dict, code uint32) uint32 {
	if c := r.codes[code]; c != 0 {
		return c - 1
	}
	c := t.code(d.Value(code))
	r.codes[code] = c + 1
	r.asked = append(r.asked, code)
	return c
}
