package metamorphic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/ingest"
	"anabranch/internal/lifecycle"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/speed"
	"anabranch/stream"
	"anabranch/view"
)

// compiled is a case whose SQL has been looked at.
type compiled struct {
	*Case
	defs []*definition // what is in force at first, and later
}

// definition is what a pipeline is, from one apply to the next.
type definition struct {
	later   bool
	schema  *schemas.Schema
	set     *schemas.Set
	views   []*view.View
	before  []*view.View // versions of them that were in force before, named by archive.ViewKey
	rules   []ingest.Rule
	filters []view.NamedPredicate
}

func (s *stage) compile(ctx context.Context, c *Case) (*compiled, error) {
	out := &compiled{Case: c}
	first, err := s.define(ctx, c, nil)
	if err != nil {
		return nil, err
	}
	out.defs = []*definition{first}
	if c.Later != nil {
		later, err := s.define(ctx, c, first)
		if err != nil {
			return nil, err
		}
		out.defs = append(out.defs, later)
	}
	return out, nil
}

func (s *stage) define(ctx context.Context, c *Case, before *definition) (*definition, error) {
	d := &definition{later: before != nil}
	views, version := c.Views, uint32(1)
	if d.later {
		views, version = c.Later.Views, 2
	}
	var err error
	if d.schema, err = schema(version, c.fields(d.later)); err != nil {
		return nil, err
	}
	d.set = schemas.NewSet(d.schema)
	if d.later {
		if err := schemas.Compatible(before.schema, d.schema); err != nil {
			return nil, err
		}
		d.set = schemas.NewSet(before.schema, d.schema)
	}
	for _, v := range views {
		compiled, err := s.compiler.View(ctx, view.Source{Name: v.Name, SQL: v.SQL}, d.schema.Shape(), c.Time)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.SQL, err)
		}
		d.views = append(d.views, compiled)
	}
	for _, v := range c.Views {
		now := slices.IndexFunc(views, func(o View) bool { return o.Name == v.Name })
		if !d.later || now < 0 || views[now].SQL == v.SQL {
			continue
		}
		compiled, err := s.compiler.View(ctx, view.Source{Name: v.Name, SQL: v.SQL}, d.schema.Shape(), c.Time)
		if err == nil { // else no event could be folded into it any more
			d.before = append(d.before, compiled.As(archive.ViewKey(v.Name, compiled.Version())))
		}
	}
	for _, r := range c.Rules {
		p, err := s.compiler.Predicate(ctx, view.Source{Name: r.Code, SQL: r.SQL}, d.schema.Shape())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.SQL, err)
		}
		d.rules = append(d.rules, ingest.Rule{Code: r.Code, Action: r.Action, Matches: p})
		if r.Action == schemas.ActionFilter {
			d.filters = append(d.filters, view.NamedPredicate{Code: r.Code, Predicate: p})
		}
	}
	return d, nil
}

// world is one run of a case: the real rooms, and what the test knows.
type world struct {
	*compiled
	*stage
	*definition // in force
	ctx         context.Context
	set         Settings
	name        string // of the pipeline
	dir         string

	log      *gate
	lossy    *flaky // what gateways append to
	objects  *bucket.File
	bucket   bucket.Bucket
	archive  *archive.Archive
	letters  *deadletter.Store
	gateways []*ingest.Gateway
	sealer   *archive.Sealer
	speed    *speed.Speed
	runner   *batch.Runner
	source   *serving.Source

	rows     [][]placed // by partition, in log order
	read     []uint64   // how far rows goes
	barriers []uint64   // by partition: the highest met
	awaited  [][]expected
	frames   map[producer]*lastFrame
	letterOf map[string]int64 // by request
	unsure   map[string]int64 // of requests that were refused, perhaps behind their letters
	refused  []int            // sends to repeat
	sent     int
	runs     int
	rivals   int
	kept     []*view.View // of before: those that speed folds too
	lastRun  *batch.Request
	died     []batch.Request
	frozen   []*frozenRun
	loose    bool // a run that was not published may have put dead letters
	held     bool
	asked    int // for one view
	checks   int // answers compared
}

// newWorld opens the rooms of one run, which the caller closes.
func newWorld(ctx context.Context, c *compiled, s Settings, on *stage) (_ *world, err error) {
	w := &world{
		compiled: c, stage: on, ctx: ctx, set: s, letterOf: map[string]int64{}, unsure: map[string]int64{}, frames: map[producer]*lastFrame{},
		rows: make([][]placed, s.Partitions), read: make([]uint64, s.Partitions), barriers: make([]uint64, s.Partitions), awaited: make([][]expected, s.Partitions),
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.name, w.dir, err = on.next(); err != nil {
		return nil, err
	}
	if err := w.open(); err != nil {
		return nil, err
	}
	return w, w.apply(c.defs[0])
}

// open opens the log and the store.
func (w *world) open() error {
	var store stream.Store = stream.NewMemory()
	if w.set.Log == "nats" {
		var err error
		if store, err = w.nats(w.ctx); err != nil {
			return err
		}
		w.saw("a log of NATS")
	}
	log, err := store.Open(w.ctx, w.name, w.set.Partitions)
	if err != nil {
		return err
	}
	w.log = newGate(log)
	w.lossy = &flaky{Log: log, every: int64(w.set.LoseAcks), lost: make([]atomic.Bool, w.set.Partitions)}
	w.lossy.full.Store(int64(w.set.Partitions))
	objects := w.stage.bucket
	if objects == nil {
		objects = bucket.NewMemory()
	}
	if w.set.Bucket == "file" {
		if w.objects, err = bucket.NewFile(filepath.Join(w.dir, "objects")); err != nil {
			return err
		}
		objects = w.objects
		w.saw("objects in files")
	}
	w.bucket = objects
	w.letters = deadletter.New(w.bucket, w.name)
	return nil
}

// apply brings a definition into force, as the server does: all rooms of the
// one before stop, and open again over the same log and store.
func (w *world) apply(d *definition) error {
	w.stopRooms()
	if w.definition != nil {
		w.saw("a definition changed")
	}
	w.definition = d
	cache := filepath.Join(w.dir, "cache")
	w.archive = archive.Open(w.bucket, w.name, d.set, archive.Options{Partitions: w.set.Partitions, CacheDir: cache, Clock: w.clock})
	var err error
	if w.runner, err = w.newRunner(w.log.Log, w.archive, w.letters); err != nil {
		return err
	}
	if err := w.startGateways(); err != nil {
		return err
	}
	if err := w.startSealer(); err != nil {
		return err
	}
	m, err := w.archive.Newest(w.ctx)
	if err != nil {
		return err
	}
	w.kept = nil
	for _, v := range d.before {
		if _, files := m.VersionOf(archive.ViewOf(v.Name()), v.Version()); files != nil {
			w.kept = append(w.kept, v)
		}
	}
	w.source = &serving.Source{Name: w.name, Views: d.views, Older: w.kept, Batch: w.archive, Head: w.head}
	if err := w.startSpeed(); err != nil {
		return err
	}
	w.stage.source.Store(w.source)
	return nil
}

func (w *world) newRunner(log stream.Log, a *archive.Archive, letters *deadletter.Store) (*batch.Runner, error) {
	return batch.New(batch.Options{
		Pipeline: w.name, Definition: fmt.Sprint(w.definition.schema.Version()), Schemas: w.definition.set, Views: w.views, Older: w.before, Filters: w.filters, Log: log, Archive: a, Letters: letters,
		Clock: w.clock, TimeField: w.Time, ChunkRows: w.set.ChunkRows, FoldRows: w.set.FoldRows, MaxGroups: w.set.MaxGroups, Logger: slog.New(&listener{w.stage}),
	})
}

func (w *world) startGateways() error {
	w.gateways = nil
	for range max(1, w.set.Gateways) {
		g, err := ingest.New(ingest.Options{
			Pipeline: w.name, Schema: w.schema, Identity: w.identity(), Rules: w.rules, Log: w.lossy, Letters: w.letters, RetryAfter: time.Microsecond,
			Linger: time.Duration(w.set.LingerMicros) * time.Microsecond, FrameBytes: w.set.FrameBytes,
		})
		if err != nil {
			return err
		}
		if err := g.Start(w.ctx); err != nil {
			return err
		}
		w.gateways = append(w.gateways, g)
	}
	return nil
}

func (w *world) stopRooms() {
	var parts []lifecycle.Part
	for _, g := range w.gateways {
		parts = append(parts, g)
	}
	if w.speed != nil {
		parts = append(parts, w.speed)
	}
	if w.sealer != nil {
		parts = append(parts, w.sealer)
	}
	for _, p := range parts {
		p.Stop()
	}
}

func (w *world) close() {
	for _, f := range w.frozen {
		f.end()
	}
	w.stopRooms()
	if w.log != nil {
		w.log.Close()
	}
	if w.objects != nil {
		w.objects.Close()
	}
	os.RemoveAll(w.dir)
}

func (w *world) startSealer() error {
	w.sealer = archive.NewSealer(w.archive, w.log.Log, archive.SealerOptions{MaxRows: w.set.SegmentRows})
	return w.sealer.Start(w.ctx)
}

func (w *world) startSpeed() error {
	grace := time.Duration(-1)
	if w.set.Grace {
		grace = time.Hour
	}
	w.speed = speed.New(speed.Options{
		Clock: w.clock, Pipeline: w.name, Schemas: w.definition.set, Views: slices.Concat(w.views, w.kept), Filters: w.filters, Log: w.log, Archive: w.archive, TimeField: w.Time,
		Dir: filepath.Join(w.dir, "speed"), SnapshotEvery: time.Hour, SnapshotRecords: w.set.SnapshotRecords, Grace: grace,
	})
	w.source.Speed = w.speed
	if err := w.speed.Start(w.ctx); err != nil {
		return err
	}
	w.lookBack()
	return nil
}

// lookBack notes how speed came to life.
func (w *world) lookBack() {
	for _, p := range w.speed.Stats().Partitions {
		if p.Snapshot > 0 && p.Snapshot < w.read[p.Partition] {
			w.saw("speed replayed the log above a snapshot")
		}
	}
}

// crash restarts speed from what was on disk before, without the snapshots
// that an orderly stop writes.
func (w *world) crash() error {
	dir, kept := filepath.Join(w.dir, "speed"), filepath.Join(w.dir, "kept")
	for range 100 { // a snapshot that is being written may vanish under the copy
		if err := os.RemoveAll(kept); err != nil {
			return err
		}
		if err := os.CopyFS(kept, os.DirFS(dir)); err == nil {
			break
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	m, err := w.archive.Newest(w.ctx)
	if err != nil {
		return err
	}
	for _, p := range w.speed.Stats().Partitions {
		if p.Snapshot > 0 && p.Snapshot < m.Cut[p.Partition] {
			w.saw("a snapshot below the cut")
		}
	}
	w.speed.Stop()
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if _, err := os.Stat(kept); err == nil {
		if err := os.Rename(kept, dir); err != nil {
			return err
		}
	}
	return w.startSpeed()
}

func (w *world) head(ctx context.Context) (event.Cut, error) {
	head := make(event.Cut, w.set.Partitions)
	for n := range head {
		_, next, err := w.log.Bounds(ctx, n)
		if err != nil {
			return nil, err
		}
		head[n] = next
	}
	return head, nil
}
