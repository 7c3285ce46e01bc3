package schemas

import (
	"io"
	"math"

	"github.com/parquet-go/parquet-go/format"

	"anabranch/event"
	"anabranch/fault"
)

// ParquetWriter writes batches of one shape to a Parquet file. It is not safe
// for concurrent use.
//
// It puts pages together itself, from the encodings of the Parquet library:
// our columns come as columns, with their dictionaries, and the library's own
// writer takes values one by one.
type ParquetWriter struct {
	shape   *event.Shape
	out     *sumWriter
	columns []columnWriter
	begun   bool  // the file has its first bytes
	at      int64 // length of the file so far
	rows    int64 // in the open row group
	groups  []format.RowGroup
	pages   pageEncoder
}

const (
	// pageBytes is the size of a page before encoding.
	pageBytes = 256 << 10
	// maxDictionary is the size at which a column of one row group gives up
	// its dictionary: ids and free text, where it would only cost.
	maxDictionary = 1 << 20
	// pieceRows is how many rows are added to a page at a time.
	pieceRows = 4096
)

// NewParquetWriter returns a writer to w. Nothing is closed but the file's own
// end: w stays the caller's.
func NewParquetWriter(w io.Writer, shape *event.Shape) *ParquetWriter {
	p := &ParquetWriter{shape: shape, out: &sumWriter{w: w}, columns: make([]columnWriter, len(shape.Fields))}
	for i, f := range shape.Fields {
		p.columns[i] = columnWriter{field: f, physical: physicalType(f.Type), pages: &p.pages}
	}
	return p
}

// Write adds the rows of b, whose shape is the writer's. B is not kept. Errors
// are those of the file's writer, and Invalid for a null in a column that has
// none.
func (w *ParquetWriter) Write(b *event.Batch) error {
	if b.N == 0 {
		return nil
	}
	if len(b.Columns) != len(w.columns) {
		return fault.New(fault.Bug, "write parquet: batch of %d columns, file of %d", len(b.Columns), len(w.columns))
	}
	for i := range b.Columns {
		c, f := &b.Columns[i], &w.shape.Fields[i]
		switch {
		case c.Type != f.Type:
			return fault.New(fault.Bug, "write parquet: column %s is %s, the file has %s", f.Name, c.Type, f.Type)
		case !f.Nullable && c.Valid != nil && c.Valid.Count(b.N) < b.N:
			return fault.New(fault.Invalid, "write parquet: column %s has a null and is not nullable", f.Name)
		}
	}
	for i := range b.Columns {
		if err := w.columns[i].add(&b.Columns[i], b.N); err != nil {
			return err
		}
	}
	w.rows += int64(b.N)
	return nil
}

// EndRowGroup ends the row group; without rows since the last one it does
// nothing.
func (w *ParquetWriter) EndRowGroup() error {
	if w.rows == 0 {
		return nil
	}
	if len(w.groups) > math.MaxInt16 {
		return fault.New(fault.Invalid, "write parquet: a file has at most %d row groups", math.MaxInt16+1)
	}
	if err := w.begin(); err != nil {
		return err
	}
	g := format.RowGroup{NumRows: w.rows, FileOffset: w.at, Ordinal: int16(len(w.groups))}
	for i := range w.columns {
		meta, err := w.columns[i].end(w.at, w.write)
		if err != nil {
			return err
		}
		g.TotalByteSize += meta.TotalUncompressedSize
		g.TotalCompressedSize += meta.TotalCompressedSize
		g.Columns = append(g.Columns, format.ColumnChunk{MetaData: meta})
	}
	w.groups = append(w.groups, g)
	w.rows = 0
	return nil
}

// Close writes what is left and the footer with meta.
func (w *ParquetWriter) Close(meta map[string]string) error {
	if err := w.EndRowGroup(); err != nil {
		return err
	}
	if err := w.begin(); err != nil {
		return err
	}
	footer, err := w.footer(meta)
	if err != nil {
		return err
	}
	w.out.holdFooter()
	if err := w.write(footer); err != nil {
		return err
	}
	return w.out.finish()
}

func (w *ParquetWriter) begin() error {
	if w.begun {
		return nil
	}
	w.begun = true
	return w.write([]byte(parquetID))
}

func (w *ParquetWriter) write(b []byte) error {
	n, err := w.out.Write(b)
	w.at += int64(n)
	return err
}
