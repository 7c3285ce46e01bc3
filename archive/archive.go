// Package archive keeps the past at rest: everything that is durable about a
// pipeline except its log, all of it in one bucket under the pipeline's name.
//
//   - Segments hold every event of the log, in log order, duplicates too. A
//     [Sealer] writes them; together they are one unbroken chain.
//   - Id runs hold the identity of every event that counts, so that a copy of
//     it is known whenever it comes.
//   - Day files hold the events that count, by event day; view files hold what
//     batch made of them, as states and as finished rows.
//   - The [Manifest] says which of these files are the present. It is the only
//     thing that ever changes, by one conditional put.
//
// All other objects are written once under a name that says what they hold and
// never change. What no manifest mentions is garbage, and [Archive.Collect]
// takes it away. The formats are described in docs/formats.
package archive

import (
	"cmp"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"anabranch/bucket"
	"anabranch/internal/clock"
	"anabranch/schemas"
)

// Options of an Archive.
type Options struct {
	Partitions int                   // of the pipeline; the cut of an empty archive has so many zeros
	Clock      clock.Clock           // default clock.Wall
	Log        *slog.Logger          // default none
	Metrics    prometheus.Registerer // default none

	// CacheDir is where verified copies of objects are kept; it belongs to
	// this Archive alone. Empty: no local copies, reads hold whole files in
	// memory and Local refuses.
	CacheDir   string
	CacheBytes int64 // how much of CacheDir to use; default 4 GiB. Pinned copies may go over it
	BlockBytes int64 // memory for decoded blocks of id runs; default 64 MiB
}

// Archive is the archive of one pipeline. It is safe for concurrent use.
type Archive struct {
	bucket   bucket.Bucket
	pipeline string
	schemas  *schemas.Set
	opts     Options
}

// Open returns the archive of pipeline in b. It reads nothing yet.
func Open(b bucket.Bucket, pipeline string, set *schemas.Set, o Options) *Archive {
	o.Clock = cmp.Or(o.Clock, clock.Wall)
	o.CacheBytes = cmp.Or(o.CacheBytes, 4<<30)
	o.BlockBytes = cmp.Or(o.BlockBytes, 64<<20)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Archive{bucket: b, pipeline: pipeline, schemas: set, opts: o}
}

// Pipeline returns the name of the pipeline.
func (a *Archive) Pipeline() string { return a.pipeline }
