package view

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"unicode/utf8"

	"anabranch/event"
)

// cells holds one value of any type for each group: integers and floats as
// ordinals (see ordFloat), wide values as they are, strings in one slice.
type cells struct {
	kind  event.Type
	store event.Storage // InInts for floats too
	ints  []int64
	wide  []event.Int128
	spans []span
	data  []byte
	dead  int // bytes of data that no span uses

	heads *heads // of strings that are compared; nil: none
}

type span struct {
	off uint64
	len uint32
}

func newCells(t event.Type) cells {
	store := t.Storage()
	if store == event.InFloats {
		store = event.InInts
	}
	return cells{kind: t, store: store}
}

// newOrdered returns cells whose values are compared.
func newOrdered(t event.Type) cells {
	c := newCells(t)
	if c.store == event.InCodes {
		c.heads = &heads{}
	}
	return c
}

func (c *cells) grow(n int) {
	switch c.store {
	case event.InInts:
		c.ints = extend(c.ints, n-len(c.ints))
	case event.InWide:
		c.wide = extend(c.wide, n-len(c.wide))
	case event.InCodes:
		c.spans = extend(c.spans, n-len(c.spans))
		if c.heads != nil {
			c.heads.of = extend(c.heads.of, n-len(c.heads.of))
		}
	}
}

// operand is a column as cells compare it.
type operand struct {
	col  *event.Column
	ints []int64
}

func (c *cells) operand(col *event.Column, scratch *[]int64) operand {
	if c.store == event.InInts {
		return operand{col, ordinals(col, scratch)}
	}
	return operand{col: col}
}

// against compares row i of o with the value of group g.
func (c *cells) against(o *operand, i, g uint32) int {
	switch c.store {
	case event.InInts:
		return cmp.Compare(o.ints[i], c.ints[g])
	case event.InWide:
		return o.col.Wide[i].Compare(c.wide[g])
	}
	return c.compare(o.col.Dict.Value(o.col.Codes[i]), g)
}

// take makes row i of o the value of group g.
func (c *cells) take(o *operand, i, g uint32) {
	switch c.store {
	case event.InInts:
		c.ints[g] = o.ints[i]
	case event.InWide:
		c.wide[g] = o.col.Wide[i]
	default:
		c.setStr(g, o.col.Dict.Value(o.col.Codes[i]))
	}
}

// againstCell and takeCell are against and take with group from of o.
func (c *cells) againstCell(o *cells, from, g uint32) int {
	switch c.store {
	case event.InInts:
		return cmp.Compare(o.ints[from], c.ints[g])
	case event.InWide:
		return o.wide[from].Compare(c.wide[g])
	}
	return c.compare(o.str(from), g)
}

func (c *cells) takeCell(o *cells, from, g uint32) {
	switch c.store {
	case event.InInts:
		c.ints[g] = o.ints[from]
	case event.InWide:
		c.wide[g] = o.wide[from]
	default:
		c.setStr(g, o.str(from))
	}
}

func (c *cells) str(g uint32) []byte {
	s := c.spans[g]
	return c.data[s.off : s.off+uint64(s.len)]
}

// compare compares v with the value of group g.
func (c *cells) compare(v []byte, g uint32) int {
	if c.heads != nil {
		head := c.heads.head(v, c) // which may write others anew
		if of := c.heads.of[g]; head != of {
			return cmp.Compare(head, of)
		}
	}
	return bytes.Compare(v, c.str(g))
}

func (c *cells) setStr(g uint32, v []byte) {
	if c.heads != nil {
		head := c.heads.head(v, c)
		c.heads.of[g] = head
	}
	s := &c.spans[g]
	if len(v) <= int(s.len) {
		c.dead += int(s.len) - len(v)
		copy(c.data[s.off:], v)
		s.len = uint32(len(v))
		return
	}
	c.dead += int(s.len)
	s.len = 0
	if c.dead > 1<<16 && c.dead > len(c.data)/2 {
		c.compact()
	}
	*s = span{uint64(len(c.data)), uint32(len(v))}
	c.data = append(c.data, v...)
}

// compact drops the bytes that no span uses.
func (c *cells) compact() {
	data := make([]byte, 0, len(c.data)-c.dead)
	for g := range c.spans {
		s := &c.spans[g]
		v := c.data[s.off : s.off+uint64(s.len)]
		s.off = uint64(len(data))
		data = append(data, v...)
	}
	c.data, c.dead = data, 0
}

func (c *cells) encode(dst []byte, g uint32) []byte {
	switch {
	case c.kind.Kind == event.Float64:
		return binary.LittleEndian.AppendUint64(dst, uint64(c.ints[g]))
	case c.store == event.InInts:
		return appendVarint(dst, c.ints[g])
	case c.store == event.InWide:
		return appendInt192(dst, c.wide[g].Lo, uint64(c.wide[g].Hi), c.wide[g].Hi>>63)
	}
	v := c.str(g)
	return append(binary.AppendUvarint(dst, uint64(len(v))), v...)
}

// decode reads one value as group 0 of c, which has room for it.
func (c *cells) decode(r *reader) {
	switch {
	case c.kind.Kind == event.Float64:
		c.ints[0] = ordFloat(floatOfOrd(int64(r.uint64())))
	case c.store == event.InInts:
		if c.ints[0] = r.varint(); !fits(c.ints[0], c.kind) {
			r.fail()
		}
	case c.store == event.InWide:
		lo, mid, hi := r.int192()
		if hi != int64(mid)>>63 {
			r.fail()
		}
		c.wide[0] = event.Int128{Hi: int64(mid), Lo: lo}
	default:
		v := r.take(r.count(1))
		if c.kind.Kind == event.String && !utf8.Valid(v) {
			r.fail()
			v = nil
		}
		c.data = append(c.data[:0], v...)
		c.spans[0] = span{0, uint32(len(c.data))}
	}
}

// finish fills out with the values of the groups in order; has says which of
// them have one.
func (c *cells) finish(out *event.Column, order []uint32, has []bool) {
	var null nulls
	switch c.kind.Storage() {
	case event.InInts:
		out.Ints = make([]int64, len(order))
	case event.InFloats:
		out.Floats = make([]float64, len(order))
	case event.InWide:
		out.Wide = make([]event.Int128, len(order))
	case event.InCodes:
		out.Codes = make([]uint32, len(order))
		out.Dict = &event.Dict{Offsets: []uint32{0}}
	}
	for i, g := range order {
		if !has[g] {
			null.set(i, len(order))
			continue
		}
		switch {
		case out.Ints != nil:
			out.Ints[i] = c.ints[g]
		case out.Floats != nil:
			out.Floats[i] = floatOfOrd(c.ints[g])
		case out.Wide != nil:
			out.Wide[i] = c.wide[g]
		default:
			v := c.str(g)
			if n := out.Dict.Len(); n > 0 && bytes.Equal(out.Dict.Value(uint32(n-1)), v) {
				out.Codes[i] = uint32(n - 1)
			} else {
				out.Codes[i] = out.Dict.Append(v)
			}
		}
	}
	out.Valid = null.valid
}

func (c *cells) clone() cells {
	return cells{
		c.kind, c.store, append([]int64(nil), c.ints...), append([]event.Int128(nil), c.wide...),
		append([]span(nil), c.spans...), append([]byte(nil), c.data...), c.dead, c.heads.clone(),
	}
}

func (c *cells) reset() {
	c.ints, c.wide, c.spans, c.data, c.dead = c.ints[:0], c.wide[:0], c.spans[:0], c.data[:0], 0
	if c.heads != nil {
		*c.heads = heads{of: c.heads.of[:0]}
	}
}

func (c *cells) bytes() int64 {
	return sliceBytes(c.ints) + sliceBytes(c.wide) + sliceBytes(c.spans) + sliceBytes(c.data) + c.heads.bytes()
}
