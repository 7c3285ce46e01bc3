package schemas

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// shortText is how long a text is that is compared as two words.
const shortText = 16

// shortSlots is how many short texts an interner remembers.
const shortSlots = 512

// shortSlot remembers a short text: its hash for ever, its code for one
// dictionary. To find a text that comes again by it costs less than its hash.
type shortSlot struct {
	head, tail, hash uint64
	length           uint32
	dict, code       uint32
}

// shortCode is code for a text of 1 to 16 bytes that slack stands behind; it
// returns the hash too.
func (t *interner) shortCode(b []byte, s span) (code uint32, hash uint64) {
	length := uint32(s.to - s.from)
	head, tail := binary.LittleEndian.Uint64(b[s.from:]), uint64(0)
	if length <= 8 {
		head &= firstBytes(int(length))
	} else {
		tail = binary.LittleEndian.Uint64(b[s.to-8:])
	}
	// Each product has all bits of its word in its upper half.
	at := (head*0x9e3779b97f4a7c15 + tail*0xd6e8feb86659fd93) >> (64 - 9)
	slot := &t.short[at]
	if slot.head != head || slot.tail != tail || slot.length != length {
		*slot = shortSlot{head: head, tail: tail, length: length, hash: xxh3.HashSeed(b[s.from:s.to], t.seed)}
	}
	if slot.dict != t.dicts {
		slot.dict, slot.code = t.dicts, t.codeOf(b[s.from:s.to], slot.hash)
	}
	return slot.code, slot.hash
}
