package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/internal/soak"
)

var (
	spikes    = flag.Int("spikes", 0, "how often TestMemory multiplies the load; 0: once")
	spikeSeed = flag.Uint64("spike-seed", 0, "of TestMemory; 0 picks one")
)

const cageSize = 512 << 20

// TestMemory runs the program with its Temporal server in 512 MiB and
// multiplies its load again and again: large bodies, slow bodies, many
// queries. It refuses with 429, the low lane more than the high one, its memory
// stays flat, nobody is killed, and every acknowledged event counts once.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the whole program")
	}
	n, seed := *spikes, *spikeSeed
	if n == 0 {
		n = 1
	}
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-spikes %d -spike-seed %d", n, seed)
	record := soak.Open(t, "memory", seed)
	if raced {
		record.NotRun("512 MiB under the race detector", "it multiplies the memory of the program by five to ten")
		return
	}
	// Before the program, so that it is removed after that has ended.
	box, why := newCage(t, cageSize)
	m := &spike{T: t, record: record, seed: seed, cage: box, program: newProgram(t, filepath.Join(t.TempDir(), "state"), append([]string{"dev", "--snapshot-every", "1s", "--seal-every", "1s"}, freePorts...)...)}
	if box == nil {
		record.NotRun("a control group of 512 MiB", why)
		m.program.args = append(m.program.args, "--memory", "512MiB")
	} else {
		m.program.procs = box.procs()
	}
	m.program.launch()
	m.program.await()
	m.program.mustBeReady()
	m.apply()
	ctx, cancel := context.WithCancel(t.Context())
	var steady sync.WaitGroup
	steady.Go(func() { m.sample(ctx) })
	for i := range 3 {
		steady.Go(func() { m.steady(ctx, i) })
	}
	before := time.Duration(0)
	for since := time.Now(); before == 0; pause(ctx, 50*time.Millisecond) {
		if before = m.typical(since, 20); time.Since(since) > patience {
			t.Fatalf("no steady requests are answered for %v: %v", patience, m.why.Load())
		}
	}
	for i := range n {
		m.spike()
		record.Add("spikes", 1)
		if i%3 == 2 || m.grown.Load() { // groups and ids outgrow their memory
			m.batch(t.Context())
			m.grown.Store(false)
		}
		m.returns(before)
	}
	if *spikes > 0 {
		m.outgrow()
	}
	cancel()
	steady.Wait()
	m.compare()
	if most := m.most.Load(); most > cageSize/10*9 {
		t.Errorf("%d MiB of memory were used: %v", most>>20, m.whose.Load())
	}
	if m.cage != nil {
		if killed := m.cage.killed(t); killed > 0 {
			t.Errorf("the kernel killed %d processes for their memory", killed)
		}
	}
	if m.refused[high].Load()+m.refused[low].Load() == 0 {
		t.Error("nobody was refused: that was no spike")
	}
	record.Add("refused", m.refused[high].Load()+m.refused[low].Load())
	t.Logf("typical answer %v; most memory %d MiB (%v); taken and refused: live %d and %d, history %d and %d; queries %d and %d",
		before, m.most.Load()>>20, m.whose.Load(), m.taken[high].Load(), m.refused[high].Load(), m.taken[low].Load(), m.refused[low].Load(), m.queries.Load(), m.noQuery.Load())
}

// The lanes.
const (
	high = iota
	low
)

var laneNames = [...]string{"live", "history"}

// spike is the scene.
type spike struct {
	*testing.T
	record  *soak.Run
	program *program
	cage    *cage // nil where there is none
	seed    uint64

	bodies           atomic.Int64
	taken, refused   [2]atomic.Int64 // requests by lane
	queries, noQuery atomic.Int64
	most             atomic.Int64 // memory seen
	whose            atomic.Value // by process, then
	grown            atomic.Bool  // refused for the memory of groups and ids
	why              atomic.Value // the last refusal of the high lane

	mu        sync.Mutex // guards the fields below
	sent      map[string]bodyState
	latencies []timed // of steady requests
}

// bodyState is how many events a body has, and whether they were acknowledged.
type bodyState struct {
	events       int64
	acknowledged bool
}

type timed struct {
	at   time.Time
	took time.Duration
}

var memoryFiles = map[string]string{
	"pipeline.yaml": `pipeline: spike
source: {format: ndjson}
event:
  id: {fields: [body, n]}
  time: ts
  key: [body]
lanes: [{name: live, priority: 10}, {name: history, priority: 1}]
`,
	"schema.avsc": `{"type": "record", "name": "Event", "fields": [
  {"name": "body", "type": "string"},
  {"name": "n", "type": "long"},
  {"name": "ts", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
  {"name": "text", "type": "string"}]}`,
	"views/by_body.sql": "SELECT body, count(*) AS events, count(DISTINCT n) AS numbers FROM events GROUP BY ALL\n",
	"views/by_hour.sql": "SELECT time_bucket(INTERVAL '1 hour', ts) AS hour, count(*) AS events FROM events GROUP BY ALL\n",
}

func (m *spike) apply() {
	m.Helper()
	m.sent = map[string]bodyState{}
	ctx, cancel := context.WithTimeout(m.Context(), patience)
	defer cancel()
	if err := m.program.client().JSON(ctx, http.MethodPost, "/v1/pipelines", api.Apply{Files: memoryFiles}, nil); err != nil {
		m.Fatal(err)
	}
}

// body makes a body of its own name.
func (m *spike) body(events, width int) (string, []byte) {
	name := fmt.Sprintf("b%d", m.bodies.Add(1))
	var b bytes.Buffer
	text := strings.Repeat("x", width)
	for n := range events {
		b.WriteString(`{"body":"` + name + `","n":` + strconv.Itoa(n) + `,"ts":` + strconv.FormatInt(1_700_000_000_000_000+int64(n)*60_000_000, 10) + `,"text":"` + text + "\"}\n")
	}
	m.mu.Lock()
	m.sent[name] = bodyState{events: int64(events)}
	m.mu.Unlock()
	return name, b.Bytes()
}

// send posts a body once and notes what came of it. Anything but an
// acknowledgement and a refusal that says when to come again is an error.
func (m *spike) send(ctx context.Context, h *http.Client, lane int, name string, body io.Reader) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.program.at.HTTP+"/v1/pipelines/spike/events", body)
	if err != nil {
		m.Error(err)
		return false
	}
	req.Header.Set("Anabranch-Lane", laneNames[lane])
	resp, err := h.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			m.alive(err)
		}
		return false
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		var a api.Answer
		if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
			return false // it broke off: not known
		}
		m.mu.Lock()
		s := m.sent[name]
		s.acknowledged = true
		m.sent[name] = s
		m.mu.Unlock()
		if a.Accepted != s.events {
			m.Errorf("%s: %d of %d events were accepted", name, a.Accepted, s.events)
		}
		m.taken[lane].Add(1)
		return true
	}
	var p api.Problem
	_ = json.NewDecoder(resp.Body).Decode(&p)
	if p.Code == "state_memory" {
		m.grown.Store(true)
		m.record.Sometimes("refused for the memory of groups and ids")
	}
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" || p.Code == "" {
		m.Errorf("%s was refused with %d, Retry-After %q, %+v", name, resp.StatusCode, resp.Header.Get("Retry-After"), p)
	}
	m.refused[lane].Add(1)
	if lane == high {
		m.why.Store(p.Code + ": " + p.Detail)
	}
	m.record.Sometimes("refused with 429")
	return false
}

// alive makes an error of a dead program. A connection that breaks off is
// none: the server answers and closes before it has read a large body.
func (m *spike) alive(err error) {
	select {
	case <-m.program.ended:
		m.Errorf("the program has ended: %v: %v", m.program.cmd.ProcessState, err)
	default:
	}
}

// steady sends small bodies, one after the other, in the high lane.
func (m *spike) steady(ctx context.Context, i int) {
	h, rng := &http.Client{Timeout: 20 * time.Second}, rand.New(rand.NewPCG(m.seed, uint64(i)))
	for ctx.Err() == nil {
		name, body := m.body(1+rng.IntN(50), 50)
		began := time.Now()
		if m.send(ctx, h, high, name, bytes.NewReader(body)) {
			m.mu.Lock()
			m.latencies = append(m.latencies, timed{time.Now(), time.Since(began)})
			m.mu.Unlock()
		}
		pause(ctx, time.Duration(20+rng.IntN(20))*time.Millisecond)
	}
}

// typical returns the median of the last n steady answers, 0 when there are
// fewer since then.
func (m *spike) typical(since time.Time, n int) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	var took []time.Duration
	for _, l := range m.latencies[max(0, len(m.latencies)-n):] {
		if l.at.After(since) {
			took = append(took, l.took)
		}
	}
	if len(took) < n {
		return 0
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// spike is many times the steady load for some seconds.
func (m *spike) spike() {
	ctx, cancel := context.WithTimeout(m.Context(), 4*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i := range 120 {
		all.Go(func() {
			h, rng := &http.Client{Transport: &http.Transport{}}, rand.New(rand.NewPCG(m.seed, uint64(100+i)))
			defer h.CloseIdleConnections()
			for ctx.Err() == nil {
				large := 1
				if rng.IntN(20) == 0 {
					large = 10
				}
				name, body := m.body(large*(200+rng.IntN(800)), 100+rng.IntN(300))
				for ctx.Err() == nil && !m.send(ctx, h, i%2, name, bytes.NewReader(body)) {
					pause(ctx, time.Duration(rng.IntN(100))*time.Millisecond)
				}
			}
		})
	}
	for i := range 10 { // slow ones, which hold what they were given
		all.Go(func() {
			h := &http.Client{Transport: &http.Transport{}}
			defer h.CloseIdleConnections()
			for ctx.Err() == nil {
				name, body := m.body(100, 10_000)
				m.send(ctx, h, i%2, name, &slowly{ctx, bytes.NewReader(body)})
			}
		})
	}
	for range 12 {
		all.Go(func() {
			for ctx.Err() == nil {
				m.ask(ctx, "SELECT * FROM spike.by_body")
			}
		})
	}
	all.Wait()
}

// slowly reads a body as a slow line would bring it.
type slowly struct {
	ctx context.Context
	io.Reader
}

func (s *slowly) Read(b []byte) (int, error) {
	pause(s.ctx, 20*time.Millisecond)
	return s.Reader.Read(b[:min(len(b), 16<<10)])
}

// ask asks once; being refused for want of room is an answer.
func (m *spike) ask(ctx context.Context, sql string) [][]string {
	body, _ := json.Marshal(map[string]string{"sql": sql, "consistency": "eventual"})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.program.at.HTTP+"/v1/query", bytes.NewReader(body))
	if err != nil {
		m.Error(err)
		return nil
	}
	req.Header.Set("Accept", "text/csv")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			m.alive(err)
		}
		return nil
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusTooManyRequests && ctx.Err() == nil {
			m.Errorf("%s: %s: %s", sql, resp.Status, text)
		}
		m.noQuery.Add(1)
		return nil
	}
	rows, err := csv.NewReader(resp.Body).ReadAll()
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			m.Errorf("%s: %v", sql, err)
		}
		return nil
	}
	m.queries.Add(1)
	return rows
}

// sample watches the memory.
func (m *spike) sample(ctx context.Context) {
	for ctx.Err() == nil {
		now := int64(0)
		if m.cage != nil {
			now = m.cage.own(m.T)
		} else if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", m.program.cmd.Process.Pid)); err == nil {
			var size, resident, shared int64
			_, _ = fmt.Sscan(string(text), &size, &resident, &shared)
			now = (resident - shared) * int64(os.Getpagesize())
		}
		if now > m.most.Load() {
			m.most.Store(now)
			if m.cage != nil {
				m.whose.Store(m.cage.each())
			}
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// returns waits until steady requests are answered as before.
func (m *spike) returns(before time.Duration) {
	m.Helper()
	want := max(10*before, 300*time.Millisecond)
	for since := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		now := m.typical(since, 10)
		if 0 < now && now <= want {
			break
		}
		if time.Since(since) > patience {
			m.Fatalf("%v after the spike a steady request takes %v, before it %v; the last refusal: %v", patience, now, before, m.why.Load())
		}
	}
	if m.refused[low].Load() > m.refused[high].Load() {
		m.record.Sometimes("the low lane was refused more often")
	}
}

// outgrow sends new groups and ids until their memory is at its bound, and
// then does what the runbook says: a batch.
func (m *spike) outgrow() {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.Context(), 5*time.Minute)
	defer cancel()
	m.grown.Store(false)
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			h := &http.Client{}
			for ctx.Err() == nil && !m.grown.Load() {
				name, body := m.body(5000, 1)
				for ctx.Err() == nil && !m.send(ctx, h, low, name, bytes.NewReader(body)) && !m.grown.Load() {
					pause(ctx, 100*time.Millisecond)
				}
			}
		})
	}
	senders.Wait()
	if !m.grown.Load() {
		m.Error("nothing was refused for the memory of groups and ids in 5 minutes")
		return
	}
	m.batch(ctx)
	name, body := m.body(10, 10)
	for end := time.Now().Add(patience); !m.send(ctx, http.DefaultClient, low, name, bytes.NewReader(body)); pause(ctx, 100*time.Millisecond) {
		if time.Now().After(end) {
			m.Fatalf("the low lane is still refused %v after the batch", patience)
		}
	}
	m.record.Sometimes("a batch made room in memory")
}

// batch runs a nightly batch and waits until it has published.
func (m *spike) batch(ctx context.Context) {
	m.Helper()
	var r api.Run
	cl := m.program.client()
	if err := cl.JSON(ctx, http.MethodPost, "/v1/pipelines/spike/batches", api.StartBatch{Reason: "memory test"}, &r); err != nil {
		m.Fatal(err)
	}
	for r.State == "" || r.State == "running" {
		if err := cl.JSON(ctx, http.MethodGet, "/v1/runs/"+url.PathEscape(r.ID), nil, &r); err != nil {
			m.Fatal(err)
		}
		pause(ctx, 200*time.Millisecond)
	}
	if r.State != "completed" {
		m.Fatalf("the batch %s: %s", r.State, r.Error)
	}
}

// compare counts every body: all of it when it was acknowledged, and no event
// twice.
func (m *spike) compare() {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.Context(), patience)
	defer cancel()
	rows, err := queryCSV(ctx, m.program.client(), "SELECT body, events, numbers FROM spike.by_body")
	if err != nil {
		m.Fatal(err)
	}
	counted := map[string]int64{}
	for _, r := range rows[1:] {
		n, err := strconv.ParseInt(r[1], 10, 64)
		if err != nil || r[1] != r[2] {
			m.Errorf("body %q has %s events and %s numbers", r[0], r[1], r[2])
		}
		counted[r[0]] = n
	}
	var acknowledged, lost, double int64
	for name, s := range m.sent {
		if s.acknowledged {
			acknowledged += s.events
			lost += max(0, s.events-counted[name])
		}
		double += max(0, counted[name]-s.events)
	}
	m.record.Add(soak.Events, acknowledged)
	m.record.Add(soak.Lost, lost)
	m.record.Add(soak.Double, double)
	if lost > 0 || double > 0 {
		m.Errorf("of %d acknowledged events %d are lost and %d counted twice", acknowledged, lost, double)
	}
}
