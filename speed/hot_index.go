package speed

import (
	"math"
	"math/bits"

	"anabranch/event"
	"anabranch/internal/hugepage"
)

// index finds the places of ids. It is an open-addressing table: an id is in the
// first slot from its home on that was free when it came. A slot has 32 bits: a
// place, and above it as many bits of the id's hash as there is room for.
//
// Slots do not tell where they belong in a larger index. Growing reads the ids
// instead, one behind the other as they lie, and enters them again, each twice in
// all; the smaller index is gone before. As ids are always entered in the order of
// their places, removing the last one is undoing its entry.
//
// Ids that find no slot near their home, as malice alone does it, are in rest.
type index struct {
	slots  []uint32 // 0 is free
	homes  uint64   // in so many slots searches begin; those behind are for what the last ones push away
	tagged uint32   // bits of a slot that are of the hash; those below are the place + 1
	rest   map[event.ID]int
}

const (
	// near is in how many slots from its home on an id may be. Chance needs some
	// hundreds where there are millions of ids and the index is full.
	near       = 1 << 11
	leastHomes = 1 << 10
	fewHomes   = 1 << 15 // fewer are doubled: what is spare is 64 KiB at most, and ids move less often
)

// roomIn is for how many ids there is room with so many homes.
func roomIn(homes uint64) int { return int(homes * 27 / 32) }

// home is where the search for an id begins.
type home struct {
	hash uint64
	slot uint32
}

// hashOf shortens an id. Ids are hashes already; the multiplication keeps the
// index sound for ids that are not.
func hashOf(id event.ID) uint64 {
	return (id.Lo ^ bits.RotateLeft64(id.Hi, 32)) * 0x9e3779b97f4a7c15
}

func (x *index) home(id event.ID) home {
	hash := hashOf(id)
	slot, _ := bits.Mul64(hash, x.homes)
	return home{hash, uint32(slot)}
}

// from returns the slots in which an id with this home may be.
func (x *index) from(at home) []uint32 { return x.slots[at.slot : at.slot+near : at.slot+near] }

// place returns the place in a slot, and whether it may be that of an id with this home.
func (x *index) place(slot uint32, at home) (place int, may bool) {
	return int(slot&^x.tagged) - 1, (slot^uint32(at.hash))&x.tagged == 0
}

// put enters an id that is not there into the first free slot from its home on,
// which is the one with number s.
func (x *index) put(s int, at home, id event.ID, place int) {
	if s < near {
		x.from(at)[s] = uint32(at.hash)&x.tagged | uint32(place+1)
		return
	}
	if x.rest == nil {
		x.rest = map[event.ID]int{}
	}
	x.rest[id] = place
}

// free returns the number of the first free slot from a home on.
func (x *index) free(at home) int {
	slots := x.from(at)
	// Which of the first few it is cannot be foretold.
	s := taken(slots[0])
	s += taken(slots[s])
	s += taken(slots[s])
	for s < near && slots[s] != 0 {
		s++
	}
	return s
}

// taken is 1 but for 0.
func taken(slot uint32) int { return int(-uint64(slot) >> 63) }

// remove removes the id at the last place.
func (x *index) remove(id event.ID, place int) {
	if _, ok := x.rest[id]; ok {
		delete(x.rest, id)
		return
	}
	slots := x.from(x.home(id))
	for s, e := range slots {
		if int(e&^x.tagged) == place+1 {
			slots[s] = 0
			return
		}
	}
}

// room is for how many ids there is room.
func (x *index) room() int { return roomIn(x.homes) }

// larger returns an empty index with room for n ids, which are more than this one
// has room for.
func (x index) larger(n int) index {
	homes := max(x.homes, leastHomes)
	for roomIn(homes) < n {
		more := homes / 2
		if homes < fewHomes {
			more = homes
		}
		homes += more
	}
	return index{
		homes:  homes,
		tagged: math.MaxUint32 << bits.Len(uint(roomIn(homes))),
		slots:  hugepage.Advise(make([]uint32, homes+near)),
	}
}

// bytes returns the memory held.
func (x *index) bytes() int64 {
	return int64(cap(x.slots))*4 + int64(len(x.rest))*48
}
