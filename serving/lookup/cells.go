package lookup

import (
	"encoding/binary"
	"math"

	"anabranch/event"
	"anabranch/fault"
)

// appendCell renders the value of a row so that equal values give equal bytes:
// 0 for null, else 1 and the value.
func appendCell(dst []byte, c *event.Column, i int) []byte {
	if !c.Valid.Get(i) {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	le := binary.LittleEndian
	switch c.Type.Storage() {
	case event.InInts:
		return le.AppendUint64(dst, uint64(c.Ints[i]))
	case event.InFloats:
		f := c.Floats[i]
		switch {
		case f == 0:
			f = 0 // both zeros are one group
		case math.IsNaN(f):
			f = math.NaN()
		}
		return le.AppendUint64(dst, math.Float64bits(f))
	case event.InWide:
		return le.AppendUint64(le.AppendUint64(dst, uint64(c.Wide[i].Hi)), c.Wide[i].Lo)
	}
	v := c.Bytes(i)
	return append(binary.AppendUvarint(dst, uint64(len(v))), v...)
}

// cell is one rendered value and what follows it.
func cell(t event.Type, b []byte) (one, rest []byte, err error) {
	bad := func() ([]byte, []byte, error) {
		return nil, nil, fault.New(fault.Corrupt, "a row of the lookup index is not what was written")
	}
	if len(b) == 0 {
		return bad()
	}
	n := 1
	if b[0] == 1 {
		switch t.Storage() {
		case event.InInts, event.InFloats:
			n += 8
		case event.InWide:
			n += 16
		default:
			size, k := binary.Uvarint(b[1:])
			if k <= 0 || size > uint64(len(b)) {
				return bad()
			}
			n += k + int(size)
		}
	}
	if n > len(b) {
		return bad()
	}
	return b[:n], b[n:], nil
}

// rows gathers rendered rows into a batch.
type rows struct {
	batch   *event.Batch
	numbers []int64 // of each in its file
	nulls   [][]int

	buffer []byte // scratch of index.find
	cells  [][]byte
}

func newRows(shape *event.Shape) *rows {
	r := &rows{batch: &event.Batch{Shape: shape, Columns: make([]event.Column, len(shape.Fields))}, nulls: make([][]int, len(shape.Fields))}
	for i, f := range shape.Fields {
		c := &r.batch.Columns[i]
		if c.Type = f.Type; f.Type.Storage() == event.InCodes {
			c.Dict = &event.Dict{Offsets: []uint32{0}}
		}
	}
	return r
}

// put appends a rendered value to column i.
func (r *rows) put(i int, one []byte) {
	c, le := &r.batch.Columns[i], binary.LittleEndian
	null := one[0] == 0
	if null {
		r.nulls[i] = append(r.nulls[i], r.batch.N)
	}
	switch c.Type.Storage() {
	case event.InInts:
		v := int64(0)
		if !null {
			v = int64(le.Uint64(one[1:]))
		}
		c.Ints = append(c.Ints, v)
	case event.InFloats:
		v := 0.0
		if !null {
			v = math.Float64frombits(le.Uint64(one[1:]))
		}
		c.Floats = append(c.Floats, v)
	case event.InWide:
		v := event.Int128{}
		if !null {
			v = event.Int128{Hi: int64(le.Uint64(one[1:])), Lo: le.Uint64(one[9:])}
		}
		c.Wide = append(c.Wide, v)
	default:
		var v []byte
		if !null {
			_, k := binary.Uvarint(one[1:])
			v = one[1+k:]
		}
		c.Codes = append(c.Codes, c.Dict.Append(v))
	}
}

// whole returns the batch.
func (r *rows) whole() *event.Batch {
	for i, list := range r.nulls {
		if len(list) == 0 {
			continue
		}
		valid := event.NewBitmap(r.batch.N)
		for row := range r.batch.N {
			valid.Set(row)
		}
		for _, row := range list {
			valid.Clear(row)
		}
		r.batch.Columns[i].Valid = valid
	}
	return r.batch
}
