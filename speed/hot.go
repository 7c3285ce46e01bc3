package speed

import (
	"math/bits"
	"sort"

	"anabranch/event"
)

// hot remembers the ids above the cut: for each the content hash of its first
// event and the offset of that event's frame.
//
// Ids lie in chunks in the order they came, which is log order; an
// open-addressing table of 64-bit slots (32 bits of tag, 32 bits of place)
// finds them. A new id, the usual case, costs one random memory access, and
// forgetting what lies below a cut is dropping a prefix. About 40 bytes an id.
// The upper bits of a tag are its slot's number: growing goes through the old
// table and writes the new one from front to back, without looking at ids.
// It belongs to the loop of its partition.
type hot struct {
	slots []uint64 // tag<<32 | place+1; 0 = free; a power of two long
	shift uint8    // 32 - log2(len(slots)): tag>>shift is where an id's search begins
	chunk [][]seen // each of chunkLen; place p is chunk[p/chunkLen][p%chunkLen]
	n     int      // ids held
	frame []framed // which frame the ids came with, ascending
	tags  []uint32 // scratch of add
	warm  uint64
}

// seen is one id with the content hash of its first event.
type seen struct {
	id   event.ID
	hash uint64
}

// framed says that the ids from place on came with the frame at offset.
type framed struct {
	offset uint64
	place  int
}

const (
	chunkLen = 1 << 12
	minSlots = 1 << 10
	// touchAhead is how many ids are looked at together: enough for their
	// cache misses to overlap, few enough for the first to be still there.
	touchAhead = 64
)

// tag spreads an id over 32 bits. Ids are hashes already; the multiplication
// keeps the table sound for ids that are not.
func tag(id event.ID) uint32 {
	return uint32((id.Lo ^ bits.RotateLeft64(id.Hi, 32)) * 0x9e3779b97f4a7c15 >> 32)
}

func (h *hot) at(place int) *seen { return &h.chunk[place/chunkLen][place%chunkLen] }

// offset returns the offset of the frame that brought the id at place.
func (h *hot) offset(place int) uint64 {
	i := sort.Search(len(h.frame), func(i int) bool { return h.frame[i].place > place })
	return h.frame[i-1].offset
}

// add looks up the ids of one frame in order and remembers the new ones.
// places[i] receives the place of ids[i] and fresh[i] whether it is new.
func (h *hot) add(offset uint64, ids []event.ID, hashes []uint64, places []int32, fresh []bool) {
	h.reserve(h.n + len(ids))
	before := h.n
	slots, mask := h.slots, uint64(len(h.slots)-1)
	for len(ids) > 0 {
		n := min(touchAhead, len(ids))
		// Touch: independent loads of the slots, whose misses overlap.
		tags := h.tags[:0]
		var warm uint64
		for i := range n {
			t := tag(ids[i])
			tags = append(tags, t)
			warm |= slots[t>>h.shift]
		}
		h.tags, h.warm = tags, warm // warm keeps the compiler from dropping the loads
		for i, t := range tags {
			for s := uint64(t >> h.shift); ; s = (s + 1) & mask {
				e := slots[s]
				if e == 0 {
					slots[s] = uint64(t)<<32 | uint64(h.push(ids[i], hashes[i])+1)
					places[i], fresh[i] = int32(h.n-1), true
					break
				}
				if uint32(e>>32) == t {
					if p := int(uint32(e)) - 1; h.at(p).id == ids[i] {
						places[i], fresh[i] = int32(p), false
						break
					}
				}
			}
		}
		ids, hashes, places, fresh = ids[n:], hashes[n:], places[n:], fresh[n:]
	}
	if h.n > before && (len(h.frame) == 0 || h.frame[len(h.frame)-1].offset != offset) {
		h.frame = append(h.frame, framed{offset, before})
	}
}

// push appends an id and returns its place.
func (h *hot) push(id event.ID, hash uint64) int {
	if h.n == len(h.chunk)*chunkLen {
		h.chunk = append(h.chunk, make([]seen, chunkLen))
	}
	*h.at(h.n) = seen{id, hash}
	h.n++
	return h.n - 1
}

// undo forgets the ids from place on, which were the last ones added.
func (h *hot) undo(place int) {
	mask := uint64(len(h.slots) - 1)
	for h.n > place {
		h.n--
		want := uint32(h.n + 1)
		s := uint64(tag(h.at(h.n).id) >> h.shift)
		for uint32(h.slots[s]) != want {
			s = (s + 1) & mask
		}
		h.free(s)
	}
	for len(h.frame) > 0 && h.frame[len(h.frame)-1].place >= place {
		h.frame = h.frame[:len(h.frame)-1]
	}
}

// free empties slot s and moves up those behind it that would no longer be
// found.
func (h *hot) free(s uint64) {
	mask := uint64(len(h.slots) - 1)
	for next := (s + 1) & mask; h.slots[next] != 0; next = (next + 1) & mask {
		begins := h.slots[next] >> 32 >> h.shift
		if (next-begins)&mask >= (next-s)&mask {
			h.slots[s] = h.slots[next]
			s = next
		}
	}
	h.slots[s] = 0
}

// reserve makes room for n ids at a load of at most 4/5.
func (h *hot) reserve(n int) {
	size := max(len(h.slots), minSlots)
	for n > size/5*4 {
		size *= 2
	}
	if size != len(h.slots) {
		h.grow(size)
	}
}

// grow moves the slots to a table of the given size.
func (h *hot) grow(size int) {
	old := h.slots
	h.slots = make([]uint64, size)
	h.shift = uint8(32 - bits.TrailingZeros(uint(size)))
	mask := uint64(size - 1)
	for _, e := range old {
		if e == 0 {
			continue
		}
		s := e >> 32 >> h.shift
		for h.slots[s] != 0 {
			s = (s + 1) & mask
		}
		h.slots[s] = e
	}
}

// index builds the slots of ids that were pushed without them.
func (h *hot) index() {
	h.slots = nil
	h.reserve(h.n)
	mask := uint64(len(h.slots) - 1)
	for p := 0; p < h.n; p++ {
		t := tag(h.at(p).id)
		s := uint64(t >> h.shift)
		for h.slots[s] != 0 {
			s = (s + 1) & mask
		}
		h.slots[s] = uint64(t)<<32 | uint64(p+1)
	}
}

// forget drops the ids whose first event lies in a frame below offset.
func (h *hot) forget(offset uint64) {
	i := sort.Search(len(h.frame), func(i int) bool { return h.frame[i].offset >= offset })
	if i == 0 {
		return
	}
	kept := hot{}
	for ; i < len(h.frame); i++ {
		kept.frame = append(kept.frame, framed{h.frame[i].offset, kept.n})
		end := h.n
		if i+1 < len(h.frame) {
			end = h.frame[i+1].place
		}
		for p := h.frame[i].place; p < end; p++ {
			s := h.at(p)
			kept.push(s.id, s.hash)
		}
	}
	kept.index()
	*h = kept
}

// bytes returns the memory held.
func (h *hot) bytes() int64 {
	return int64(len(h.slots))*8 + int64(len(h.chunk))*chunkLen*24 + int64(cap(h.frame))*16
}
