package sql_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/serving/httpapi"
	"anabranch/serving/servingtest"
	"anabranch/serving/sql"
	"anabranch/view"
)

const shop = servingtest.Sale

// bench is one pipeline whose speed side is a state held by the test.
type bench struct {
	*testing.T
	shape   *event.Shape
	views   []*view.View
	archive *archive.Archive
	bucket  bucket.Bucket
	set     *schemas.Set
	speed   *heldSpeed
	engine  *sql.Engine
	sources []*serving.Source // in force
	cache   string
	reopens bool // each look at the sources finds the pipeline opened anew
}

// heldSpeed answers with the states it holds, at any barrier.
type heldSpeed struct {
	mu     sync.Mutex
	at     event.Cut
	states map[string]*view.State
	before func(k uint64) error // may refuse
	moved  chan struct{}        // closed at the next fold; nil: nobody waits
	waits  int                  // how often somebody looked whether to wait

	partial int // how many answers were of what changed
}

func (h *heldSpeed) Since(_ context.Context, k uint64, views []string) (*view.Delta, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.before != nil {
		if err := h.before(k); err != nil {
			return nil, err
		}
	}
	d := &view.Delta{States: map[string]*view.State{}, At: h.at.Clone(), Since: k}
	for _, v := range views {
		d.States[v] = h.states[v].Clone()
	}
	return d, nil
}

// heldSeen is where a state stood.
type heldSeen struct {
	state *view.State
	mark  view.Mark
}

// Changes answers with the groups that were touched since seen, and with all of
// a state that is another since.
func (h *heldSpeed) Changes(_ context.Context, k uint64, views []string, seen map[string]view.Seen) (*view.Delta, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.before != nil {
		if err := h.before(k); err != nil {
			return nil, err
		}
	}
	d := &view.Delta{States: map[string]*view.State{}, At: h.at.Clone(), Since: k, Partial: map[string]bool{}, Seen: map[string]view.Seen{}}
	for _, name := range views {
		st := h.states[name]
		was, ok := seen[name].(heldSeen)
		if ok && was.state == st && len(st.View().Keys()) > 0 {
			var err error
			if d.States[name], err = st.View().Changed([]*view.State{st}, []view.Mark{was.mark}); err != nil {
				return nil, err
			}
			d.Partial[name] = true
			h.partial++
		} else {
			d.States[name] = st.Clone()
		}
		d.Seen[name] = heldSeen{st, st.Mark()}
	}
	return d, nil
}

func (h *heldSpeed) SincePicked(ctx context.Context, k uint64, name string, pick *view.Pick) (*view.Delta, error) {
	d, err := h.Since(ctx, k, []string{name})
	if err != nil {
		return nil, err
	}
	return d.Only(name, pick)
}

func (h *heldSpeed) At() event.Cut { h.mu.Lock(); defer h.mu.Unlock(); return h.at }

// Wait returns when fold has got so far.
func (h *heldSpeed) Wait(ctx context.Context, at event.Cut) error {
	for {
		h.mu.Lock()
		reached := h.at.AtLeast(at)
		if h.moved == nil {
			h.moved = make(chan struct{})
		}
		moved := h.moved
		h.waits++
		h.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var texts = map[string]string{
	"by_shop":  "SELECT shop, count(*) AS n, sum(units) AS units, sum(price) AS price, min(price) AS low, max(ts) AS last, count(DISTINCT units) AS kinds FROM events GROUP BY ALL",
	"by_hour":  "SELECT time_bucket(INTERVAL '1 hour', ts) AS hour, shop, avg(units) AS mean, sum(units * price) AS worth FROM events GROUP BY ALL",
	"all_time": "SELECT count(*) AS n, sum(price) AS price FROM events",
}

func setup(t *testing.T) *bench {
	t.Helper()
	ctx := t.Context()
	schema := servingtest.Schema(t, servingtest.Sale)
	cache := t.TempDir()
	b := &bench{T: t, cache: cache, bucket: bucket.NewMemory(), set: schemas.NewSet(schema), shape: schema.Shape(), speed: &heldSpeed{states: map[string]*view.State{}, at: event.Cut{0}}}
	b.archive = archive.Open(b.bucket, "shops", b.set, archive.Options{Partitions: 1, CacheDir: cache})
	for _, name := range []string{"by_shop", "by_hour", "all_time"} {
		v, err := view.Compile(ctx, view.Source{Name: name, SQL: texts[name]}, b.shape, "ts")
		if err != nil {
			t.Fatal(err)
		}
		b.views = append(b.views, v)
		b.speed.states[name] = v.New()
	}
	b.sources = []*serving.Source{{Name: "shops", Views: b.views, Speed: b.speed, Batch: b.archive}}
	var err error
	// On a busy machine, too, everybody waits long enough.
	b.engine, err = sql.New(ctx, serving.New(serving.Options{Patience: 5 * time.Minute, Sources: func() []*serving.Source {
		if b.reopens {
			again := *b.sources[0]
			return []*serving.Source{&again}
		}
		return b.sources
	}}), sql.Options{CacheDirs: []string{cache}, Patience: 5 * time.Minute, Limits: sql.Limits{Time: 10 * time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.engine.Close() })
	return b
}

// events makes n random sales, some of no shop.
func (b *bench) events(r *rand.Rand, n int) *event.Batch {
	return servingtest.Usual().Make(r, b.shape, n)
}

// publish makes what the views hold so far the past, as version k.
func (b *bench) publish(k uint64, fold ...*event.Batch) {
	b.Helper()
	b.publishAt(k, k, fold...)
}

// publishAt makes them the past below an offset.
func (b *bench) publishAt(k, cut uint64, fold ...*event.Batch) {
	b.Helper()
	m := &archive.Manifest{Version: k, K: k, Cut: event.Cut{cut}, Kind: "nightly", Runs: make([][]archive.Run, 1), Views: map[string]*archive.ViewFiles{}}
	if before, err := b.archive.Newest(b.Context()); err != nil {
		b.Fatal(err)
	} else if before.Version > 0 {
		m.Parent = before.Hash()
	}
	for _, v := range b.views {
		st := v.New()
		for _, e := range fold {
			if err := st.Fold(e, nil); err != nil {
				b.Fatal(err)
			}
		}
		groups, result, err := st.Finish()
		if err != nil {
			b.Fatal(err)
		}
		f, err := b.archive.WriteResult(b.Context(), v.Name(), v.Version(), "all", 0, "", withState(result, groups))
		if err != nil {
			b.Fatal(err)
		}
		m.Views[v.Name()] = &archive.ViewFiles{Version: v.Version(), Results: []archive.ResultFile{f}}
	}
	if err := b.archive.Publish(b.Context(), m); err != nil {
		b.Fatal(err)
	}
}

// withState adds the column _state to the finished rows, as a result file has.
func withState(result, groups *event.Batch) *event.Batch {
	n := len(groups.Columns) - 1
	fields := append(slices.Clone(result.Shape.Fields), groups.Shape.Fields[n])
	return &event.Batch{Shape: event.NewShape(fields...), N: result.N, Columns: append(slices.Clone(result.Columns), groups.Columns[n])}
}

// fold has speed fold events, after which it stands at a position.
func (b *bench) fold(at uint64, e *event.Batch) {
	b.Helper()
	b.speed.mu.Lock()
	defer b.speed.mu.Unlock()
	for _, v := range b.views {
		if err := b.speed.states[v.Name()].Fold(e, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.speed.at = event.Cut{at}
	if b.speed.moved != nil {
		close(b.speed.moved)
		b.speed.moved = nil
	}
}

// ask returns the rows of a query as sorted lines.
func (b *bench) ask(query string) []string {
	b.Helper()
	a, err := b.engine.Query(b.Context(), sql.Request{SQL: query})
	if err != nil {
		b.Fatalf("%s: %v", query, err)
	}
	defer a.Close()
	var lines []string
	for {
		row, err := a.Next()
		if err != nil {
			b.Fatal(err)
		}
		if row == nil {
			slices.Sort(lines)
			return lines
		}
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = httpapi.Text(a.Columns[i].Type, v)
			if v == nil {
				cells[i] = "NULL"
			}
		}
		lines = append(lines, strings.Join(cells, "|"))
	}
}

// A query that has begun when its pipeline is opened anew answers from the one
// it asked.
func TestAPipelineThatIsOpenedAnewMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish(1, b.events(rand.New(rand.NewPCG(7, 8)), 50))
	want := b.ask("SELECT * FROM shops.by_shop")
	b.reopens = true
	for range 3 {
		if got := b.ask("SELECT * FROM shops.by_shop"); len(want) == 0 || !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func TestMergedAnswerIsThatOfOneFold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(7, 7))
	past, present := b.events(r, 500), b.events(r, 60)

	// All of it from speed, before anything is published.
	for _, v := range b.views {
		for _, e := range []*event.Batch{past, present} {
			if err := b.speed.states[v.Name()].Fold(e, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := map[string][]string{}
	for _, v := range b.views {
		want[v.Name()] = b.ask("SELECT * FROM shops." + v.Name())
		if len(want[v.Name()]) == 0 {
			t.Fatal("no rows to compare")
		}
	}
	// The past from batch, the present from speed.
	b.publish(1, past)
	b.speed.mu.Lock()
	b.speed.at = event.Cut{7}
	for _, v := range b.views {
		st := v.New()
		if err := st.Fold(present, nil); err != nil {
			t.Fatal(err)
		}
		b.speed.states[v.Name()] = st
	}
	b.speed.mu.Unlock()
	for _, v := range b.views {
		if got := b.ask("SELECT * FROM shops." + v.Name()); !slices.Equal(got, want[v.Name()]) {
			t.Errorf("%s: merged\n%s\nwant\n%s", v.Name(), strings.Join(got, "\n"), strings.Join(want[v.Name()], "\n"))
		}
	}
	// All of it from batch.
	b.publish(2, past, present)
	b.speed.mu.Lock()
	b.speed.at = event.Cut{8}
	for _, v := range b.views {
		b.speed.states[v.Name()] = v.New()
	}
	b.speed.mu.Unlock()
	for _, v := range b.views {
		if got := b.ask("SELECT * FROM shops." + v.Name()); !slices.Equal(got, want[v.Name()]) {
			t.Errorf("%s: from batch alone\n%s\nwant\n%s", v.Name(), strings.Join(got, "\n"), strings.Join(want[v.Name()], "\n"))
		}
	}
}

func TestAnEpochIsSharedAndDropped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(21, 21))
	for i := range 20 {
		b.fold(uint64(i), b.events(r, 5))
		for range 3 {
			if got := b.ask("SELECT sum(n) FROM shops.by_shop"); got[0] != fmt.Sprint(5*(i+1)) {
				t.Fatalf("%s events at position %d, %d were folded", got[0], i, 5*(i+1))
			}
		}
	}
	if got := sql.Cuts(t, b.engine); got > 6 {
		t.Fatalf("%d catalogs are kept", got)
	}
}

// A query with a producer's receipt does not answer before that event is in.
func TestAQueryWaitsForItsReceipt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(22, 22))
	b.fold(1, b.events(r, 3))
	at, err := serving.ParseAtLeast(`{"pipeline":"shops","positions":["0/1/2","0/0/9"]}`)
	if err != nil || !slices.Equal(at["shops"], event.Cut{2}) {
		t.Fatalf("%v %v", at, err)
	}
	answer := make(chan string, 1)
	go func() {
		a, err := b.engine.Query(t.Context(), sql.Request{SQL: "SELECT n FROM shops.all_time", Fresh: serving.Fresh{AtLeast: at}})
		if err != nil {
			answer <- err.Error()
			return
		}
		defer a.Close()
		row, err := a.Next()
		answer <- fmt.Sprint(row, err, a.Receipt.Pipelines["shops"].At)
	}()
	for waits := 0; waits == 0; runtime.Gosched() { // it may also have answered
		select {
		case got := <-answer:
			t.Fatalf("before its event is folded: %s", got)
		default:
		}
		b.speed.mu.Lock()
		waits = b.speed.waits
		b.speed.mu.Unlock()
	}
	b.fold(2, b.events(r, 4))
	if got, want := <-answer, fmt.Sprint([]any{int64(7)}, nil, event.Cut{2}); got != want {
		t.Fatalf("%s, want %s", got, want)
	}
}

func TestPinAgainWhenSpeedDroppedTheCut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	asked := 0
	b.speed.before = func(uint64) error {
		if asked++; asked < 3 {
			return fault.New(fault.Conflict, "dropped")
		}
		return nil
	}
	b.ask("SELECT * FROM shops.by_shop")
	if asked != 3 {
		t.Fatalf("asked %d times", asked)
	}
}

func TestOlderVersionWhileSpeedIsBehindTheNewest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish(1)
	b.ask("SELECT * FROM shops.by_shop")
	b.publish(2)
	b.speed.before = func(k uint64) error {
		if k == 2 {
			return fault.New(fault.Transient, "not reached")
		}
		return nil
	}
	a, err := b.engine.Query(t.Context(), sql.Request{SQL: "SELECT * FROM shops.by_shop"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got := a.Receipt.Pipelines["shops"].Manifest; got != 1 {
		t.Fatalf("pinned manifest %d, want the one before", got)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		query string
		kind  fault.Kind
		says  string
	}{
		{"SELECT * FROM shops.by_shp", fault.Invalid, "did you mean \"by_shop\""},
		{"SELECT * FROM shop.by_shop", fault.NotFound, "did you mean \"shops\""},
		{"SELECT * FROM by_shop", fault.Invalid, "did you mean shops.by_shop"},
		{"SELECT shp FROM shops.by_shop", fault.Invalid, "shop"},
		{"SELECT *\nFRM x", fault.Invalid, "line 2, column"},
		{"DROP TABLE x", fault.Denied, "only SELECT"},
		{"COPY (SELECT 1) TO '/tmp/x'", fault.Denied, "only SELECT"},
		{"SELECT 1; SELECT 2", fault.Invalid, "one SELECT"},
		{"", fault.Invalid, "one SELECT"},
		{"SELECT * FROM read_csv('/etc/passwd')", fault.Denied, "reads files"},
		{"SELECT " + strings.Repeat(" ", 300<<10) + "1", fault.Invalid, "limit"},
	} {
		a, err := b.engine.Query(t.Context(), sql.Request{SQL: c.query})
		if err == nil {
			a.Close()
			t.Errorf("%.60q was answered", c.query)
			continue
		}
		if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.60q: %v (%v), want %v saying %q", c.query, err, fault.KindOf(err), c.kind, c.says)
		}
	}
}

func TestCatalogListsEveryView(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.ask("SELECT table_name FROM information_schema.tables WHERE table_schema = 'shops'")
	if want := []string{"all_time", "by_hour", "by_shop"}; !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
	// Another pipeline comes; nothing else has changed.
	b.sources = append(b.sources, &serving.Source{Name: "more", Views: b.views[:1], Speed: b.speed, Batch: b.archive})
	if got := b.ask("SELECT table_name FROM information_schema.tables WHERE table_schema = 'more'"); !slices.Equal(got, []string{"by_shop"}) {
		t.Fatalf("of the pipeline that came: %v", got)
	}
	if got := b.ask("DESCRIBE shops.by_shop"); len(got) != 7 {
		t.Fatalf("%v", got)
	}
	if got := b.ask("WITH by_shop AS (SELECT 1 AS x) SELECT * FROM by_shop"); len(got) != 1 {
		t.Fatalf("%v", got)
	}
}

func TestManyReadersWhileVersionsAndPositionsMove(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(3, 4))
	past := b.events(r, 200)
	b.publish(1, past)
	want := b.ask("SELECT sum(n) FROM shops.by_shop")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				a, err := b.engine.Query(ctx, sql.Request{SQL: "SELECT sum(n) FROM shops.by_shop"})
				if errors.Is(err, context.Canceled) || ctx.Err() != nil {
					if a != nil {
						a.Close()
					}
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				row, err := a.Next()
				if err != nil || httpapi.Text(a.Columns[0].Type, row[0]) != want[0] {
					t.Errorf("%v %v, want %v", row, err, want)
				}
				a.Close()
			}
		})
	}
	for k := uint64(2); k < 12; k++ {
		b.publish(k, past)
		b.speed.mu.Lock()
		b.speed.at = event.Cut{k}
		b.speed.mu.Unlock()
		b.ask("SELECT * FROM shops.by_hour")
	}
	cancel()
	wg.Wait()
}

// awayBatch is an archive whose object store may be away.
type awayBatch struct {
	serving.Batch
	away bool
}

func (a *awayBatch) Newest(ctx context.Context) (*archive.Manifest, error) {
	if a.away {
		return nil, fault.New(fault.Transient, "the object store does not answer")
	}
	return a.Batch.Newest(ctx)
}

func TestTheLastVersionAnswersWhileTheObjectStoreIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish(1, b.events(rand.New(rand.NewPCG(5, 5)), 50))
	away := &awayBatch{Batch: b.archive}
	src := &serving.Source{Name: "shops", Views: b.views, Speed: b.speed, Batch: away}
	s := serving.New(serving.Options{Sources: func() []*serving.Source { return []*serving.Source{src} }})
	away.away = true
	if _, err := s.Pin(t.Context(), src, nil, serving.Fresh{}); !fault.Is(err, fault.Transient) {
		t.Fatalf("with no version seen before: %v", err)
	}
	away.away = false
	if _, err := s.Pin(t.Context(), src, []string{"by_shop"}, serving.Fresh{}); err != nil {
		t.Fatal(err)
	}
	away.away = true
	p, err := s.Pin(t.Context(), src, []string{"by_shop"}, serving.Fresh{})
	if err != nil || p.Stale == "" || p.Manifest.Version != 1 {
		t.Fatalf("%+v %v", p, err)
	}
	if r := s.Receipt(p); !r.Pipelines["shops"].Stale {
		t.Fatalf("%+v", r)
	}
}

// The answer from the same version at the same positions is made once and
// shared; but not between those who know that it is the newest and those who
// cannot.
func TestAStaleAnswerSaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish(1, b.events(rand.New(rand.NewPCG(5, 6)), 50))
	away := &awayBatch{Batch: b.archive}
	b.sources[0].Batch = away
	for _, away.away = range []bool{false, true} {
		a, err := b.engine.Query(t.Context(), sql.Request{SQL: "SELECT * FROM shops.by_shop"})
		if err != nil {
			t.Fatal(err)
		}
		if r := a.Receipt.Pipelines["shops"]; r.Stale != away.away || r.Manifest != 1 {
			t.Errorf("the store is away: %t, the receipt says %+v", away.away, r)
		}
		a.Close()
	}
}

// A version that is published answers at once, though no position has moved.
func TestANewVersionReplacesTheAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	past := b.events(rand.New(rand.NewPCG(5, 7)), 50)
	const query = "SELECT sum(n) FROM shops.by_shop"
	b.publish(1, past)
	one := b.ask(query)
	b.publish(2, past, past)
	if got := b.ask(query); slices.Equal(got, one) {
		t.Errorf("version 2 answers %v, as version 1 did", got)
	}
}
