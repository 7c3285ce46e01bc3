package sql

import (
	"context"
	"database/sql"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow/bitutil"
	bindings "github.com/duckdb/duckdb-go-bindings"

	"anabranch/event"
	"anabranch/fault"
)

// Batches go to and from DuckDB by columns, in its own chunks: a value at a
// time through the driver would cost several allocations each.

// appendBatch fills a table with the rows of a batch.
func appendBatch(conn *sql.Conn, table tableName, rows *event.Batch) error {
	return conn.Raw(func(dc any) error {
		c, err := handle[bindings.Connection](dc, "conn")
		if err != nil {
			return err
		}
		types := make([]bindings.LogicalType, len(rows.Columns))
		for i := range types {
			types[i] = logicalType(rows.Columns[i].Type)
			defer bindings.DestroyLogicalType(&types[i])
		}
		var a bindings.Appender
		defer bindings.AppenderDestroy(&a)
		wrong := func() error {
			return fault.New(fault.Bug, "fill %s: %s", table, bindings.AppenderError(a))
		}
		if bindings.AppenderCreateExt(c, table.catalog, table.schema, table.table, &a) == bindings.StateError {
			return wrong()
		}
		chunk := bindings.CreateDataChunk(types)
		defer bindings.DestroyDataChunk(&chunk)
		most := int(bindings.VectorSize())
		for from := 0; from < rows.N; from += most {
			n := min(most, rows.N-from)
			bindings.DataChunkReset(chunk)
			for i := range rows.Columns {
				writeVector(bindings.DataChunkGetVector(chunk, bindings.IdxT(i)), &rows.Columns[i], from, n)
			}
			bindings.DataChunkSetSize(chunk, bindings.IdxT(n))
			if bindings.AppendDataChunk(a, chunk) == bindings.StateError {
				return wrong()
			}
		}
		if bindings.AppenderClose(a) == bindings.StateError {
			return wrong()
		}
		return nil
	})
}

// writeVector puts n rows of a column into a vector of its type.
func writeVector(v bindings.Vector, c *event.Column, from, n int) {
	if c.Valid != nil {
		bindings.VectorEnsureValidityWritable(v)
		valid := unsafe.Slice((*byte)(bindings.VectorGetValidity(v)), (n+63)/64*8)
		for i := range n {
			bitutil.SetBitTo(valid, i, c.Valid.Get(from+i))
		}
	}
	switch c.Type.Storage() {
	case event.InFloats:
		copy(values[float64](v, 0, n), c.Floats[from:])
	case event.InWide:
		out := values[wide128](v, 0, n)
		for i := range out {
			w := c.Wide[from+i]
			out[i] = wide128{w.Lo, w.Hi}
		}
	case event.InCodes:
		out := values[bytesOf](v, 0, n)
		for i := range out {
			if c.Valid.Get(from + i) {
				if b := c.Dict.Value(c.Codes[from+i]); !out[i].inlined(b) {
					bindings.UnsafeVectorAssignStringElementLen(v, bindings.IdxT(i), b)
				}
			}
		}
	case event.InInts:
		switch intWidth(c.Type) {
		case 1:
			narrowed[int8](v, c.Ints[from:from+n])
		case 2:
			narrowed[int16](v, c.Ints[from:from+n])
		case 4:
			narrowed[int32](v, c.Ints[from:from+n])
		default:
			copy(values[int64](v, 0, n), c.Ints[from:])
		}
	}
}

// inlined makes s hold a value that fits into it.
func (s *bytesOf) inlined(b []byte) bool {
	if len(b) > 12 {
		return false
	}
	*s = bytesOf{length: uint32(len(b))}
	copy(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(s), 4)), 12), b)
	return true
}

func narrowed[T int8 | int16 | int32](v bindings.Vector, in []int64) {
	out := values[T](v, 0, len(in))
	for i := range out {
		out[i] = T(in[i])
	}
}

// intWidth is how many bytes DuckDB has for a value that we keep in Ints.
func intWidth(t event.Type) int {
	switch {
	case t.Kind == event.Bool:
		return 1
	case t.Kind == event.Decimal && t.Precision <= 4:
		return 2
	case t.Kind == event.Int32, t.Kind == event.Date, t.Kind == event.Decimal && t.Precision <= 9:
		return 4
	}
	return 8
}

// readBatch reads all rows of a query whose columns have the types of a shape.
// A wide integer may be a decimal of 38 digits as well, as it is in files.
func readBatch(ctx context.Context, conn *sql.Conn, query string, shape *event.Shape) (*event.Batch, error) {
	s, err := openStream(ctx, nil, conn, query, nil)
	if err != nil {
		return nil, err
	}
	defer s.close()
	b := &event.Batch{Shape: shape, Columns: make([]event.Column, len(shape.Fields))}
	if err := s.gives(shape); err != nil {
		return nil, err
	}
	for i, f := range shape.Fields {
		b.Columns[i].Type = f.Type
		if f.Type.Storage() == event.InCodes {
			b.Columns[i].Dict = &event.Dict{Offsets: []uint32{0}}
		}
	}
	for {
		chunk, err := s.next()
		if err != nil {
			return nil, err
		}
		if chunk.Ptr == nil {
			return b, nil
		}
		n := int(bindings.DataChunkGetSize(chunk))
		for i := range b.Columns {
			readVector(&b.Columns[i], b.N, bindings.DataChunkGetVector(chunk, bindings.IdxT(i)), n)
		}
		b.N += n
		bindings.DestroyDataChunk(&chunk)
	}
}

// gives checks the types of an answer.
func (s *stream) gives(shape *event.Shape) error {
	if n := int(bindings.ColumnCount(s.result)); n != len(shape.Fields) {
		return fault.New(fault.Bug, "got %d columns, want %d", n, len(shape.Fields))
	}
	for i, f := range shape.Fields {
		t := bindings.ColumnLogicalType(s.result, bindings.IdxT(i))
		is, ok := bindings.GetTypeId(t), false
		switch {
		case is == bindings.TypeDecimal:
			ok = f.Type.Kind == event.Decimal && bindings.DecimalWidth(t) == f.Type.Precision && bindings.DecimalScale(t) == f.Type.Scale ||
				f.Type.Kind == event.Huge && bindings.DecimalWidth(t) == 38 && bindings.DecimalScale(t) == 0
		default:
			want, known := types[f.Type.Kind]
			ok = known && is == want
		}
		bindings.DestroyLogicalType(&t)
		if !ok {
			return fault.New(fault.Bug, "column %s is not the %s that was expected", f.Name, f.Type)
		}
	}
	return nil
}

// readVector appends n rows of a vector to a column that has at of them.
func readVector(c *event.Column, at int, v bindings.Vector, n int) {
	var m mask
	if p := bindings.VectorGetValidity(v); p != nil {
		m.bits = unsafe.Slice((*byte)(p), (n+63)/64*8)
	}
	if m.bits != nil && c.Valid == nil {
		c.Valid = event.Bitmap{}
		grown(&c.Valid, at)
		for i := range at {
			c.Valid.Set(i)
		}
	}
	if c.Valid != nil {
		grown(&c.Valid, at+n)
		for i := range n {
			if !m.null(i) {
				c.Valid.Set(at + i)
			}
		}
	}
	switch c.Type.Storage() {
	case event.InFloats:
		c.Floats = append(c.Floats, values[float64](v, 0, n)...)
	case event.InWide:
		for _, w := range values[wide128](v, 0, n) {
			c.Wide = append(c.Wide, event.Int128{Hi: w.high, Lo: w.low})
		}
	case event.InCodes:
		in := values[bytesOf](v, 0, n)
		for i := range in {
			var code uint32
			if !m.null(i) {
				code = c.Dict.Append(in[i].bytes())
			}
			c.Codes = append(c.Codes, code)
		}
	case event.InInts:
		switch intWidth(c.Type) {
		case 1:
			c.Ints = widened[int8](c.Ints, v, n)
		case 2:
			c.Ints = widened[int16](c.Ints, v, n)
		case 4:
			c.Ints = widened[int32](c.Ints, v, n)
		default:
			c.Ints = append(c.Ints, values[int64](v, 0, n)...)
		}
	}
}

func grown(b *event.Bitmap, rows int) {
	if more := (rows+63)/64 - len(*b); more > 0 {
		*b = append(*b, make(event.Bitmap, more)...)
	}
}

func widened[T int8 | int16 | int32](out []int64, v bindings.Vector, n int) []int64 {
	for _, x := range values[T](v, 0, n) {
		out = append(out, int64(x))
	}
	return out
}
