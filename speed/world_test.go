package speed

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/bucket/faultbucket"
	"anabranch/event"
	"anabranch/internal/clock"
	"anabranch/schemas"
	"anabranch/stream"
	"anabranch/view"
)

// fixture is what every test compiles once: two versions of a schema, two
// views, one filter rule.
type fixture struct {
	set     *schemas.Set
	views   []*view.View
	filters []view.NamedPredicate
}

const testPipeline = "shop"

var compiled = sync.OnceValues(func() (*fixture, error) {
	const text = `{"type": "record", "name": "event", "fields": [
		{"name": "key", "type": "string"},
		{"name": "ts", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
		{"name": "val", "type": "long"}%s]}`
	ctx := context.Background()
	one, err := schemas.Parse(1, fmt.Appendf(nil, text, ""))
	if err != nil {
		return nil, err
	}
	two, err := schemas.Parse(2, fmt.Appendf(nil, text, `, {"name": "extra", "type": "long", "default": 5}`))
	if err != nil {
		return nil, err
	}
	f := &fixture{set: schemas.NewSet(one, two)}
	for _, src := range []view.Source{
		{Name: "daily", SQL: `SELECT key, date_trunc('day', ts) AS day, count(*) AS n, sum(val) AS total, sum(extra) AS extra FROM events GROUP BY ALL`},
		{Name: "keys", SQL: `SELECT key, count(*) AS n, sum(val) AS total, sum(extra) AS extra FROM events GROUP BY ALL`},
	} {
		v, err := view.Compile(ctx, src, two.Shape(), "ts")
		if err != nil {
			return nil, err
		}
		f.views = append(f.views, v)
	}
	rule, err := view.CompilePredicate(ctx, view.Source{Name: "unlucky", SQL: "val % 1000 = 13"}, two.Shape())
	if err != nil {
		return nil, err
	}
	f.filters = []view.NamedPredicate{{Code: "unlucky", Predicate: rule}}
	return f, nil
})

func fixed(t testing.TB) *fixture {
	t.Helper()
	f, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// fact is one event of a test.
type fact struct {
	id       event.ID
	key, day int
	val      int64
	extra    int64
}

const dayMicros = 24 * 60 * 60 * 1e6

func (f fact) hash() uint64 { return uint64(f.val)<<20 | uint64(f.day)<<8 | 1 }

// unlucky says what the filter rule says.
func (f fact) unlucky() bool { return f.val%1000 == 13 }

// frameOf makes the frame of some facts, written with a schema version.
func (f *fixture) frameOf(t testing.TB, version uint32, facts []fact) []byte {
	t.Helper()
	schema, _ := f.set.Get(version)
	shape := schema.Shape()
	b := &event.Batch{Shape: shape, N: len(facts), Columns: make([]event.Column, len(shape.Fields))}
	keys := &event.Dict{}
	for i, field := range shape.Fields {
		c := event.Column{Type: field.Type}
		for _, e := range facts {
			switch field.Name {
			case "key":
				c.Codes = append(c.Codes, keys.Append(fmt.Appendf(nil, "k%d", e.key)))
			case "ts":
				c.Ints = append(c.Ints, int64(e.day)*dayMicros+e.val%1000)
			case "val":
				c.Ints = append(c.Ints, e.val)
			case "extra":
				c.Ints = append(c.Ints, e.extra)
			}
		}
		if field.Name == "key" {
			c.Dict = keys
		}
		b.Columns[i] = c
	}
	for _, e := range facts {
		b.IDs, b.Hashes = append(b.IDs, e.id), append(b.Hashes, e.hash())
	}
	builder := schema.NewFrameBuilder()
	builder.Append(b, nil)
	body, err := builder.Finish()
	if err != nil {
		t.Fatal(err)
	}
	frame, err := event.AppendFrame(nil, event.Header{
		Kind: event.Rows, Pipeline: testPipeline, Schema: version, Rows: uint32(len(facts)), Producer: "g1", Ingested: 1,
	}, body)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func barrierFrame(t testing.TB, k uint64) []byte {
	t.Helper()
	frame, err := event.AppendFrame(nil, event.Header{Kind: event.Barrier, Pipeline: testPipeline, Barrier: k}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// gate is a log whose readers see a record only once it is let through, so
// that a test decides how far speed has folded.
type gate struct {
	stream.Log
	mu      sync.Mutex // guards what follows
	limit   []uint64
	changed chan struct{}
}

func newGate(l stream.Log) *gate {
	return &gate{Log: l, limit: make([]uint64, l.Partitions()), changed: make(chan struct{})}
}

// let allows the records of partition p below the offset.
func (g *gate) let(p int, below uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit[p] = below
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *gate) Read(ctx context.Context, p int, from uint64) (stream.Reader, error) {
	r, err := g.Log.Read(ctx, p, from)
	if err != nil {
		return nil, err
	}
	return &gated{Reader: r, gate: g, p: p}, nil
}

type gated struct {
	stream.Reader
	gate   *gate
	p      int
	buffer []stream.Record
}

func (r *gated) Next(ctx context.Context) ([]stream.Record, error) {
	if len(r.buffer) == 0 {
		got, err := r.Reader.Next(ctx)
		if err != nil {
			return nil, err
		}
		r.buffer = got
	}
	for {
		r.gate.mu.Lock()
		limit, changed := r.gate.limit[r.p], r.gate.changed
		r.gate.mu.Unlock()
		n := 0
		for n < len(r.buffer) && r.buffer[n].Offset < limit {
			n++
		}
		if n > 0 {
			out := r.buffer[:n]
			r.buffer = r.buffer[n:]
			return out, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// entry is one record of the log as the test knows it.
type entry struct {
	offset uint64
	facts  []fact
	k      uint64 // of a barrier
}

// version is a published manifest with what its batch counted.
type version struct {
	m    *archive.Manifest
	rows [][]entryRow // by partition, all below the cut, first occurrences in log order
}

type entryRow struct {
	archive.Entry
	fact fact
}

// world is everything around Speed: a log, a bucket, a small batch.
type world struct {
	t       testing.TB
	f       *fixture
	r       *rand.Rand
	log     *gate
	entries [][]entry // by partition; trimmed ones stay here
	bucket  bucket.Bucket
	faults  *faultbucket.Bucket // the archive's way to bucket
	archive *archive.Archive
	clock   *clock.Manual
	dir     string
	speed   *Speed
	started bool
	options func(*Options) // what a test wants otherwise; may be nil

	versions []version
	k        uint64
	depth    int
	runs     int

	asked, answered, restarts int

	following sync.Mutex                   // guards the reader below
	follows   map[string]view.Seen         // what a reader that keeps up has seen
	has       map[string]map[string]string // and has: states by key, by view
	parts     int                          // how often it was given what changed

	alone bool // nothing else happens while a batch runs
}

func newWorld(t testing.TB, r *rand.Rand, parts int) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{t: t, f: fixed(t), r: r, clock: clock.NewManual(time.Unix(1_700_000_000, 0)), dir: t.TempDir()}
	l, err := stream.NewMemory().Open(ctx, testPipeline, parts)
	w.no(err)
	w.log = newGate(l)
	w.entries = make([][]entry, parts)
	w.bucket = bucket.NewMemory()
	w.faults = faultbucket.Wrap(w.bucket, nil)
	w.archive = archive.Open(w.faults, testPipeline, w.f.set, archive.Options{Partitions: parts, Clock: w.clock})
	m, err := w.archive.Newest(ctx)
	w.no(err)
	w.versions = []version{{m: m, rows: make([][]entryRow, parts)}}
	return w
}

func (w *world) no(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) newest() version { return w.versions[len(w.versions)-1] }

// start starts a new Speed, which folds nothing until it is let.
func (w *world) start() {
	w.t.Helper()
	for p := range w.entries {
		w.log.let(p, 0)
	}
	o := Options{
		Pipeline: testPipeline, Schemas: w.f.set, Views: w.f.views, Filters: w.f.filters, Log: w.log, Archive: w.archive,
		TimeField: "ts", Dir: w.dir, Clock: w.clock, Grace: -1,
	}
	if w.options != nil {
		w.options(&o)
	}
	w.speed = New(o)
	w.speed.eager = true
	w.no(w.speed.Start(w.t.Context()))
	w.started = true
	for p, next := range w.speed.At() {
		w.log.let(p, next)
	}
}

// kill stops speed as kill -9 does.
func (w *world) kill() {
	for _, p := range w.speed.part {
		p.abandon.Store(true)
	}
	w.speed.Stop()
	w.started = false
}

// run lets partition p fold n more records and waits until it has.
func (w *world) run(p, n int) {
	w.t.Helper()
	next := w.speed.At()[p]
	for _, e := range w.entries[p] {
		if e.offset >= next && n > 0 {
			next, n = e.offset+1, n-1
		}
	}
	w.log.let(p, next)
	cut := make(event.Cut, p+1)
	cut[p] = next
	w.no(w.speed.Wait(w.t.Context(), cut))
	w.settle()
}

// settle waits until every partition has dealt with what was noticed.
func (w *world) settle() {
	w.t.Helper()
	for _, p := range w.speed.part {
		w.no(p.ask(w.t.Context(), settle))
	}
}

func (w *world) append(p int, frame []byte, e entry) {
	w.t.Helper()
	offset, err := w.log.Append(w.t.Context(), p, frame)
	w.no(err)
	e.offset = offset
	w.entries[p] = append(w.entries[p], e)
}

func (w *world) appendFacts(p int, facts []fact) {
	version := uint32(1 + w.r.IntN(2))
	for i := range facts {
		facts[i].extra = 5 // what version 1 is read as
		if version == 2 && w.r.IntN(2) == 0 {
			facts[i].extra = int64(w.r.IntN(9))
		}
	}
	frame := w.f.frameOf(w.t, version, facts)
	w.append(p, frame, entry{facts: facts})
	if w.r.IntN(7) == 0 { // a retry appended it twice
		w.append(p, frame, entry{facts: facts})
	}
}

func (w *world) fact(p int) fact {
	i := 1 + w.r.IntN(60)
	f := fact{id: event.ID{Hi: uint64(p), Lo: uint64(i)}, key: i % 5, day: i % 4, val: int64(i)}
	if w.r.IntN(12) == 0 { // a conflicting copy, other body, other day
		f.val += 1000
		f.day = w.r.IntN(4)
	}
	return f
}

func (w *world) send() {
	p := w.r.IntN(len(w.entries))
	facts := make([]fact, 1+w.r.IntN(4))
	for i := range facts {
		facts[i] = w.fact(p)
	}
	w.appendFacts(p, facts)
}

// cutAt returns the cut of barrier k, whose first occurrence in each
// partition's log counts.
func (w *world) cutAt(k uint64) (event.Cut, bool) {
	cut := make(event.Cut, len(w.entries))
	for p := range w.entries {
		i := slices.IndexFunc(w.entries[p], func(e entry) bool { return e.k == k })
		if i < 0 {
			return nil, false
		}
		cut[p] = w.entries[p][i].offset + 1
	}
	return cut, true
}

// nightly is one batch: barriers, work, one conditional put; it may die
// anywhere, and other things happen in between.
func (w *world) nightly(crash float64) {
	w.k++
	k := w.k
	for p := range w.entries {
		if w.r.Float64() < crash/3 {
			return
		}
		w.append(p, barrierFrame(w.t, k), entry{k: k})
		if w.r.IntN(5) == 0 {
			w.append(p, barrierFrame(w.t, k), entry{k: k})
		}
	}
	w.interlude()
	w.finish(k, crash)
}

// finish computes the batch of barrier k and publishes it, as often as it
// takes: the loser of the put plans again from the winner.
func (w *world) finish(k uint64, crash float64) {
	ctx := w.t.Context()
	for range 3 {
		seen := w.newest()
		cut, ok := w.cutAt(k)
		if !ok || seen.m.K >= k || !cut.AtLeast(seen.m.Cut) {
			return
		}
		next := version{m: w.child(seen.m, k, cut), rows: make([][]entryRow, len(w.entries))}
		for p := range w.entries {
			known := map[event.ID]bool{}
			for _, e := range seen.rows[p] {
				known[e.ID] = true
			}
			next.rows[p] = slices.Clip(seen.rows[p])
			var fresh []archive.Entry
			for _, rec := range w.entries[p] {
				if rec.offset < lowest(seen.m.Cut, p) || rec.offset >= cut[p] {
					continue
				}
				for row, f := range rec.facts {
					if known[f.id] {
						continue
					}
					known[f.id] = true
					e := archive.Entry{ID: f.id, Hash: f.hash(), Offset: rec.offset, Row: int32(row)}
					fresh = append(fresh, e)
					next.rows[p] = append(next.rows[p], entryRow{e, f})
				}
			}
			if len(fresh) > 0 {
				slices.SortFunc(fresh, func(a, b archive.Entry) int { return a.ID.Compare(b.ID) })
				run, err := w.archive.WriteRun(ctx, p, k, "", fresh)
				w.no(err)
				next.m.Runs[p] = append(next.m.Runs[p], run)
			}
			if len(next.m.Runs[p]) > 2 {
				run, err := w.archive.MergeRuns(ctx, next.m.Runs[p], k, "")
				w.no(err)
				next.m.Runs[p] = []archive.Run{run}
			}
		}
		w.interlude()
		if w.r.Float64() < crash {
			return // died before publishing: garbage, never read
		}
		if w.publish(seen, next) {
			return
		}
	}
}

func lowest(c event.Cut, p int) uint64 {
	if p < len(c) {
		return c[p]
	}
	return 0
}

// child returns a manifest that follows m, with what it may change copied.
func (w *world) child(m *archive.Manifest, k uint64, cut event.Cut) *archive.Manifest {
	w.runs++
	n := &archive.Manifest{
		Format: archive.ManifestFormat, Version: m.Version + 1, K: k, Cut: cut, Created: w.clock.Now(), Kind: "nightly",
		By:   fmt.Sprintf("run %d", w.runs), // two that race never publish the very same
		Runs: make([][]archive.Run, len(w.entries)), Parent: m.Hash(),
	}
	for p := range m.Runs {
		n.Runs[p] = slices.Clone(m.Runs[p])
	}
	return n
}

func (w *world) publish(seen, next version) bool {
	if w.newest().m != seen.m { // the archive says so too
		if err := w.archive.Publish(w.t.Context(), next.m); err == nil {
			w.t.Fatal("a late manifest was published over a newer one")
		}
		return false
	}
	w.no(w.archive.Publish(w.t.Context(), next.m))
	w.versions = append(w.versions, next)
	return true
}

// backfill publishes another version with the cut there is.
func (w *world) backfill() {
	seen := w.newest()
	if seen.m.Version == 0 {
		return
	}
	next := version{w.child(seen.m, seen.m.K, seen.m.Cut.Clone()), seen.rows}
	next.m.Kind = "backfill"
	w.interlude()
	w.publish(seen, next)
}

// sums is an answer: by "view key day" the count, the total and the extra.
type sums map[string][3]int64

func (s sums) add(f fact) {
	for _, g := range []string{fmt.Sprintf("daily k%d %d", f.key, f.day), fmt.Sprintf("keys k%d", f.key)} {
		v := s[g]
		s[g] = [3]int64{v[0] + 1, v[1] + f.val, v[2] + f.extra}
	}
}

// addResult adds the rows of a view's result.
func (s sums) addResult(t testing.TB, name string, state *view.State) {
	t.Helper()
	b, err := state.Result()
	if err != nil {
		t.Fatal(err)
	}
	for i := range b.N {
		g := name + " " + string(b.Column("key").Bytes(i))
		if day := b.Column("day"); day != nil {
			g += fmt.Sprintf(" %d", day.Ints[i]/dayMicros)
		}
		v := s[g]
		s[g] = [3]int64{v[0] + b.Column("n").Ints[i], v[1] + int64(b.Column("total").Wide[i].Lo), v[2] + int64(b.Column("extra").Wide[i].Lo)}
	}
}

// outcome tells what happened to events, as Delta does.
type outcome struct{ counted, duplicates, filtered, conflicts int64 }

// truth folds the log in order, up to at, into a plain map, and counts what
// became of the events at and above the cut of v.
func (w *world) truth(at event.Cut, v version) (sums, outcome) {
	s, o := sums{}, outcome{}
	for p := range w.entries {
		first := map[event.ID]uint64{}
		for _, rec := range w.entries[p] {
			if rec.offset >= at[p] {
				break
			}
			one := int64(0)
			if rec.offset >= lowest(v.m.Cut, p) {
				one = 1
			}
			for _, f := range rec.facts {
				hash, copied := first[f.id]
				switch {
				case copied && hash == f.hash():
					o.duplicates += one
				case copied:
					o.conflicts += one
				case f.unlucky():
					first[f.id] = f.hash()
					o.filtered += one
				default:
					first[f.id] = f.hash()
					o.counted += one
					s.add(f)
				}
			}
		}
	}
	return s, o
}

// query answers as serving does: what batch counted below the cut, and speed
// since. It pins again when speed has forgotten the cut.
func (w *world) query(v version) (*view.Delta, sums, version, error) {
	for {
		d, err := w.speed.Since(w.t.Context(), v.m.K, nil)
		if errIs(err, ErrDropped) && v.m.Version != w.newest().m.Version {
			v = w.newest()
			continue
		}
		if err != nil {
			return nil, nil, v, err
		}
		s := sums{}
		for _, rows := range v.rows {
			for _, e := range rows {
				if !e.fact.unlucky() {
					s.add(e.fact)
				}
			}
		}
		w.followed(v.m.K, d)
		for name, state := range d.States {
			s.addResult(w.t, name, state)
			w.picked(v.m.K, d, name, state)
		}
		return d, s, v, nil
	}
}

// followed is a reader that keeps what it was given and asks for what changed
// since: it has to have what is handed to one that asks for all.
func (w *world) followed(k uint64, all *view.Delta) {
	w.following.Lock() // one reader, whoever lets it read
	defer w.following.Unlock()
	d, err := w.speed.Changes(w.t.Context(), k, nil, w.follows)
	if err != nil {
		if !errIs(err, ErrNotReached) && !errIs(err, ErrDropped) {
			w.t.Fatalf("what changed: %v", err)
		}
		return
	}
	w.follows = d.Seen
	if w.has == nil {
		w.has = map[string]map[string]string{}
	}
	for name, st := range d.States {
		if !d.Partial[name] || w.has[name] == nil {
			w.has[name] = map[string]string{}
		} else {
			w.parts++
		}
		maps.Copy(w.has[name], statesOf(w.t, st))
		if slices.Equal(d.At, all.At) && !maps.Equal(w.has[name], statesOf(w.t, all.States[name])) {
			w.t.Fatalf("view %s at %v (partial: %t): who kept up has %d groups, speed %d, or they differ", name, d.At, d.Partial[name], len(w.has[name]), all.States[name].Len())
		}
	}
}

// statesOf returns the states of groups by their keys.
func statesOf(t testing.TB, st *view.State) map[string]string {
	groups, err := st.Groups()
	if err != nil {
		t.Fatal(err)
	}
	of := make(map[string]string, groups.N)
	last := len(groups.Columns) - 1
	for i := range groups.N {
		var key []byte
		for k := range last {
			c := &groups.Columns[k]
			key = append(fmt.Appendf(key, "%t ", c.Valid.Get(i)), 0)
			key = append(c.AppendText(key, i), 0)
		}
		of[string(key)] = string(groups.Columns[last].Bytes(i))
	}
	return of
}

// picked asks for one group of an answer alone, which has to be the same, as
// long as nothing was folded since.
func (w *world) picked(k uint64, d *view.Delta, name string, state *view.State) {
	all, err := state.Groups()
	if err != nil || all.N == 0 {
		return
	}
	pick := &view.Pick{Keys: make([]*event.Column, len(all.Columns)-1), Range: -1}
	one := all.Gather([]uint32{uint32(w.asked % all.N)})
	for i := range pick.Keys {
		pick.Keys[i] = &one.Columns[i]
	}
	alone, err := w.speed.SincePicked(w.t.Context(), k, name, pick)
	if err != nil {
		if !errIs(err, ErrNotReached) && !errIs(err, ErrDropped) {
			w.t.Fatalf("pick a group: %v", err)
		}
		return
	}
	if !slices.Equal(alone.At, d.At) {
		return
	}
	want, err := d.Only(name, pick)
	if err != nil {
		w.t.Fatal(err)
	}
	got, gotErr := alone.States[name].Groups()
	wanted, wantErr := want.States[name].Groups()
	if gotErr != nil || wantErr != nil || got.N != 1 || !reflect.DeepEqual(got.Columns, wanted.Columns) || alone.Counted != d.Counted {
		w.t.Fatalf("view %s: a group alone is %+v, among all %+v (%v, %v)", name, got, wanted, gotErr, wantErr)
	}
}

// check compares an answer with the truth at its position.
func (w *world) check(v version) bool {
	w.t.Helper()
	w.asked++
	d, got, v, err := w.query(v)
	if err != nil {
		if !errIs(err, ErrNotReached) && !errIs(err, ErrDropped) {
			w.t.Fatalf("query: %v", err)
		}
		return false
	}
	w.answered++
	want, o := w.truth(d.At, v)
	if diff := differ(got, want); diff != "" {
		w.t.Fatalf("manifest %d (barrier %d), at %s: %s", v.m.Version, v.m.K, d.At, diff)
	}
	if has := (outcome{d.Counted, d.Duplicates, d.Filtered, d.Conflicts}); has != o {
		w.t.Fatalf("manifest %d (barrier %d), at %s: outcome %+v, want %+v", v.m.Version, v.m.K, d.At, has, o)
	}
	return true
}

// differ says where two answers differ, or "".
func differ(got, want sums) string {
	var diff []string
	for g, v := range got {
		if want[g] != v {
			diff = append(diff, fmt.Sprintf("%s is %v, want %v", g, v, want[g]))
		}
	}
	for g, v := range want {
		if _, ok := got[g]; !ok {
			diff = append(diff, fmt.Sprintf("%s is missing, want %v", g, v))
		}
	}
	slices.SortFunc(diff, cmp.Compare[string])
	if len(diff) == 0 {
		return ""
	}
	return fmt.Sprint(diff)
}
