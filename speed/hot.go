package speed

import (
	"math"
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
// It belongs to the loop of its partition.
type hot struct {
	slots []uint64 // tag<<32 | place+1; 0 = free; a power of two long
	shift uint8    // 64 - log2(len(slots))
	chunk [][]seen // each of chunkLen; place p is chunk[p/chunkLen][p%chunkLen]
	n     int      // ids held
	frame []framed // which frame the ids came with, ascending
	mixed []uint64 // scratch of add: the mixed ids
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

// mix spreads an id over 64 bits. Ids are hashes already; the multiplication
// keeps the table sound for ids that are not.
func mix(id event.ID) uint64 {
	h := (id.Lo ^ id.Hi>>32 ^ id.Hi<<32) * 0x9e3779b97f4a7c15
	return h ^ h>>29
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
		h.mixed = h.mixed[:0]
		var warm uint64
		for _, id := range ids[:n] {
			m := mix(id)
			h.mixed = append(h.mixed, m)
			warm |= slots[m>>h.shift]
		}
		h.warm = warm // keeps the compiler from dropping the loads
		for i, id := range ids[:n] {
			m := h.mixed[i]
			tag := m << 32
			s := m >> h.shift
			for {
				e := slots[s]
				if e == 0 {
					slots[s] = tag | uint64(h.push(id, hashes[i])+1)
					places[i], fresh[i] = int32(h.n-1), true
					break
				}
				if e&^math.MaxUint32 == tag {
					if p := int(e&math.MaxUint32) - 1; h.at(p).id == id {
						places[i], fresh[i] = int32(p), false
						break
					}
				}
				s = (s + 1) & mask
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
		// The slot of the newest id ends its probe chain: no later id lies
		// behind it, so freeing it breaks no chain.
		want := uint64(h.n + 1)
		for s := mix(h.at(h.n).id) >> h.shift; ; s = (s + 1) & mask {
			if h.slots[s]&math.MaxUint32 == want {
				h.slots[s] = 0
				break
			}
		}
	}
	for len(h.frame) > 0 && h.frame[len(h.frame)-1].place >= place {
		h.frame = h.frame[:len(h.frame)-1]
	}
}

// reserve makes room for n ids at a load of at most 4/5.
func (h *hot) reserve(n int) {
	size := max(len(h.slots), minSlots)
	for n > size/5*4 {
		size *= 2
	}
	if size != len(h.slots) {
		h.index(size)
	}
}

// index builds the table of slots anew.
func (h *hot) index(size int) {
	h.slots = make([]uint64, size)
	h.shift = 64
	for s := size; s > 1; s >>= 1 {
		h.shift--
	}
	mask := uint64(size - 1)
	for p := 0; p < h.n; p++ {
		m := mix(h.at(p).id)
		s := m >> h.shift
		for h.slots[s] != 0 {
			s = (s + 1) & mask
		}
		h.slots[s] = m<<32 | uint64(p+1)
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
	kept.reserve(kept.n)
	*h = kept
}

// bytes returns the memory held.
func (h *hot) bytes() int64 {
	return int64(len(h.slots))*8 + int64(len(h.chunk))*chunkLen*24 + int64(cap(h.frame))*16
}
