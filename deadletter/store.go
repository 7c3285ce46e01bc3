// Package deadletter keeps the events that could not be accepted: their bytes,
// the reason, and whether they were sent back since.
//
// The letters of one request lie together in one object, whose name tells how
// many there are of which code, so that counting never opens one. The format
// is described in docs/formats/dead-letter.md.
package deadletter

import (
	"context"
	"iter"
	"time"

	"anabranch/bucket"
	"anabranch/fault"
)

// Store keeps the letters of one pipeline. It is safe for concurrent use.
type Store struct {
	bucket   bucket.Bucket
	pipeline string
}

// New returns the letters of pipeline in b.
func New(b bucket.Bucket, pipeline string) *Store { return &Store{bucket: b, pipeline: pipeline} }

// Put stores the letters of one request, durably, in one object. Putting the
// same request again replaces its letters and never doubles them; a retry
// keeps the Received of its first letter, by which letters are filed. It sets
// ID and Pipeline of each. No letters, no object.
func (s *Store) Put(ctx context.Context, request string, letters []Letter) error {
	return fault.New(fault.Bug, "deadletter.Put is not built yet")
}

// Options says which letters List yields. The zero value: all of them.
type Options struct {
	Limit  int       // at most so many; 0: no limit
	Code   string    // only this code; empty: every code
	After  string    // an ID: only letters behind it, in the order of the list
	Since  time.Time // only letters of this day (UTC) or later
	Newest bool      // the newest day first; within a day by request either way
}

// List yields letters by day, request and number. After an error it ends.
func (s *Store) List(ctx context.Context, o Options) iter.Seq2[Letter, error] {
	return func(yield func(Letter, error) bool) {
		yield(Letter{}, fault.New(fault.Bug, "deadletter.List is not built yet"))
	}
}

// Get returns one letter; NotFound when there is none of that ID.
func (s *Store) Get(ctx context.Context, id string) (Letter, error) {
	return Letter{}, fault.New(fault.Bug, "deadletter.Get is not built yet")
}

// Counts returns how many letters there are of each code.
func (s *Store) Counts(ctx context.Context) (map[string]int64, error) {
	return nil, fault.New(fault.Bug, "deadletter.Counts is not built yet")
}

// Release notes that a letter was sent back to ingest; call it once ingest
// has accepted the event. Conflict when it was noted before.
func (s *Store) Release(ctx context.Context, id string, r Release) error {
	return fault.New(fault.Bug, "deadletter.Release is not built yet")
}
