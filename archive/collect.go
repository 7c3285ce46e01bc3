package archive

import (
	"context"
	"time"

	"anabranch/fault"
)

// Collect deletes what nobody can need any more: id runs, day files, view
// files and notes of runs that are older than minAge and that neither one of
// the newest keep manifests, nor a manifest younger than minAge, nor the notes
// of a run younger than minAge mention. Segments and manifests stay for ever.
// It deletes nothing when a manifest it has to respect cannot be read. MinAge
// must be longer than the longest batch run and the longest query.
func (a *Archive) Collect(ctx context.Context, keep int, minAge time.Duration) (deleted int, err error) {
	return 0, fault.New(fault.Bug, "archive.Collect is not built yet")
}
