package view

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"

	"anabranch/event"

	"github.com/zeebo/xxh3"
)

// distinctSlab is count(DISTINCT). The values of all groups lie in one hash
// table of (group, value), so that a group of few values costs no more than
// they do. Values up to 64 bits and wide ones are kept as they are; strings as
// a 128-bit hash: the count is wrong when two of one group's strings collide,
// which for a billion strings is less likely than 1 in 10^20.
type distinctSlab struct {
	in      event.Storage
	n       []int64 // distinct values, by group
	narrow  distinctSet[uint64]
	wide    distinctSet[event.Int128]
	hashes  dictHashes
	scratch []int64
	mu      sync.Mutex // guards making chains
}

func (s *distinctSlab) isNarrow() bool { return s.in == event.InInts || s.in == event.InFloats }

func (s *distinctSlab) grow(n int) { s.n = extend(s.n, n-len(s.n)) }

func (s *distinctSlab) fold(f *folding) {
	switch s.in {
	case event.InInts, event.InFloats:
		ints := ordinals(f.arg, &s.scratch)
		batch := s.narrow.batch(len(f.sel))
		for k, i := range f.sel {
			batch[k] = distinct[uint64]{uint64(ints[i]), f.slots[i]}
		}
		s.narrow.hash(hashNarrow)
		s.narrow.insert(s.n)
	case event.InWide:
		batch := s.wide.batch(len(f.sel))
		for k, i := range f.sel {
			batch[k] = distinct[event.Int128]{f.arg.Wide[i], f.slots[i]}
		}
		s.wide.hash(hashWide)
		s.wide.insert(s.n)
	case event.InCodes:
		batch := s.wide.batch(len(f.sel))
		d := f.arg.Dict
		hashes, known := s.hashes.of(d)
		for k, i := range f.sel {
			c := f.arg.Codes[i]
			if !known[c] {
				h := xxh3.Hash128(d.Value(c))
				hashes[c], known[c] = event.Int128{Hi: int64(h.Hi), Lo: h.Lo}, true
			}
			batch[k] = distinct[event.Int128]{hashes[c], f.slots[i]}
		}
		s.wide.hash(hashWide)
		s.wide.insert(s.n)
	}
}

func hashNarrow(v uint64, g uint32) uint64 { return fold64(v, uint64(g)<<1|1) }

func hashWide(v event.Int128, g uint32) uint64 {
	return fold64(fold64(uint64(v.Hi), v.Lo), uint64(g)<<1|1)
}

func (s *distinctSlab) merge(from slab, to []uint32) {
	o := from.(*distinctSlab)
	if s.isNarrow() {
		s.narrow.merge(&o.narrow, to, hashNarrow, s.n)
	} else {
		s.wide.merge(&o.wide, to, hashWide, s.n)
	}
}

// encoder: how many values; then, of integers in their order, the first and
// the distances to the next; of others, 16 bytes each, sorted.
func (s *distinctSlab) encoder(order []uint32) func([]byte, uint32) []byte {
	few := order != nil && len(order) <= len(s.n)/fewGroups
	if s.isNarrow() {
		of := s.narrow.groups(few, s.n, &s.mu, func(a, b uint64) int { return cmp.Compare(int64(a), int64(b)) })
		return func(dst []byte, g uint32) []byte {
			dst = binary.AppendUvarint(dst, uint64(s.n[g]))
			values := of(g)
			for i, v := range values {
				if i == 0 {
					dst = appendVarint(dst, int64(v))
				} else {
					dst = binary.AppendUvarint(dst, v-values[i-1])
				}
			}
			return dst
		}
	}
	of := s.wide.groups(few, s.n, &s.mu, event.Int128.Compare)
	return func(dst []byte, g uint32) []byte {
		dst = binary.AppendUvarint(dst, uint64(s.n[g]))
		for _, v := range of(g) {
			dst = binary.LittleEndian.AppendUint64(dst, v.Lo)
			dst = binary.LittleEndian.AppendUint64(dst, uint64(v.Hi))
		}
		return dst
	}
}

func (s *distinctSlab) decode(r *reader, g uint32) {
	if s.isNarrow() {
		n := r.count(1)
		batch := s.narrow.batch(n)
		var v uint64
		for i := range batch {
			if i == 0 {
				v = uint64(r.varint())
			} else {
				next := v + r.uvarint()
				if int64(next) <= int64(v) {
					r.fail()
				}
				v = next
			}
			batch[i] = distinct[uint64]{v, g}
		}
		if !r.bad {
			s.narrow.hash(hashNarrow)
			s.narrow.insert(s.n)
		}
		return
	}
	n := r.count(16)
	batch := s.wide.batch(n)
	for i := range batch {
		lo := r.uint64()
		batch[i] = distinct[event.Int128]{event.Int128{Lo: lo, Hi: int64(r.uint64())}, g}
		if i > 0 && batch[i].value.Compare(batch[i-1].value) <= 0 {
			r.fail()
		}
	}
	if !r.bad {
		s.wide.hash(hashWide)
		s.wide.insert(s.n)
	}
}

func (s *distinctSlab) finish(out *event.Column, order []uint32) int {
	out.Ints = make([]int64, len(order))
	for i, g := range order {
		out.Ints[i] = s.n[g]
	}
	return -1
}

func (s *distinctSlab) clone() slab {
	return &distinctSlab{in: s.in, n: append([]int64(nil), s.n...), narrow: s.narrow.clone(), wide: s.wide.clone()}
}

func (s *distinctSlab) reset() {
	s.n = s.n[:0]
	s.narrow.reset()
	s.wide.reset()
}

func (s *distinctSlab) bytes() int64 {
	return sliceBytes(s.n) + s.narrow.bytes() + s.wide.bytes() + s.hashes.bytes() + sliceBytes(s.scratch)
}

// distinctSet is a set of (value, group) by open addressing.
type distinctSet[V comparable] struct {
	table  []distinct[V] // group is slot+1; 0 is empty
	used   int
	chains chains

	// The values to insert, and their hashes.
	pending []distinct[V]
	hashes  []uint64
	touch   uint32
}

type distinct[V comparable] struct {
	value V
	group uint32
}

// batch returns room for n values, to be filled, hashed and inserted.
func (s *distinctSet[V]) batch(n int) []distinct[V] {
	if cap(s.pending) < n {
		s.pending = make([]distinct[V], n)
	}
	s.pending = s.pending[:n]
	return s.pending
}

func (s *distinctSet[V]) hash(hash func(V, uint32) uint64) {
	s.hashes = extend(s.hashes[:0], len(s.pending))
	for i := range s.pending {
		s.hashes[i] = hash(s.pending[i].value, s.pending[i].group)
	}
	// Room for all of them now, so that inserting never moves the table.
	if need := s.used + len(s.pending); need*4 > len(s.table)*3 {
		s.rehash(1<<bits.Len(uint(max(need*4/3, 31))), hash)
	}
}

func (s *distinctSet[V]) rehash(size int, hash func(V, uint32) uint64) {
	old := s.table
	s.table, s.chains = make([]distinct[V], size), chains{}
	mask := uint64(size - 1)
	for i := range old {
		if e := &old[i]; e.group != 0 {
			p := hash(e.value, e.group-1) & mask
			for s.table[p].group != 0 {
				p = (p + 1) & mask
			}
			s.table[p] = *e
		}
	}
}

// insert adds the pending values and counts the new ones by group in n.
func (s *distinctSet[V]) insert(n []int64) {
	if len(s.pending) == 0 {
		return
	}
	mask := uint64(len(s.table) - 1)
	if mask > 1<<13 {
		for _, h := range s.hashes {
			s.touch += s.table[h&mask].group
		}
	}
	for i, h := range s.hashes {
		v := s.pending[i]
		v.group++
		p := h & mask
		for s.table[p].group != 0 && s.table[p] != v {
			p = (p + 1) & mask
		}
		if s.table[p].group == 0 {
			s.table[p] = v
			s.used++
			if s.chains.next != nil {
				s.chains.link(p, v.group)
			}
			n[v.group-1]++
		}
	}
	s.pending = s.pending[:0]
}

func (s *distinctSet[V]) merge(o *distinctSet[V], to []uint32, hash func(V, uint32) uint64, n []int64) {
	const chunk = 4096
	pending := s.batch(chunk)[:0]
	flush := func() {
		s.pending = pending
		s.hash(hash)
		s.insert(n)
		pending = pending[:0]
	}
	for i := range o.table {
		if e := &o.table[i]; e.group != 0 {
			if pending = append(pending, distinct[V]{e.value, to[e.group-1]}); len(pending) == chunk {
				flush()
			}
		}
	}
	flush()
}

// byGroup returns all values, sorted within their group: those of group g are
// values[from[g]:from[g+1]].
func (s *distinctSet[V]) byGroup(n []int64, compare func(a, b V) int) (from []int, values []V) {
	from = make([]int, len(n)+1)
	for g, c := range n {
		from[g+1] = from[g] + int(c)
	}
	values = make([]V, s.used)
	next := slices.Clone(from)
	for i := range s.table {
		if e := &s.table[i]; e.group != 0 {
			values[next[e.group-1]] = e.value
			next[e.group-1]++
		}
	}
	for g := range n {
		slices.SortFunc(values[from[g]:from[g+1]], compare)
	}
	return from, values
}

func (s *distinctSet[V]) clone() distinctSet[V] {
	return distinctSet[V]{table: append([]distinct[V](nil), s.table...), used: s.used}
}

func (s *distinctSet[V]) reset() {
	clear(s.table)
	s.used, s.chains = 0, chains{}
}

func (s *distinctSet[V]) bytes() int64 {
	return sliceBytes(s.table) + sliceBytes(s.pending) + sliceBytes(s.hashes) + sliceBytes(s.chains.heads) + sliceBytes(s.chains.next)
}
