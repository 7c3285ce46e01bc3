package metamorphic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/serving/sql"
	"anabranch/speed"
	"anabranch/stream"
	"anabranch/view"
)

// plan says what a rig is about.
type plan struct {
	pipeline   string
	schema     string
	time       string
	views      []View
	partitions int
	grace      time.Duration
	records    int // between two snapshots of speed
	bucket     bucket.Bucket
}

// rig is the real rooms around one pipeline, for tests that read it while
// everything moves.
type rig struct {
	plan
	ctx     context.Context
	dir     string
	set     *schemas.Set
	views   []*view.View
	log     *gate // speed reads it through the gate, all others around it
	archive *archive.Archive
	runner  *batch.Runner
	sealer  *archive.Sealer
	speed   *switched
	source  *serving.Source
	serving *serving.Serving
	engine  *sql.Engine
	version atomic.Uint64 // the newest one that was published
}

func newRig(ctx context.Context, p plan, dir string) (r *rig, err error) {
	r = &rig{plan: p, ctx: ctx, dir: dir, speed: &switched{}}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	schema, err := schemas.Parse(1, []byte(p.schema))
	if err != nil {
		return r, err
	}
	r.set = schemas.NewSet(schema)
	for _, v := range p.views {
		compiled, err := view.Compile(ctx, view.Source{Name: v.Name, SQL: v.SQL}, schema.Shape(), p.time)
		if err != nil {
			return r, fmt.Errorf("%s: %w", v.SQL, err)
		}
		r.views = append(r.views, compiled)
	}
	log, err := stream.NewMemory().Open(ctx, p.pipeline, p.partitions)
	if err != nil {
		return r, err
	}
	r.log = newGate(log)
	cache := filepath.Join(dir, "cache")
	r.archive = archive.Open(r.bucket, p.pipeline, r.set, archive.Options{Partitions: p.partitions, CacheDir: cache})
	r.runner, err = batch.New(batch.Options{
		Pipeline: p.pipeline, Definition: "d", Schemas: r.set, Views: r.views, Log: log, Archive: r.archive,
		Letters: deadletter.New(r.bucket, p.pipeline), TimeField: p.time, Parallel: 1,
	})
	if err != nil {
		return r, err
	}
	if err := r.startSealer(); err != nil {
		return r, err
	}
	if err := r.startSpeed(); err != nil {
		return r, err
	}
	r.source = &serving.Source{Name: p.pipeline, Views: r.views, Speed: r.speed, Batch: r.archive, Head: r.head}
	r.serving = serving.New(serving.Options{Sources: func() []*serving.Source { return []*serving.Source{r.source} }, Patience: 5 * time.Minute})
	r.engine, err = sql.New(ctx, r.serving, sql.Options{CacheDirs: []string{cache}, Threads: 1})
	return r, err
}

func (r *rig) close() {
	if s := r.speed.now.Load(); s != nil {
		s.Stop()
	}
	if r.sealer != nil {
		r.sealer.Stop()
	}
	if r.engine != nil {
		r.engine.Close()
	}
	if r.log != nil {
		r.log.Close()
	}
}

func (r *rig) startSealer() error {
	r.sealer = archive.NewSealer(r.archive, r.log.Log, archive.SealerOptions{})
	return r.sealer.Start(r.ctx)
}

func (r *rig) speedDir() string { return filepath.Join(r.dir, "speed") }

func (r *rig) startSpeed() error {
	s := speed.New(speed.Options{
		Pipeline: r.pipeline, Schemas: r.set, Views: r.views, Log: r.log, Archive: r.archive, TimeField: r.time,
		Dir: r.speedDir(), SnapshotEvery: time.Hour, SnapshotRecords: r.records, Grace: r.grace,
	})
	if err := s.Start(r.ctx); err != nil {
		return err
	}
	r.speed.now.Store(s)
	return nil
}

// restart stops speed and starts another one from its snapshots: from the
// last one, or, as after a kill, from those that lay there before.
func (r *rig) restart(kill bool) error {
	kept := filepath.Join(r.dir, "kept")
	if kill {
		if err := copyDir(r.speedDir(), kept); err != nil {
			return err
		}
	}
	r.speed.now.Load().Stop()
	if kill {
		if err := os.RemoveAll(r.speedDir()); err != nil {
			return err
		}
		if err := os.Rename(kept, r.speedDir()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return r.startSpeed()
}

// copyDir copies a folder in which files come and go; none is none.
func copyDir(from, to string) error {
	var err error
	for range 100 {
		if err = os.RemoveAll(to); err != nil {
			return err
		}
		if _, err = os.Stat(from); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err = os.CopyFS(to, os.DirFS(from)); err == nil || !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return err
}

func (r *rig) head(ctx context.Context) (event.Cut, error) {
	head := make(event.Cut, r.partitions)
	for n := range head {
		_, next, err := r.log.Bounds(ctx, n)
		if err != nil {
			return nil, err
		}
		head[n] = next
	}
	return head, nil
}

// rows makes a frame of b.
func (r *rig) rows(b *event.Batch) ([]byte, error) {
	schema := r.set.Newest()
	builder := schema.NewFrameBuilder()
	builder.Append(b, nil)
	body, err := builder.Finish()
	if err != nil {
		return nil, err
	}
	return event.AppendFrame(nil, event.Header{
		Kind: event.Rows, Pipeline: r.pipeline, Schema: schema.Version(), Rows: uint32(b.N), Producer: "test", Ingested: 1,
	}, body)
}

// nightly moves the cut to where the log ends now. Between is called when the
// barriers are in the log.
func (r *rig) nightly(id string, between func()) error {
	k, err := r.runner.NextBarrier(r.ctx)
	if err != nil {
		return err
	}
	if err := r.runner.AppendBarriers(r.ctx, k); err != nil {
		return err
	}
	between()
	for began := time.Now(); ; time.Sleep(200 * time.Microsecond) { // the sealer has no signal to wait for
		_, ok, err := r.runner.Sealed(r.ctx, k)
		if err != nil {
			return fmt.Errorf("barrier %d: %w", k, err)
		}
		if ok {
			break
		}
		if time.Since(began) > 5*time.Minute {
			return fmt.Errorf("barrier %d is not sealed: %+v", k, r.sealer.Stats())
		}
	}
	return r.run(batch.Request{Kind: batch.Nightly, RunID: id, K: k})
}

// run takes a run to its end.
func (r *rig) run(q batch.Request) error {
	p, err := batch.Run(r.ctx, r.runner, q)
	if err != nil {
		return fmt.Errorf("%s %s: %w", q.Kind, q.RunID, err)
	}
	for {
		old := r.version.Load()
		if old >= p.Version || r.version.CompareAndSwap(old, p.Version) {
			return nil
		}
	}
}

// notice tells speed of the newest manifest.
func (r *rig) notice() error {
	m, err := r.archive.Newest(r.ctx)
	if err == nil {
		r.speed.now.Load().Notice(m)
	}
	return err
}

// slow is an object store that takes its time, so that what was the newest
// manifest often is not any more when its reader goes on.
type slow struct {
	*archive.Archive
	most time.Duration
}

func (s slow) Newest(ctx context.Context) (*archive.Manifest, error) {
	m, err := s.Archive.Newest(ctx)
	select {
	case <-time.After(rand.N(s.most)):
	case <-ctx.Done():
	}
	return m, err
}

// slowly is the source of a reader who reads from a slow store.
func (r *rig) slowly(most time.Duration) (*serving.Serving, *serving.Source) {
	s := *r.source
	s.Batch = slow{r.archive, most}
	return serving.New(serving.Options{Sources: func() []*serving.Source { return []*serving.Source{&s} }, Patience: 5 * time.Minute}), &s
}

// parts are the batch groups of the versions read last, by version and view:
// most answers differ in what speed adds.
type parts map[uint64]map[string][]*event.Batch

// merged is what a view of a pin comes to, without SQL. The pin's state is
// used up.
func (p parts) merged(ctx context.Context, r *rig, pin *serving.Pin, name string) (*event.Batch, error) {
	state, err := pin.State(name)
	if err != nil {
		return nil, err
	}
	groups, err := p.groups(ctx, r, pin, name)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if err := state.MergeGroups(g); err != nil {
			return nil, err
		}
	}
	return state.Result()
}

func (p parts) groups(ctx context.Context, r *rig, pin *serving.Pin, name string) ([]*event.Batch, error) {
	version := pin.Manifest.Version
	if got, ok := p[version][name]; ok {
		return got, nil
	}
	files, err := pin.Results(name)
	if err != nil {
		return nil, err
	}
	got := []*event.Batch{}
	for _, f := range files {
		err := r.archive.ReadResult(ctx, f, r.source.View(name).StateShape().Names(), func(b *event.Batch) error {
			got = append(got, b)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if p[version] == nil {
		if len(p) > 3 {
			clear(p)
		}
		p[version] = map[string][]*event.Batch{}
	}
	p[version][name] = got
	return got, nil
}

// switched is the speed layer that readers see while the one behind it comes
// and goes. It counts what it had to refuse.
type switched struct {
	now               atomic.Pointer[speed.Speed]
	dropped, tooEarly atomic.Int64
}

func (s *switched) At() event.Cut { return s.now.Load().At() }

func (s *switched) Since(ctx context.Context, k uint64, views []string) (*view.Delta, error) {
	d, err := s.now.Load().Since(ctx, k, views)
	s.refused(err)
	return d, err
}

func (s *switched) Changes(ctx context.Context, k uint64, views []string, seen map[string]view.Seen) (*view.Delta, error) {
	d, err := s.now.Load().Changes(ctx, k, views, seen)
	s.refused(err)
	return d, err
}

// refused counts an answer that could not be given.
func (s *switched) refused(err error) {
	switch {
	case errors.Is(err, speed.ErrDropped):
		s.dropped.Add(1)
	case errors.Is(err, speed.ErrNotReached):
		s.tooEarly.Add(1)
	}
}

func (s *switched) SincePicked(ctx context.Context, k uint64, name string, pick *view.Pick) (*view.Delta, error) {
	return s.now.Load().SincePicked(ctx, k, name, pick)
}

// Wait goes on with the next speed when one stops: a reader's retry.
func (s *switched) Wait(ctx context.Context, at event.Cut) error {
	for {
		now := s.now.Load()
		err := now.Wait(ctx, at)
		if err == nil || !fault.Is(err, fault.Transient) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
