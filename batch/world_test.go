package batch_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/internal/clock"
	"anabranch/schemas"
	"anabranch/stream"
	"anabranch/view"
)

// shop is what every test compiles once.
type shop struct {
	set     *schemas.Set
	views   []*view.View
	other   *view.View // another version of views[1]
	filters []view.NamedPredicate
}

const pipeline = "shop"

var compileShop = sync.OnceValues(func() (*shop, error) {
	const text = `{"type": "record", "name": "sale", "fields": [
		{"name": "item", "type": "string"},
		{"name": "ts", "type": ["null", {"type": "long", "logicalType": "local-timestamp-micros"}]},
		{"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}%s]}`
	ctx := context.Background()
	one, err := schemas.Parse(1, fmt.Appendf(nil, text, ""))
	if err != nil {
		return nil, err
	}
	two, err := schemas.Parse(2, fmt.Appendf(nil, text, `, {"name": "pieces", "type": "int", "default": 1}`))
	if err != nil {
		return nil, err
	}
	s := &shop{set: schemas.NewSet(one, two)}
	compile := func(name, sql string) (v *view.View) {
		if err == nil {
			v, err = view.Compile(ctx, view.Source{Name: name, SQL: sql}, two.Shape(), "ts")
		}
		return v
	}
	s.views = []*view.View{
		compile("daily", "SELECT date_trunc('day', ts) AS day, item, count(*) AS n, sum(amount) AS total, sum(pieces) AS pieces FROM events GROUP BY ALL"),
		compile("items", "SELECT item, count(*) AS n, sum(amount) AS total, max(ts) AS latest FROM events GROUP BY ALL"),
		compile("all", "SELECT count(*) AS n FROM events"),
	}
	s.other = compile("items", "SELECT item, count(*) AS n, sum(amount) AS total, min(ts) AS latest FROM events GROUP BY ALL")
	if err != nil {
		return nil, err
	}
	rule, err := view.CompilePredicate(ctx, view.Source{Name: "sample", SQL: "item = 'item 3'"}, two.Shape())
	if err != nil {
		return nil, err
	}
	s.filters = []view.NamedPredicate{{Code: "sample", Predicate: rule}}
	return s, nil
})

// sale is one event of a test. The id decides key and partition.
type sale struct {
	id     int
	item   int
	ts     int64 // microseconds; noTime: null
	amount int64 // cents
	pieces int64
}

const (
	noTime    = -1 << 63
	dayMicros = 24 * 60 * 60 * 1_000_000
)

func (s sale) eventID() event.ID {
	return event.ID{Hi: uint64(s.id) * 0x9e3779b97f4a7c15, Lo: uint64(s.id) * 0xc2b2ae3d27d4eb4f}
}
func (s sale) hash() uint64 { return uint64(s.item)<<56 ^ uint64(s.ts)*31 ^ uint64(s.amount) }
func (s sale) name() string { return fmt.Sprintf("item %d", s.item) }
func (s sale) day() int32 {
	if s.ts == noTime {
		return 0
	}
	return int32((s.ts+1000*dayMicros)/dayMicros - 1000)
}
func (s sale) sample() bool { return s.item == 3 }

// appended is one record of the log as the test remembers it.
type appended struct {
	offset uint64
	sales  []sale
}

// world is a pipeline with all that a batch run touches.
type world struct {
	*shop
	log     stream.Log
	records [][]appended // by partition
	sure    int          // sales made by surely
	bucket  bucket.Bucket
	clock   *clock.Manual
	archive *archive.Archive // on bucket, for the test itself
	letters *deadletter.Store
}

func newWorld(t testing.TB, partitions int) *world {
	t.Helper()
	s, err := compileShop()
	if err != nil {
		t.Fatal(err)
	}
	log, err := stream.NewMemory().Open(t.Context(), pipeline, partitions)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{shop: s, log: log, records: make([][]appended, partitions), bucket: bucket.NewMemory(), clock: clock.NewManual(time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC))}
	w.archive = w.open(w.bucket)
	w.letters = deadletter.New(w.bucket, pipeline)
	return w
}

func (w *world) open(b bucket.Bucket) *archive.Archive {
	return archive.Open(b, pipeline, w.set, archive.Options{Partitions: w.log.Partitions(), Clock: w.clock})
}

// runner returns a new Runner on b, as another process has it. Its limits are
// so small that everything is cut in pieces.
func (w *world) runner(t testing.TB, b bucket.Bucket, change ...func(*batch.Options)) *batch.Runner {
	t.Helper()
	o := batch.Options{
		Pipeline: pipeline, Definition: "d1", Schemas: w.set, Views: w.views, Filters: w.filters, Log: w.log,
		Archive: w.open(b), Letters: deadletter.New(b, pipeline), TimeField: "ts",
		ChunkRows: 40, FoldRows: 30, MaxGroups: 12, Clock: w.clock,
	}
	for _, c := range change {
		c(&o)
	}
	r, err := batch.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// append adds one frame of sales to the log, written with a schema version.
func (w *world) append(t testing.TB, partition int, version uint32, sales ...sale) {
	t.Helper()
	schema, _ := w.set.Get(version)
	shape := schema.Shape()
	b := &event.Batch{Shape: shape, N: len(sales), Columns: make([]event.Column, len(shape.Fields))}
	for i, f := range shape.Fields {
		c := event.Column{Type: f.Type}
		for r, s := range sales {
			switch f.Name {
			case "item":
				if c.Dict == nil {
					c.Dict = &event.Dict{}
				}
				c.Codes = append(c.Codes, c.Dict.Append([]byte(s.name())))
			case "ts":
				c.Ints = append(c.Ints, s.ts)
				if s.ts == noTime && c.Valid == nil {
					c.Valid = event.NewBitmap(len(sales))
					for i := range sales {
						c.Valid.Set(i)
					}
				}
				if s.ts == noTime {
					c.Valid.Clear(r)
					c.Ints[r] = 0
				}
			case "amount":
				c.Ints = append(c.Ints, s.amount)
			case "pieces":
				c.Ints = append(c.Ints, s.pieces)
			}
		}
		b.Columns[i] = c
	}
	for i := range sales {
		if version == 1 {
			sales[i].pieces = 1
		}
		b.IDs, b.Hashes = append(b.IDs, sales[i].eventID()), append(b.Hashes, sales[i].hash())
	}
	builder := schema.NewFrameBuilder()
	builder.Append(b, nil)
	body, err := builder.Finish()
	if err != nil {
		t.Fatal(err)
	}
	frame, err := event.AppendFrame(nil, event.Header{Kind: event.Rows, Pipeline: pipeline, Schema: version, Rows: uint32(len(sales)), Producer: "test", Ingested: 1}, body)
	if err != nil {
		t.Fatal(err)
	}
	offset, err := w.log.Append(t.Context(), partition, frame)
	if err != nil {
		t.Fatal(err)
	}
	w.records[partition] = append(w.records[partition], appended{offset, slices.Clone(sales)})
}

// history appends frames of random sales: new ones, copies of earlier ones,
// conflicting copies, late ones, some without a time.
func (w *world) history(t testing.TB, rnd *rand.Rand, frames, ids, firstDay, days int) {
	t.Helper()
	for range frames {
		p := rnd.IntN(w.log.Partitions())
		version := uint32(1 + rnd.IntN(2))
		var sales []sale
		for range 1 + rnd.IntN(9) {
			id := rnd.IntN(ids)*w.log.Partitions() + p // one id, one partition
			s := sale{id: id, item: id % 7, ts: int64(firstDay+id%days)*dayMicros + int64(id)*1_000_003%dayMicros, amount: int64(id*37%9000 + 1), pieces: 1}
			switch rnd.IntN(24) {
			case 0:
				s.amount += 100_000 // a conflicting copy
			case 1:
				s.amount, s.ts = s.amount+200_000, s.ts-30*dayMicros // on another day
			}
			if id%41 == 0 {
				s.ts = noTime
			}
			sales = append(sales, s)
		}
		w.append(t, p, version, sales...)
		if rnd.IntN(8) == 0 {
			w.append(t, p, version, sales...) // a retried append
		}
	}
}

// surely appends to every partition, in both schema versions, a new sale that no
// rule takes: a random history may have nothing new for one of them.
func (w *world) surely(t testing.TB, day int) {
	t.Helper()
	for p := range w.records {
		for version := range uint32(2) {
			id := 7_000_000 + 7*w.sure // of item 0, and no history has it
			w.sure++
			w.append(t, p, version+1, sale{id: id, ts: int64(day)*dayMicros + int64(w.sure), amount: 100, pieces: 1})
		}
	}
}

// small makes many segments of few events.
var small = archive.SealerOptions{MaxRows: 25}

// sealUntil runs a sealer until enough is sealed.
func (w *world) sealUntil(t testing.TB, o archive.SealerOptions, enough func() (bool, error)) {
	t.Helper()
	s := archive.NewSealer(w.archive, w.log, o)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	deadline := time.Now().Add(5 * time.Minute)
	for {
		ok, err := enough()
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("too little is sealed: %+v", s.Stats())
		}
		time.Sleep(time.Millisecond) // the sealer has no signal to wait for
	}
}

// sealed reports whether barrier k is sealed everywhere.
func (w *world) sealed(t testing.TB, k uint64) func() (bool, error) {
	r := w.runner(t, w.bucket)
	return func() (bool, error) {
		_, ok, err := r.Sealed(t.Context(), k)
		return ok, err
	}
}

// begin opens cycle k in the log and seals it.
func (w *world) begin(t testing.TB) (k uint64) {
	t.Helper()
	r := w.runner(t, w.bucket)
	k, err := r.NextBarrier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.AppendBarriers(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	w.sealUntil(t, small, w.sealed(t, k))
	return k
}

func nightly(id string, k uint64) batch.Request {
	return batch.Request{Kind: batch.Nightly, RunID: id, K: k}
}

func mustRun(t *testing.T, r *batch.Runner, q batch.Request) batch.Published {
	t.Helper()
	p, err := batch.Run(t.Context(), r, q)
	if err != nil {
		t.Fatalf("run %s: %v", q.RunID, err)
	}
	return p
}

func (w *world) newest(t testing.TB) *archive.Manifest {
	t.Helper()
	m, err := w.open(w.bucket).Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// truth is what a plain map makes of the log below a cut.
type truth struct {
	rows, counted, duplicates, filtered, conflicts int64
	days                                           map[int32]int64
	views                                          map[string][]string // rows as text, sorted
}

type cell struct{ n, total, pieces, latest, earliest int64 }

func (w *world) truth(cut event.Cut) truth {
	out := truth{days: map[int32]int64{}, views: map[string][]string{}}
	daily, items := map[string]cell{}, map[string]cell{}
	fold := func(m map[string]cell, key string, s sale) {
		c, ok := m[key]
		if !ok {
			c.latest, c.earliest = noTime, noTime
		}
		c.n++
		c.total += s.amount
		c.pieces += s.pieces
		if s.ts != noTime {
			c.latest = max(c.latest, s.ts)
			if c.earliest == noTime || s.ts < c.earliest {
				c.earliest = s.ts
			}
		}
		m[key] = c
	}
	for p, records := range w.records {
		first := map[int]uint64{}
		for _, rec := range records {
			if rec.offset >= cut[p] {
				break
			}
			for _, s := range rec.sales {
				out.rows++
				hash, known := first[s.id]
				switch {
				case known && hash == s.hash():
					out.duplicates++
					continue
				case known:
					out.conflicts++
					continue
				}
				first[s.id] = s.hash()
				if s.sample() {
					out.filtered++
					continue
				}
				out.counted++
				out.days[s.day()]++
				day := "null"
				if s.ts != noTime {
					day = fmt.Sprint(int64(s.day()) * dayMicros)
				}
				fold(daily, day+"|"+s.name(), s)
				fold(items, s.name(), s)
			}
		}
	}
	null := func(v int64) string {
		if v == noTime {
			return "null"
		}
		return fmt.Sprint(v)
	}
	for key, c := range daily {
		out.views["daily"] = append(out.views["daily"], fmt.Sprintf("%s|%d|%d|%d", key, c.n, c.total, c.pieces))
	}
	for key, c := range items {
		out.views["items"] = append(out.views["items"], fmt.Sprintf("%s|%d|%d|%s", key, c.n, c.total, null(c.latest)))
		out.views["other"] = append(out.views["other"], fmt.Sprintf("%s|%d|%d|%s", key, c.n, c.total, null(c.earliest)))
	}
	out.views["all"] = []string{fmt.Sprint(out.counted)}
	for _, rows := range out.views {
		slices.Sort(rows)
	}
	return out
}

// text renders rows as the truth does.
func text(b *event.Batch) []string {
	out := []string{}
	for i := range b.N {
		var cells []string
		for c := range b.Columns {
			col := &b.Columns[c]
			switch {
			case !col.Valid.Get(i):
				cells = append(cells, "null")
			case col.Type.Storage() == event.InCodes:
				cells = append(cells, string(col.Bytes(i)))
			case col.Type.Storage() == event.InWide:
				cells = append(cells, col.Wide[i].String())
			default:
				cells = append(cells, fmt.Sprint(col.Ints[i]))
			}
		}
		out = append(out, strings.Join(cells, "|"))
	}
	return out
}

// results reads the result files of a view: their rows, and what their states
// say, which must be the same.
func (w *world) results(t *testing.T, m *archive.Manifest, v *view.View) []string {
	t.Helper()
	rows := []string{}
	merged := v.New()
	for _, f := range m.Views[v.Name()].Results {
		err := w.archive.ReadResult(t.Context(), f, v.Output().Names(), func(b *event.Batch) error {
			rows = append(rows, text(b)...)
			return nil
		})
		if err == nil {
			err = w.archive.ReadResult(t.Context(), f, v.StateShape().Names(), func(b *event.Batch) error { return merged.MergeGroups(b) })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(rows)
	result, err := merged.Result()
	if err != nil {
		t.Fatal(err)
	}
	states := text(result)
	slices.Sort(states)
	if !slices.Equal(rows, states) {
		t.Errorf("view %s: rows and states differ:\n%q\n%q", v.Name(), rows, states)
	}
	return rows
}

// check compares a manifest with the truth at its cut.
func (w *world) check(t *testing.T, m *archive.Manifest, views ...*view.View) {
	t.Helper()
	want := w.truth(m.Cut)
	if m.Rows != want.rows || m.Counted != want.counted || m.Duplicates != want.duplicates || m.Filtered != want.filtered || m.Conflicts != want.conflicts {
		t.Errorf("manifest %d: rows %d counted %d duplicates %d filtered %d conflicts %d; want %d %d %d %d %d", m.Version,
			m.Rows, m.Counted, m.Duplicates, m.Filtered, m.Conflicts, want.rows, want.counted, want.duplicates, want.filtered, want.conflicts)
	}
	var sum archive.Account
	for _, a := range m.Accounts {
		sum.Rows += a.Rows
		sum.Counted += a.Counted
		sum.Duplicates += a.Duplicates
		sum.Filtered += a.Filtered
		sum.Conflicts += a.Conflicts
	}
	if sum != (archive.Account{Rows: want.rows, Counted: want.counted, Duplicates: want.duplicates, Filtered: want.filtered, Conflicts: want.conflicts}) || m.FilteredBy["sample"] != want.filtered {
		t.Errorf("manifest %d: accounts add up to %+v, filtered by %v", m.Version, sum, m.FilteredBy)
	}
	days := map[int32]int64{}
	for _, f := range m.Days {
		for _, d := range f.Days {
			days[d.Day] += d.Rows
		}
	}
	if !maps.Equal(days, want.days) {
		t.Errorf("manifest %d: events by day %v, want %v", m.Version, days, want.days)
	}
	if views == nil {
		views = w.views
	}
	if len(m.Views) != len(views) {
		t.Errorf("manifest %d has %d views, want %d", m.Version, len(m.Views), len(views))
	}
	for name, files := range m.Views {
		for _, f := range files.States {
			if !slices.Contains(slices.Collect(maps.Values(files.Live)), f.Name) {
				t.Errorf("manifest %d, view %s: it mentions %s, which no day needs", m.Version, name, f.Name)
			}
		}
	}
	for _, v := range views {
		name := v.Name()
		if v == w.other {
			name = "other"
		}
		if got := w.results(t, m, v); !slices.Equal(got, want.views[name]) {
			t.Errorf("manifest %d, view %s:\n got %q\nwant %q", m.Version, name, got, want.views[name])
		}
	}
	letters := map[string]int{}
	for l, err := range w.letters.List(t.Context(), deadletter.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		letters[l.Position]++
		if l.Code != "conflict" || l.ContentHash == l.FirstHash || l.First == "" || len(l.Raw) == 0 {
			t.Errorf("letter %+v", l)
		}
	}
	for at, n := range letters {
		if n > 1 {
			t.Errorf("the conflict at %s has %d letters", at, n)
		}
	}
	if int64(len(letters)) != want.conflicts {
		t.Errorf("%d letters for %d conflicts", len(letters), want.conflicts)
	}
}

func seeded(t *testing.T) *rand.Rand {
	seed := cmp.Or(uint64(time.Now().UnixNano()), 1)
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
