package view

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"anabranch/event"
	"anabranch/fault"

	"github.com/zeebo/xxh3"
)

// State holds the groups of one view and their aggregates. It is a commutative
// monoid: folding rows and merging states in any order or grouping gives the
// same results and, from Groups, the same bytes.
//
// A State belongs to one goroutine at a time, except that one which nobody
// changes any more may be read (merged from, Clone, Result, Groups, Finish,
// AppendBinary, Len, Bytes) by many. A view without keys always has its one
// group, as SELECT count(*) has one row without any event.
type State struct {
	view   *View
	layout uint64
	eval   evaluator // made by the first Fold
	align  aligner
	table  *table
	slabs  []slab       // one for each aggregate of the program
	failed event.Bitmap // by group: a row of it could not be computed; no longer than the last such group needs
	why    error        // the first such failure that this state saw itself
	broken error        // what left the state unusable

	touched *touches // nil until Mark was called

	// Scratch of Fold.
	every, sel []uint32
	mask       event.Bitmap
}

// New returns a state without events.
func (v *View) New() *State {
	p := v.program
	s := &State{view: v, layout: v.layout(), table: newTable(p.keys), slabs: make([]slab, len(p.aggs))}
	if len(p.keys) > maxKeys {
		s.broken = fault.New(fault.Invalid, "view %s has %d keys; it may have %d", v.Name(), len(p.keys), maxKeys)
	}
	for i := range p.aggs {
		var err error
		if s.slabs[i], err = newSlab(&p.aggs[i]); err != nil {
			s.slabs[i], s.broken = &countSlab{}, fmt.Errorf("view %s: %w", v.Name(), err)
		}
	}
	s.grow()
	return s
}

// layout is a hash of all that the bytes of a state depend on.
func (v *View) layout() uint64 {
	b := append([]byte(v.version), 0)
	typ := func(t event.Type) { b = append(b, byte(t.Kind), t.Precision, t.Scale) }
	for _, k := range v.program.keys {
		typ(k)
	}
	for _, a := range v.program.aggs {
		b = append(b, 0, byte(a.fn))
		typ(a.in)
		typ(a.byType)
	}
	return xxh3.Hash(binary.LittleEndian.AppendUint64(b, uint64(len(v.program.keys))))
}

// StateShape returns the columns of Groups: the keys, named as in Output, then
// "_state", the group's aggregates as opaque bytes.
func (v *View) StateShape() *event.Shape {
	var fields []event.Field
	for _, k := range v.keys {
		f := v.output.Fields[k]
		f.Nullable = true
		fields = append(fields, f)
	}
	return event.NewShape(append(fields, event.Field{Name: "_state", Type: event.Type{Kind: event.Bytes}})...)
}

// Fold adds the asked rows of b (nil: all of them); the view's WHERE is
// applied inside. Columns are found by name: b needs the view's Inputs, and may
// have others. A row whose expressions fail, or a sum that leaves its type,
// is no error here: it turns its group's result into one, see Result.
func (s *State) Fold(b *event.Batch, rows []uint32) error {
	if s.broken != nil {
		return s.broken
	}
	if s.eval == nil {
		s.eval = s.view.program.newEval()
	}
	b, err := s.align.align(s.view, b)
	if err != nil {
		return fmt.Errorf("fold into view %s: %w", s.view.Name(), err)
	}
	in, err := s.eval(b, rows)
	if err != nil {
		return fmt.Errorf("fold into view %s: %w", s.view.Name(), err)
	}
	if in.n == 0 {
		return nil
	}
	slots, err := s.table.lookup(in.keys, in.n)
	if err != nil {
		return fmt.Errorf("fold into view %s: %w", s.view.Name(), err)
	}
	s.grow()
	if s.touched != nil {
		s.touched.touch(slots, s.table.n)
	}
	if in.failed != nil {
		s.fail(in, slots)
	}
	for n := len(s.every); n < in.n; n++ {
		s.every = append(s.every, uint32(n))
	}
	for i := range s.slabs {
		s.slabs[i].fold(s.folding(&s.view.program.aggs[i], in, slots))
	}
	return nil
}

// fail marks the groups of failed rows.
func (s *State) fail(in *inputs, slots []uint32) {
	for i, g := range slots {
		if in.failed.Get(i) {
			s.setFailed(g)
			if s.why == nil {
				s.why = in.why
			}
		}
	}
}

func (s *State) setFailed(g uint32) {
	if words := int(g>>6) + 1; words > len(s.failed) {
		s.failed = extend(s.failed, words-len(s.failed))
	}
	s.failed.Set(int(g))
}

func (s *State) hasFailed(g uint32) bool { return int(g>>6) < len(s.failed) && s.failed.Get(int(g)) }

// folding picks the rows of in that count for a.
func (s *State) folding(a *aggregate, in *inputs, slots []uint32) *folding {
	f := &folding{slots: slots, sel: s.every[:in.n], all: true}
	words := (in.n + 63) / 64
	and := func(b event.Bitmap, negate uint64) {
		if b == nil {
			return
		}
		if f.all {
			f.all = false
			s.mask = extend(s.mask[:0], words)
			for w := range s.mask {
				s.mask[w] = ^uint64(0)
			}
		}
		for w := range s.mask {
			s.mask[w] &= b[w] ^ negate
		}
	}
	and(in.failed, ^uint64(0))
	if a.arg >= 0 {
		f.arg = &in.args[a.arg]
		and(f.arg.Valid, 0)
	}
	if a.by >= 0 {
		f.by = &in.args[a.by]
		and(f.by.Valid, 0)
	}
	if a.filter >= 0 {
		c := &in.args[a.filter]
		and(c.Valid, 0)
		is := event.NewBitmap(in.n)
		for i, v := range c.Ints[:in.n] {
			is[i>>6] |= uint64(v&1) << (i & 63)
		}
		and(is, 0)
	}
	if f.all {
		return f
	}
	if r := in.n & 63; r != 0 {
		s.mask[words-1] &= 1<<r - 1
	}
	sel := s.sel[:0]
	for w, m := range s.mask {
		for ; m != 0; m &= m - 1 {
			sel = append(sel, uint32(w<<6+bits.TrailingZeros64(m)))
		}
	}
	s.sel, f.sel = sel, sel
	return f
}

// grow makes room in the slabs for all groups of the table.
func (s *State) grow() {
	n := s.table.n
	for _, a := range s.slabs {
		a.grow(n)
	}
}

// Merge adds the groups of o, a state of the same view, which stays as it is.
func (s *State) Merge(o *State) error {
	if s.layout != o.layout {
		return fault.New(fault.Bug, "merge into view %s: state of view %s, version %s, for version %s",
			s.view.Name(), o.view.Name(), o.view.Version(), s.view.Version())
	}
	if s.broken != nil {
		return s.broken
	}
	if o.broken != nil {
		return o.broken
	}
	if s == o {
		o = o.Clone()
	}
	to, err := s.table.adopt(o.table)
	if err != nil {
		return fmt.Errorf("merge into view %s: %w", s.view.Name(), err)
	}
	s.grow()
	if s.touched != nil {
		s.touched.touch(to, s.table.n)
	}
	for i, a := range s.slabs {
		a.merge(o.slabs[i], to)
	}
	for g := range to[:min(len(to), 64*len(o.failed))] {
		if o.failed.Get(g) {
			s.setFailed(to[g])
		}
	}
	if s.why == nil {
		s.why = o.why
	}
	return nil
}

// Len returns the number of groups.
func (s *State) Len() int { return s.table.n }

// Bytes returns the memory the state holds on to, scratch included.
func (s *State) Bytes() int64 {
	n := s.table.bytes() + sliceBytes(s.failed) + sliceBytes(s.every) + sliceBytes(s.sel) + sliceBytes(s.mask) + s.touched.bytes()
	for _, a := range s.slabs {
		n += a.bytes()
	}
	return n
}

// Clone returns a copy that shares nothing that changes.
func (s *State) Clone() *State {
	c := &State{
		view: s.view, layout: s.layout, table: s.table.clone(), slabs: make([]slab, len(s.slabs)),
		failed: append(event.Bitmap(nil), s.failed...), why: s.why, broken: s.broken,
	}
	for i, a := range s.slabs {
		c.slabs[i] = a.clone()
	}
	return c
}

// Reset forgets all groups and keeps most of the memory for new ones.
func (s *State) Reset() {
	s.table.reset()
	for _, a := range s.slabs {
		a.reset()
	}
	s.failed = s.failed[:0]
	s.why, s.touched = nil, nil
	if !fault.Is(s.broken, fault.Bug) && !fault.Is(s.broken, fault.Invalid) {
		s.broken = nil
	}
	s.grow()
}
