package speed

import (
	"encoding/binary"
	"math/bits"

	"anabranch/event"
)

// index finds the places of ids. Its slots have 40 bits, in pages of some two
// thousand; an id's hash chooses its page and where its search there begins.
//
// A slot has the place of an id and how far its hash is from the first of its
// page: with the page that is the whole hash. So the index grows by a quarter
// without looking at ids. Slots lie in the order of their hashes, in this index
// and in the grown one: growing is reading all of them and writing them one
// behind the other, into the pages just read. That makes it small: what is spare
// is never much, and doubling, which only a few pages do, would leave a half.
//
// A page is never left. Ids that find no room in theirs, as malice alone does
// it, are in rest.
type index struct {
	page  []page
	pages uint64 // how many
	place uint8  // bits of a slot that are the place + 1; those above are of the hash
	rest  map[event.ID]int
}

// page is an ordered open-addressing table: the first slot from an id's own on
// that is free or has a greater hash ends the search for it.
type page struct {
	first uint64 // the least hash that leads here
	*slots
}

// slots are those of a page and one more, which is always free; 0 is free.
type slots [(pageSlots+1)*slotBytes + 3]byte

const (
	hashBits  = 27 // two ids have one hash as rarely as 2^27 are more than they
	slotBytes = 5
	slotMask  = 1<<(8*slotBytes) - 1
	pageSlots = 2046
	pageHomes = pageSlots - 60      // where searches begin: those behind are for what the last ones push away
	mostIDs   = pageSlots * 27 / 32 // on average; chance has some pages hold a tenth more
	fewPages  = 16                  // fewer are doubled: what is spare is 80 KiB at most, and ids move less often
)

// hashOf shortens an id. Ids are hashes already; the multiplication keeps the
// index sound for ids that are not.
func hashOf(id event.ID) uint64 {
	return (id.Lo ^ bits.RotateLeft64(id.Hi, 32)) * 0x9e3779b97f4a7c15 >> (64 - hashBits)
}

func (p *slots) get(i int) uint64 {
	return binary.LittleEndian.Uint64(p[i*slotBytes:]) & slotMask
}

func (p *slots) set(i int, e uint64) {
	binary.LittleEndian.PutUint32(p[i*slotBytes:], uint32(e))
	p[i*slotBytes+4] = byte(e >> 32)
}

// home is where the search for a hash begins.
type home struct {
	hash       uint64
	page, slot uint32
}

func (x *index) home(hash uint64) home {
	n, slot := x.of(hash)
	return home{hash, uint32(n), uint32(slot)}
}

// of returns the number of the page for a hash and where the search begins.
func (x *index) of(hash uint64) (n, slot int) {
	at := hash * x.pages
	return int(at >> hashBits), int(at & (1<<hashBits - 1) * pageHomes >> hashBits)
}

// slot is what stands for an id on the page of its hash.
func (x *index) slot(p *page, hash uint64, place int) uint64 {
	return (hash-p.first)<<x.place | uint64(place+1)
}

// read returns what a slot was made of.
func (x *index) read(p *page, e uint64) (hash uint64, place int) {
	return p.first + e>>x.place, int(e&(1<<x.place-1)) - 1
}

// search returns the page for a hash, the slot there that is the first with
// this hash or would be, and the first free one behind it.
func (x *index) search(at home) (p *page, s, free int) {
	p = &x.page[at.page]
	least := x.slot(p, at.hash, -1)
	s, free = int(at.slot), int(at.slot)
	for e := p.get(free); e != 0; e = p.get(free) {
		s += int((e - least) >> 63) // 1 where e is less: which it is cannot be foretold
		free++
	}
	return p, s, free
}

// insert puts a slot at s, where search said, and reports whether there was room.
func (p *page) insert(s, free int, e uint64) bool {
	if free == pageSlots {
		return false
	}
	copy(p.slots[(s+1)*slotBytes:], p.slots[s*slotBytes:free*slotBytes])
	p.set(s, e)
	return true
}

func (x *index) aside(id event.ID, place int) {
	if x.rest == nil {
		x.rest = map[event.ID]int{}
	}
	x.rest[id] = place
}

// remove removes an id that is there and moves up those behind it that are not
// where their search begins.
func (x *index) remove(id event.ID, place int) {
	if _, ok := x.rest[id]; ok {
		delete(x.rest, id)
		return
	}
	hash := hashOf(id)
	p, s, _ := x.search(x.home(hash))
	for want := x.slot(p, hash, place); p.get(s) != want; {
		s++
	}
	for ; ; s++ {
		next := p.get(s + 1)
		if next == 0 {
			break
		}
		hash, _ := x.read(p, next)
		if _, home := x.of(hash); home == s+1 {
			break
		}
		p.set(s, next)
	}
	p.set(s, 0)
}

// room is for how many ids there is room.
func (x *index) room() int { return len(x.page) * mostIDs }

// grow makes room for n ids; id tells which one is at a place.
//
// The new pages go before the old ones. Of p pages that become p+q, page n has
// hashes below (n+1)/p of all, which lead to pages below (n+1)/p*(p+q), and that
// is not more than n+1+q: to those up to itself in its new place.
func (x *index) grow(n int, id func(place int) event.ID) {
	old := *x
	x.page = nil
	for n > len(x.page)*mostIDs+old.room() {
		pages := len(x.page) + len(old.page)
		more := pages / 4
		if pages < fewPages {
			more = max(pages, 1)
		}
		for range more {
			x.page = append(x.page, page{slots: new(slots)})
		}
	}
	x.page = append(x.page, old.page...)
	x.pages = uint64(len(x.page))
	for n := range x.page {
		x.page[n].first = (uint64(n)<<hashBits + x.pages - 1) / x.pages
	}
	// A page has at most 2^(hashBits-log2(pages)) hashes, and less than 2^12
	// ids for each: the places of all fit in the other bits.
	x.place = uint8(8*slotBytes - hashBits + bits.Len64(x.pages) - 1)

	var taken [pageSlots + 1]uint64
	to, next := 0, 0 // the page that is written, and its first slot behind what is
	into := x.page[to]
	for i := range old.page {
		p := &old.page[i]
		for _, e := range taken[:p.take(&taken)] {
			hash, place := old.read(p, e)
			n, home := x.of(hash)
			if n != to {
				to, next, into = n, 0, x.page[n]
			}
			if next = max(next, home); next == pageSlots {
				x.aside(id(place), place)
				continue
			}
			into.set(next, x.slot(&into, hash, place))
			next++
		}
	}
}

// take empties a page and returns how many slots were taken, which are in to. Whether
// one is cannot be foretold, so each is written and the next goes over a free one.
func (p *slots) take(to *[pageSlots + 1]uint64) (n int) {
	for s := range pageSlots {
		e := p.get(s)
		to[n] = e
		n += int(-e >> 63) // 1 but for 0
	}
	clear(p[:])
	return n
}

// bytes returns the memory held.
func (x *index) bytes() int64 {
	return int64(len(x.page))*int64(len(slots{})) + int64(cap(x.page))*16 + int64(len(x.rest))*48
}
