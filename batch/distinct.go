package batch

import (
	"math/bits"
	"slices"

	"anabranch/event"
	"anabranch/internal/hugepage"
)

// Distinct tells which events are the first of their id. Ids get places in the
// order they came; an open-addressing table of 64-bit slots (32 bits of tag, 32
// of place) finds them. Slots are in the order of tags, so that growing moves
// them from front to back without looking at ids, and the table has any size:
// it is at most three quarters full.
type Distinct struct {
	slots []uint64 // tag<<32 | place+1; 0 is free
	ids   []event.ID
	tags  []uint32 // scratch
	warm  uint64
}

// ahead is how long before its turn an id's slot is touched: cache misses overlap.
const ahead = 16

// Len returns how many ids there are.
func (d *Distinct) Len() int { return len(d.ids) }

// Reset forgets all ids and keeps the memory.
func (d *Distinct) Reset() {
	clear(d.slots)
	d.ids = d.ids[:0]
}

// Reserve makes room for n more ids.
func (d *Distinct) Reserve(n int) {
	d.ids = roomFor(d.ids, n)
	if size := slotsFor(len(d.ids) + n); size > len(d.slots) {
		d.grow(size)
	}
}

// roomFor is slices.Grow, on large pages where they are worth it.
func roomFor[T any](s []T, n int) []T {
	if cap(s)-len(s) >= n {
		return s
	}
	return hugepage.Advise(slices.Grow(s, n))
}

func slotsFor(ids int) int { return max(1024, ids+ids/3+1) }

// Add enters ids. places receives the place of each, fresh whether it is new.
func (d *Distinct) Add(ids []event.ID, places []int32, fresh []bool) {
	if slotsFor(len(d.ids)+len(ids)) > len(d.slots) {
		d.Reserve(max(len(ids), len(d.ids)/2))
	}
	d.tags = d.tags[:0]
	for _, id := range ids {
		// Ids are hashes; the multiplication is for those that are not.
		d.tags = append(d.tags, uint32((id.Lo^bits.RotateLeft64(id.Hi, 32))*0x9e3779b97f4a7c15>>32))
	}
	slots, size, tags, warm := d.slots, uint64(len(d.slots)), d.tags, d.warm
	for i, t := range tags {
		if i+ahead < len(tags) {
			warm |= slots[uint64(tags[i+ahead])*size>>32]
		}
		for s := uint64(t) * size >> 32; ; s++ {
			if s == size {
				s = 0
			}
			e := slots[s]
			if e == 0 {
				d.ids = append(d.ids, ids[i])
				slots[s] = uint64(t)<<32 | uint64(len(d.ids))
				places[i], fresh[i] = int32(len(d.ids)-1), true
				break
			}
			if uint32(e>>32) == t {
				if p := int32(uint32(e)) - 1; d.ids[p] == ids[i] {
					places[i], fresh[i] = p, false
					break
				}
			}
		}
	}
	d.warm = warm // keeps the compiler from dropping the loads
}

func (d *Distinct) grow(n int) {
	old := d.slots
	d.slots = hugepage.Advise(make([]uint64, n))
	size := uint64(n)
	for _, e := range old {
		if e == 0 {
			continue
		}
		s := (e >> 32) * size >> 32
		for d.slots[s] != 0 {
			if s++; s == size {
				s = 0
			}
		}
		d.slots[s] = e
	}
}
