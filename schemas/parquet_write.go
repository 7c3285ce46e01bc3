package schemas

import (
	"encoding/binary"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"anabranch/event"
	"anabranch/fault"
)

// ParquetWriter writes batches of one shape to a Parquet file. It is not safe
// for concurrent use.
type ParquetWriter struct {
	shape  *event.Shape
	out    *sumWriter
	file   *parquet.GenericWriter[any]
	rows   int // in the open row group
	chunk  []parquet.Value
	unique []parquet.Value // one for each entry of a dictionary
	wide   []byte          // backs the values of chunk that need bytes
}

const (
	// chunkRows bounds the values that are handed over at a time.
	chunkRows = 1024
	// pageBytes is the size of a page before encoding.
	pageBytes = 256 << 10
	// maxDictionary is the size at which a column of one row group gives up
	// its dictionary: ids and free text, where it would only cost.
	maxDictionary = 1 << 20
)

// compression is shared by all writers: it keeps its encoders between uses,
// and making one costs more than a small file does.
var compression = &zstd.Codec{Level: zstd.SpeedFastest}

// NewParquetWriter returns a writer to w. Nothing is closed but the file's own
// end: w stays the caller's.
func NewParquetWriter(w io.Writer, shape *event.Shape) *ParquetWriter {
	out := &sumWriter{w: w}
	return &ParquetWriter{
		shape: shape, out: out, chunk: make([]parquet.Value, chunkRows), wide: make([]byte, 16*chunkRows),
		file: parquet.NewGenericWriter[any](out, parquetSchema(shape),
			parquet.Compression(compression),
			parquet.PageBufferSize(pageBytes),
			parquet.DictionaryMaxBytes(maxDictionary),
			parquet.CreatedBy("anabranch", "1", "")),
	}
}

// Write adds the rows of b, whose shape is the writer's. B is not kept. Errors
// are those of the file's writer, and Invalid for a null in a column that has
// none.
func (w *ParquetWriter) Write(b *event.Batch) error {
	if b.N == 0 {
		return nil
	}
	if len(b.Columns) != len(w.shape.Fields) {
		return fault.New(fault.Bug, "write parquet: batch of %d columns, file of %d", len(b.Columns), len(w.shape.Fields))
	}
	to := w.file.ColumnWriters()
	for i := range b.Columns {
		if err := w.column(to[i], &b.Columns[i], w.shape.Fields[i], i, b.N); err != nil {
			return w.wrap(err)
		}
	}
	w.rows += b.N
	return nil
}

// EndRowGroup ends the row group; without rows since the last one it does
// nothing.
func (w *ParquetWriter) EndRowGroup() error {
	if w.rows == 0 {
		return nil
	}
	w.rows = 0
	return w.wrap(w.file.Flush())
}

// Close writes what is left and the footer with meta.
func (w *ParquetWriter) Close(meta map[string]string) error {
	if err := w.EndRowGroup(); err != nil {
		return err
	}
	text, err := encodeShape(w.shape)
	if err != nil {
		return fault.New(fault.Bug, "write parquet: %w", err)
	}
	w.file.SetKeyValueMetadata(shapeKey, text)
	for k, v := range meta {
		w.file.SetKeyValueMetadata(k, v)
	}
	w.out.holdFooter()
	if err := w.file.Close(); err != nil {
		return w.wrap(err)
	}
	return w.out.finish()
}

// wrap prefers the error of the file underneath, which has a kind.
func (w *ParquetWriter) wrap(err error) error {
	if err != nil && w.out.err != nil {
		return w.out.err
	}
	return err
}

func (w *ParquetWriter) column(to *parquet.ColumnWriter, c *event.Column, f event.Field, index, n int) error {
	if c.Type != f.Type {
		return fault.New(fault.Bug, "write parquet: column %s is %s, the file has %s", f.Name, c.Type, f.Type)
	}
	present := 0
	if f.Nullable {
		present = 1 // definition level of a value
	} else if c.Valid != nil && c.Valid.Count(n) < n {
		return fault.New(fault.Invalid, "write parquet: column %s has a null and is not nullable", f.Name)
	}
	if c.Type.Storage() == event.InCodes {
		w.unique = w.unique[:0]
		for code := range uint32(c.Dict.Len()) {
			w.unique = append(w.unique, parquet.ByteArrayValue(c.Dict.Value(code)).Level(0, present, index))
		}
	}
	null := parquet.NullValue().Level(0, 0, index)
	for from := 0; from < n; from += chunkRows {
		chunk := w.chunk[:min(chunkRows, n-from)]
		w.fill(chunk, c, from, present, index)
		if c.Valid != nil && f.Nullable {
			for i := range chunk {
				if !c.Valid.Get(from + i) {
					chunk[i] = null
				}
			}
		}
		if _, err := to.WriteRowValues(chunk); err != nil {
			return err
		}
	}
	return nil
}

// fill makes chunk the values of c from row from on, nulls not looked at.
func (w *ParquetWriter) fill(chunk []parquet.Value, c *event.Column, from, present, index int) {
	switch c.Type.Storage() {
	case event.InFloats:
		for i, v := range c.Floats[from : from+len(chunk)] {
			chunk[i] = parquet.DoubleValue(v).Level(0, present, index)
		}
		return
	case event.InWide:
		for i, v := range c.Wide[from : from+len(chunk)] {
			b := w.wide[16*i : 16*i+16]
			binary.BigEndian.PutUint64(b, uint64(v.Hi))
			binary.BigEndian.PutUint64(b[8:], v.Lo)
			chunk[i] = parquet.FixedLenByteArrayValue(b).Level(0, present, index)
		}
		return
	case event.InCodes:
		if len(w.unique) == 0 { // every row is null
			clear(chunk)
			return
		}
		for i, code := range c.Codes[from : from+len(chunk)] {
			chunk[i] = w.unique[code]
		}
		return
	}
	ints := c.Ints[from : from+len(chunk)]
	switch {
	case c.Type.Kind == event.Bool:
		for i, v := range ints {
			chunk[i] = parquet.BooleanValue(v != 0).Level(0, present, index)
		}
	case inInt32(c.Type):
		for i, v := range ints {
			chunk[i] = parquet.Int32Value(int32(v)).Level(0, present, index)
		}
	default:
		for i, v := range ints {
			chunk[i] = parquet.Int64Value(v).Level(0, present, index)
		}
	}
}
