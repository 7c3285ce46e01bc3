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
			h.touchUnmoved(ids[:n])
		}
		homes := h.homes[:n]
		for i := range homes {
			homes[i] = h.index.home(ids[i])
		}
		h.touch(&h.index, homes)
		for i, at := range homes {
			places[i], fresh[i] = h.enter(ids[i], hashes[i], at)
		}
		ids, hashes, places, fresh = ids[n:], hashes[n:], places[n:], fresh[n:]
	}
	if h.n > before && (len(h.frame) == 0 || h.frame[len(h.frame)-1].offset != offset) {
		h.frame = append(h.frame, framed{offset, before})
	}
}

// enter remembers an id with this home unless it is known, and returns its
// place and whether it is new.
func (h *hot) enter(id event.ID, content uint64, at home) (place int32, fresh bool) {
	if len(h.index.rest) > 0 {
		if place, known := h.index.rest[id]; known {
			return int32(place), false
		}
	}
	x := &h.index
	slots, s := x.from(at), 0
	for ; s < len(slots) && slots[s] != 0; s++ {
		if place, may := x.place(slots[s], at); may && h.at(place).id == id {
			return int32(place), false
		}
	}
	if h.growing() {
		if place, known := h.unmoved(id); known {
			return int32(place), false
		}
	}
	place = int32(h.push(id, content))
	x.put(s, at, id, int(place))
	return place, true
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
