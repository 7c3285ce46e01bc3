package schemas

import (
	"anabranch/event"
)

// FrameBuilder gathers events of one schema into the body of a frame. It is
// not safe for concurrent use.
type FrameBuilder struct {
	codec   *frameCodec
	n       int
	columns []gatherer
	ids     []event.ID
	hashes  []uint64
}

// gatherer is one growing column.
type gatherer struct {
	event.Column
	nulls    int
	interner interner
	recoder  recoder
}

// NewFrameBuilder returns an empty builder of frames of s.
func (s *Schema) NewFrameBuilder() *FrameBuilder {
	f := &FrameBuilder{codec: s.frames, columns: make([]gatherer, len(s.shape.Fields))}
	for i := range f.columns {
		f.columns[i].Type = s.shape.Fields[i].Type
	}
	f.reset()
	return f
}

// Append adds the given rows of b, all when rows is nil. B has the shape of
// the builder's schema and IDs and Hashes; it is not kept.
func (f *FrameBuilder) Append(b *event.Batch, rows []uint32) {
	n := len(rows)
	if rows == nil {
		n = b.N
	}
	for i := range f.columns {
		f.columns[i].append(&b.Columns[i], rows, f.n, n)
	}
	f.ids = appendRows(f.ids, b.IDs, rows)
	f.hashes = appendRows(f.hashes, b.Hashes, rows)
	f.n += n
}

// Len returns the number of events gathered.
func (f *FrameBuilder) Len() int { return f.n }

// Bytes estimates the size of the body.
func (f *FrameBuilder) Bytes() int {
	const head = 512 // messages and their metadata, roughly
	size := head + f.n*24
	for i := range f.columns {
		c := &f.columns[i]
		size += 64 + f.n/8
		switch c.Type.Storage() {
		case event.InCodes:
			size += 4*f.n + 4*len(c.interner.dict.Offsets) + len(c.interner.dict.Data)
		case event.InWide:
			size += 16 * f.n
		default:
			size += widthOf(c.Type) * f.n
		}
	}
	return size
}

// Finish returns the body and empties the builder.
func (f *FrameBuilder) Finish() ([]byte, error) {
	body, err := f.codec.encode(f)
	f.reset()
	return body, err
}

func (f *FrameBuilder) reset() {
	n := f.n
	f.n = 0
	f.ids, f.hashes = f.ids[:0], f.hashes[:0]
	for i := range f.columns {
		c := &f.columns[i]
		c.nulls = 0
		c.Valid, c.Ints, c.Floats, c.Wide, c.Codes = c.Valid[:0], c.Ints[:0], c.Floats[:0], c.Wide[:0], c.Codes[:0]
		if c.Type.Storage() == event.InCodes {
			c.interner.next(n, true)
		}
	}
}

// append adds n rows of from behind the base rows there are.
func (c *gatherer) append(from *event.Column, rows []uint32, base, n int) {
	switch c.Type.Storage() {
	case event.InInts:
		c.Ints = appendRows(c.Ints, from.Ints, rows)
	case event.InFloats:
		c.Floats = appendRows(c.Floats, from.Floats, rows)
	case event.InWide:
		c.Wide = appendRows(c.Wide, from.Wide, rows)
	case event.InCodes:
		c.appendCodes(from, rows, n)
	}
	for len(c.Valid) < (base+n+63)/64 {
		c.Valid = append(c.Valid, 0)
	}
	if from.Valid == nil {
		for i := base; i < base+n; i++ {
			c.Valid.Set(i)
		}
		return
	}
	for i := range n {
		row := i
		if rows != nil {
			row = int(rows[i])
		}
		if from.Valid.Get(row) {
			c.Valid.Set(base + i)
		} else {
			c.nulls++
		}
	}
}

func (c *gatherer) appendCodes(from *event.Column, rows []uint32, n int) {
	c.recoder.reset(from.Dict)
	for i := range n {
		row := i
		if rows != nil {
			row = int(rows[i])
		}
		code := uint32(0)
		if from.Valid.Get(row) {
			code = c.recoder.code(&c.interner, from.Dict, from.Codes[row])
		}
		c.Codes = append(c.Codes, code)
	}
}

func appendRows[T any](to, from []T, rows []uint32) []T {
	if rows == nil {
		return append(to, from...)
	}
	for _, r := range rows {
		to = append(to, from[r])
	}
	return to
}

// widthOf returns the bytes that a value held in Ints or Floats takes in a
// frame.
func widthOf(t event.Type) int {
	switch t.Kind {
	case event.Bool:
		return 1
	case event.Int32, event.Date:
		return 4
	case event.Decimal:
		return 16
	}
	return 8
}
