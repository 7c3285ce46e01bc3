package speed

import (
	"sort"

	"anabranch/event"
)

// hot remembers the ids above the cut: for each the content hash of its first
// event and the offset of that event's frame.
//
// Ids lie in chunks in the order they came, which is log order, and an index
// finds them. A new id, the usual case, costs one or two random memory
// accesses, and forgetting what lies below a cut is dropping a prefix. About 30
// bytes an id: docs/proposals/016 says what else was thought of. It belongs to
// the loop of its partition.
type hot struct {
	index  index
	growth growth
	chunk  [][]seen         // each of chunkLen; place p is chunk[p/chunkLen][p%chunkLen]
	n      int              // ids held
	frame  []framed         // which frame the ids came with, ascending
	homes  [touchAhead]home // scratch
	warm   uint32
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
	chunkLen = 1 << 10
	// touchAhead is how many ids are looked at together: enough for their
	// cache misses to overlap, few enough for the first to be still there.
	touchAhead = 64
)

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
	h.move(moveEach * len(ids))
	growing := h.growing()
	before := h.n
	for len(ids) > 0 {
		n := min(touchAhead, len(ids))
		if growing {
			h.look(&h.growth.from, ids[:n])
		}
		for i, at := range h.look(&h.index, ids[:n]) {
			places[i], fresh[i] = h.enter(ids[i], hashes[i], at)
		}
		ids, hashes, places, fresh = ids[n:], hashes[n:], places[n:], fresh[n:]
	}
	if h.n > before && (len(h.frame) == 0 || h.frame[len(h.frame)-1].offset != offset) {
		h.frame = append(h.frame, framed{offset, before})
	}
}

// look returns the homes of ids in x, whose slots it has loaded.
func (h *hot) look(x *index, ids []event.ID) []home {
	homes := h.homes[:len(ids)]
	for i := range homes {
		homes[i] = x.home(ids[i])
	}
	h.touch(x, homes)
	return homes
}

// enter remembers an id with this home unless it is known, and returns its
// place and whether it is new.
func (h *hot) enter(id event.ID, content uint64, at home) (place int32, fresh bool) {
	found, slot := h.find(&h.index, id, at)
	if found < 0 && h.growing() {
		found, _ = h.find(&h.growth.from, id, h.growth.from.home(id))
	}
	if found >= 0 {
		return int32(found), false
	}
	place = int32(h.push(id, content))
	h.index.put(slot, at, id, int(place))
	return place, true
}

// find returns the place that x has for an id with this home, or -1, and the
// number of the slot from its home on that is free for it.
func (h *hot) find(x *index, id event.ID, at home) (place, slot int) {
	if len(x.rest) > 0 {
		if place, known := x.rest[id]; known {
			return place, 0
		}
	}
	slots := x.from(at)
	for ; slot < len(slots) && slots[slot] != 0; slot++ {
		if place, may := x.place(slots[slot], at); may && h.at(place).id == id {
			return place, slot
		}
	}
	return -1, slot
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
	if place < h.growth.end {
		h.move(h.n)
	}
	for h.n > place {
		h.n--
		h.index.remove(h.at(h.n).id, h.n)
	}
	for len(h.frame) > 0 && h.frame[len(h.frame)-1].place >= place {
		h.frame = h.frame[:len(h.frame)-1]
	}
}

// touch loads the slots of some homes, each for itself, so that their misses overlap.
func (h *hot) touch(x *index, homes []home) {
	var warm uint32
	for i := range homes {
		warm |= x.slots[homes[i].slot]
	}
	h.warm = warm // keeps the compiler from dropping the loads
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
	kept.reindex()
	*h = kept
}

// bytes returns the memory held.
func (h *hot) bytes() int64 {
	return h.index.bytes() + h.growth.from.bytes() + int64(len(h.chunk))*(chunkLen*24+24) + int64(cap(h.frame))*16
}
