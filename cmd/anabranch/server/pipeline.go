package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/ingest"
	"anabranch/internal/alert"
	"anabranch/internal/clock"
	"anabranch/internal/disk"
	"anabranch/internal/lifecycle"
	"anabranch/internal/planted"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/speed"
	"anabranch/stream"
	"anabranch/view"
)

// compiled is a definition whose SQL has been looked at.
type compiled struct {
	def     *schemas.Definition
	views   []*view.View
	older   []*view.View // other versions that the history of definitions has, by archive.ViewKey
	rules   []ingest.Rule
	filters []view.NamedPredicate
	// references are the reference tables as they lie in the object store.
	references []archive.Reference
}

// view returns the view called name, or nil.
func (c *compiled) view(name string) *view.View {
	for _, v := range c.views {
		if v.Name() == name {
			return v
		}
	}
	return nil
}

// compile checks all SQL of a definition; every mistake is told, with its
// place.
func compile(ctx context.Context, def *schemas.Definition) (*compiled, error) {
	c := &compiled{def: def}
	var problems schemas.Problems
	shape := def.Schema.Shape()
	compiler, err := view.NewCompiler(ctx)
	if err != nil {
		return nil, err
	}
	defer compiler.Close()
	for _, text := range def.Views {
		v, err := compiler.View(ctx, view.Source{Name: text.Name, SQL: text.SQL, File: text.File}, shape, def.Identity.Time)
		if err != nil {
			problems = append(problems, asProblem(text.File, err))
			continue
		}
		c.views = append(c.views, v)
	}
	for _, r := range def.Rules {
		p, err := compiler.Predicate(ctx, view.Source{Name: r.Code, SQL: r.SQL, File: r.File, Line: r.Line, Column: r.Column}, shape)
		if err != nil {
			problems = append(problems, asProblem(r.File, err))
			continue
		}
		rule := ingest.Rule{Code: r.Code, Message: r.Message, Action: r.Action, Matches: p}
		if fields := p.Inputs(); len(fields) == 1 {
			rule.Field = fields[0]
		}
		c.rules = append(c.rules, rule)
		if r.Action == schemas.ActionFilter {
			c.filters = append(c.filters, view.NamedPredicate{Code: r.Code, Predicate: p})
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return c, nil
}

// pipeline is one pipeline in force: its rooms, open and running.
type pipeline struct {
	entry entry
	*compiled
	set      *schemas.Set
	log      stream.Log
	archive  *archive.Archive
	letters  *deadletter.Store
	counts   *letterCounts
	segments *segmentIndex
	gateway  *ingest.Gateway  // nil without the role
	releaser *ingest.Releaser // nil in a process that neither takes events nor works
	sealer   *archive.Sealer  // nil without the role
	speed    *speed.Speed     // nil without the role
	runner   *batch.Runner
	metrics  *prometheus.Registry
	asSource *serving.Source      // nil without speed
	kept     []*view.View         // of older: those that speed folds beside the declared ones
	outdated atomic.Bool          // a manifest answers with a version that is not among them: open anew
	away     atomic.Pointer[away] // nil: the object store answers
	schedule bool                 // the nightly schedule is as the definition says; guarded by Server.apply
	parts    lifecycle.Group
	loop     lifecycle.Loop

	olderReferences map[string][]archive.Reference
}

// opened is what pipelines share.
type opened struct {
	config Config
	disk   disk.Files // of this process; nil: the machine's
	bucket bucket.Bucket
	store  stream.Store
	logger *slog.Logger
	id     string // names this process as a producer
	memory *memory
	alerts *alert.Alerts
	pacing *pacing // nil: full speed

	bringing sync.Mutex // held while reference tables are read
}

// open opens the rooms of a pipeline and starts those that this process has a
// role for.
func (o *opened) open(ctx context.Context, e entry, history []entry) (*pipeline, error) {
	set, err := schemaSet(history)
	if err != nil {
		return nil, err
	}
	def, err := definition(e.Files)
	if err != nil {
		return nil, err
	}
	c, err := compile(ctx, def)
	if err != nil {
		return nil, err
	}
	if err := c.findOlder(ctx, history); err != nil {
		return nil, err
	}
	c.references = e.References
	p := &pipeline{entry: e, compiled: c, set: set, olderReferences: older(history), metrics: prometheus.NewRegistry()}
	logger := o.logger.With("pipeline", def.Name)
	var registerer prometheus.Registerer = p.metrics // the rooms label what is theirs
	if p.log, err = o.store.Open(ctx, def.Name, def.Partitions); err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", def.Name, err)
	}
	p.archive = archive.Open(o.bucket, def.Name, set, archive.Options{
		Partitions: def.Partitions, Log: logger, Metrics: registerer, CacheDisk: o.disk, CacheDir: filepath.Join(o.config.Dir, "cache", def.Name), BlockBytes: o.memory.blocks,
	})
	p.letters = deadletter.New(o.bucket, def.Name)
	p.counts = &letterCounts{store: p.letters}
	p.segments = newSegmentIndex(p.archive, def.Partitions)
	p.runner, err = batch.New(batch.Options{
		Pipeline: def.Name, Schemas: set, Views: c.views, Older: c.older, Held: e.Held, Filters: c.filters, Log: p.log, Archive: p.archive, Letters: p.letters, ChunkBytes: o.memory.chunk, StateBytes: o.memory.states,
		FiltersThen: c.filtersThen(history), TimeField: def.Identity.Time, Definition: def.Version(), Code: o.config.Code, Publishes: def.Publish, Retention: def.Retention, Logger: logger,
		Pace: o.pacing.batches(),
	})
	if err != nil {
		p.stop(logger)
		return nil, err
	}
	if err := p.start(ctx, o, logger, registerer); err != nil {
		p.stop(logger)
		return nil, err
	}
	return p, nil
}

// start starts the parts in the order of the data: what reads the log before
// what writes it.
func (p *pipeline) start(ctx context.Context, o *opened, logger *slog.Logger, metrics prometheus.Registerer) error {
	def := p.def
	if o.config.has(RoleSpeed) {
		p.sealer = archive.NewSealer(p.archive, p.log, archive.SealerOptions{MaxAge: o.config.SealEvery, MaxBytes: o.memory.segment})
		if err := p.parts.Start(ctx, "archive of "+def.Name, p.sealer); err != nil {
			return err
		}
		if err := p.keepOlder(ctx); err != nil {
			return err
		}
		p.speed = speed.New(speed.Options{
			Pipeline: def.Name, Schemas: p.set, Views: slices.Concat(p.views, p.kept), Filters: p.filters, Log: p.log, Archive: p.archive, TimeField: def.Identity.Time,
			Disk: o.disk, Dir: filepath.Join(o.config.Dir, "speed", def.Name), SnapshotEvery: o.config.SnapshotEvery, Grace: o.config.Grace,
			Logger: logger, Metrics: metrics, Delay: o.pacing.meter("visible", def.Name), Folding: o.pacing.meter("fold", def.Name),
		})
		if err := p.parts.Start(ctx, "speed of "+def.Name, p.speed); err != nil {
			return err
		}
		p.asSource = p.source()
		p.loop.Go(
			func(ctx context.Context) { p.watch(ctx, logger) },
			func(ctx context.Context) { p.collect(ctx, &catalog{o.bucket, clock.Wall}, logger) },
			func(ctx context.Context) { p.audit(ctx, logger, o.alerts, auditEvery) },
		)
		if err := metrics.Register(p.imbalance()); err != nil {
			return fault.Wrap(fault.Bug, err)
		}
	}
	if o.config.has(RoleGateway) || o.config.has(RoleWorker) {
		gateway, err := ingest.New(ingest.Options{
			Pipeline: def.Name, Schema: p.set.Newest(), Identity: def.Identity, Format: def.Format, Rules: p.rules, Lanes: def.Lanes,
			Log: p.log, Letters: p.letters, Linger: def.Linger, FrameBytes: def.FrameBytes, Producer: o.id, Logger: logger, Metrics: metrics,
			MaxInFlight: o.memory.gate, Loads: o.memory.Loads, Delay: o.pacing.meter("append", def.Name),
		})
		if err != nil {
			return err
		}
		if err := p.parts.Start(ctx, "gateway of "+def.Name, gateway); err != nil {
			return err
		}
		p.releaser = &ingest.Releaser{Gateway: gateway, Letters: p.letters}
		if o.config.has(RoleGateway) {
			p.gateway = gateway
		}
	}
	return nil
}

// stop stops the parts, writers before the storage they write to.
func (p *pipeline) stop(logger *slog.Logger) {
	p.loop.Stop()
	p.parts.Stop(logger)
	if p.log != nil {
		if err := p.log.Close(); err != nil {
			logger.Warn("close the log", "pipeline", p.def.Name, "error", err)
		}
	}
}

// watchEvery is how often the newest manifest is looked for.
const watchEvery = 250 * time.Millisecond

// watch tells speed of every manifest that is published, and lets the log
// forget what is both archived and in a snapshot.
func (p *pipeline) watch(ctx context.Context, logger *slog.Logger) {
	var known uint64
	looking, trimming := trouble{logger: logger, what: "looking for the newest manifest"}, trouble{logger: logger, what: "trimming the log"}
	bringing, brought := trouble{logger: logger, what: "fetching reference tables"}, false
	for {
		if !brought {
			err := p.fetchReferences(ctx)
			if ctx.Err() != nil {
				return
			}
			brought = err == nil
			bringing.see(err)
		}
		m, err := p.archive.Newest(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil && m.Version > known {
			if err = p.fetchViews(ctx, m); ctx.Err() != nil {
				return
			}
		}
		looking.see(err)
		p.seeStore(err)
		if err == nil && m.Version > known {
			known = m.Version
			p.speed.Notice(m)
			p.outdated.Store(p.lacks(m))
			logger.Info("a new version is published", "manifest", m.Version, "barrier", m.K, "kind", m.Kind)
		}
		if err := p.trim(ctx); ctx.Err() == nil {
			trimming.see(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchEvery):
		}
	}
}

// fetchViews brings the files of a new version's views to local disk before
// speed is told of it and begins to forget the version before: whatever befalls
// the object store then, one of the two can be answered from. Files that the
// cache has no room for stay where they are. Damage is told by the queries that
// meet it.
func (p *pipeline) fetchViews(ctx context.Context, m *archive.Manifest) error {
	var files []archive.ResultFile
	var size int64
	for _, v := range slices.Concat(p.views, p.kept) {
		if _, of := m.VersionOf(archive.ViewOf(v.Name()), v.Version()); of != nil {
			for _, f := range of.Results {
				files, size = append(files, f), size+f.Size
			}
		}
	}
	if size > prefetchBytes {
		return nil
	}
	for _, f := range files {
		_, release, err := p.archive.Local(ctx, f.Name, f.Size, f.Sum)
		release()
		if err != nil && !fault.Is(err, fault.Corrupt) {
			return fmt.Errorf("fetch the views of manifest %d: %w", m.Version, err)
		}
	}
	return nil
}

// prefetchBytes is what fetchViews brings at most: half of the cache's default.
const prefetchBytes = 2 << 30

// What collect keeps, and how often it looks. A run that takes longer than
// keepFor would lose what it has made; it would then be planned again.
const (
	keepFor      = 24 * time.Hour
	collectEvery = time.Hour
)

// collect deletes what died runs have left in the object store, and versions
// that have been replaced many times.
func (p *pipeline) collect(ctx context.Context, c *catalog, logger *slog.Logger) {
	collecting := trouble{logger: logger, what: "collecting orphans"}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(collectEvery):
		}
		_, err := p.archive.Collect(ctx, archive.KeepVersions, keepFor)
		if err = errors.Join(err, p.collectReferences(ctx, c)); ctx.Err() == nil {
			collecting.see(err)
		}
	}
}

// trim forgets the log below what is sealed and in a snapshot, at the border
// of a segment: so that archive and log together always hold everything.
func (p *pipeline) trim(ctx context.Context) error {
	sealed, safe := p.sealer.Sealed(), p.speed.SafeTrim()
	for n := range p.def.Partitions {
		if n >= len(sealed) || n >= len(safe) {
			continue
		}
		below, err := p.segments.border(ctx, n, min(sealed[n], safe[n]))
		if err != nil {
			return err
		}
		if planted.On(planted.TrimmedEarly) {
			below = safe[n]
		}
		if below > 0 {
			if err := p.log.Trim(ctx, n, below); err != nil {
				return fmt.Errorf("partition %d below %d: %w", n, below, err)
			}
		}
	}
	return nil
}

// head returns the offset above the newest record of each partition.
func (p *pipeline) head(ctx context.Context) (event.Cut, error) {
	head := make(event.Cut, p.def.Partitions)
	for n := range head {
		_, next, err := p.log.Bounds(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("bounds of partition %d: %w", n, err)
		}
		head[n] = next
	}
	return head, nil
}

// source is what serving answers from.
func (p *pipeline) source() *serving.Source {
	return &serving.Source{
		Name: p.def.Name, Views: p.views, Older: p.kept, Speed: p.speed, Batch: p.archive, Head: p.head, DeadLetters: p.counts.total, Lateness: p.def.Lateness,
		Past: p.speed.Past, Rules: p.rulesName(), References: p.references, OlderReferences: p.olderReferences,
	}
}

// rulesName names the filter rules: a hash of their codes and texts; empty
// where there is none.
func (c *compiled) rulesName() string {
	if len(c.filters) == 0 {
		return ""
	}
	h := sha256.New()
	for _, f := range c.filters {
		fmt.Fprintf(h, "%q %q\n", f.Code, f.Predicate.SQL())
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
