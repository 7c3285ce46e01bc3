package schemas

import (
	"io"

	"anabranch/event"
	"anabranch/fault"
)

// ParquetWriter writes batches of one shape to a Parquet file. It is not safe
// for concurrent use.
type ParquetWriter struct{}

// NewParquetWriter returns a writer to w. Nothing is closed but the file's own
// end: w stays the caller's.
func NewParquetWriter(w io.Writer, shape *event.Shape) *ParquetWriter { return &ParquetWriter{} }

// Write adds the rows of b, whose shape is the writer's. B is not kept.
func (w *ParquetWriter) Write(b *event.Batch) error {
	return fault.New(fault.Bug, "schemas.ParquetWriter is not built yet")
}

// EndRowGroup ends the row group; without rows since the last one it does
// nothing.
func (w *ParquetWriter) EndRowGroup() error {
	return fault.New(fault.Bug, "schemas.ParquetWriter is not built yet")
}

// Close writes what is left and the footer with meta.
func (w *ParquetWriter) Close(meta map[string]string) error {
	return fault.New(fault.Bug, "schemas.ParquetWriter is not built yet")
}
