package schemas

import (
	"context"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/pace"
)

// ParquetFile is an open file that ParquetWriter wrote. It is safe for
// concurrent use.
type ParquetFile struct {
	file  *parquet.File
	shape *event.Shape
	meta  map[string]string
	rows  []int64
}

// readRows is how many rows Read hands on at a time.
const readRows = 4096

// OpenParquet reads the footer of a file of size bytes. Damaged bytes are
// Corrupt; errors of r itself keep their kind.
func OpenParquet(r io.ReaderAt, size int64) (f *ParquetFile, err error) {
	defer recoverCorrupt(&err)
	sums, err := openSums(r, size)
	if err != nil {
		return nil, err
	}
	file, err := parquet.OpenFile(sums, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(4*sumBlock))
	if err != nil {
		return nil, foreign(err)
	}
	f = &ParquetFile{file: file, meta: map[string]string{}}
	for _, kv := range file.Metadata().KeyValueMetadata {
		f.meta[kv.Key] = kv.Value
	}
	text, ok := f.meta[shapeKey]
	if !ok {
		return nil, corruptFile("the file does not tell its shape")
	}
	delete(f.meta, shapeKey)
	if f.shape, err = decodeShape(text); err != nil {
		return nil, corruptFile("its shape: %w", err)
	}
	if len(file.Root().Columns()) != len(f.shape.Fields) {
		return nil, corruptFile("%d columns, its shape has %d", len(file.Root().Columns()), len(f.shape.Fields))
	}
	for _, g := range file.RowGroups() {
		f.rows = append(f.rows, g.NumRows())
	}
	return f, nil
}

// Shape returns the columns of the file.
func (f *ParquetFile) Shape() *event.Shape { return f.shape }

// Meta returns what Close was given; the caller may change it.
func (f *ParquetFile) Meta() map[string]string { return maps.Clone(f.meta) }

// RowGroups returns the number of rows of each row group; the caller does not
// change it.
func (f *ParquetFile) RowGroups() []int64 { return f.rows }

// Read calls fn with the rows of the given row groups (nil: all) in order, a
// few thousand at a time. Work with a turn (internal/pace) yields between them. The batches have the given columns (nil: all) in
// the given order; they are fn's to keep. Errors: Invalid for a column or row
// group that is not there, Corrupt for damaged bytes, fn's own.
func (f *ParquetFile) Read(ctx context.Context, rowGroups []int, columns []string, fn func(*event.Batch) error) error {
	return f.read(ctx, rowGroups, columns, math.MaxInt, fn)
}

// Scan is Read for who is done with a batch when fn returns: the memory of its
// columns, but not of their dictionaries, is used again for the next.
func (f *ParquetFile) Scan(ctx context.Context, rowGroups []int, columns []string, fn func(*event.Batch) error) error {
	return f.read(ctx, rowGroups, columns, 0, fn)
}

// ReadKept is Read for who keeps the first columns of a batch, so many, and is
// done with the others when fn returns.
func (f *ParquetFile) ReadKept(ctx context.Context, rowGroups []int, columns []string, kept int, fn func(*event.Batch) error) error {
	return f.read(ctx, rowGroups, columns, kept, fn)
}

func (f *ParquetFile) read(ctx context.Context, rowGroups []int, columns []string, kept int, fn func(*event.Batch) error) error {
	shape, index := f.shape, make([]int, 0, len(f.shape.Fields))
	if columns == nil {
		columns = shape.Names()
	} else {
		fields := make([]event.Field, 0, len(columns))
		for _, name := range columns {
			i := shape.Index(name)
			if i < 0 {
				return fault.New(fault.Invalid, "read parquet: the file has no column %q", name)
			}
			fields = append(fields, shape.Fields[i])
		}
		shape = event.NewShape(fields...)
	}
	for _, name := range columns {
		index = append(index, f.shape.Index(name))
	}
	if rowGroups == nil {
		for i := range f.rows {
			rowGroups = append(rowGroups, i)
		}
	}
	for _, g := range rowGroups {
		if g < 0 || g >= len(f.rows) {
			return fault.New(fault.Invalid, "read parquet: the file has no row group %d", g)
		}
		if err := f.readGroup(ctx, g, shape, index, min(kept, len(index)), fn); err != nil {
			return err
		}
	}
	return nil
}

func (f *ParquetFile) readGroup(ctx context.Context, g int, shape *event.Shape, index []int, kept int, fn func(*event.Batch) error) error {
	chunks := f.file.RowGroups()[g].ColumnChunks()
	readers := make([]columnReader, len(index))
	defer func() {
		for i := range readers {
			readers[i].close()
		}
	}()
	for i, at := range index {
		readers[i] = columnReader{pages: chunks[at].Pages(), field: shape.Fields[i]}
	}
	var b *event.Batch
	for left := f.rows[g]; left > 0; {
		if err := pace.Yield(ctx); err != nil {
			return err
		}
		n := int(min(left, readRows))
		switch {
		case b == nil:
			b = &event.Batch{Shape: shape, Columns: make([]event.Column, len(readers))}
		case kept > 0:
			b = &event.Batch{Shape: shape, Columns: slices.Concat(make([]event.Column, kept), b.Columns[kept:])}
		}
		b.N = n
		for i := range readers {
			if err := readers[i].read(&b.Columns[i], n); err != nil {
				return err
			}
		}
		if err := fn(b); err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

// recoverCorrupt makes a panic of the Parquet reader an error. Checksums stand
// in front of it, so that this takes a file that was written wrong.
func recoverCorrupt(err *error) {
	if p := recover(); p != nil {
		*err = corruptFile("%v", p)
	}
}

// foreign gives an error of the Parquet reader its kind.
func foreign(err error) error {
	if fault.KindOf(err) != fault.Unknown {
		return err
	}
	return corruptFile("%w", err)
}
