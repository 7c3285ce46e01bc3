// Package power takes the power away from the whole way of an event: front
// door, speed, archive, batch and serving on a disk that forgets what was not
// synced, and whose calls fail. The log is the one in memory, which stands for
// a durable one.
package power

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/ingest"
	"anabranch/internal/clock"
	"anabranch/internal/disk"
	"anabranch/internal/disk/faultdisk"
	"anabranch/internal/lifecycle"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/speed"
	"anabranch/stream"
	"anabranch/view"
)

const (
	pipeline   = "shop"
	partitions = 2
	state      = "/var/anabranch"
)

var identity = schemas.Identity{Fields: []string{"id"}, Key: []string{"shop"}, Time: "ts"}

// definition is what every world compiles once.
type definition struct {
	set     *schemas.Set
	views   []*view.View
	rules   []ingest.Rule
	filters []view.NamedPredicate
}

var define = sync.OnceValues(func() (*definition, error) {
	schema, err := schemas.Parse(1, []byte(`{"type": "record", "name": "sale", "fields": [
		{"name": "id", "type": "string"}, {"name": "shop", "type": "string"}, {"name": "amount", "type": "long"},
		{"name": "ts", "type": {"type": "long", "logicalType": "local-timestamp-micros"}}]}`))
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	d := &definition{set: schemas.NewSet(schema)}
	for name, sql := range map[string]string{
		"ids":   "SELECT shop, id, count(*) AS n, sum(amount) AS total FROM events GROUP BY ALL",
		"shops": "SELECT shop, date_trunc('day', ts) AS day, count(*) AS n, sum(amount) AS total FROM events GROUP BY ALL",
	} {
		v, err := view.Compile(ctx, view.Source{Name: name, SQL: sql}, schema.Shape(), "ts")
		if err != nil {
			return nil, err
		}
		d.views = append(d.views, v)
	}
	for _, r := range []ingest.Rule{{Code: "negative", Action: schemas.ActionDeadLetter}, {Code: "sample", Action: schemas.ActionFilter}} {
		sql := map[string]string{"negative": "amount < 0", "sample": "amount % 10 = 3"}[r.Code]
		p, err := view.CompilePredicate(ctx, view.Source{Name: r.Code, SQL: sql}, schema.Shape())
		if err != nil {
			return nil, err
		}
		r.Matches = p
		d.rules = append(d.rules, r)
		if r.Action == schemas.ActionFilter {
			d.filters = append(d.filters, view.NamedPredicate{Code: r.Code, Predicate: p})
		}
	}
	return d, nil
})

// hurried is a clock on which waiting takes a fiftieth of its time.
type hurried struct{}

func (hurried) Now() time.Time                         { return time.Now() }
func (hurried) After(d time.Duration) <-chan time.Time { return time.After(d / 50) }

var _ clock.Clock = hurried{}

// world is the rooms on one disk, as two processes have them: the server, and
// a worker that runs batches. Each boot opens them anew.
type world struct {
	*definition
	ctx  context.Context // of the test
	rnd  *rand.Rand
	log  stream.Log
	disk *faultdisk.Disk
	logs slog.Handler

	// Of one boot.
	alive   context.Context // ends when the power goes
	end     func()
	parts   []lifecycle.Part
	archive *archive.Archive
	letters *deadletter.Store
	gateway *ingest.Gateway
	sealer  *archive.Sealer
	speed   *speed.Speed
	runner  *batch.Runner
	serving *serving.Serving
	source  *serving.Source
	boots   int

	truth
}

func newWorld(ctx context.Context, seed uint64) (*world, error) {
	def, err := define()
	if err != nil {
		return nil, err
	}
	log, err := stream.NewMemory().Open(ctx, pipeline, partitions)
	if err != nil {
		return nil, err
	}
	return &world{
		definition: def, ctx: ctx, rnd: rand.New(rand.NewPCG(seed, 3)), log: log, disk: faultdisk.New(seed), logs: slog.DiscardHandler,
		truth: truth{rows: make([][]placed, partitions), read: make([]uint64, partitions), acked: map[string]bool{}, refused: map[string]int64{}},
	}, nil
}

// boot starts both processes on the disk as it is.
func (w *world) boot() (err error) {
	w.boots++
	alive, cancel := context.WithCancel(w.ctx)
	off, watching := w.disk.Off(), make(chan struct{})
	go func() {
		defer close(watching)
		select {
		case <-off:
			cancel()
		case <-alive.Done():
		}
	}()
	w.alive, w.end = alive, func() { cancel(); <-watching }
	w.parts = nil
	// One for both: it stands for the file system that takes nothing more from
	// anybody after a failed sync.
	files := disk.Strict(w.disk)
	process := func(cache string) (*bucket.File, *archive.Archive, error) {
		b, err := bucket.NewFileOn(files, filepath.Join(state, "bucket"))
		if err != nil {
			return nil, nil, err
		}
		return b, archive.Open(b, pipeline, w.set, archive.Options{
			Partitions: partitions, Clock: hurried{}, Log: slog.New(w.logs), CacheDisk: files, CacheDir: filepath.Join(state, cache), CacheBytes: 40_000,
		}), nil
	}
	server, archived, err := process("cache")
	if err != nil {
		return err
	}
	worker, workers, err := process("worker")
	if err != nil {
		return err
	}
	w.archive, w.letters = archived, deadletter.New(server, pipeline)
	w.runner, err = batch.New(batch.Options{
		Pipeline: pipeline, Definition: "d", Schemas: w.set, Views: w.views, Filters: w.filters, Log: w.log, Archive: workers,
		Letters: deadletter.New(worker, pipeline), TimeField: "ts", ChunkRows: 100, FoldRows: 100, MaxGroups: 100, Parallel: 2, Clock: hurried{}, Logger: slog.New(w.logs),
	})
	if err != nil {
		return err
	}
	w.gateway, err = ingest.New(ingest.Options{
		Pipeline: pipeline, Schema: w.set.Newest(), Identity: identity, Rules: w.rules, Log: w.log, Letters: w.letters,
		Linger: -1, FrameBytes: 600, Clock: hurried{}, Logger: slog.New(w.logs),
	})
	if err != nil {
		return err
	}
	w.sealer = archive.NewSealer(w.archive, w.log, archive.SealerOptions{MaxRows: 60})
	w.speed = speed.New(speed.Options{
		Pipeline: pipeline, Schemas: w.set, Views: w.views, Filters: w.filters, Log: w.log, Archive: w.archive, TimeField: "ts", Disk: files,
		Dir: filepath.Join(state, "speed"), SnapshotEvery: 100 * time.Hour, SnapshotRecords: 5, Grace: -1, Clock: hurried{}, Logger: slog.New(w.logs),
	})
	w.source = &serving.Source{Name: pipeline, Views: w.views, Batch: w.archive, Speed: w.speed, Head: w.head}
	w.serving = serving.New(serving.Options{Sources: func() []*serving.Source { return []*serving.Source{w.source} }, Patience: time.Hour, Clock: hurried{}})
	for _, p := range []lifecycle.Part{w.gateway, w.sealer, w.speed} {
		if err := p.Start(w.alive); err != nil {
			return err
		}
		w.parts = append(w.parts, p)
	}
	return nil
}

// halt ends what boot started. With the disk dead nothing of it is saved.
func (w *world) halt() {
	for _, p := range w.parts {
		p.Stop()
	}
	w.end()
}

// off reports that the power is gone.
func (w *world) off() bool {
	select {
	case <-w.disk.Off():
		return true
	default:
		return false
	}
}

func (w *world) head(ctx context.Context) (event.Cut, error) {
	head := make(event.Cut, partitions)
	for p := range head {
		_, next, err := w.log.Bounds(ctx, p)
		if err != nil {
			return nil, err
		}
		head[p] = next
	}
	return head, nil
}

// trim lets the log forget what is in segments and in snapshots.
func (w *world) trim() (trimmed bool, err error) {
	if err := w.follow(); err != nil { // what is gone then, the test knows
		return false, err
	}
	sealed, safe := w.sealer.Sealed(), w.speed.SafeTrim()
	for p := range partitions {
		chain, err := w.archive.Segments(w.alive, p, 0)
		if err != nil {
			return false, err
		}
		below := uint64(0)
		for _, s := range chain {
			if s.To <= min(sealed[p], safe[p]) {
				below = s.To
			}
		}
		first, _, err := w.log.Bounds(w.alive, p)
		if err != nil {
			return false, err
		}
		if err := w.log.Trim(w.alive, p, below); err != nil {
			return false, err
		}
		trimmed = trimmed || below > first
	}
	return trimmed, nil
}

// batch runs a batch to its end. The same id again goes on with it.
func (w *world) batch(kind, id string) error {
	out, err := batch.Run(w.alive, w.runner, batch.Request{Kind: kind, RunID: id})
	if err != nil {
		return fmt.Errorf("%s %s: %w", kind, id, err)
	}
	m, err := w.archive.Newest(w.alive)
	if err != nil {
		return err
	}
	if m.Version < out.Version {
		return fmt.Errorf("%s %s published manifest %d, the newest is %d", kind, id, out.Version, m.Version)
	}
	w.published, w.hash = m.Version, m.Hash()
	w.speed.Notice(m)
	return nil
}

// serial numbers what the tests name.
var serial atomic.Int64
