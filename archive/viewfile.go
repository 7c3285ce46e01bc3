package archive

import (
	"context"

	"anabranch/event"
	"anabranch/fault"
)

// StateFile holds aggregate states of one view, by event day.
type StateFile struct {
	Name string
	Days []int32 // days since 1970, ascending; also those that have no groups
	Rows int64
	Size int64
	Sum  string // SHA-256
}

// ResultFile holds finished rows of one view, with their states.
type ResultFile struct {
	Name   string
	Period string // the part of time it covers, as batch names it
	Shard  int
	Rows   int64
	Size   int64
	Sum    string // SHA-256
}

// WriteStates stores what fill emits: for ascending days, the groups of that
// day (key columns and "_state"), sorted by key. A day may come in several
// calls, one without rows says that the day has no groups. Tag becomes part of
// the object's name.
func (a *Archive) WriteStates(ctx context.Context, view, version, tag string, fill func(emit func(day int32, groups *event.Batch) error) error) (StateFile, error) {
	return StateFile{}, fault.New(fault.Bug, "archive.WriteStates is not built yet")
}

// ReadStates calls fn with the groups of the given days (nil: all), days
// ascending, one day perhaps in several calls. The batches are fn's to keep.
func (a *Archive) ReadStates(ctx context.Context, f StateFile, days map[int32]bool, fn func(day int32, groups *event.Batch) error) error {
	return fault.New(fault.Bug, "archive.ReadStates is not built yet")
}

// WriteResult stores finished rows (output columns and "_state"), sorted by
// key.
func (a *Archive) WriteResult(ctx context.Context, view, version, period string, shard int, b *event.Batch) (ResultFile, error) {
	return ResultFile{}, fault.New(fault.Bug, "archive.WriteResult is not built yet")
}

// ReadResult calls fn with the rows of f, the given columns (nil: all) in the
// given order. The batches are fn's to keep.
func (a *Archive) ReadResult(ctx context.Context, f ResultFile, columns []string, fn func(*event.Batch) error) error {
	return fault.New(fault.Bug, "archive.ReadResult is not built yet")
}
