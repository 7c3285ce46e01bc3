package schemas

import (
	"context"
	"io"

	"anabranch/event"
	"anabranch/fault"
)

// ParquetFile is an open file that ParquetWriter wrote. It is safe for
// concurrent use.
type ParquetFile struct{}

// OpenParquet reads the footer of a file of size bytes. Damaged bytes are
// Corrupt; errors of r itself keep their kind.
func OpenParquet(r io.ReaderAt, size int64) (*ParquetFile, error) {
	return nil, fault.New(fault.Bug, "schemas.OpenParquet is not built yet")
}

// Shape returns the columns of the file.
func (f *ParquetFile) Shape() *event.Shape { return nil }

// Meta returns what Close was given.
func (f *ParquetFile) Meta() map[string]string { return nil }

// RowGroups returns the number of rows of each row group.
func (f *ParquetFile) RowGroups() []int64 { return nil }

// Read calls fn with the rows of the given row groups (nil: all) in order, a
// few thousand at a time. The batches have the given columns (nil: all) in
// the given order; they are fn's to keep. Errors: Invalid for a column or row
// group that is not there, Corrupt for damaged bytes, fn's own.
func (f *ParquetFile) Read(ctx context.Context, rowGroups []int, columns []string, fn func(*event.Batch) error) error {
	return fault.New(fault.Bug, "schemas.ParquetFile is not built yet")
}
