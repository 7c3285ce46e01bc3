package archive

import (
	"context"

	"anabranch/event"
	"anabranch/fault"
)

// Segment is a sealed range of one partition's log: every event of the
// records in [From, To). The next segment begins at To.
type Segment struct {
	Partition int
	From, To  uint64
	Rows      int64
	Barrier   uint64 // the barrier that ended it, its record at offset To-1; 0: none
	Admit     string // the import that this barrier admits, or empty
	Name      string
	Size      int64
	Sum       string // SHA-256 of the object with the sum's own digits as zeros
}

// Segments returns the chain of segments from the one that begins at from (0,
// or some segment's To) to the newest. Corrupt when the chain has a gap.
func (a *Archive) Segments(ctx context.Context, partition int, from uint64) ([]Segment, error) {
	return nil, fault.New(fault.Bug, "archive.Segments is not built yet")
}

// ReadSegment calls fn with the rows of s, read up to the newest schema, each
// with the offset of its frame and its row there. The batches have IDs and
// Hashes and are fn's to keep. Rows of one schema version come in log order;
// where a segment holds several versions (a definition was being rolled out),
// one version comes after the other. Corrupt names the segment.
func (a *Archive) ReadSegment(ctx context.Context, s Segment, fn func(b *event.Batch, offsets []uint64, rows []int32) error) error {
	return fault.New(fault.Bug, "archive.ReadSegment is not built yet")
}

// BarrierAt returns the offset of the first barrier k in a partition, looking
// at the sealed segments from the one that begins at from; from must not lie
// above that barrier (the cut of a published manifest below k never does). Ok
// is false when no sealed segment ends at it yet. The cut of k is offset+1.
func (a *Archive) BarrierAt(ctx context.Context, partition int, k, from uint64) (offset uint64, ok bool, err error) {
	return 0, false, fault.New(fault.Bug, "archive.BarrierAt is not built yet")
}
