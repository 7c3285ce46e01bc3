package lookup_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
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
	"anabranch/serving/lookup"
	"anabranch/serving/servingtest"
	"anabranch/serving/sql"
	"anabranch/view"
)

var seed = flag.Uint64("lookup-seed", 1, "of the random lookups")

var views = map[string]string{
	"by_shop":  "SELECT shop, count(*) AS n, sum(units) AS units, sum(price) AS price, max(ts) AS last, count(DISTINCT units) AS kinds FROM events GROUP BY ALL",
	"by_hour":  "SELECT time_bucket(INTERVAL '1 hour', ts) AS hour, shop, avg(units) AS mean, sum(units * price) AS worth, approx_count_distinct(units) AS near FROM events GROUP BY ALL",
	"by_price": "SELECT units, price, count(*) AS n FROM events GROUP BY ALL",
	"all_time": "SELECT count(*) AS n, sum(price) AS price FROM events",
}

// rig is one pipeline whose speed side the test holds.
type rig struct {
	testing.TB
	rand    *rand.Rand
	shape   *event.Shape
	views   []*view.View
	archive *archive.Archive
	engine  *sql.Engine
	lookup  *lookup.Lookup
	doors   *http.ServeMux

	mu   sync.Mutex
	at   event.Cut
	log  []*event.Batch
	gens map[uint64]map[string]*view.State // what lies above a barrier; others are dropped
}

func (g *rig) Since(_ context.Context, k uint64, names []string) (*view.Delta, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	states := g.gens[k]
	if states == nil {
		return nil, fault.New(fault.Conflict, "dropped")
	}
	d := &view.Delta{States: map[string]*view.State{}, At: g.at.Clone(), Since: k}
	for _, v := range names {
		d.States[v] = states[v].Clone()
	}
	return d, nil
}

func (g *rig) SincePicked(_ context.Context, k uint64, name string, pick *view.Pick) (*view.Delta, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gens[k] == nil {
		return nil, fault.New(fault.Conflict, "dropped")
	}
	d := &view.Delta{States: g.gens[k], At: g.at.Clone(), Since: k}
	return d.Only(name, pick)
}

func (g *rig) At() event.Cut                         { g.mu.Lock(); defer g.mu.Unlock(); return g.at.Clone() }
func (g *rig) Wait(context.Context, event.Cut) error { return nil }

func open(t testing.TB, o lookup.Options) *rig {
	t.Helper()
	schema := servingtest.Schema(t, servingtest.Sale)
	g := &rig{TB: t, rand: rand.New(rand.NewPCG(*seed, 5)), shape: schema.Shape(), at: event.Cut{0}, gens: map[uint64]map[string]*view.State{}, doors: http.NewServeMux()}
	cache := t.TempDir()
	o.Dir = t.TempDir()
	g.archive = archive.Open(bucket.NewMemory(), "shops", schemas.NewSet(schema), archive.Options{Partitions: 1, CacheDir: cache})
	for name, text := range views {
		v, err := view.Compile(t.Context(), view.Source{Name: name, SQL: text}, g.shape, "ts")
		if err != nil {
			t.Fatal(err)
		}
		g.views = append(g.views, v)
	}
	g.gens[0] = g.above()
	src := &serving.Source{Name: "shops", Views: g.views, Speed: g, Batch: g.archive}
	s := serving.New(serving.Options{Patience: 5 * time.Minute, Sources: func() []*serving.Source { return []*serving.Source{src} }})
	var err error
	if g.engine, err = sql.New(t.Context(), s, sql.Options{CacheDirs: []string{cache}, Patience: 5 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	g.lookup = lookup.New(s, o)
	g.doors.Handle("GET /v1/views/{view}", httpapi.View(g.lookup, httpapi.Options{}))
	g.doors.Handle("POST /v1/query", httpapi.Query(g.engine, httpapi.Options{}))
	t.Cleanup(func() { g.lookup.Close(); _ = g.engine.Close() })
	return g
}

// events makes n random sales, some of no shop.
func (g *rig) events(n int) *event.Batch {
	return servingtest.Sales{From: start, Hours: 30, Least: -10, Most: 10, Cents: 30}.Make(g.rand, g.shape, n)
}

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func (g *rig) fold(e *event.Batch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = append(g.log, e)
	for _, states := range g.gens {
		for _, st := range states {
			if err := st.Fold(e, nil); err != nil {
				g.Fatal(err)
			}
		}
	}
	g.at[0] += uint64(e.N)
}

// above folds events anew.
func (g *rig) above(events ...*event.Batch) map[string]*view.State {
	states := map[string]*view.State{}
	for _, v := range g.views {
		states[v.Name()] = v.New()
		for _, e := range events {
			if err := states[v.Name()].Fold(e, nil); err != nil {
				g.Fatal(err)
			}
		}
	}
	return states
}

// publish makes the first n batches of events the past, as version k, in some
// files. Speed keeps what lies above the last cut and this one.
func (g *rig) publish(k uint64, n int) {
	g.Helper()
	m := &archive.Manifest{Version: k, K: k, Cut: event.Cut{0}, Kind: "nightly", Runs: make([][]archive.Run, 1), Views: map[string]*archive.ViewFiles{}}
	if before, err := g.archive.Newest(g.Context()); err != nil {
		g.Fatal(err)
	} else if before.Version > 0 {
		m.Parent = before.Hash()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	past := g.log[:n]
	for _, e := range past {
		m.Cut[0] += uint64(e.N)
	}
	for _, v := range g.views {
		st := v.New()
		for _, e := range past {
			if err := st.Fold(e, nil); err != nil {
				g.Fatal(err)
			}
		}
		groups, result, err := st.Finish()
		if err != nil {
			g.Fatal(err)
		}
		n := len(groups.Columns) - 1
		whole := &event.Batch{Shape: event.NewShape(append(append([]event.Field{}, result.Shape.Fields...), groups.Shape.Fields[n])...), N: result.N, Columns: append(append([]event.Column{}, result.Columns...), groups.Columns[n])}
		files := &archive.ViewFiles{Version: v.Version()}
		const shards = 3
		for shard := range shards {
			var rows []uint32
			for i := shard; i < whole.N; i += shards {
				rows = append(rows, uint32(i))
			}
			if rows == nil {
				continue
			}
			f, err := g.archive.WriteResult(g.Context(), v.Name(), v.Version(), "all", shard, "", whole.Gather(rows))
			if err != nil {
				g.Fatal(err)
			}
			files.Results = append(files.Results, f)
		}
		m.Views[v.Name()] = files
	}
	g.gens[k] = g.above(g.log[n:]...)
	if k >= 2 {
		delete(g.gens, k-2)
	}
	if err := g.archive.Publish(g.Context(), m); err != nil {
		g.Fatal(err)
	}
}

type answered struct {
	Columns []struct{ Name, Type string }
	Rows    []json.RawMessage
	Receipt serving.Receipt
}

func (g *rig) ask(r *http.Request) answered {
	g.Helper()
	w := httptest.NewRecorder()
	g.doors.ServeHTTP(w, r.WithContext(g.Context()))
	if w.Code != 200 {
		g.Fatalf("%s: %d %s", r.URL, w.Code, w.Body)
	}
	var a answered
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		g.Fatal(err)
	}
	return a
}

func (g *rig) get(view string, q url.Values) answered {
	g.Helper()
	return g.ask(httptest.NewRequest("GET", "/v1/views/"+view+"?"+q.Encode(), nil))
}

func (g *rig) query(text string) answered {
	g.Helper()
	body, _ := json.Marshal(map[string]string{"sql": text})
	return g.ask(httptest.NewRequest("POST", "/v1/query", strings.NewReader(string(body))))
}

// randomly makes a lookup and the query that says the same.
func (g *rig) randomly() (view string, q url.Values, text string) {
	r, where, q := g.rand, []string{"true"}, url.Values{}
	is := func(column, value string) {
		q.Set("key."+column, value)
		where = append(where, column+" = '"+strings.ReplaceAll(value, "'", "''")+"'")
	}
	shop := func() {
		if r.IntN(4) == 0 {
			q.Set("key.shop.null", "true")
			where = append(where, "shop IS NULL")
			return
		}
		is("shop", fmt.Sprintf("shop '%d'", r.IntN(servingtest.Shops+1)))
	}
	hour := func() string { return start.Add(time.Duration(r.IntN(31)) * time.Hour).Format("2006-01-02 15:04:05") }
	var order string
	switch view = []string{"by_shop", "by_hour", "by_price", "all_time"}[r.IntN(4)]; view {
	case "by_shop":
		order = "shop"
		shop()
	case "by_hour":
		order = "hour NULLS FIRST, shop"
		if r.IntN(3) > 0 {
			shop()
		}
		switch r.IntN(3) {
		case 0:
			is("hour", hour())
		case 1:
			from, to := hour(), hour()
			q.Set("from", from)
			q.Set("to", to)
			where = append(where, "hour >= '"+from+"' AND hour < '"+to+"'")
		}
	case "by_price":
		order = "units, price"
		if r.IntN(2) == 0 {
			is("units", fmt.Sprint(r.IntN(24)-12))
		}
		if r.IntN(2) == 0 {
			is("price", fmt.Sprintf("0.%02d", r.IntN(32)))
		}
	default:
		order = "n"
	}
	return view, q, "SELECT * FROM shops." + view + " WHERE " + strings.Join(where, " AND ") + " ORDER BY " + strings.ReplaceAll(order, "shop", "shop NULLS FIRST")
}

// A lookup gives what SQL gives at the same receipt, whatever of it lies in the
// files and in speed.
func TestLookupEqualsSQL(t *testing.T) {
	t.Parallel()
	t.Logf("seed %d", *seed)
	g := open(t, lookup.Options{Memory: 40 << 10}) // indexes come and go
	found := 0
	for round := range 6 {
		for range 40 {
			name, q, text := g.randomly()
			got, want := g.get("shops."+name, q), g.query(text)
			if fmt.Sprintf("%s", got.Rows) != fmt.Sprintf("%s", want.Rows) || fmt.Sprint(got.Columns) != fmt.Sprint(want.Columns) {
				t.Fatalf("round %d: %s?%s\n%s\nlookup %v %s\nSQL    %v %s", round, name, q.Encode(), text, got.Columns, got.Rows, want.Columns, want.Rows)
			}
			of := func(a answered) string {
				p := a.Receipt.Pipelines["shops"]
				return fmt.Sprint(p.Manifest, p.ManifestHash, p.Cut, p.At, p.RowsBatch, p.RowsSpeed, p.Views)
			}
			if of(got) != of(want) {
				t.Fatalf("receipts %s and %s", of(got), of(want))
			}
			found += len(got.Rows)
		}
		g.fold(g.events(300))
		if round%2 == 1 {
			g.publish(uint64(round/2+1), len(g.log)-1)
			if _, err := g.archive.Newest(t.Context()); err != nil { // as the server's watch does
				t.Fatal(err)
			}
		}
	}
	if found < 500 {
		t.Errorf("only %d groups were found", found)
	}
}

// Mistakes are named, with what there is; an answer that has not changed is not
// sent again.
func TestViewOverHTTP(t *testing.T) {
	t.Parallel()
	g := open(t, lookup.Options{Limit: 20})
	g.fold(g.events(500))
	g.publish(1, 1)
	if _, err := g.archive.Newest(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask := func(path, tag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil).WithContext(t.Context())
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		g.doors.ServeHTTP(w, r)
		return w
	}
	for path, want := range map[string][]string{
		"/v1/views/shops.by_shap":                                                    {"404", "unknown_view", `did you mean \"shops.by_shop\"`, "shops.by_hour"},
		"/v1/views/by_shop?key.shup=x":                                               {"400", "unknown_column", `did you mean \"shop\"`},
		"/v1/views/by_shop?keys=x":                                                   {"400", "unknown_parameter", "key.COLUMN"},
		"/v1/views/by_shop?from=2026-03-01":                                          {"400", "no time"},
		"/v1/views/by_price?key.units=many":                                          {"400", "conversion", "INTEGER"},
		"/v1/views/by_price?key.price=0.001":                                         {"400", "conversion", "DECIMAL(10,2)"},
		"/v1/views/by_price?key=1":                                                   {"400", "several columns"},
		"/v1/views/by_price":                                                         {"400", "too_many_rows", "more than 20"},
		"/v1/views/by_hour?from=yesterday":                                           {"400", "conversion", "2026-03-01"},
		"/v1/views/by_shop?key=x&consistency=now":                                    {"400", "latest"},
		"/v1/views/by_shop?key=x&at_least=%7B":                                       {"400", "receipt"},
		`/v1/views/by_shop?key=x&at_least={"pipeline":"shop","positions":["0/0/1"]}`: {"400", "receipt_invalid", `did you mean \"shops\"`},
		"/v1/views/by_shop?key=shop+'1'&key.shop=shop":                               {"400", "twice"},
	} {
		w := ask(path, "")
		text := fmt.Sprint(w.Code) + w.Body.String()
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%s: no %q in %s", path, part, text)
			}
		}
		if strings.Contains(text, "parquet") {
			t.Errorf("%s names a file: %s", path, text)
		}
	}
	const path = "/v1/views/shops.by_shop?key=shop+'1'"
	first := ask(path, "")
	if first.Code != 200 || first.Header().Get("Anabranch-Receipt") == "" {
		t.Fatalf("%d %s", first.Code, first.Body)
	}
	if again := ask(path, `"x", W/`+first.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
		t.Errorf("unchanged: %d %s", again.Code, again.Body)
	}
	g.fold(g.events(1))
	if changed := ask(path, first.Header().Get("ETag")); changed.Code != 200 || changed.Header().Get("ETag") == first.Header().Get("ETag") {
		t.Errorf("changed: %d %s", changed.Code, changed.Header())
	}
}
