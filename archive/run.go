package archive

import (
	"context"

	"anabranch/event"
	"anabranch/fault"
)

// Entry is one event of an id run.
type Entry struct {
	ID     event.ID
	Hash   uint64 // of its content
	Offset uint64 // with Row: its place in the partition's log
	Row    int32
}

// Run is an id run: the identities of events of one partition, sorted.
type Run struct {
	Name      string
	Partition int
	K         uint64 // the batch cycle that wrote it
	Entries   int64
	Size      int64
	Sum       string // SHA-256
	Filter    int64  // bytes of its filter, which stays in memory while it is open
}

// Hit is the answer to one id.
type Hit struct {
	Found  bool
	Hash   uint64 // of the content of the event that counted
	Offset uint64 // where that event stands
	Row    int32
}

// WriteRun stores entries, sorted by ID and each ID once, as a run.
func (a *Archive) WriteRun(ctx context.Context, partition int, k uint64, sorted []Entry) (Run, error) {
	return Run{}, fault.New(fault.Bug, "archive.WriteRun is not built yet")
}

// MergeRuns stores all entries of runs, which are of one partition, as one
// run. Of two entries with one ID the first in log order stays.
func (a *Archive) MergeRuns(ctx context.Context, runs []Run, k uint64) (Run, error) {
	return Run{}, fault.New(fault.Bug, "archive.MergeRuns is not built yet")
}

// PickMerge chooses which runs of one partition MergeRuns should join now, so
// that their number grows with the logarithm of their entries and each entry
// is rewritten as rarely. Merge is empty when all is well.
func PickMerge(runs []Run) (merge, keep []Run) { return nil, runs }

// Runs looks ids up in some runs of one partition. It is safe for concurrent
// use.
type Runs struct{}

// OpenRuns loads filters and block indexes of runs, 1.6 bytes an entry, and
// keeps them until Close.
func (a *Archive) OpenRuns(ctx context.Context, runs []Run) (*Runs, error) {
	return nil, fault.New(fault.Bug, "archive.OpenRuns is not built yet")
}

// Lookup sets hits[i] for each ids[i]. An id in several runs is answered with
// its first position.
func (r *Runs) Lookup(ctx context.Context, ids []event.ID, hits []Hit) error {
	return fault.New(fault.Bug, "archive.Lookup is not built yet")
}

// Close releases memory and local copies. No Lookup runs or follows.
func (r *Runs) Close() {}
