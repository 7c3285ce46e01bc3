package worker

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"anabranch/activities"
	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/schemas"
	"anabranch/stream"
	"anabranch/view"
	"anabranch/workflows"
)

// shop is a real pipeline in memory: log, sealer, archive, batch.
type shop struct {
	*testing.T
	log      stream.Log
	archive  *archive.Archive
	schema   *schemas.Schema
	sequence []uint64
	runner   *batch.Runner
}

const partitions = 3

func newShop(t *testing.T) *shop {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	schema, err := schemas.Parse(1, []byte(`{"type":"record","name":"sale","fields":[
		{"name":"item","type":"string"}, {"name":"pieces","type":"int"},
		{"name":"ts","type":{"type":"long","logicalType":"local-timestamp-micros"}}, {"name":"id","type":"string"}]}`))
	must(err)
	set := schemas.NewSet(schema)
	daily, err := view.Compile(ctx, view.Source{Name: "daily", SQL: "SELECT date_trunc('day', ts) AS day, item, sum(pieces) AS pieces FROM events GROUP BY ALL"}, schema.Shape(), "ts")
	must(err)
	log, err := stream.NewMemory().Open(ctx, "shop", partitions)
	must(err)
	objects := bucket.NewMemory()
	a := archive.Open(objects, "shop", set, archive.Options{Partitions: partitions})
	runner, err := batch.New(batch.Options{
		Pipeline: "shop", Definition: "d1", Schemas: set, Views: []*view.View{daily}, Log: log, Archive: a,
		Letters: deadletter.New(objects, "shop"), TimeField: "ts", FoldRows: 20,
	})
	must(err)
	sealer := archive.NewSealer(a, log, archive.SealerOptions{})
	must(sealer.Start(ctx))
	t.Cleanup(sealer.Stop)
	return &shop{t, log, a, schema, make([]uint64, partitions), runner}
}

// sell appends sales with the ids from..to-1 to the log, ten a day.
func (s *shop) sell(from, to int) {
	s.Helper()
	var body strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&body, `{"id":"s%d","item":"item %d","pieces":2,"ts":"2011-03-%02d 10:00:00"}`+"\n", i, i%3, i/10%28+1)
	}
	dec, err := s.schema.NewDecoder(schemas.NDJSON, schemas.Identity{Fields: []string{"id"}, Key: []string{"id"}, Time: "ts"})
	if err != nil {
		s.Fatal(err)
	}
	dec.Reset(strings.NewReader(body.String()))
	for {
		rows, err := dec.Next()
		if err == io.EOF {
			return
		}
		if err != nil || len(rows.Bad) > 0 {
			s.Fatal(err, rows.Bad)
		}
		byPartition := make([][]uint32, partitions)
		for i, key := range rows.Keys {
			byPartition[key%partitions] = append(byPartition[key%partitions], uint32(i))
		}
		for p, which := range byPartition {
			if len(which) == 0 {
				continue
			}
			b := s.schema.NewFrameBuilder()
			b.Append(rows.Batch, which)
			columns, err := b.Finish()
			if err != nil {
				s.Fatal(err)
			}
			s.sequence[p]++
			frame, err := event.AppendFrame(nil, event.Header{
				Kind: event.Rows, Pipeline: "shop", Schema: 1, Rows: uint32(len(which)), Producer: "test", Sequence: s.sequence[p],
			}, columns)
			if err != nil {
				s.Fatal(err)
			}
			if _, err := s.log.Append(s.Context(), p, frame); err != nil {
				s.Fatal(err)
			}
		}
	}
}

// TestRealBatchUnderTemporal takes a night, a backfill and another night with
// the real batch, on the real server.
func TestRealBatchUnderTemporal(t *testing.T) {
	t.Parallel()
	b, s, ctx := setup(t, nil), newShop(t), t.Context()
	a := &activities.Activities{}
	a.Runners, a.Names = activities.ByName(map[string]activities.Runner{"shop": s.runner})
	w := New(Options{Client: b.client, TaskQueue: b.queue, Activities: a})
	if err := w.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	await := func(run workflows.Started, err error) (workflows.Result, error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return workflows.Await(ctx, b.client, run, time.Second, clock.Wall, nil)
	}
	night := func(key string) workflows.Result {
		t.Helper()
		got, err := await(workflows.StartNightly(ctx, b.client, b.queue, workflows.NightlyInput{Pipeline: "shop", Key: key}, time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	_, err := await(workflows.StartBackfill(ctx, b.client, b.queue, workflows.BackfillInput{Pipeline: "shop", Key: "too early"}, time.Now()))
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "run a nightly first") {
		t.Fatal(err)
	}

	s.sell(0, 100)
	s.sell(90, 100) // duplicates
	if got := night("one"); got.Version != 1 || got.K != 1 || got.Report.Counted != 100 || got.Report.Duplicates != 10 || got.Outcome != workflows.OutcomePublished {
		t.Fatalf("%+v", got)
	}
	back := workflows.BackfillInput{Pipeline: "shop", View: "daily", From: "2011-03-02", To: "2011-03-04", Key: "k", Reason: "test"}
	got, err := await(workflows.StartBackfill(ctx, b.client, b.queue, back, time.Now()))
	if err != nil || got.Version != 2 || got.K != 1 {
		t.Fatalf("%+v %v", got, err)
	}
	s.sell(100, 250)
	if got := night("two"); got.Version != 3 || got.K != 2 || got.Report.Counted != 150 {
		t.Fatalf("%+v", got)
	}
	m, err := s.archive.Newest(ctx)
	if err != nil || m.Version != 3 || m.K != 2 || m.Counted != 250 || m.Duplicates != 10 {
		t.Fatalf("%+v %v", m, err)
	}
	var rows int64
	for _, r := range m.Views["daily"].Results {
		rows += r.Rows
	}
	if rows != 75 { // 25 days of 3 items
		t.Errorf("%d rows of results, want 75", rows)
	}
	if before, err := s.archive.Manifest(ctx, 2); err != nil || before.Kind != batch.Backfill || before.Reason != "test" {
		t.Errorf("%+v %v", before, err)
	}
	back.View, back.Key = "dialy", "typo"
	if _, err := await(workflows.StartBackfill(ctx, b.client, b.queue, back, time.Now())); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "daily") {
		t.Error(err)
	}
}
