package archive

import (
	"context"

	"anabranch/fault"
)

// PutWork stores a note of an unfinished batch run: a plan, or the references
// a step has made. Putting a name again replaces it. While the newest note of
// a run is younger than Collect's minAge, every object whose name stands in
// its notes as a JSON string is kept.
func (a *Archive) PutWork(ctx context.Context, run, name string, body []byte) error {
	return fault.New(fault.Bug, "archive.PutWork is not built yet")
}

// GetWork returns a note of a run; NotFound when there is none of that name.
func (a *Archive) GetWork(ctx context.Context, run, name string) ([]byte, error) {
	return nil, fault.New(fault.Bug, "archive.GetWork is not built yet")
}

// ListWork returns the names of a run's notes, sorted.
func (a *Archive) ListWork(ctx context.Context, run string) ([]string, error) {
	return nil, fault.New(fault.Bug, "archive.ListWork is not built yet")
}
