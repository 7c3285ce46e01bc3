package server

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"anabranch/batch"
	"anabranch/cmd/anabranch/api"
	"anabranch/event"
	"anabranch/internal/pace"
)

var (
	paceRounds = flag.Int("pace-rounds", 0, "rounds of TestBackfillIsNotInTheWay, each idle, slowed, idle and at full speed; 0: the test is left out")
	paceRound  = flag.Duration("pace-round", 10*time.Second, "time of each part of a round")
	paceEvents = flag.Int("pace-events", 1_000_000, "events that a backfill reads")
)

// startSmall starts a server without Temporal that has the pipeline small.
func startSmall(t *testing.T, c Config) *Server {
	t.Helper()
	c.Listen, c.NATSListen, c.Temporal = "127.0.0.1:0", "127.0.0.1:0", noTemporal
	s, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// TestAWorkerApartHearsOfTheEvents: it slows its batches for what happens in
// another process, and only then.
func TestAWorkerApartHearsOfTheEvents(t *testing.T) {
	t.Parallel()
	speed := startSmall(t, Config{Dir: t.TempDir(), Roles: []Role{RoleGateway, RoleSpeed}})
	if _, err := speed.applyFiles(t.Context(), smallFiles); err != nil {
		t.Fatal(err)
	}
	worker := startSmall(t, Config{Dir: t.TempDir(), Roles: []Role{RoleWorker}, NATS: speed.Addresses().NATS, Bucket: speed.config.Bucket})
	p := worker.opened.pacing
	await := func(what string, ok func(st pace.Stats) bool) {
		t.Helper()
		for end := time.Now().Add(5 * time.Minute); !ok(p.pacer.Stats()); <-time.After(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %+v", what, p.pacer.Stats())
			}
		}
	}
	await("full speed without events", func(st pace.Stats) bool { return st.Share == 1 })
	sender := newSender(t, speed, 50*time.Millisecond)
	defer sender.stop()
	await("what is normal is known", func(pace.Stats) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		n := p.control.Normal()
		return n["append small"] > 0 && n["visible small"] > 0
	})
	speed.pipelines["small"].speed.Stop() // folding ends, so that nothing can be told of it but the delay of appends
	p.told([]byte(`not JSON`))
	_, turn, err := p.pacer.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer turn.End()
	slowly := func() { // delays such as another gateway might tell
		h := &pace.Hist{}
		for range 100 {
			h.Add(time.Minute)
		}
		text, err := json.Marshal(delays{From: "another", Delays: map[string]*pace.Hist{"append small": h}})
		if err != nil {
			t.Fatal(err)
		}
		if err := speed.log.Tell(delayTopic, text); err != nil {
			t.Fatal(err)
		}
	}
	await("batches are slowed", func(st pace.Stats) bool { slowly(); return st.Share > 0 && st.Share < 0.3 })
}

// sender sends small requests at a steady pace and measures each: until it is
// answered, and from then until a query would see it.
type sender struct {
	t       *testing.T
	server  *Server
	end     context.CancelFunc
	wg      sync.WaitGroup
	n       atomic.Int64
	mu      sync.Mutex // guards what follows
	acks    []time.Duration
	visible []time.Duration
	failed  int
}

func newSender(t *testing.T, s *Server, every time.Duration) *sender {
	ctx, cancel := context.WithCancel(t.Context())
	out := &sender{t: t, server: s, end: cancel}
	out.wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for ctx.Err() == nil {
			select {
			case <-tick.C: // whether the one before was answered or not
				out.wg.Go(func() { out.one(ctx) })
			case <-ctx.Done():
			}
		}
	})
	return out
}

func (s *sender) stop() { s.end(); s.wg.Wait() }

func (s *sender) one(ctx context.Context) {
	n := s.n.Add(1)
	body := fmt.Sprintf(`{"id": "live%d", "item": "a", "ts": "2026-02-01 00:00:00", "amount": 1}`+"\n", n)
	began := time.Now()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.server.Addresses().HTTP+"/v1/pipelines/small/events", strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return // the end of the test
	}
	defer resp.Body.Close()
	var a api.Answer
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&a); err != nil || resp.StatusCode != http.StatusOK {
		s.mu.Lock()
		s.failed++
		s.mu.Unlock()
		return
	}
	acked := time.Now()
	cut := event.Cut{}
	for _, text := range a.Receipt.Positions {
		p, err := event.ParsePosition(text)
		if err != nil {
			s.t.Error(err)
			return
		}
		for len(cut) <= int(p.Partition) {
			cut = append(cut, 0)
		}
		cut[p.Partition] = p.Offset + 1
	}
	if s.server.pipelines["small"].speed.Wait(ctx, cut) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks = append(s.acks, acked.Sub(began))
	s.visible = append(s.visible, time.Since(acked))
}

func (s *sender) take() (acks, visible []time.Duration, failed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	acks, visible, failed = s.acks, s.visible, s.failed
	s.acks, s.visible, s.failed = nil, nil, 0
	return acks, visible, failed
}

func p99(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)*99/100]
}

// TestBackfillIsNotInTheWay measures what a backfill at full speed does to
// events, in one process, slowed and not, in turns with no backfill at all.
func TestBackfillIsNotInTheWay(t *testing.T) {
	if *paceRounds == 0 {
		t.Skip("a measurement: make bench-batch")
	}
	s := startSmall(t, Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if _, err := s.applyFiles(t.Context(), smallFiles); err != nil {
		t.Fatal(err)
	}
	p := s.pipelines["small"]
	fill(t, s, *paceEvents)
	if _, err := batch.Run(t.Context(), p.runner, batch.Request{Kind: batch.Nightly, RunID: "first"}); err != nil {
		t.Fatal(err)
	}
	live := newSender(t, s, 8*time.Millisecond)
	defer live.stop()
	slowing, off := s.opened.pacing.control, pace.NewController(pace.Goal{Least: 1})
	sums := map[string]*tally{}
	runs := 0
	var idleAcks, idleVisible time.Duration // of the part before
	play := func(name string, control *pace.Controller, backfills bool) {
		s.opened.pacing.mu.Lock()
		s.opened.pacing.control = control
		s.opened.pacing.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), *paceRound)
		defer cancel()
		live.take()
		began, rows := time.Now(), int64(0)
		for ctx.Err() == nil {
			if !backfills {
				<-ctx.Done()
				break
			}
			runs++
			rows += backfillFor(ctx, p.runner, fmt.Sprintf("b%d", runs))
		}
		acks, visible, failed := live.take()
		got := sums[name]
		if got == nil {
			got = &tally{}
			sums[name] = got
		}
		got.acks, got.visible = append(got.acks, acks...), append(got.visible, visible...)
		got.rows += rows
		if name == "idle" {
			idleAcks, idleVisible = p99(acks), p99(visible)
		} else if idleAcks > 0 {
			got.ratioAcks = append(got.ratioAcks, float64(p99(acks))/float64(idleAcks))
			got.ratioVisible = append(got.ratioVisible, float64(p99(visible))/float64(idleVisible))
			got.ratioBoth = append(got.ratioBoth, float64(p99(acks)+p99(visible))/float64(idleAcks+idleVisible))
		}
		got.took += time.Since(began)
		t.Logf("%-10s %5d requests, %d refused; p99 until acknowledged %6.1f ms, from then until visible %6.1f ms; %.0f rows/s",
			name, len(acks), failed, ms(p99(acks)), ms(p99(visible)), float64(rows)/time.Since(began).Seconds())
	}
	play("warm up", slowing, false)
	for range *paceRounds {
		play("idle", slowing, false)
		play("slowed", slowing, true)
		play("idle", slowing, false)
		play("full speed", off, true)
	}
	idle := sums["idle"]
	for _, name := range []string{"idle", "slowed", "full speed"} {
		g := sums[name]
		t.Logf("%-10s p50 %.1f + %.1f ms, p99 %.1f + %.1f ms, %.2f and %.2f times idle; %.0f rows/s", name, ms(median(g.acks)), ms(median(g.visible)), ms(p99(g.acks)), ms(p99(g.visible)),
			float64(p99(g.acks))/float64(p99(idle.acks)), float64(p99(g.visible))/float64(p99(idle.visible)), float64(g.rows)/g.took.Seconds())
		if len(g.ratioAcks) > 0 {
			t.Logf("%-10s median of the rounds: p99 until acknowledged %.2f times that of the idle part before it, until visible %.2f times, the sum %.2f times", name, middle(g.ratioAcks), middle(g.ratioVisible), middle(g.ratioBoth))
		}
	}
}

type tally struct {
	acks, visible []time.Duration
	rows          int64
	took          time.Duration

	ratioAcks, ratioVisible, ratioBoth []float64 // of p99 to that of the idle part before, by round
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func middle(f []float64) float64 {
	slices.Sort(f)
	return f[len(f)/2]
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// backfillFor does the steps of a backfill and returns the rows it read, also
// of one that ctx ends.
func backfillFor(ctx context.Context, r *batch.Runner, id string) (rows int64) {
	plan, err := r.Plan(ctx, batch.Request{Kind: batch.Backfill, RunID: id})
	if err != nil {
		return 0
	}
	each := func(n int, do func(i int) (batch.Ref, error), count bool) {
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := w; i < n && ctx.Err() == nil; i += 4 {
					if ref, err := do(i); err == nil && count {
						atomic.AddInt64(&rows, ref.Rows)
					}
				}
			})
		}
		wg.Wait()
	}
	folds, err := r.Spread(ctx, plan)
	if err != nil {
		return rows
	}
	each(folds.N, func(i int) (batch.Ref, error) { return r.Fold(ctx, plan, i) }, true)
	finishes, err := r.Gather(ctx, plan)
	if err != nil {
		return rows
	}
	each(finishes.N, func(i int) (batch.Ref, error) { return r.Finish(ctx, plan, i) }, false)
	if _, err := r.Verify(ctx, plan); err == nil {
		_, _ = r.Publish(ctx, plan)
	}
	return rows
}

// fill sends n events of a hundred days.
func fill(t *testing.T, s *Server, n int) {
	t.Helper()
	const each = 5000
	var body strings.Builder
	for from := 0; from < n; from += each {
		body.Reset()
		for i := from; i < from+each; i++ {
			day := time.Date(2025, 1, 1, i%24, 0, 0, 0, time.UTC).AddDate(0, 0, i%100)
			fmt.Fprintf(&body, `{"id": "e%d", "item": "i%d", "ts": %q, "amount": %d}`+"\n", i, i%5000, day.Format("2006-01-02 15:04:05"), i%100)
		}
		for {
			resp, err := http.Post(s.Addresses().HTTP+"/v1/pipelines/small/events", "application/x-ndjson", strings.NewReader(body.String()))
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
			if resp.StatusCode != http.StatusTooManyRequests {
				t.Fatalf("%d: %s", resp.StatusCode, text)
			}
			<-time.After(100 * time.Millisecond)
		}
	}
}
