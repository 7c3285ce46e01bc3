package archive

import (
	"context"

	"anabranch/event"
	"anabranch/fault"
)

// DayFile holds counted events of one partition and some consecutive event
// days.
type DayFile struct {
	Name      string
	Partition int
	K         uint64 // the batch cycle that wrote it
	Schema    uint32 // version of the schema its columns follow
	Days      []DayRows
	Size      int64
	Sum       string   // SHA-256
	Segments  []string // lineage: the segments its events come from
}

// DayRows says where the events of one day are in a DayFile.
type DayRows struct {
	Day       int32 // days since 1970
	Rows      int64
	RowGroups []int
}

// DayWriter writes the day files of one partition. It is not safe for
// concurrent use.
type DayWriter struct{}

// NewDayWriter returns a writer of files named after k and partition.
func (a *Archive) NewDayWriter(ctx context.Context, k uint64, partition int) *DayWriter {
	return &DayWriter{}
}

// Write adds events of a day, in the newest schema's shape and sorted by time
// as readers shall find them; days come in ascending order, and one day may
// come in several calls. IDs and hashes are not kept.
func (w *DayWriter) Write(day int32, b *event.Batch) error {
	return fault.New(fault.Bug, "archive.DayWriter is not built yet")
}

// Close stores what is left and returns all files written, each with the
// given lineage. Without it nothing is referenced and Collect cleans up.
func (w *DayWriter) Close(ctx context.Context, lineage []string) ([]DayFile, error) {
	return nil, fault.New(fault.Bug, "archive.DayWriter is not built yet")
}

// ReadDay calls fn with the events of one day in files (those without the day
// are passed over), read up to the newest schema, with the given columns (nil:
// all) in the given order. The batches are fn's to keep.
func (a *Archive) ReadDay(ctx context.Context, files []DayFile, day int32, columns []string, fn func(*event.Batch) error) error {
	return fault.New(fault.Bug, "archive.ReadDay is not built yet")
}
