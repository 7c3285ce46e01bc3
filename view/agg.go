package view

import (
	"encoding/binary"
	"maps"

	"anabranch/event"
	"anabranch/fault"
)

// folding is one batch as an aggregate sees it.
type folding struct {
	slots []uint32 // the group of each row
	sel   []uint32 // the rows that count: argument not null, filter true, not failed
	all   bool     // sel is every row, in order
	arg   *event.Column
	by    *event.Column
}

// slab holds one aggregate of every group, as columns. Its methods are called
// once a batch, never once a row.
type slab interface {
	// grow makes room for groups below n; new ones are empty.
	grow(n int)
	fold(f *folding)

	// merge adds group g of o, a slab of the same aggregate, to group to[g].
	merge(o slab, to []uint32)

	// encoder returns a function that appends the canonical bytes of a group,
	// one of order's (nil: any): equal contents give equal bytes. What the slab
	// holds is only read; many may do so.
	encoder(order []uint32) func(dst []byte, g uint32) []byte

	// decode adds a group's bytes to group g. It reads exactly what was
	// appended and leaves r bad when that cannot be.
	decode(r *reader, g uint32)

	// finish fills the values of out, whose Type is set, for the groups in
	// order. It returns the place in order of the first group whose value left
	// the type, or -1.
	finish(out *event.Column, order []uint32) int

	clone() slab
	reset()
	bytes() int64
}

// newSlab returns an empty slab for a. The error is Bug: the compiler let
// something through that has no slab.
func newSlab(a *aggregate) (slab, error) {
	in := a.in.Storage()
	switch a.fn {
	case aggCountStar, aggCount:
		return &countSlab{}, nil
	case aggSum, aggAvg:
		switch in {
		case event.InInts:
			return &sumSlab{avg: a.fn == aggAvg, in: a.in}, nil
		case event.InWide:
			return &wideSumSlab{avg: a.fn == aggAvg, in: a.in}, nil
		case event.InFloats:
			return &floatSumSlab{avg: a.fn == aggAvg}, nil
		}
	case aggMin:
		return &extremeSlab{sign: -1, best: newOrdered(a.in)}, nil
	case aggMax:
		return &extremeSlab{sign: 1, best: newOrdered(a.in)}, nil
	case aggArgMin:
		return &argSlab{sign: -1, by: newOrdered(a.byType), arg: newCells(a.in)}, nil
	case aggArgMax:
		return &argSlab{sign: 1, by: newOrdered(a.byType), arg: newCells(a.in)}, nil
	case aggCountDistinct:
		return &distinctSlab{in: in}, nil
	case aggApproxDistinct:
		return &hllSlab{in: in}, nil
	case aggApproxQuantile:
		if in != event.InCodes {
			return &quantileSlab{q: a.quantile, in: a.in}, nil
		}
	}
	return nil, fault.New(fault.Bug, "aggregate %d of %v has no state", a.fn, a.in)
}

// countSlab counts rows. Few groups ever have 2^32 of them: what is above lies
// apart.
type countSlab struct {
	low  []uint32
	high map[uint32]uint64 // by group: the rest, a multiple of 2^32
}

func (c *countSlab) grow(n int) { c.low = extend(c.low, n-len(c.low)) }

func (c *countSlab) fold(f *folding) {
	low := c.low
	if f.all {
		for _, g := range f.slots {
			if low[g]++; low[g] == 0 {
				c.carry(g, 1<<32)
			}
		}
		return
	}
	for _, i := range f.sel {
		g := f.slots[i]
		if low[g]++; low[g] == 0 {
			c.carry(g, 1<<32)
		}
	}
}

func (c *countSlab) carry(g uint32, n uint64) {
	if c.high == nil {
		c.high = map[uint32]uint64{}
	}
	c.high[g] += n
}

func (c *countSlab) add(g uint32, n uint64) {
	n += uint64(c.low[g])
	c.low[g] = uint32(n)
	if n >>= 32; n > 0 {
		c.carry(g, n<<32)
	}
}

func (c *countSlab) count(g uint32) uint64 { return uint64(c.low[g]) + c.high[g] }

func (c *countSlab) merge(from slab, to []uint32) {
	o := from.(*countSlab)
	for g := range o.low {
		c.add(to[g], o.count(uint32(g)))
	}
}

func (c *countSlab) encoder([]uint32) func([]byte, uint32) []byte {
	return func(dst []byte, g uint32) []byte { return binary.AppendUvarint(dst, c.count(g)) }
}

func (c *countSlab) decode(r *reader, g uint32) {
	c.add(g, r.times())
}

func (c *countSlab) finish(out *event.Column, order []uint32) int {
	out.Ints = make([]int64, len(order))
	for i, g := range order {
		out.Ints[i] = int64(c.count(g))
	}
	return -1
}

func (c *countSlab) clone() slab {
	return &countSlab{append([]uint32(nil), c.low...), maps.Clone(c.high)}
}
func (c *countSlab) reset()       { c.low, c.high = c.low[:0], nil }
func (c *countSlab) bytes() int64 { return sliceBytes(c.low) + mapEntryBytes*int64(len(c.high)) }

// nulls marks the places of a finished column that have no value.
type nulls struct{ valid event.Bitmap }

// set says that place i of n is null.
func (v *nulls) set(i, n int) {
	if v.valid == nil {
		v.valid = event.NewBitmap(n)
		for w := range v.valid {
			v.valid[w] = ^uint64(0)
		}
	}
	v.valid.Clear(i)
}
