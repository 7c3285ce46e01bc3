package speed

import (
	"flag"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"anabranch/event"
)

// oracle is hot written with a plain map.
type oracle struct {
	place map[event.ID]int
	ids   []oracleID
}

type oracleID struct {
	id     event.ID
	hash   uint64
	offset uint64
}

func (o *oracle) add(id event.ID, hash, offset uint64) (int, bool) {
	if p, ok := o.place[id]; ok {
		return p, false
	}
	o.place[id] = len(o.ids)
	o.ids = append(o.ids, oracleID{id, hash, offset})
	return len(o.ids) - 1, true
}

func (o *oracle) keep(kept []oracleID) {
	*o = oracle{place: map[event.ID]int{}}
	for _, e := range kept {
		o.add(e.id, e.hash, e.offset)
	}
}

// TestHotAgainstMap adds, undoes, forgets and stores ids at random and
// compares every answer with a map's. Half of the ids share their slots.
func TestHotAgainstMap(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		h, o := &hot{}, &oracle{place: map[event.ID]int{}}
		offset := uint64(0)
		for step := range 100 {
			switch x := r.IntN(20); {
			case x == 0 && offset > 0:
				below := offset - uint64(r.IntN(int(min(offset, 40))))
				h.forget(below)
				var kept []oracleID
				for _, e := range o.ids {
					if e.offset >= below {
						kept = append(kept, e)
					}
				}
				o.keep(kept)
			case x == 1:
				n := r.IntN(h.n + 1)
				if h.n > 0 { // undo whole frames only, as apply does
					f := h.frame[r.IntN(len(h.frame))]
					n = f.place
				}
				h.undo(n)
				o.keep(o.ids[:n:n])
			case x == 2:
				b := h.append(nil)
				back := &hot{}
				c := &cursor{left: b}
				if !back.read(c) || len(c.left) != 0 {
					t.Fatalf("seed %d step %d: not read back", seed, step)
				}
				h = back
			default:
				offset += 1 + uint64(r.IntN(3))
				n := r.IntN(900)
				ids, hashes := make([]event.ID, n), make([]uint64, n)
				for i := range ids {
					v := r.Uint64N(12000)
					ids[i], hashes[i] = event.ID{Hi: v >> 3, Lo: v & 7}, r.Uint64()
				}
				places, fresh := make([]int32, n), make([]bool, n)
				h.add(offset, ids, hashes, places, fresh)
				for i, id := range ids {
					p, isNew := o.add(id, hashes[i], offset)
					if int(places[i]) != p || fresh[i] != isNew || h.at(p).hash != o.ids[p].hash || h.offset(p) != o.ids[p].offset {
						t.Fatalf("seed %d step %d: id %v at %d new %v, want %d %v", seed, step, id, places[i], fresh[i], p, isNew)
					}
				}
			}
			if h.n != len(o.ids) {
				t.Fatalf("seed %d step %d: %d ids, want %d", seed, step, h.n, len(o.ids))
			}
		}
	}
}

func randomIDs(n int) ([]event.ID, []uint64) {
	r := rand.New(rand.NewPCG(7, 7))
	ids, hashes := make([]event.ID, n), make([]uint64, n)
	for i := range ids {
		ids[i], hashes[i] = event.ID{Hi: r.Uint64(), Lo: r.Uint64()}, r.Uint64()
	}
	return ids, hashes
}

var benchIDs = flag.Int("ids", 4<<20, "ids above the cut in BenchmarkDedupe")

// BenchmarkDedupe adds ids in frames of 512, one in ten of which is a copy of
// an earlier one.
func BenchmarkDedupe(b *testing.B) {
	const frame = 512
	n := *benchIDs / frame * frame
	ids, hashes := randomIDs(n)
	for i := 10; i < n; i += 10 {
		ids[i] = ids[i/2]
	}
	places, fresh := make([]int32, frame), make([]bool, frame)
	var perID float64
	b.ResetTimer()
	for range b.N {
		h := &hot{}
		for i := 0; i < n; i += frame {
			h.add(uint64(i), ids[i:i+frame], hashes[i:i+frame], places, fresh)
		}
		perID = float64(h.bytes()) / float64(h.n)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/id")
	b.ReportMetric(perID, "bytes/id")
}

// However many ids there are, an id takes less than 32 bytes, and less than 37
// while two indexes are there together.
func TestHotIsSmall(t *testing.T) {
	t.Parallel()
	const frame = 500
	ids, hashes := randomIDs(600 * frame)
	places, fresh := make([]int32, frame), make([]bool, frame)
	var h hot
	grew := 0
	for i := 0; i < len(ids); i += frame {
		h.add(uint64(i), ids[i:i+frame], hashes[i:i+frame], places, fresh)
		most := 32.0
		if h.growing() {
			most = 37
			grew += frame
		}
		if perID := float64(h.bytes()) / float64(h.n); h.n > 30_000 && perID >= most {
			t.Fatalf("%d ids take %.1f bytes each", h.n, perID)
		}
	}
	if grew == 0 || grew > len(ids)/8 {
		t.Errorf("two indexes are there together for %d of %d ids", grew, len(ids))
	}
	if len(h.index.rest) > 0 {
		t.Errorf("%d of %d ids found no room near their home", len(h.index.rest), h.n)
	}
}

// While ids move to a larger index all are found, also where frames are undone
// meanwhile.
func TestHotGrows(t *testing.T) {
	t.Parallel()
	const frame = 100
	ids, hashes := randomIDs(4 * manyIDs)
	places, fresh := make([]int32, frame), make([]bool, frame)
	var h hot
	undone, grew := 0, 0
	for i := 0; i < len(ids); i += frame {
		ids, hashes := ids[i:min(i+frame, len(ids))], hashes[i:min(i+frame, len(ids))]
		h.add(uint64(i), ids, hashes, places, fresh)
		if slices.Contains(fresh[:len(ids)], false) {
			t.Fatalf("at %d an id is not new", i)
		}
		if !h.growing() {
			continue
		}
		grew++
		if grew%7 == 0 {
			h.undo(i)
			h.add(uint64(i), ids, hashes, places, fresh)
			undone++
		}
		checkHeld(t, &h, i+len(ids), 977)
		if grew%16 == 0 { // as if the frames that made it grow had never come
			h.undo(i - i/3)
			i -= i/3 + frame
		}
	}
	if undone == 0 {
		t.Error("nothing was undone while ids moved")
	}
	checkHeld(t, &h, len(ids), 1)
}

// checkHeld looks whether the first n ids of randomIDs are held, each so many of them.
func checkHeld(t *testing.T, h *hot, n, each int) {
	t.Helper()
	if h.n != n {
		t.Fatalf("%d ids are held, want %d", h.n, n)
	}
	ids, hashes := randomIDs(n)
	places, fresh := make([]int32, 1), make([]bool, 1)
	for i := 0; i < n; i += each {
		h.add(0, ids[i:i+1], hashes[i:i+1], places, fresh)
		if fresh[0] || int(places[0]) != i {
			t.Fatalf("id %d of %d is at %d, new: %v", i, n, places[0], fresh[0])
		}
	}
}

// Ids that agree in one half, and in all that a slot has of them, are two ids.
func TestHotIDsOfOneHash(t *testing.T) {
	t.Parallel()
	for _, half := range []func(n uint64) event.ID{
		func(n uint64) event.ID { return event.ID{Hi: n * 0x9e3779b97f4a7c15, Lo: 7} },
		func(n uint64) event.ID { return event.ID{Hi: 7, Lo: n * 0x9e3779b97f4a7c15} },
	} {
		x := index{}.larger(2)
		known := map[home]uint64{}
		var pair []event.ID
		for n := uint64(1); pair == nil; n++ {
			id := half(n * n)
			at := x.home(id)
			at.hash = uint64(uint32(at.hash) & x.tagged)
			if m, ok := known[at]; ok {
				pair = []event.ID{half(m), id}
			}
			known[at] = n * n
		}
		var h hot
		fresh := make([]bool, 2)
		h.add(1, pair, []uint64{1, 2}, make([]int32, 2), fresh)
		if !fresh[0] || !fresh[1] || h.n != 2 {
			t.Errorf("%x: new are %v", pair, fresh)
		}
	}
}

// Ids made up so that they find no room near their home are found as others are.
func TestHotIDsOfOneHome(t *testing.T) {
	t.Parallel()
	const n = 4 * near
	// A hash's id: the multiplication of hashOf is undone.
	inverse := uint64(1)
	for range 6 {
		inverse *= 2 - 0x9e3779b97f4a7c15*inverse
	}
	ids := make([]event.ID, n)
	for name, hash := range map[string]func(i int) uint64{
		"one hash":      func(int) uint64 { return 5 << 40 },
		"the end":       func(i int) uint64 { return math.MaxUint64 - uint64(i)<<20 },
		"a long run":    func(i int) uint64 { return uint64(max(0, i-n/2)) << 46 },
		"the other way": func(i int) uint64 { return uint64(max(0, n/2-i)) << 46 },
	} {
		for i := range ids {
			ids[i] = event.ID{Hi: uint64(i)}
			ids[i].Lo = hash(i)*inverse ^ bits.RotateLeft64(ids[i].Hi, 32)
			if hashOf(ids[i]) != hash(i) {
				t.Fatalf("%s: hash %d is %d", name, hash(i), hashOf(ids[i]))
			}
		}
		var h hot
		places, fresh := make([]int32, n), make([]bool, n)
		others, hashes := randomIDs(3 * n)
		for i := range 3 {
			h.add(uint64(2*i), ids[i*n/3:(i+1)*n/3], hashes, places, fresh)
			h.add(uint64(2*i+1), others[i*n:(i+1)*n], hashes, places, fresh)
		}
		if len(h.index.rest) == 0 {
			t.Errorf("%s: no id is aside", name)
		}
		for range 2 {
			before := h.n
			h.add(9, ids, hashes, places, fresh)
			for i, id := range ids {
				if fresh[i] || h.at(int(places[i])).id != id {
					t.Fatalf("%s: id %d is at %d, new: %v", name, i, places[i], fresh[i])
				}
			}
			h.undo(before)
		}
		h.undo(0)
		if i := slices.IndexFunc(h.index.slots, func(e uint32) bool { return e != 0 }); i >= 0 || len(h.index.rest) > 0 {
			t.Fatalf("%s: slot %d is taken after all was undone, %d ids are aside", name, i, len(h.index.rest))
		}
	}
}
