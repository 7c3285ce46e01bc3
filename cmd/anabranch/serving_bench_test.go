package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"anabranch/cmd/anabranch/api"
)

var (
	benchServing = flag.Duration("bench-serving", 0, "how long each part of TestServingUnderLoad takes, 30 s for figures; 0: the test is left out")
	benchItems   = flag.Int("bench-items", 1_000_000, "groups of the view that TestServingUnderLoad reads; a tenth is touched above the cut")
	benchParts   = flag.String("bench-parts", "lookups,heavy,large,postgres,memory", "parts of TestServingUnderLoad")
)

// TestServingUnderLoad measures what readers get of the whole program, a
// process of its own, while events come in: point lookups, small queries and
// events beside heavy queries, many PostgreSQL sessions, and the memory that
// heavy queries leave. It prints rows for docs/benchmarks.md.
func TestServingUnderLoad(t *testing.T) {
	if *benchServing == 0 {
		t.Skip("a measurement: make bench-serving")
	}
	s := newScenario(t)
	parts := strings.Split(*benchParts, ",")
	for _, part := range []struct {
		name string
		run  func()
	}{{"lookups", s.lookups}, {"heavy", s.heavy}, {"large", s.large}, {"postgres", s.postgres}, {"memory", s.memory}} {
		if slices.Contains(parts, part.name) {
			part.run()
		}
	}
}

// scenario is the program with a view of many items, a tenth of them touched
// above the cut, and a steady stream of events.
type scenario struct {
	*testing.T
	p     *program
	event atomic.Int64
}

var shopFiles = map[string]string{
	"pipeline.yaml": "pipeline: shop\nsource: {format: ndjson}\nevent:\n  id: {fields: [id]}\n  time: ts\n  key: [item]\npartitions: 2\n",
	"schema.avsc": `{"type": "record", "name": "Sale", "fields": [
  {"name": "id", "type": "long"}, {"name": "item", "type": "long"}, {"name": "shop", "type": "string"}, {"name": "units", "type": "int"},
  {"name": "ts", "type": {"type": "long", "logicalType": "local-timestamp-micros"}}]}`,
	"views/by_item.sql": "SELECT item, shop, count(*) AS n, sum(units) AS units FROM events GROUP BY ALL\n",
	"views/by_shop.sql": "SELECT shop, count(*) AS n, sum(units) AS units FROM events GROUP BY ALL\n",
}

func newScenario(t *testing.T) *scenario {
	// Each open loop sleeps in a system call, which holds one of Go's places
	// until Go looks, and with it the answers that are there meanwhile.
	const loops = 8
	runtime.GOMAXPROCS(runtime.NumCPU() + loops)
	s := &scenario{T: t, p: newProgram(t, filepath.Join(t.TempDir(), "state"), append([]string{"dev"}, freePorts...)...)}
	s.p.launch()
	s.p.await()
	s.p.mustBeReady()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cl := s.p.client()
	if err := cl.JSON(ctx, http.MethodPost, "/v1/pipelines", api.Apply{Files: shopFiles}, nil); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.fill(ctx, *benchItems, 1)
	var r api.Run
	if err := cl.JSON(ctx, http.MethodPost, "/v1/pipelines/shop/batches", api.StartBatch{Reason: "bench"}, &r); err != nil {
		t.Fatal(err)
	}
	for r.State == "" || r.State == "running" {
		if err := cl.JSON(ctx, http.MethodGet, "/v1/runs/"+url.PathEscape(r.ID), nil, &r); err != nil {
			t.Fatal(err)
		}
		pause(ctx, 100*time.Millisecond)
	}
	if r.State != "completed" {
		t.Fatalf("the batch %s: %s", r.State, r.Error)
	}
	s.fill(ctx, *benchItems/10, 10)
	rows, err := queryCSV(ctx, cl, "SELECT count(*), sum(n) FROM shop.by_item")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v groups and events after %s", rows[1], time.Since(began).Round(time.Second))
	return s
}

// fill sends n events, of every so manieth item.
func (s *scenario) fill(ctx context.Context, n, step int) {
	for from := 0; from < n; from += 20_000 {
		var body []byte
		for i := from; i < min(from+20_000, n); i++ {
			body = s.line(body, int64(i)*int64(step))
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.p.at.HTTP+"/v1/pipelines/shop/events", bytes.NewReader(body))
		if err != nil {
			s.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			s.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusOK:
		case http.StatusTooManyRequests:
			from -= 20_000
			pause(ctx, time.Second)
		default:
			s.Fatalf("%s: %s", resp.Status, text)
		}
	}
}

func (s *scenario) line(dst []byte, item int64) []byte {
	n := s.event.Add(1)
	return fmt.Appendf(dst, `{"id":%d,"item":%d,"shop":"shop %d","units":%d,"ts":%d}`+"\n", n, item, item%50, item%13, 1_700_000_000_000_000+n)
}

// The steady stream: so many requests a second of so many events.
const (
	steadyRate   = 50
	steadyEvents = 40
)

// stream sends events at a steady pace until it is stopped.
func (s *scenario) stream() *openLoop {
	return s.open("events", steadyRate, 16, func(i int) []byte {
		var body []byte
		for n := range steadyEvents {
			body = s.line(body, int64((i*steadyEvents+n)*7919%*benchItems))
		}
		return fmt.Appendf(nil, "POST /v1/pipelines/shop/events HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
}

func (s *scenario) asks(name string, rate, clients int, sql string) *openLoop {
	body, _ := json.Marshal(map[string]string{"sql": sql, "consistency": "eventual"})
	request := fmt.Appendf(nil, "POST /v1/query HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAccept: text/csv\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return s.open(name, rate, clients, func(int) []byte { return request })
}

func (s *scenario) finds(rate, clients int) *openLoop {
	return s.open("lookups", rate, clients, func(i int) []byte {
		return fmt.Appendf(nil, "GET /v1/views/shop.by_item?key.item=%d HTTP/1.1\r\nHost: bench\r\n\r\n", i*104729%*benchItems)
	})
}

// openLoop sends requests at fixed moments, whether those before were answered
// or not, and counts what each takes from the moment at which it was due: what
// waits because the server is slow counts as slow.
type openLoop struct {
	s    *scenario
	name string
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	took   []time.Duration
	failed int
	why    string
}

func (s *scenario) open(name string, rate, clients int, request func(i int) []byte) *openLoop {
	return openAt(s, strings.TrimPrefix(s.p.at.HTTP, "http://"), name, rate, clients, request)
}

type due struct {
	i  int
	at time.Time
}

func openAt(s *scenario, address, name string, rate, clients int, request func(i int) []byte) *openLoop {
	ctx, cancel := context.WithCancel(s.Context())
	l := &openLoop{s: s, name: name, stop: cancel}
	todo := make(chan due, rate*60)
	l.wg.Go(func() {
		runtime.LockOSThread() // it sleeps more precisely than Go's timers, which are rounded to milliseconds
		defer runtime.UnlockOSThread()
		defer close(todo)
		begin := time.Now()
		for i := 0; ctx.Err() == nil; i++ {
			at := begin.Add(time.Duration(i) * time.Second / time.Duration(rate))
			if wait := time.Until(at); wait > 0 {
				ts := syscall.NsecToTimespec(int64(wait))
				_ = syscall.Nanosleep(&ts, nil)
			}
			todo <- due{i, at}
		}
	})
	for range clients {
		l.wg.Go(func() {
			var c *httpLine
			defer func() { c.close() }()
			for d := range todo {
				if ctx.Err() != nil {
					continue
				}
				var err error
				if c == nil {
					c, err = dialLine(address)
				}
				if err == nil {
					err = c.ask(request(d.i))
				}
				took := time.Since(d.at)
				l.mu.Lock()
				if err != nil {
					l.failed, l.why = l.failed+1, err.Error()
					c.close()
					c = nil
				} else {
					l.took = append(l.took, took)
				}
				l.mu.Unlock()
			}
		})
	}
	return l
}

// take returns what was measured since it was called last.
func (l *openLoop) take() sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := sample{l.took, l.failed, l.why}
	l.took, l.failed = nil, 0
	return out
}

func (l *openLoop) end() { l.stop(); l.wg.Wait() }

type sample struct {
	took   []time.Duration
	failed int
	why    string
}

func (m *sample) add(o sample) {
	m.took, m.failed = append(m.took, o.took...), m.failed+o.failed
	if o.why != "" {
		m.why = o.why
	}
}

func (m *sample) at(q float64) time.Duration {
	if len(m.took) == 0 {
		return 0
	}
	slices.Sort(m.took)
	return m.took[int(float64(len(m.took)-1)*q)]
}

func (m *sample) String() string {
	text := fmt.Sprintf("%d, p50 %.2f ms, p99 %.2f ms, max %.1f ms", len(m.took), ms(m.at(0.5)), ms(m.at(0.99)), ms(m.at(1)))
	if m.failed > 0 {
		text += fmt.Sprintf(", %d FAILED: %s", m.failed, m.why)
	}
	return text
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// httpLine is a connection on which one request follows the other, with as
// little of a client as there can be.
type httpLine struct {
	net.Conn
	r *bufio.Reader
}

func dialLine(address string) (*httpLine, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &httpLine{c, bufio.NewReaderSize(c, 32<<10)}, nil
}

func (c *httpLine) close() {
	if c != nil {
		c.Conn.Close()
	}
}

func (c *httpLine) ask(request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %.200s", resp.Status, text)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// processorTime is what the program and its child took so far, and this
// process, the client.
func (s *scenario) processorTime() (program, client time.Duration) {
	pids := []string{strconv.Itoa(s.p.cmd.Process.Pid)}
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%s/task/%s/children", pids[0], pids[0])); err == nil {
		pids = append(pids, strings.Fields(string(text))...)
	}
	for _, pid := range pids {
		text, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			continue
		}
		f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		for _, i := range []int{11, 12} {
			ticks, _ := strconv.Atoi(f[i])
			program += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return program, time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ofItsOwn is the program's memory without files.
func (s *scenario) ofItsOwn() int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.p.cmd.Process.Pid))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "RssAnon:" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// lookups asks for 2,000 groups a second beside the stream.
func (s *scenario) lookups() {
	const rate, clients = 2000, 64
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 400)) }))
	floor := openAt(s, bare.Listener.Addr().String(), "bare", rate, clients, func(int) []byte { return []byte("GET / HTTP/1.1\r\nHost: bench\r\n\r\n") })
	pause(s.Context(), *benchServing/4)
	none := floor.take()
	floor.end()
	bare.Close()
	in := s.stream()
	l := s.finds(rate, clients)
	pause(s.Context(), 3*time.Second) // the indexes are made
	l.take()
	in.take()
	program, client := s.processorTime()
	pause(s.Context(), *benchServing)
	found, events := l.take(), in.take()
	program2, client2 := s.processorTime()
	l.end()
	in.end()
	s.Logf("| lookups, %d a second, beside %d events a second | %v |", rate, steadyRate*steadyEvents, &found)
	s.Logf("| the same client against a server that answers at once | %v |", &none)
	s.Logf("| events beside the lookups, until they are durable | %v |", &events)
	s.Logf("| processor time a second | program %.2f s, client %.2f s |", (program2-program).Seconds()/benchServing.Seconds(), (client2-client).Seconds()/benchServing.Seconds())
}

// heavyQuery reads the whole view many times over and keeps both processors
// busy for many seconds.
const heavyQuery = "SELECT a.shop, r.range % 7 AS k, count(*) AS n, sum(a.units * r.range) AS u FROM shop.by_item a, range(200) r GROUP BY ALL"

// heavy measures what others get beside heavy queries.
func (s *scenario) heavy() {
	s.beside("two heavy queries", func(ctx context.Context) error {
		_, err := queryCSV(ctx, s.p.client(), heavyQuery)
		return err
	})
}

// largeQuery has twenty million rows.
const largeQuery = "SELECT a.item, a.shop, a.n, a.units, r.range FROM shop.by_item a, range(20) r"

// large measures what others get beside large answers that are read to their
// end, or to a limit that breaks them off.
func (s *scenario) large() {
	body, _ := json.Marshal(map[string]string{"sql": largeQuery, "consistency": "eventual"})
	var read, took atomic.Int64 // bytes, and nanoseconds of all who read
	s.beside("two large answers", func(ctx context.Context) error {
		began := time.Now()
		defer func() { took.Add(int64(time.Since(began))) }()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.p.at.HTTP+"/v1/query", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "text/csv")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("a large answer: %s", resp.Status)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		read.Add(n)
		if err != nil && n < 100<<20 {
			return fmt.Errorf("a large answer broke off after %d bytes: %w", n, err)
		}
		return nil
	})
	s.Logf("| each of two large answers | %.1f MB a second |", float64(read.Load())/1e6/(float64(took.Load())/1e9))
}

// beside measures events, lookups and small queries with and without two
// clients that ask what is given, in turns.
func (s *scenario) beside(what string, ask func(context.Context) error) {
	loops := []*openLoop{s.stream(), s.finds(200, 16), s.asks("small queries", 20, 16, "SELECT shop, n, units FROM shop.by_shop WHERE shop = 'shop 7'")}
	pause(s.Context(), 3*time.Second)
	var calm, busy [3]sample
	var finished atomic.Int64
	for range 3 {
		for _, heavy := range []bool{false, true} {
			ctx, cancel := context.WithCancel(s.Context())
			var wg sync.WaitGroup
			if heavy {
				for range 2 {
					wg.Go(func() {
						for ctx.Err() == nil {
							if err := ask(ctx); err == nil {
								finished.Add(1)
							} else if ctx.Err() == nil {
								s.Error(err)
								return
							}
						}
					})
				}
			}
			pause(s.Context(), time.Second)
			for _, l := range loops {
				l.take()
			}
			pause(s.Context(), *benchServing/3)
			for i, l := range loops {
				if heavy {
					busy[i].add(l.take())
				} else {
					calm[i].add(l.take())
				}
			}
			cancel()
			wg.Wait()
			pause(s.Context(), time.Second)
		}
	}
	for i, l := range loops {
		l.end()
		s.Logf("| %s | alone: %v | beside %s: %v | p99 %.2f times |", l.name, &calm[i], what, &busy[i], float64(busy[i].at(0.99))/float64(calm[i].at(0.99)))
	}
	s.Logf("| of %s finished | %d |", what, finished.Load())
}

// postgres has a thousand sessions, 64 of which ask one query after the other.
func (s *scenario) postgres() {
	const all, active = 1000, 64
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	base := s.ofItsOwn()
	conns := make([]*pgx.Conn, all)
	for i := range conns {
		c, err := pgx.Connect(ctx, s.p.at.PG)
		if err != nil {
			s.Fatalf("session %d: %v", i, err)
		}
		defer c.Close(context.Background())
		conns[i] = c
	}
	idle := s.ofItsOwn()
	in := s.stream()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var took sample
	for _, c := range conns[:active] {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				began := time.Now()
				rows, err := c.Query(ctx, "SELECT shop, n, units FROM shop.by_shop WHERE n > $1", i%10)
				if err == nil {
					for rows.Next() {
					}
					err = rows.Err()
				}
				if ctx.Err() != nil {
					return
				}
				mu.Lock()
				if err != nil {
					took.failed, took.why = took.failed+1, err.Error()
				} else {
					took.took = append(took.took, time.Since(began))
				}
				mu.Unlock()
			}
		})
	}
	var sizes []string
	for range 6 {
		pause(s.Context(), *benchServing/6)
		sizes = append(sizes, fmt.Sprint(s.ofItsOwn()>>20))
	}
	cancel()
	wg.Wait()
	events := in.take()
	in.end()
	s.Logf("| memory: before, with %d PostgreSQL sessions, while %d of them ask | %d, %d, %s MB |", all, active, base>>20, idle>>20, strings.Join(sizes, ", "))
	s.Logf("| queries of %d sessions, %.0f a second | %v |", active, float64(len(took.took))/benchServing.Seconds(), &took)
	s.Logf("| events meanwhile | %v |", &events)
}

// memory tells what heavy queries leave behind.
func (s *scenario) memory() {
	base := s.ofItsOwn()
	queries := []string{
		"SELECT count(*) FROM (SELECT item, units, count(*), 'a text of more than twelve bytes ' || item || ' ' || r.range FROM shop.by_item, range(40) r GROUP BY ALL)",
		"SELECT * FROM shop.by_item, range(40) r ORDER BY units, item, r.range DESC",
		"SELECT item, shop, n, units FROM shop.by_item",
	}
	var most int64
	sampled := func(ctx context.Context) {
		for ctx.Err() == nil {
			most = max(most, s.ofItsOwn())
			pause(ctx, 10*time.Millisecond)
		}
	}
	for _, cancelled := range []bool{false, true} {
		most = 0
		for _, q := range queries {
			ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
			watching, over := context.WithCancel(ctx)
			var wg sync.WaitGroup
			wg.Go(func() { sampled(watching) })
			if cancelled {
				wg.Go(func() { pause(watching, time.Second); cancel() })
			}
			_, err := queryCSV(ctx, s.p.client(), q)
			s.Logf("%.40s: %.80v", q, err)
			over()
			wg.Wait()
			cancel()
		}
		var after []string
		for _, wait := range []time.Duration{0, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second} {
			pause(s.Context(), wait)
			after = append(after, fmt.Sprint(s.ofItsOwn()>>20))
		}
		s.Logf("| memory of the program: before, most, and 0, 1, 3, 8, 18 s after three heavy queries (cancelled: %t) | %d, %d, %s MB |", cancelled, base>>20, most>>20, strings.Join(after, ", "))
	}
}
