package batch

import (
	"cmp"
	"math/bits"
	"slices"

	"anabranch/archive"
	"anabranch/event"
)

// idTable holds the events of a chunk by id, in the order in which they were met.
type idTable struct {
	known  Distinct
	firsts []first // by place

	entries []archive.Entry // memory of fresh
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

// bucketEntries is about how many entries fresh sorts at a time: they lie in the cache.
const bucketEntries = 2048

// fresh returns the entries that no id run knows, sorted by id; they are the
// caller's until the next call.
//
// Entries are made in the order of the table, which is that of memory, and go
// to buckets by the upper bits of their ids. Each bucket is sorted by itself.
func (t *idTable) fresh() []archive.Entry {
	ids := t.known.ids
	n, least, most := 0, ^uint64(0), uint64(0)
	for i := range ids {
		if !t.firsts[i].old {
			n, least, most = n+1, min(least, ids[i].Hi), max(most, ids[i].Hi)
		}
	}
	if n == 0 {
		return nil
	}
	wanted := bits.Len(uint(n / bucketEntries))
	shift := max(bits.Len64(most-least)-wanted, 0)
	ends := make([]int32, 1<<wanted+1) // where each bucket begins, at first
	for i := range ids {
		if !t.firsts[i].old {
			ends[(ids[i].Hi-least)>>shift+1]++
		}
	}
	for b := range ends[1:] {
		ends[b+1] += ends[b]
	}
	t.entries = room(t.entries, n)
	for i := range ids {
		if f := &t.firsts[i]; !f.old {
			end := &ends[(ids[i].Hi-least)>>shift]
			t.entries[*end] = archive.Entry{ID: ids[i], Hash: f.hash, Offset: f.offset, Row: f.row}
			*end++
		}
	}
	var s entrySort
	from := int32(0)
	for _, to := range ends[:len(ends)-1] {
		s.sort(t.entries[from:to])
		from = to
	}
	return t.entries
}

// entrySort sorts entries by id. What is sorted is small, and entries are put in place when all is in order.
type entrySort struct {
	spots, tmp []spot
	entries    []archive.Entry
}

type spot struct {
	hi    uint64
	place int32
}

func (s *entrySort) sort(entries []archive.Entry) {
	s.spots, s.tmp = room(s.spots, len(entries)), room(s.tmp, len(entries))
	for i := range entries {
		s.spots[i] = spot{entries[i].ID.Hi, int32(i)}
	}
	sortSpread(s.spots, s.tmp, func(s *spot) uint64 { return s.hi }, func(a, b spot) int {
		if a.hi != b.hi {
			return cmp.Compare(a.hi, b.hi)
		}
		return entries[a.place].ID.Compare(entries[b.place].ID)
	})
	s.entries = append(s.entries[:0], entries...)
	for i, spot := range s.spots {
		entries[i] = s.entries[spot.place]
	}
}

// before reports whether the event at a stands before the one at b.
func before(aOffset uint64, aRow int32, b event.Position) bool {
	return aOffset < b.Offset || aOffset == b.Offset && aRow < b.Row
}
