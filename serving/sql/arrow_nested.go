package sql

import (
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	bindings "github.com/duckdb/duckdb-go-bindings"
)

// listEntry is where a list lies in the vector of all elements.
type listEntry struct{ offset, length uint64 }

// lists is a column of lists, or of maps, which are lists of pairs.
type lists struct {
	validity
	t       arrow.DataType
	offsets []int32
	items   column
	n       int // items so far
}

func (c *lists) dataType() arrow.DataType { return c.t }
func (c *lists) size() int                { return c.items.size() + 4*len(c.offsets) }

func (c *lists) add(v bindings.Vector, from, n int) error {
	if c.offsets == nil {
		c.offsets = make([]int32, 1, n+1)
	}
	m := c.validity.add(v, from, n)
	items := bindings.ListVectorGetChild(v)
	// Lists mostly lie one behind the other: those are added at once.
	var at, run uint64
	for i, e := range values[listEntry](v, from, n) {
		if m.null(i) {
			e.length = 0
		}
		if e.length > 0 && e.offset != at+run {
			if err := c.items.add(items, int(at), int(run)); err != nil {
				return err
			}
			at, run = e.offset, 0
		}
		run += e.length
		if c.n += int(e.length); c.n > math.MaxInt32 {
			return fmt.Errorf("the lists of few rows have more than %d elements: ask for parts of them", math.MaxInt32)
		}
		c.offsets = append(c.offsets, int32(c.n))
	}
	return c.items.add(items, int(at), int(run))
}

func (c *lists) take() arrow.ArrayData {
	if c.offsets == nil {
		c.offsets = make([]int32, 1)
	}
	out := c.validity.data(c.t, [][]byte{arrow.Int32Traits.CastToBytes(c.offsets)}, c.items.take())
	c.offsets, c.n = nil, 0
	return out
}

// arrays is a column of lists of one length.
type arrays struct {
	validity
	t     arrow.DataType
	each  int
	items column
}

func (c *arrays) dataType() arrow.DataType { return c.t }
func (c *arrays) size() int                { return c.items.size() }

func (c *arrays) add(v bindings.Vector, from, n int) error {
	c.validity.add(v, from, n)
	return c.items.add(bindings.ArrayVectorGetChild(v), from*c.each, n*c.each)
}

func (c *arrays) take() arrow.ArrayData { return c.validity.data(c.t, nil, c.items.take()) }

// structs is a column of rows in a row.
type structs struct {
	validity
	t      arrow.DataType
	fields []column
}

func (c *structs) dataType() arrow.DataType { return c.t }

func (c *structs) size() (n int) {
	for _, f := range c.fields {
		n += f.size()
	}
	return n
}

func (c *structs) add(v bindings.Vector, from, n int) error {
	c.validity.add(v, from, n)
	for i, f := range c.fields {
		if err := f.add(bindings.StructVectorGetChild(v, bindings.IdxT(i)), from, n); err != nil {
			return err
		}
	}
	return nil
}

func (c *structs) take() arrow.ArrayData {
	fields := make([]arrow.ArrayData, len(c.fields))
	for i, f := range c.fields {
		fields[i] = f.take()
	}
	return c.validity.data(c.t, nil, fields...)
}
