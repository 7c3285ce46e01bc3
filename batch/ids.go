package batch

import (
	"cmp"
	"slices"

	"anabranch/archive"
	"anabranch/event"
)

// idTable holds the events of a chunk by id, in the order in which they were met.
type idTable struct {
	known  Distinct
	firsts []first // by place
}

// first is what is known of the first event with an id.
type first struct {
	hash, offset uint64
	row          int32
	old          bool // an id run says so
}

func (t *idTable) len() int { return len(t.firsts) }

func (t *idTable) reset() {
	t.known.Reset()
	t.firsts = t.firsts[:0]
}

func (t *idTable) reserve(n int) {
	t.known.Reserve(n)
	t.firsts = slices.Grow(t.firsts, n)
}

// add enters events by their ids, in order. places receives where the first with
// the id of each is, isNew whether that is this one; the same place may come again.
func (t *idTable) add(ids []event.ID, events []first, places []int32, isNew []bool) {
	t.known.Add(ids, places, isNew)
	for i := range events {
		if isNew[i] {
			t.firsts = append(t.firsts, events[i])
		}
	}
}

// fresh returns the entries that no id run knows, sorted by id.
func (t *idTable) fresh() []archive.Entry {
	// What is sorted is small, and becomes an entry when all is in order.
	type spot struct {
		hi    uint64
		place int32
	}
	ids := t.known.ids
	spots := make([]spot, 0, len(ids))
	for i, id := range ids {
		if !t.firsts[i].old {
			spots = append(spots, spot{id.Hi, int32(i)})
		}
	}
	sortSpread(spots, make([]spot, len(spots)), func(s *spot) uint64 { return s.hi }, func(a, b spot) int {
		if a.hi != b.hi {
			return cmp.Compare(a.hi, b.hi)
		}
		return ids[a.place].Compare(ids[b.place])
	})
	out := make([]archive.Entry, len(spots))
	for i, s := range spots {
		f := &t.firsts[s.place]
		out[i] = archive.Entry{ID: ids[s.place], Hash: f.hash, Offset: f.offset, Row: f.row}
	}
	return out
}

// before reports whether the event at a stands before the one at b.
func before(aOffset uint64, aRow int32, b event.Position) bool {
	return aOffset < b.Offset || aOffset == b.Offset && aRow < b.Row
}
