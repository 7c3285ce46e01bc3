package metamorphic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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
	set     *schemas.Set
	views   []*view.View
	rules   []ingest.Rule
	filters []view.NamedPredicate
}

func (s *stage) compile(ctx context.Context, c *Case) (*compiled, error) {
	schema, err := c.schema()
	if err != nil {
		return nil, err
	}
	out := &compiled{Case: c, set: schemas.NewSet(schema)}
	for _, v := range c.Views {
		compiled, err := s.compiler.View(ctx, view.Source{Name: v.Name, SQL: v.SQL}, schema.Shape(), c.Time)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.SQL, err)
		}
		out.views = append(out.views, compiled)
	}
	for _, r := range c.Rules {
		p, err := s.compiler.Predicate(ctx, view.Source{Name: r.Code, SQL: r.SQL}, schema.Shape())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.SQL, err)
		}
		out.rules = append(out.rules, ingest.Rule{Code: r.Code, Action: r.Action, Matches: p})
		if r.Action == schemas.ActionFilter {
			out.filters = append(out.filters, view.NamedPredicate{Code: r.Code, Predicate: p})
		}
	}
	return out, nil
}

// placed is one event in the log.
type placed struct {
	offset  uint64
	variant int // of the oracle's table
}

// world is one run of a case: the real rooms, and what the test knows.
type world struct {
	*compiled
	*stage
	ctx      context.Context
	set      Settings
	name     string // of the pipeline
	dir      string
	log      *gate
	bucket   bucket.Bucket
	archive  *archive.Archive
	letters  *deadletter.Store
	gateway  *ingest.Gateway
	sealer   *archive.Sealer
	speed    *speed.Speed
	runner   *batch.Runner
	source   *serving.Source
	rows     [][]placed // by partition, in log order
	read     []uint64   // how far rows goes
	letterOf map[string]int64
	sent     int
	runs     int
	lastRun  *batch.Request
	sequence []uint64 // by partition: of the last frame
	held     bool
	asked    int // for one view
	checks   int // answers compared
}

// newWorld opens the rooms of one run, which the caller closes.
func newWorld(ctx context.Context, c *compiled, s Settings, on *stage) (_ *world, err error) {
	w := &world{compiled: c, stage: on, ctx: ctx, set: s, bucket: on.bucket, letterOf: map[string]int64{}}
	if w.bucket == nil {
		w.bucket = bucket.NewMemory()
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.name, w.dir, err = on.next(); err != nil {
		return nil, err
	}
	log, err := stream.NewMemory().Open(ctx, w.name, s.Partitions)
	if err != nil {
		return nil, err
	}
	w.log, w.rows, w.read = newGate(log), make([][]placed, s.Partitions), make([]uint64, s.Partitions)
	w.sequence = make([]uint64, s.Partitions)
	cache := filepath.Join(w.dir, "cache")
	w.archive = archive.Open(w.bucket, w.name, c.set, archive.Options{Partitions: s.Partitions, CacheDir: cache, Clock: on.clock})
	w.letters = deadletter.New(w.bucket, w.name)
	var filters []view.NamedPredicate
	for _, f := range c.filters {
		filters = append(filters, view.NamedPredicate(f))
	}
	w.runner, err = batch.New(batch.Options{
		Pipeline: w.name, Definition: "d", Schemas: c.set, Views: c.views, Filters: filters, Log: log, Archive: w.archive, Letters: w.letters,
		Clock: on.clock, TimeField: c.Time, ChunkRows: s.ChunkRows, FoldRows: s.FoldRows, MaxGroups: s.MaxGroups,
	})
	if err != nil {
		return nil, err
	}
	w.gateway, err = ingest.New(ingest.Options{
		Pipeline: w.name, Schema: c.set.Newest(), Identity: c.identity(), Rules: c.rules, Log: &flaky{Log: log, every: int64(s.LoseAcks), lost: make([]atomic.Bool, s.Partitions)}, Letters: w.letters, RetryAfter: time.Microsecond,
		Linger: time.Duration(s.LingerMicros) * time.Microsecond, FrameBytes: s.FrameBytes,
	})
	if err != nil {
		return nil, err
	}
	if err := w.gateway.Start(ctx); err != nil {
		return nil, err
	}
	if err := w.startSealer(); err != nil {
		return nil, err
	}
	w.source = &serving.Source{Name: w.name, Views: c.views, Batch: w.archive, Head: w.head}
	on.source.Store(w.source)
	return w, w.startSpeed()
}

func (w *world) close() {
	var parts []lifecycle.Part
	if w.gateway != nil {
		parts = append(parts, w.gateway)
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
	if w.log != nil {
		w.log.Close()
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
		Clock: w.clock, Pipeline: w.name, Schemas: w.compiled.set, Views: w.views, Filters: w.filters, Log: w.log, Archive: w.archive, TimeField: w.Time,
		Dir: filepath.Join(w.dir, "speed"), SnapshotEvery: time.Hour, SnapshotRecords: w.set.SnapshotRecords, Grace: grace,
	})
	w.source.Speed = w.speed
	return w.speed.Start(w.ctx)
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

// do takes one action.
func (w *world) do(a Action) error {
	switch a.Do {
	case "send":
		if w.sent < len(w.Sends) {
			w.sent++
			return w.send(w.sent - 1)
		}
	case "nightly", "backfill":
		return w.batch(a)
	case "abandon": // a batch that dies when its barriers are in the log
		k, err := w.runner.NextBarrier(w.ctx)
		if err != nil {
			return err
		}
		if err := w.runner.AppendBarriers(w.ctx, k); err != nil {
			return err
		}
		return w.follow(make([][]int, w.set.Partitions))
	case "twice": // a run that was published comes back
		return w.again()
	case "crash":
		return w.crash()
	case "restart":
		w.speed.Stop()
		return w.startSpeed()
	case "snapshot":
		return w.speed.Snapshot(w.ctx)
	case "sealer":
		w.sealer.Stop()
		return w.startSealer()
	case "hold":
		head, err := w.head(w.ctx)
		w.log.let(head)
		w.held = true
		return err
	case "flow":
		w.log.let(nil)
		w.held = false
	case "trim":
		return w.trim()
	case "query":
		return w.check()
	case "older":
		return w.older()
	default:
		return fmt.Errorf("no action %q", a.Do)
	}
	return nil
}

// send posts one body and compares the answer with what must become of it.
func (w *world) send(n int) error {
	s := w.Sends[n]
	body, events := w.body(s)
	m := ingest.Meta{Request: fmt.Sprintf("send-%d", n)}
	if s.CSV {
		m.Format = schemas.CSV
	}
	partitions, err := w.partitions(body, m.Format)
	if err != nil {
		return err
	}
	queues := make([][]int, w.set.Partitions)
	accepted, dead, good := 0, int64(0), 0
	for _, e := range events {
		v := 2 * e
		if s.CSV {
			v++
		}
		if w.Events[e].Line != "" || w.Events[e].Bad {
			dead++
			continue
		}
		if good == len(partitions) {
			return fmt.Errorf("send %d: the decoder reads %d events of\n%s", n, good, body)
		}
		p := partitions[good]
		good++
		if w.oracle.rejected[v] {
			dead++
			continue
		}
		accepted++
		queues[p] = append(queues[p], v)
	}
	if good != len(partitions) {
		return fmt.Errorf("send %d: the decoder reads %d events, want %d of\n%s", n, len(partitions), good, body)
	}
	times := 1
	if s.Retry {
		times = 2
	}
	for range times {
		answer, err := w.gateway.Accept(w.ctx, strings.NewReader(body), m)
		if err != nil {
			return fmt.Errorf("send %d: %w", n, err)
		}
		if answer.Accepted != accepted || int64(answer.DeadLettered) != dead {
			return fmt.Errorf("send %d: %d accepted and %d dead-lettered, want %d and %d: %+v\n%s", n, answer.Accepted, answer.DeadLettered, accepted, dead, answer.Errors, body)
		}
		w.letterOf[m.Request] = dead
		if err := w.follow(queues); err != nil {
			return fmt.Errorf("send %d: %w", n, err)
		}
		last := event.Cut(w.read)
		for _, text := range answer.Receipt.Positions {
			p, err := event.ParsePosition(text)
			if err != nil || !last.Covers(p) {
				return fmt.Errorf("send %d: receipt %q, the log ends at %v: %v", n, text, last, err)
			}
		}
	}
	return nil
}

// partitions tells where the readable events of a body go.
func (w *world) partitions(body string, f schemas.Format) ([]int, error) {
	d, err := w.compiled.set.Newest().NewDecoder(f, w.identity())
	if err != nil {
		return nil, err
	}
	d.Reset(strings.NewReader(body))
	var out []int
	for {
		rows, err := d.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		for _, k := range rows.Keys {
			out = append(out, int(k%uint64(w.set.Partitions)))
		}
	}
}

// follow reads what was appended: the events that were expected, in order.
func (w *world) follow(queues [][]int) error {
	head, err := w.head(w.ctx)
	if err != nil {
		return err
	}
	for p, queue := range queues {
		err := w.frames(p, w.read[p], head[p], func(offset uint64, h event.Header, _ []byte) error {
			if h.Kind != event.Rows {
				return nil
			}
			if h.Sequence == w.sequence[p] { // the same frame once more
				for _, r := range w.rows[p][len(w.rows[p])-int(h.Rows):] {
					w.rows[p] = append(w.rows[p], placed{offset, r.variant})
				}
				return nil
			}
			w.sequence[p] = h.Sequence
			if int(h.Rows) > len(queue) {
				return fmt.Errorf("partition %d has %d events at %d, only %d were sent", p, h.Rows, offset, len(queue))
			}
			for _, v := range queue[:h.Rows] {
				w.rows[p] = append(w.rows[p], placed{offset, v})
			}
			queue = queue[h.Rows:]
			return nil
		})
		if err != nil {
			return err
		}
		if len(queue) > 0 {
			return fmt.Errorf("partition %d lacks %d events that were acknowledged", p, len(queue))
		}
		w.read[p] = head[p]
	}
	return nil
}

// frames reads the log of a partition.
func (w *world) frames(p int, from, head uint64, fn func(offset uint64, h event.Header, body []byte) error) error {
	first, next, err := w.log.Log.Bounds(w.ctx, p)
	if err != nil || first == next || from >= head {
		return err
	}
	r, err := w.log.Log.Read(w.ctx, p, from)
	if err != nil {
		return err
	}
	defer r.Close()
	for at := from; at < head; {
		records, err := r.Next(w.ctx)
		if err != nil {
			return err
		}
		for _, record := range records {
			at = record.Offset + 1
			h, body, err := event.ParseFrame(record.Frame)
			if err != nil {
				return err
			}
			if err := fn(record.Offset, h, body); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *world) batch(a Action) error {
	w.runs++
	q := batch.Request{Kind: a.Do, RunID: fmt.Sprintf("run-%d", w.runs), From: a.From, To: a.To}
	if a.Do == batch.Nightly {
		k, err := w.runner.NextBarrier(w.ctx)
		if err != nil {
			return err
		}
		if err := w.runner.AppendBarriers(w.ctx, k); err != nil {
			return err
		}
		q.K = k
		for began := time.Now(); ; time.Sleep(200 * time.Microsecond) { // the sealer has no signal to wait for
			_, ok, err := w.runner.Sealed(w.ctx, k)
			if err != nil {
				return fmt.Errorf("barrier %d: %w", k, err)
			}
			if ok {
				break
			}
			if time.Since(began) > 20*time.Second {
				return fmt.Errorf("barrier %d is not sealed: %+v", k, w.sealer.Stats())
			}
		}
		if err := w.follow(make([][]int, w.set.Partitions)); err != nil {
			return err
		}
	} else if m, err := w.archive.Newest(w.ctx); err != nil || m.Version == 0 {
		return err
	}
	if _, err := batch.Run(w.ctx, w.runner, q); err != nil {
		return fmt.Errorf("%s %s: %w", a.Do, q.RunID, err)
	}
	w.lastRun = &q
	m, err := w.archive.Newest(w.ctx)
	if err != nil {
		return err
	}
	if !a.Quiet {
		w.speed.Notice(m)
	}
	return w.checkManifest(m)
}

// again takes up the last run once more: nothing may change.
func (w *world) again() error {
	if w.lastRun == nil {
		return nil
	}
	before, err := w.archive.Newest(w.ctx)
	if err != nil {
		return err
	}
	if _, err := batch.Run(w.ctx, w.runner, *w.lastRun); err != nil {
		return err
	}
	after, err := w.archive.Newest(w.ctx)
	if err == nil && after.Version != before.Version {
		err = fmt.Errorf("run %s came back and published manifest %d", w.lastRun.RunID, after.Version)
	}
	return err
}

// trim lets the log forget what is in segments and in snapshots.
func (w *world) trim() error {
	sealed, safe := w.sealer.Sealed(), w.speed.SafeTrim()
	for p := range w.rows {
		if p >= len(safe) || p >= len(sealed) {
			continue
		}
		chain, err := w.archive.Segments(w.ctx, p, 0)
		if err != nil {
			return err
		}
		below := uint64(0)
		for _, s := range chain {
			if s.To <= min(sealed[p], safe[p]) {
				below = s.To
			}
		}
		if err := w.log.Trim(w.ctx, p, below); err != nil {
			return err
		}
	}
	return nil
}
