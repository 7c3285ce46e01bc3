package batch

import (
	"slices"

	"anabranch/archive"
	"anabranch/event"
)

// idTable holds the events of a chunk by id, in the order they were met: open
// addressing over indexes, since ids are hashes already.
type idTable struct {
	slots   []int32 // index of an entry plus 1; 0 is free
	entries []archive.Entry
	old     []bool // by entry: an id run knows the id; the entry says what it knows
}

func (t *idTable) len() int { return len(t.entries) }

func (t *idTable) reset() {
	clear(t.slots)
	t.entries, t.old = t.entries[:0], t.old[:0]
}

// add returns the index of the entry with e's id, and whether it is new.
func (t *idTable) add(e archive.Entry) (i int, fresh bool) {
	if 2*len(t.entries) >= len(t.slots) {
		t.grow()
	}
	mask := uint64(len(t.slots) - 1)
	for at := e.ID.Lo & mask; ; at = (at + 1) & mask {
		s := t.slots[at]
		if s == 0 {
			t.entries, t.old = append(t.entries, e), append(t.old, false)
			t.slots[at] = int32(len(t.entries))
			return len(t.entries) - 1, true
		}
		if t.entries[s-1].ID == e.ID {
			return int(s - 1), false
		}
	}
}

func (t *idTable) grow() {
	t.slots = make([]int32, max(1024, 2*len(t.slots)))
	mask := uint64(len(t.slots) - 1)
	for i, e := range t.entries {
		at := e.ID.Lo & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = int32(i + 1)
	}
}

// fresh returns the entries that no id run knows, sorted by id.
func (t *idTable) fresh() []archive.Entry {
	out := make([]archive.Entry, 0, len(t.entries))
	for i, e := range t.entries {
		if !t.old[i] {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b archive.Entry) int { return a.ID.Compare(b.ID) })
	return out
}

// before reports whether the event at a stands before the one at b.
func before(aOffset uint64, aRow int32, b event.Position) bool {
	return aOffset < b.Offset || aOffset == b.Offset && aRow < b.Row
}
