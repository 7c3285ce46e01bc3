package pgwire_test

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/serving/pgwire"
	"anabranch/serving/servingtest"
	"anabranch/serving/sql"
	"anabranch/view"
)

var texts = map[string]map[string]string{
	"shops": {
		"by_shop": "SELECT shop, count(*) AS n, sum(units) AS units, sum(price) AS price, min(price) AS low, max(ts) AS last FROM events GROUP BY ALL",
		"by_hour": "SELECT time_bucket(INTERVAL '1 hour', ts) AS hour, shop, avg(units) AS mean FROM events GROUP BY ALL",
	},
	"web": {"visits": "SELECT shop, count(*) AS n FROM events GROUP BY ALL"},
}

// bench is a door before two pipelines whose events the test holds.
type bench struct {
	testing.TB
	shape   *event.Shape
	speeds  map[string]*servingtest.Speed
	engine  *sql.Engine
	door    *pgwire.Server
	address string
}

// open starts a door.
func open(t testing.TB, change ...func(*pgwire.Options)) *bench {
	t.Helper()
	return openOver(t, sql.Options{MaxQueries: 100, MaxPerUser: 100}, change...)
}

// openOver starts a door before an engine with these options.
func openOver(t testing.TB, eo sql.Options, change ...func(*pgwire.Options)) *bench {
	t.Helper()
	ctx := t.Context()
	schema := servingtest.Schema(t, servingtest.Sale)
	b := &bench{TB: t, shape: schema.Shape(), speeds: map[string]*servingtest.Speed{}}
	cache := t.TempDir()
	eo.CacheDirs, eo.Patience = []string{cache}, cmp.Or(eo.Patience, 5*time.Minute)
	var sources []*serving.Source
	for _, pipeline := range slices.Sorted(maps.Keys(texts)) {
		var views []*view.View
		for _, name := range slices.Sorted(maps.Keys(texts[pipeline])) {
			v, err := view.Compile(ctx, view.Source{Name: name, SQL: texts[pipeline][name]}, b.shape, "ts")
			if err != nil {
				t.Fatal(err)
			}
			views = append(views, v)
		}
		h := servingtest.NewSpeed(views...)
		b.speeds[pipeline] = h
		sources = append(sources, &serving.Source{Name: pipeline, Views: views, Speed: h, Past: h.Past, Head: h.Head,
			Batch: archive.Open(bucket.NewMemory(), pipeline, schemas.NewSet(schema), archive.Options{Partitions: 1, CacheDir: cache})})
	}
	var err error
	b.engine, err = sql.New(ctx, serving.New(serving.Options{Patience: 5 * time.Minute, Sources: func() []*serving.Source { return sources }}), eo)
	if err != nil {
		t.Fatal(err)
	}
	o := pgwire.Options{Version: "test"}
	for _, c := range change {
		c(&o)
	}
	if b.door, err = pgwire.New(ctx, b.engine, o); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.address = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- b.door.Serve(l) }()
	t.Cleanup(func() {
		b.door.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := b.engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// fold has speed fold n random sales.
func (b *bench) fold(pipeline string, at uint64, n int) {
	b.Helper()
	b.speeds[pipeline].Fold(b, at, servingtest.Usual().Make(rand.New(rand.NewPCG(at, uint64(n))), b.shape, n))
}

// connect opens a session; more is appended to the connection string.
func (b *bench) connect(more ...string) *pgx.Conn {
	b.Helper()
	c, err := b.dial(more...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func (b *bench) dial(more ...string) (*pgx.Conn, error) {
	text := "postgres://ada@" + b.address + "/anabranch?sslmode=disable"
	for _, m := range more {
		text += "&" + m
	}
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
	defer cancel()
	return pgx.Connect(ctx, text)
}
