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
	"fmt"
	"log/slog"
	"path"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"anabranch/bucket"
	"anabranch/internal/clock"
	"anabranch/internal/disk"
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
	CacheDisk  disk.Files // that CacheDir is on; default disk.Real. Local's paths are good for other programs only there
	CacheBytes int64      // how much of CacheDir to use; default 4 GiB. Pinned copies may go over it
	BlockBytes int64      // memory for decoded blocks of id runs; default 64 MiB
}

// Archive is the archive of one pipeline. It is safe for concurrent use.
type Archive struct {
	bucket   bucket.Bucket
	pipeline string
	schemas  *schemas.Set
	opts     Options

	cache    *cache // nil without CacheDir
	blocks   *blockCache
	runs     openRuns
	segments *segmentCache
	newest   atomic.Pointer[Manifest] // the newest one seen; nil: none
	put      atomic.Pointer[Manifest] // the last one published here, until Newest has seen it
	kept     atomic.Pointer[kept]     // of the last one published here, for the next; nil: none
	passed   atomic.Uint64            // the damaged manifest that was last passed over
}

// Open returns the archive of pipeline in b. It reads nothing yet.
func Open(b bucket.Bucket, pipeline string, set *schemas.Set, o Options) *Archive {
	o.Clock = cmp.Or(o.Clock, clock.Wall)
	o.CacheBytes = cmp.Or(o.CacheBytes, 4<<30)
	o.BlockBytes = cmp.Or(o.BlockBytes, 64<<20)
	if o.CacheDisk == nil {
		o.CacheDisk = disk.Real{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Archive{
		bucket: b, pipeline: pipeline, schemas: set, opts: o,
		blocks: newBlockCache(o.BlockBytes), runs: openRuns{runs: map[string]*openRun{}},
		segments: newSegmentCache(),
	}
	if o.CacheDir != "" {
		a.cache = &cache{disk: o.CacheDisk, dir: o.CacheDir, limit: o.CacheBytes, bucket: b, log: o.Log}
	}
	return a
}

// Pipeline returns the name of the pipeline.
func (a *Archive) Pipeline() string { return a.pipeline }

// Everything of a pipeline lies under its name:
//
//	<pipeline>/segments/p0003/<from>.parquet
//	<pipeline>/runs/p0003/k<k>-<plan>-<hash>.run
//	<pipeline>/days/k<k>/p0003-<n>-<plan>-<hash>.parquet
//	<pipeline>/views/<view>/<version>/states/<tag>-<hash>.parquet
//	<pipeline>/views/<view>/<version>/results/<period>-<shard>-<plan>-<hash>.parquet
//	<pipeline>/comparisons/<name>/<view>-<hash>.parquet
//	<pipeline>/manifests/<version>.json.zst
//	<pipeline>/work/<run>/<name>
//	<pipeline>/once/<name>
//	<pipeline>/references/<name>/<hash>.parquet
//
// Numbers have leading zeros, so that the order of names is their order. Plan
// tells the plans of batch apart, so that no two of them write one object;
// files of old have none. Collect relies on it.
func (a *Archive) object(format string, args ...any) string {
	return path.Join(a.pipeline, fmt.Sprintf(format, args...))
}

func (a *Archive) segmentPrefix(partition int) string {
	return a.object("segments/p%04d", partition) + "/"
}

func (a *Archive) segmentName(partition int, from uint64) string {
	return a.segmentPrefix(partition) + fmt.Sprintf("%020d.parquet", from)
}

func (a *Archive) runName(partition int, k uint64, plan, sum string) string {
	return a.object("runs/p%04d/k%012d-%s.run", partition, k, unique(plan, sum))
}

func (a *Archive) dayName(k uint64, partition, n int, plan, sum string) string {
	return a.object("days/k%012d/p%04d-%d-%s.parquet", k, partition, n, unique(plan, sum))
}

func (a *Archive) stateName(view, version, tag, sum string) string {
	return a.object("views/%s/%s/states/%s-%s.parquet", view, version, tag, short(sum))
}

func (a *Archive) resultName(view, version, period string, shard int, plan, sum string) string {
	return a.object("views/%s/%s/results/%s-%04d-%s.parquet", view, version, period, shard, unique(plan, sum))
}

// A comparison holds the differing cells of one view between two versions, or
// between what a run has made and what is published; name says which.
func (a *Archive) comparisonName(name, view, sum string) string {
	return a.object("comparisons/%s/%s-%s.parquet", name, view, short(sum))
}

// ManifestName returns the name of the object that holds manifest v.
func (a *Archive) ManifestName(v uint64) string { return a.manifestName(v) }

func (a *Archive) manifestPrefix() string { return a.object("manifests") + "/" }

func (a *Archive) manifestName(v uint64) string {
	return a.manifestPrefix() + fmt.Sprintf("%012d.json.zst", v)
}

// unique is the end of the name of an object that a plan has made.
func unique(plan, sum string) string {
	if plan == "" {
		return short(sum)
	}
	return plan + "-" + short(sum)
}

// short is the part of a SHA-256 that goes into names.
func short(sum string) string { return sum[:16] }
