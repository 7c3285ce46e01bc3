package worker

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"anabranch/activities"
	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/internal/clock"
	"anabranch/schemas"
	"anabranch/stream"
	"anabranch/view"
	"anabranch/workflows"
)

var (
	benchEvents   = flag.Int("bench-events", 0, "events of the year that TestAYearAgain computes again; 0: it is left out")
	benchRounds   = flag.Int("bench-rounds", 3, "rounds of TestAYearAgain")
	benchVersions = flag.Int("bench-versions", 0, "versions that TestPublishingCostsTheSame publishes; 0: it is left out")
)

// year is a pipeline on disk with a year of payments, sealed.
type year struct {
	*testing.T
	set     *schemas.Set
	log     stream.Log
	archive *archive.Archive
	views   []*view.View
	letters *deadletter.Store
	rows    int
}

const (
	yearDays  = 365
	dayMicros = 24 * 60 * 60 * 1_000_000
	frameRows = 20_000
)

func newYear(t *testing.T, events int) *year {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	schema, err := schemas.Parse(1, []byte(`{"type":"record","name":"payment","fields":[
		{"name":"merchant","type":"string"}, {"name":"cents","type":"long"},
		{"name":"ts","type":{"type":"long","logicalType":"local-timestamp-micros"}}]}`))
	must(err)
	y := &year{T: t, set: schemas.NewSet(schema), rows: events}
	for name, sql := range map[string]string{
		"day":  "SELECT date_trunc('day', ts) AS day, merchant, count(*) AS payments, sum(cents) AS cents FROM events GROUP BY ALL",
		"hour": "SELECT time_bucket(INTERVAL '1 hour', ts) AS hour, count(*) AS payments, sum(cents) AS cents, max(cents) AS most, approx_count_distinct(merchant) AS merchants, approx_quantile(cents, 0.99) AS p99 FROM events GROUP BY ALL",
	} {
		v, err := view.Compile(t.Context(), view.Source{Name: name, SQL: sql}, schema.Shape(), "ts")
		must(err)
		y.views = append(y.views, v)
	}
	y.log, err = stream.NewMemory().Open(t.Context(), "payments", partitions)
	must(err)
	objects, err := bucket.NewFile(t.TempDir())
	must(err)
	t.Cleanup(func() { _ = objects.Close() })
	y.archive = archive.Open(objects, "payments", y.set, archive.Options{Partitions: partitions, CacheDir: t.TempDir()})
	y.letters = deadletter.New(objects, "payments")
	y.fill(schema, events)
	r := y.runner()
	must(r.AppendBarriers(t.Context(), 1))
	sealer := archive.NewSealer(y.archive, y.log, archive.SealerOptions{})
	must(sealer.Start(t.Context()))
	defer sealer.Stop()
	if _, err := batch.Run(t.Context(), r, batch.Request{Kind: batch.Nightly, RunID: "night", K: 1}); err != nil {
		t.Fatal(err)
	}
	return y
}

// fill appends the events, in the order of their times: merchants by chance,
// some much more often than others, all from one seed.
func (y *year) fill(schema *schemas.Schema, events int) {
	rng := rand.New(rand.NewPCG(1, uint64(events)))
	often := rand.NewZipf(rng, 1.1, 1, 999)
	for from, n := 0, uint64(0); from < events; from, n = from+frameRows, n+1 {
		rows := min(frameRows, events-from)
		b := &event.Batch{Shape: schema.Shape(), N: rows, Columns: make([]event.Column, 3)}
		for i, f := range b.Shape.Fields {
			b.Columns[i].Type = f.Type
		}
		merchant, cents, ts := &b.Columns[0], &b.Columns[1], &b.Columns[2]
		merchant.Dict = &event.Dict{}
		for m := range 1000 {
			merchant.Dict.Append(fmt.Appendf(nil, "merchant %03d", m))
		}
		for i := range rows {
			n := uint64(from + i)
			merchant.Codes = append(merchant.Codes, uint32(often.Uint64()))
			cents.Ints = append(cents.Ints, int64(rng.IntN(100_000)))
			ts.Ints = append(ts.Ints, int64(float64(n)/float64(events)*yearDays*dayMicros))
			b.IDs = append(b.IDs, event.ID{Hi: n * 0x9e3779b97f4a7c15, Lo: n * 0xc2b2ae3d27d4eb4f})
			b.Hashes = append(b.Hashes, n*31)
		}
		builder := schema.NewFrameBuilder()
		builder.Append(b, nil)
		body, err := builder.Finish()
		if err != nil {
			y.Fatal(err)
		}
		header := event.Header{Kind: event.Rows, Pipeline: "payments", Schema: 1, Rows: uint32(rows), Producer: "bench", Ingested: 1, Sequence: n + 1}
		frame, err := event.AppendFrame(nil, header, body)
		if err != nil {
			y.Fatal(err)
		}
		if _, err := y.log.Append(y.Context(), int(n%partitions), frame); err != nil {
			y.Fatal(err)
		}
	}
}

func (y *year) runner() *batch.Runner {
	y.Helper()
	r, err := batch.New(batch.Options{
		Pipeline: "payments", Definition: "d1", Schemas: y.set, Views: y.views, Log: y.log, Archive: y.archive,
		Letters: y.letters, TimeField: "ts", Parallel: runtime.GOMAXPROCS(0),
	})
	if err != nil {
		y.Fatal(err)
	}
	return r
}

// direct does what a backfill does, without Temporal: it estimates, computes,
// publishes, and compares what is published with the version before.
func (y *year) direct(run string) {
	y.Helper()
	r := y.runner()
	if _, err := r.Estimate(y.Context(), batch.Request{}); err != nil {
		y.Fatal(err)
	}
	p, err := batch.Run(y.Context(), r, batch.Request{Kind: batch.Backfill, RunID: run})
	if err != nil {
		y.Fatal(err)
	}
	if _, err := r.CompareVersions(y.Context(), p.Version-1, p.Version); err != nil {
		y.Fatal(err)
	}
}

// TestAYearAgain computes a year again from its raw events: by the library
// called directly, and as a workflow on the real server with as many steps at
// once, in turns.
func TestAYearAgain(t *testing.T) {
	if *benchEvents == 0 {
		t.Skip("a benchmark: give -bench-events")
	}
	b, y := setup(t, nil), newYear(t, *benchEvents)
	a := &activities.Activities{}
	a.Runners, a.Names = activities.ByName(map[string]activities.Runner{"payments": y.runner()})
	w := New(Options{Client: b.client, TaskQueue: b.queue, Activities: a, Parallel: runtime.GOMAXPROCS(0)})
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	var direct, durable []time.Duration
	units := 0
	for n := range *benchRounds {
		began := time.Now()
		y.direct(fmt.Sprint("direct-", n))
		direct = append(direct, time.Since(began))
		began = time.Now()
		run, err := workflows.StartBackfill(t.Context(), b.client, b.queue, workflows.BackfillInput{Pipeline: "payments", Key: fmt.Sprint(n), Parallel: runtime.GOMAXPROCS(0)}, began)
		if err != nil {
			t.Fatal(err)
		}
		got, err := workflows.Await(t.Context(), b.client, run, 50*time.Millisecond, clock.Wall, nil)
		if err != nil {
			t.Fatal(err)
		}
		durable = append(durable, time.Since(began))
		units = got.Units
	}
	d, w1 := median(direct), median(durable)
	t.Logf("%d events of %d days on %d processors, %d steps: the library %.2f s (%v), the workflow %.2f s (%v), %+.1f %%; %.2f M events/s",
		y.rows, yearDays, runtime.GOMAXPROCS(0), units, d.Seconds(), direct, w1.Seconds(), durable, 100*(w1.Seconds()/d.Seconds()-1), float64(y.rows)/w1.Seconds()/1e6)
}

func median[T cmp.Ordered](all []T) T {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}

// TestPublishingCostsTheSame publishes many versions and goes back from some,
// on a file bucket: neither may take longer with a longer history.
func TestPublishingCostsTheSame(t *testing.T) {
	if *benchVersions == 0 {
		t.Skip("a benchmark: give -bench-versions")
	}
	y := newYear(t, 20_000)
	r := y.runner()
	part := max(*benchVersions/10, 1)
	for tenth := range 10 {
		var publish, back []time.Duration
		for n := range part {
			run := batch.Request{Kind: batch.Backfill, RunID: fmt.Sprintf("run-%d-%d", tenth, n), From: new(int32), To: new(int32)}
			if err := steps(t, r, run, &publish); err != nil {
				t.Fatal(err)
			}
			if n%10 == 9 {
				m, err := y.archive.Newest(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if _, err := batch.Run(t.Context(), r, batch.Request{Kind: batch.Rollback, RunID: fmt.Sprintf("back-%d-%d", tenth, n), Back: m.Version - 1}); err != nil {
					t.Fatal(err)
				}
				back = append(back, time.Since(began))
			}
		}
		m, err := y.archive.Newest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("version %d: publish %.1f ms, the whole rollback %.1f ms", m.Version, median(publish).Seconds()*1000, median(back).Seconds()*1000)
		if tenth == 9 && (median(publish) > 100*time.Millisecond || median(back) > 100*time.Millisecond) {
			t.Error("more than 100 ms")
		}
	}
}

// steps takes the steps of a backfill one by one and adds what the last took.
func steps(t *testing.T, r *batch.Runner, q batch.Request, publish *[]time.Duration) error {
	ctx := t.Context()
	plan, err := r.Plan(ctx, q)
	if err != nil {
		return err
	}
	units, err := r.Spread(ctx, plan)
	if err != nil {
		return err
	}
	for n := range units.N {
		if _, err := r.Fold(ctx, plan, n); err != nil {
			return err
		}
	}
	if units, err = r.Gather(ctx, plan); err != nil {
		return err
	}
	for n := range units.N {
		if _, err := r.Finish(ctx, plan, n); err != nil {
			return err
		}
	}
	if _, err := r.Verify(ctx, plan); err != nil {
		return err
	}
	began := time.Now()
	_, err = r.Publish(ctx, plan)
	*publish = append(*publish, time.Since(began))
	return err
}
