package server

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/ingest"
	"anabranch/serving"
	"anabranch/stream"
)

// smallFiles is a pipeline with a view that lies within days, one that spans
// them, and a filter.
var smallFiles = map[string]string{
	"pipeline.yaml": `pipeline: small
event:
  id: {field: id}
  time: ts
partitions: 2
quality:
  - {code: odd, filter: "item = 'odd'"}
  - {code: negative, reject: "amount < 0"}
ingest: {linger: 1ms}
`,
	"schema.avsc": `{"type": "record", "name": "sale", "fields": [
  {"name": "id", "type": "string"},
  {"name": "item", "type": "string"},
  {"name": "ts", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
  {"name": "amount", "type": "long"}]}`,
	"views/daily.sql": "SELECT date_trunc('day', ts) AS day, item, count(*) AS n, sum(amount) AS total FROM events GROUP BY ALL",
	"views/items.sql": "SELECT item, count(*) AS n, sum(amount) AS total FROM events GROUP BY ALL",
}

// small is that pipeline, opened in this process without Temporal.
type small struct {
	*testing.T
	dir    string
	bucket bucket.Bucket
	entry  entry
	*pipeline
}

func smallEntry() entry {
	return entry{Format: catalogFormat, N: 1, Name: "small", Applied: time.Unix(0, 0).UTC(), Schema: 1, Files: smallFiles}
}

// openSmall opens the pipeline over a log and a bucket.
func openSmall(t *testing.T, dir string, store stream.Store, b bucket.Bucket, logger *slog.Logger) (*small, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	c := Config{Dir: dir, Roles: []Role{RoleGateway, RoleSpeed}, SealEvery: time.Hour, Logger: logger}
	c.ensureDefaults()
	s := &small{T: t, dir: dir, bucket: b, entry: smallEntry()}
	o := &opened{config: c, bucket: b, store: store, logger: logger, id: "test", memory: c.memory()}
	p, err := o.open(t.Context(), s.entry, []entry{s.entry})
	s.pipeline = p
	return s, err
}

func mustSmall(t *testing.T) *small {
	t.Helper()
	s, err := openSmall(t, t.TempDir(), stream.NewMemory(), bucket.NewMemory(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(slog.New(slog.DiscardHandler)) })
	return s
}

// send posts events, some of them copies, conflicting copies, filtered, bad.
func (s *small) send(rnd *rand.Rand, requests, ids int) {
	s.Helper()
	for range requests {
		var body strings.Builder
		for range 1 + rnd.IntN(20) {
			id := rnd.IntN(ids)
			amount, item := id*7%100, []string{"a", "b", "c", "odd"}[id%4]
			switch rnd.IntN(30) {
			case 0:
				amount += 1000
			case 1:
				amount = -1
			}
			fmt.Fprintf(&body, `{"id": "e%d", "item": %q, "ts": "2026-01-%02d %02d:00:00", "amount": %d}`+"\n", id, item, 1+id%5, id%24, amount)
		}
		s.post(body.String())
	}
}

// conflict sends an event and another one with the same id.
func (s *small) conflict() {
	s.Helper()
	for _, amount := range []int{1, 2} {
		s.post(fmt.Sprintf(`{"id": "twice", "item": "a", "ts": "2026-01-01 00:00:00", "amount": %d}`, amount))
	}
}

func (s *small) post(body string) {
	s.Helper()
	h := ingest.Handler(func(string) (*ingest.Gateway, bool) { return s.gateway, true }, func() []string { return []string{"small"} })
	r := httptest.NewRequest(http.MethodPost, "/v1/pipelines/small/events", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-ndjson")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		s.Fatalf("send: %d %s", w.Code, w.Body)
	}
}

func (s *small) nightly(id string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 5*time.Minute)
	defer cancel()
	if _, err := batch.Run(ctx, s.runner, batch.Request{Kind: batch.Nightly, RunID: id}); err != nil {
		s.Fatal(err)
	}
}

// settle waits until speed has folded everything and adopted the newest
// manifest.
func (s *small) settle() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 5*time.Minute)
	defer cancel()
	head, err := s.head(ctx)
	if err == nil {
		err = s.speed.Wait(ctx, head)
	}
	if err != nil {
		s.Fatal(err)
	}
	m, err := s.archive.Newest(ctx)
	if err != nil {
		s.Fatal(err)
	}
	for {
		changed, all := s.speed.Changed(), true
		s.speed.Notice(m)
		for _, p := range s.speed.Stats().Partitions {
			all = all && p.Manifest >= m.Version
		}
		if all {
			return
		}
		select {
		case <-changed:
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			s.Fatal("speed does not adopt the newest manifest")
		}
	}
}

// rows is the merged answer of a view, as sorted text.
func (s *small) rows(ctx context.Context, serve *serving.Serving, name string) ([]string, error) {
	pin, err := serve.Pin(ctx, s.asSource, []string{name}, serving.Fresh{Latest: true})
	if err != nil {
		return nil, err
	}
	files, err := pin.Results(name)
	if err != nil {
		return nil, err
	}
	state, err := pin.State(name)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		err := s.archive.ReadResult(ctx, f, s.view(name).StateShape().Names(), func(b *event.Batch) error { return state.MergeGroups(b) })
		if err != nil {
			return nil, err
		}
	}
	b, err := state.Result()
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range b.N {
		var cells []string
		for c := range b.Columns {
			switch col := &b.Columns[c]; col.Type.Storage() {
			case event.InCodes:
				cells = append(cells, string(col.Bytes(i)))
			case event.InWide:
				cells = append(cells, col.Wide[i].String())
			default:
				cells = append(cells, fmt.Sprint(col.Ints[i]))
			}
		}
		out = append(out, strings.Join(cells, "|"))
	}
	slices.Sort(out)
	return out, nil
}

func seeded(t *testing.T, seed uint64) *rand.Rand {
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
