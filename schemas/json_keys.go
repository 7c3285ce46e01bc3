package schemas

import (
	"encoding/binary"
	"math/bits"
)

// keyTable finds fields by keys in the text of an object, eight bytes at a time:
// an open-addressing table by a hash of the words that a name is.
type keyTable struct {
	slots []keySlot // a power of two, and less than half of them taken
	shift int
}

type keySlot struct {
	name  string // empty: free
	field int
}

func newKeyTable(names map[string]int) keyTable {
	size := bits.Len(uint(2*len(names) + 1))
	t := keyTable{slots: make([]keySlot, 1<<size), shift: 64 - size}
	for name, field := range names {
		hash, b := uint64(0), append([]byte(name), make([]byte, 8)...)
		for i := 0; i <= len(name); i += 8 {
			hash = addToKey(hash, binary.LittleEndian.Uint64(b[i:])&firstBytes(len(name)-i))
		}
		at := hash >> t.shift
		for t.slots[at].name != "" {
			at = (at + 1) & uint64(len(t.slots)-1)
		}
		t.slots[at] = keySlot{name, field}
	}
	return t
}

func addToKey(hash, word uint64) uint64 { return (hash ^ word) * 0x9e3779b97f4a7c15 }

// find returns the field whose name begins at i, behind its quote, -1 when there is
// none, and the place behind the quote that ends it. It is not plain where it has
// escapes or bytes that are not ASCII, or b ends close to it.
func (t *keyTable) find(b []byte, i int) (field, next int, plain bool) {
	hash := uint64(0)
	for at := i; at+8 <= len(b); at += 8 {
		w := binary.LittleEndian.Uint64(b[at:])
		hit := specials(w)
		if hit == 0 {
			hash = addToKey(hash, w)
			continue
		}
		n := bits.TrailingZeros64(hit) / 8
		end := at + n
		if b[end] != '"' {
			return 0, 0, false
		}
		for s := addToKey(hash, w&firstBytes(n)) >> t.shift; ; s = (s + 1) & uint64(len(t.slots)-1) {
			switch slot := &t.slots[s]; {
			case slot.name == string(b[i:end]) && end > i:
				return slot.field, end + 1, true
			case slot.name == "":
				return -1, end + 1, true
			}
		}
	}
	return 0, 0, false
}
