package view

import (
	"anabranch/event"
	"anabranch/internal/planted"
)

// extremeSlab is min (sign -1) or max (sign 1) of any type.
type extremeSlab struct {
	sign    int
	best    cells
	has     []bool
	scratch []int64
	one     cells // decode's
}

func (s *extremeSlab) grow(n int) {
	s.best.grow(n)
	s.has = extend(s.has, n-len(s.has))
}

func (s *extremeSlab) fold(f *folding) {
	o := s.best.operand(f.arg, &s.scratch)
	if s.best.store == event.InInts {
		if s.sign < 0 {
			for _, i := range f.sel {
				if g, v := f.slots[i], o.ints[i]; v < s.best.ints[g] || !s.has[g] {
					s.best.ints[g], s.has[g] = v, true
				}
			}
			return
		}
		for _, i := range f.sel {
			if g, v := f.slots[i], o.ints[i]; v > s.best.ints[g] || !s.has[g] {
				s.best.ints[g], s.has[g] = v, true
			}
		}
		return
	}
	for _, i := range f.sel {
		g := f.slots[i]
		if !s.has[g] || s.best.against(&o, i, g)*s.sign > 0 {
			s.has[g] = true
			s.best.take(&o, i, g)
		}
	}
}

func (s *extremeSlab) merge(from slab, to []uint32) {
	o := from.(*extremeSlab)
	for i, has := range o.has {
		if has || planted.On(planted.NullAsZero) {
			s.offer(&o.best, uint32(i), to[i])
		}
	}
}

func (s *extremeSlab) offer(o *cells, from, g uint32) {
	if !s.has[g] || s.best.againstCell(o, from, g)*s.sign > 0 {
		s.has[g] = true
		s.best.takeCell(o, from, g)
	}
}

func (s *extremeSlab) encoder([]uint32) func([]byte, uint32) []byte {
	return func(dst []byte, g uint32) []byte {
		if !s.has[g] {
			return append(dst, 0)
		}
		return s.best.encode(append(dst, 1), g)
	}
}

func (s *extremeSlab) decode(r *reader, g uint32) {
	if !decodeHas(r) {
		return
	}
	s.one = oneCell(s.one, s.best.kind)
	s.one.decode(r)
	if !r.bad {
		s.offer(&s.one, 0, g)
	}
}

// decodeHas reads whether a value follows.
func decodeHas(r *reader) bool {
	switch r.byte() {
	case 0:
		return false
	case 1:
		return true
	}
	r.fail()
	return false
}

// oneCell returns c with room for one group.
func oneCell(c cells, t event.Type) cells {
	if c.kind.Kind == 0 {
		c = newCells(t)
		c.grow(1)
	}
	return c
}

func (s *extremeSlab) finish(out *event.Column, order []uint32) int {
	s.best.finish(out, order, s.has)
	return -1
}

func (s *extremeSlab) clone() slab {
	return &extremeSlab{sign: s.sign, best: s.best.clone(), has: append([]bool(nil), s.has...)}
}

func (s *extremeSlab) reset() {
	s.best.reset()
	s.has = s.has[:0]
}

func (s *extremeSlab) bytes() int64 {
	return s.best.bytes() + sliceBytes(s.has) + sliceBytes(s.scratch)
}

// argSlab is arg_min (sign -1) or arg_max (sign 1): the argument beside the
// smallest or largest by. Of rows with the same by, the smallest or largest
// argument wins, so that the order of rows never matters.
type argSlab struct {
	sign               int
	by, arg            cells
	has                []bool
	byScratch, scratch []int64
	oneBy, oneArg      cells // decode's
}

func (s *argSlab) grow(n int) {
	s.by.grow(n)
	s.arg.grow(n)
	s.has = extend(s.has, n-len(s.has))
}

func (s *argSlab) fold(f *folding) {
	by, arg := s.by.operand(f.by, &s.byScratch), s.arg.operand(f.arg, &s.scratch)
	for _, i := range f.sel {
		g := f.slots[i]
		if s.has[g] {
			d := s.by.against(&by, i, g)
			if d == 0 {
				d = s.arg.against(&arg, i, g)
			}
			if d*s.sign <= 0 {
				continue
			}
		}
		s.has[g] = true
		s.by.take(&by, i, g)
		s.arg.take(&arg, i, g)
	}
}

func (s *argSlab) merge(from slab, to []uint32) {
	o := from.(*argSlab)
	for i, has := range o.has {
		if has {
			s.offer(&o.by, &o.arg, uint32(i), to[i])
		}
	}
}

func (s *argSlab) offer(by, arg *cells, from, g uint32) {
	if s.has[g] {
		d := s.by.againstCell(by, from, g)
		if d == 0 {
			d = s.arg.againstCell(arg, from, g)
		}
		if d*s.sign <= 0 {
			return
		}
	}
	s.has[g] = true
	s.by.takeCell(by, from, g)
	s.arg.takeCell(arg, from, g)
}

func (s *argSlab) encoder([]uint32) func([]byte, uint32) []byte {
	return func(dst []byte, g uint32) []byte {
		if !s.has[g] {
			return append(dst, 0)
		}
		return s.arg.encode(s.by.encode(append(dst, 1), g), g)
	}
}

func (s *argSlab) decode(r *reader, g uint32) {
	if !decodeHas(r) {
		return
	}
	s.oneBy, s.oneArg = oneCell(s.oneBy, s.by.kind), oneCell(s.oneArg, s.arg.kind)
	s.oneBy.decode(r)
	s.oneArg.decode(r)
	if !r.bad {
		s.offer(&s.oneBy, &s.oneArg, 0, g)
	}
}

func (s *argSlab) finish(out *event.Column, order []uint32) int {
	s.arg.finish(out, order, s.has)
	return -1
}

func (s *argSlab) clone() slab {
	return &argSlab{sign: s.sign, by: s.by.clone(), arg: s.arg.clone(), has: append([]bool(nil), s.has...)}
}

func (s *argSlab) reset() {
	s.by.reset()
	s.arg.reset()
	s.has = s.has[:0]
}

func (s *argSlab) bytes() int64 {
	return s.by.bytes() + s.arg.bytes() + sliceBytes(s.has) + sliceBytes(s.scratch) + sliceBytes(s.byScratch)
}
