package archive

import (
	"context"
	"time"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/lifecycle"
	"anabranch/stream"
)

// SealerOptions say when an open segment is sealed. A barrier always seals.
type SealerOptions struct {
	MaxRows  int64         // default 1,000,000
	MaxBytes int64         // of frames as they lie in the log; default 64 MiB
	MaxAge   time.Duration // since its first event was read; default 5 min
}

// Sealer copies the log into segments, each partition in a goroutine of its
// own. Any number of sealers may run for one pipeline: the first to write a
// segment wins and the others go on behind it.
type Sealer struct{ loop lifecycle.Loop }

var _ lifecycle.Part = (*Sealer)(nil)

// NewSealer returns a sealer of log into a.
func NewSealer(a *Archive, log stream.Log, o SealerOptions) *Sealer { return &Sealer{} }

// Start finds the end of each partition's chain and begins to seal there.
func (s *Sealer) Start(ctx context.Context) error {
	return fault.New(fault.Bug, "archive.Sealer is not built yet")
}

// Stop ends sealing. What was not sealed stays in the log.
func (s *Sealer) Stop() { s.loop.Stop() }

// Sealed returns how far each partition is sealed: the log below may go as
// far as the archive is concerned. It has a value for every partition.
func (s *Sealer) Sealed() event.Cut { return nil }

// SealerStats tells how one partition is doing since the start.
type SealerStats struct {
	Sealed   uint64 // offset below which everything is in segments
	Read     uint64 // offset below which everything was read
	Segments int64  // written
	Rows     int64  // in them
	Repeats  int64  // frames whose producer and sequence were seen before: retried appends
	Missing  int64  // frames that producers numbered and that are not in the log: lost ones
	Err      error  // why this partition is not being sealed just now; nil when it is
}

// Stats returns the state of each partition.
func (s *Sealer) Stats() []SealerStats { return nil }
