package sql_test

import (
	"context"
	stdsql "database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/serving/sql"
	"anabranch/view"
)

var benchGroups = flag.Int("bench-groups", 1_000_000, "groups of BenchmarkMergedAggregate and BenchmarkRefresh")

// items is a view of many groups, of which speed has touched some.
type items struct {
	engine *sql.Engine
	speed  *heldSpeed
	path   string // of the batch file
	shape  *event.Shape
	shops  *event.Dict
}

func openItems(b *testing.B, touched int) *items {
	groups := *benchGroups
	schema, err := schemas.Parse(1, []byte(`{"type":"record","name":"Sale","fields":[{"name":"item","type":"long"},{"name":"shop","type":"string"},{"name":"units","type":"int"}]}`))
	if err != nil {
		b.Fatal(err)
	}
	cache := b.TempDir()
	a := archive.Open(bucket.NewMemory(), "shops", schemas.NewSet(schema), archive.Options{Partitions: 1, CacheDir: cache})
	v, err := view.Compile(b.Context(), view.Source{Name: "by_item", SQL: "SELECT item, shop, count(*) AS n, sum(units) AS units FROM events GROUP BY ALL"}, schema.Shape(), "")
	if err != nil {
		b.Fatal(err)
	}
	dict := &event.Dict{}
	for i := range 50 {
		dict.Append(fmt.Appendf(nil, "shop %d", i))
	}
	fold := func(st *view.State, n, step int) {
		const most = 100_000
		for from := 0; from < n; from += most {
			size := min(most, n-from)
			e := &event.Batch{Shape: schema.Shape(), N: size, Columns: make([]event.Column, 3)}
			for i, f := range schema.Shape().Fields {
				e.Columns[i].Type = f.Type
			}
			e.Columns[1].Dict = dict
			for i := range size {
				item := int64(from+i) * int64(step)
				e.Columns[0].Ints = append(e.Columns[0].Ints, item)
				e.Columns[1].Codes = append(e.Columns[1].Codes, uint32(item%50))
				e.Columns[2].Ints = append(e.Columns[2].Ints, item%13)
			}
			if err := st.Fold(e, nil); err != nil {
				b.Fatal(err)
			}
		}
	}
	past := v.New()
	fold(past, groups, 1)
	states, result, err := past.Finish()
	if err != nil {
		b.Fatal(err)
	}
	f, err := a.WriteResult(b.Context(), v.Name(), v.Version(), "all", 0, "", withState(result, states))
	if err != nil {
		b.Fatal(err)
	}
	m := &archive.Manifest{Version: 1, K: 1, Cut: event.Cut{1}, Kind: "nightly", Runs: make([][]archive.Run, 1),
		Views: map[string]*archive.ViewFiles{v.Name(): {Version: v.Version(), Results: []archive.ResultFile{f}}}}
	if err := a.Publish(b.Context(), m); err != nil {
		b.Fatal(err)
	}
	above := v.New()
	fold(above, touched, groups/touched)
	speed := &heldSpeed{at: event.Cut{2}, states: map[string]*view.State{v.Name(): above}}
	src := &serving.Source{Name: "shops", Views: []*view.View{v}, Speed: speed, Batch: a}
	engine, err := sql.New(b.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return []*serving.Source{src} }}), sql.Options{CacheDirs: []string{cache}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { engine.Close() })
	path, release, err := a.Local(b.Context(), f.Name, f.Size, f.Sum)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(release)
	path, err = filepath.Abs(path)
	if err != nil {
		b.Fatal(err)
	}
	return &items{engine, speed, path, schema.Shape(), dict}
}

const (
	itemsQuery  = "SELECT shop, sum(n) AS n, sum(units) AS units FROM %s GROUP BY shop ORDER BY shop"
	itemsMerged = "shops.by_item"
)

func (it *items) ask(b *testing.B) {
	if n, err := drain(b.Context(), it.engine, sql.Request{SQL: fmt.Sprintf(itemsQuery, itemsMerged)}); err != nil || n != 50 {
		b.Fatal(n, err)
	}
}

// BenchmarkRefresh asks when some groups have changed, which makes the overlay of
// the new cut, and right after that. Half of those that change were touched
// before.
func BenchmarkRefresh(b *testing.B) {
	for _, touched := range []int{1000, 10_000, 100_000} {
		for _, changed := range []int{1, 100, 1000, 10_000} {
			if changed > touched/8 {
				continue // so many that speed hands out all of them
			}
			b.Run(fmt.Sprintf("touched=%d/changed=%d", touched, changed), func(b *testing.B) {
				it := openItems(b, touched)
				rnd := rand.New(rand.NewPCG(1, uint64(touched)))
				next := func() (first, again, took time.Duration) {
					it.change(b, rnd, touched, changed)
					at, before := time.Now(), processorTime(b)
					it.ask(b)
					between, then := time.Now(), processorTime(b)
					it.ask(b)
					return between.Sub(at), time.Since(between), then - before - (processorTime(b) - then)
				}
				for range 3 { // the index is made meanwhile
					next()
				}
				for !it.engine.Indexed() {
					time.Sleep(time.Millisecond)
				}
				before := it.speed.partial
				var first, again, took []time.Duration
				n := 0
				for b.Loop() {
					f, a, c := next()
					first, again, took = append(first, f), append(again, a), append(took, c)
					n++
				}
				if it.speed.partial-before != n {
					b.Fatalf("%d of %d overlays were made of what changed", it.speed.partial-before, n)
				}
				b.ReportMetric(median(first), "ms/first")
				b.ReportMetric(median(again), "ms/again")
				b.ReportMetric(median(first)-median(again), "ms/refresh")
				b.ReportMetric(median(took), "cpu-ms/refresh")
			})
		}
	}
}

// change folds an event of each of some items, half of which were touched
// before.
func (it *items) change(b *testing.B, rnd *rand.Rand, touched, n int) {
	e := &event.Batch{Shape: it.shape, N: n, Columns: make([]event.Column, 3)}
	for i, f := range it.shape.Fields {
		e.Columns[i].Type = f.Type
	}
	e.Columns[1].Dict = it.shops
	for i := range n {
		item := int64(rnd.IntN(*benchGroups))
		if i%2 == 0 {
			item = int64(rnd.IntN(touched)) * int64(*benchGroups/touched)
		}
		e.Columns[0].Ints = append(e.Columns[0].Ints, item)
		e.Columns[1].Codes = append(e.Columns[1].Codes, uint32(item%50))
		e.Columns[2].Ints = append(e.Columns[2].Ints, item%13)
	}
	it.speed.mu.Lock()
	defer it.speed.mu.Unlock()
	for _, st := range it.speed.states {
		if err := st.Fold(e, nil); err != nil {
			b.Fatal(err)
		}
	}
	it.speed.at = event.Cut{it.speed.at[0] + 1}
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Microseconds()) / 1000
}

// processorTime is what this process has taken so far.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMergedAggregate asks an aggregate over a merged view, a tenth of which
// speed has touched, and in turns DuckDB over the batch files alone: the peer.
func BenchmarkMergedAggregate(b *testing.B) {
	it := openItems(b, *benchGroups/10)
	db, err := stdsql.Open("duckdb", "")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(b.Context(), "SET threads=2"); err != nil {
		b.Fatal(err)
	}
	alone := fmt.Sprintf(itemsQuery, "read_parquet('"+strings.ReplaceAll(it.path, "'", "''")+"')")
	peer := func(ctx context.Context) {
		rows, err := db.QueryContext(ctx, alone)
		if err != nil {
			b.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
		}
	}
	it.ask(b)
	peer(b.Context())
	var wall, took [2][]time.Duration
	for b.Loop() {
		for i, run := range []func(){func() { it.ask(b) }, func() { peer(b.Context()) }} {
			at, before := time.Now(), processorTime(b)
			run()
			wall[i], took[i] = append(wall[i], time.Since(at)), append(took[i], processorTime(b)-before)
		}
	}
	b.ReportMetric(median(wall[0]), "ms/merged")
	b.ReportMetric(median(wall[1]), "ms/batch-alone")
	b.ReportMetric(median(wall[0])/median(wall[1]), "times-wall")
	b.ReportMetric(median(took[0]), "cpu-ms/merged")
	b.ReportMetric(median(took[1]), "cpu-ms/batch-alone")
	b.ReportMetric(median(took[0])/median(took[1]), "times-cpu")
}
