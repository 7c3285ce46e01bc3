package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/internal/soak"
)

var (
	crashKills = flag.Int("kills", 0, "how often TestKilledAtRandom kills; 0: 20, under the race detector 6")
	crashSeed  = flag.Uint64("seed", 0, "of TestKilledAtRandom; 0 picks one")
)

// TestKilledAtRandom runs the program as its users do, kills it at random
// moments, and compares every merged view with plain maps of what was
// acknowledged. A soak: go test ./cmd/anabranch -run KilledAtRandom -kills
// 1000 -timeout 3h
func TestKilledAtRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills the whole program many times")
	}
	kills, seed := *crashKills, *crashSeed
	if kills == 0 {
		kills = 20
		if raced {
			kills = 6
		}
	}
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-kills %d -seed %d", kills, seed)
	record := soak.Open(t, "kill", seed)
	t.Run("together", func(t *testing.T) {
		t.Parallel()
		newCrash(t, record, seed, filepath.Join(t.TempDir(), "state")).rounds(kills - kills/3)
	})
	t.Run("apart", func(t *testing.T) {
		t.Parallel()
		newApart(t, record, seed+1, t.TempDir(), nil).rounds(kills / 3)
	})
}

// crash is the scene of one test.
type crash struct {
	*testing.T
	record  *soak.Run
	program *program                         // that answers
	doors   []*program                       // that take events
	parts   []part                           // those that are killed alone; none where one program is all
	more    func(name, role string) *program // one more process of a role, where roles are apart
	bucket  string                           // folder of the object store
	raw     *raw
	feed    *feed
	truth   *truth
	rng     *rand.Rand // of the one who kills
	how     string     // the last kill
	killed  map[string]int
	slowest time.Duration
	runs    []*wanted
	applied int
	// forgets says that Temporal may have lost the last moments of what it
	// said, and with them a run that had begun: it is asked for again.
	forgets bool
	// busy is held for reading while a request is on its way, until it is
	// acknowledged: who holds it for writing knows that nothing is in doubt.
	busy    sync.RWMutex
	begun   bool         // the producers may go
	quiet   atomic.Bool  // nobody may begin anything new
	refusal atomic.Value // the last error of a request
	refused func(error)  // hears of each; may be nil; set before the first one
}

// wanted is a batch or backfill that was asked for, maybe in vain.
type wanted struct {
	path string
	req  any
	id   string // "" until the program has answered
	done bool
}

// newCrash makes a scene of one program that keeps its state in dir and gets
// more arguments; it is not started.
func newCrash(t *testing.T, record *soak.Run, seed uint64, dir string, more ...string) *crash {
	args := append([]string{"dev"}, freePorts...)
	args = append(args, "--snapshot-every", "700ms", "--seal-every", "400ms")
	p := newProgram(t, dir, append(args, more...)...)
	c := newScene(t, record, seed, filepath.Join(dir, "bucket"), p)
	c.doors = []*program{p}
	return c
}

// newScene makes a scene without its doors.
func newScene(t *testing.T, record *soak.Run, seed uint64, bucket string, program *program) *crash {
	c := &crash{
		T: t, record: record, program: program, bucket: bucket, raw: newRaw(), feed: newFeed(t, rngOf(seed, 1)), truth: newTruth(),
		rng: rngOf(seed, 2), killed: map[string]int{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	// Until the program runs; taken before a producer can be on its way, which
	// would then wait for the program that waits for it.
	c.busy.Lock()
	var producers sync.WaitGroup
	for n := range 3 {
		producers.Go(func() { c.produce(ctx, n, rngOf(seed, uint64(10+n))) })
	}
	producers.Go(func() { c.watch(ctx) })
	t.Cleanup(func() {
		cancel()
		if !c.begun { // the program did not start, and they wait for it
			c.busy.Unlock()
		}
		producers.Wait()
	})
	return c
}

// begin starts the program and lets the producers go.
func (c *crash) begin() {
	c.restart(c.all()...)
	if err := c.apply(); err != nil {
		c.Fatal(err)
	}
	c.slowest = 0
	c.begun = true
	c.busy.Unlock()
}

// apply puts the example in force, without its schedule: every run here is one
// that was asked for. Each time it has another description, so that its rooms
// are closed and opened anew.
func (c *crash) apply() error {
	files, err := readFolder("../../examples/retail")
	if err != nil {
		c.Fatal(err)
	}
	text, _, found := strings.Cut(files["pipeline.yaml"], "\nbatch:")
	if !found {
		c.Fatal("pipeline.yaml of the example has no schedule any more")
	}
	c.applied++
	files["pipeline.yaml"] = strings.Replace(text, "description:", fmt.Sprintf("description: no. %d,", c.applied), 1) + "\n"
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return insist(ctx, func(ctx context.Context) error {
		return c.program.client().JSON(ctx, http.MethodPost, "/v1/pipelines", api.Apply{Files: files}, nil)
	})
}

// produce sends lines until the test ends. What was not acknowledged may have
// come in or not, and is sent again until it is.
func (c *crash) produce(ctx context.Context, n int, rng *rand.Rand) {
	h := &http.Client{Timeout: 5 * time.Second}
	for i := 0; ctx.Err() == nil; i++ {
		for c.quiet.Load() && ctx.Err() == nil {
			pause(ctx, time.Millisecond)
		}
		c.busy.RLock()
		lines := c.feed.take(1 + rng.IntN(120))
		c.truth.trying(lines)
		key, text := fmt.Sprintf("producer%d-%d", n, i), body(lines)
		for tries := i; ctx.Err() == nil; tries++ {
			a, err := c.doors[(n+tries)%len(c.doors)].post(h, key, text)
			if err == nil {
				c.acknowledged(key, lines, a)
				break
			}
			c.refusal.Store(err.Error())
			if c.refused != nil {
				c.refused(err)
			}
			pause(ctx, time.Duration(5+rng.IntN(50))*time.Millisecond)
		}
		c.busy.RUnlock()
		pause(ctx, time.Duration(rng.IntN(15))*time.Millisecond)
	}
}

// acknowledged believes an answer, after a look at its sums.
func (c *crash) acknowledged(key string, lines []line, a api.Answer) {
	bad := 0
	for _, l := range lines {
		if l.code != "" {
			bad++
		}
	}
	if a.Accepted != int64(len(lines)-bad) || a.DeadLettered != int64(bad) {
		c.Errorf("%s: %d accepted and %d dead letters of %d lines, %d of them bad: %v", key, a.Accepted, a.DeadLettered, len(lines), bad, a.Errors)
	}
	c.truth.acknowledged(lines)
}

// watch asks all the time: every answer must have what was acknowledged before
// the question and nothing that was never sent, and its views must agree.
func (c *crash) watch(ctx context.Context) {
	const sql = `SELECT (SELECT sum(lines) FROM retail.day), (SELECT sum(lines) FROM retail.hour), (SELECT sum(lines) FROM retail.country_day), (SELECT sum(lines) FROM retail.product_month)`
	for ctx.Err() == nil {
		least, _ := c.truth.bounds()
		before, began := c.versions(), time.Now()
		if rows, err := queryCSV(ctx, c.program.client(), sql); err == nil && len(rows) == 2 {
			if c.versions() > before {
				c.record.Sometimes("a version published during a query")
			}
			_, most := c.truth.bounds()
			for _, cell := range rows[1] {
				n, err := strconv.ParseInt(cell, 10, 64)
				if cell == "" {
					n, err = 0, nil
				}
				if err != nil || n < least || n > most || cell != rows[1][0] {
					c.Errorf("an answer while all is going on: %v, want %d to %d in each view", rows[1], least, most)
					break
				}
			}
		}
		// As long again as that took: questions are no load for a slow machine.
		pause(ctx, 30*time.Millisecond+time.Since(began))
	}
}

// versions counts the manifests.
func (c *crash) versions() int {
	all, _ := os.ReadDir(filepath.Join(c.bucket, "retail", "manifests"))
	return len(all)
}

// work lets everything go on for a while, with a run or two.
func (c *crash) work() {
	time.Sleep(time.Duration(c.rng.IntN(200)) * time.Millisecond)
	if c.open() < 2 {
		c.ask()
	}
	if c.rng.IntN(4) == 0 {
		if err := c.apply(); err != nil {
			c.Errorf("apply a changed definition: %v", err)
		}
	}
	time.Sleep(time.Duration(c.rng.IntN(500)) * time.Millisecond)
}

// kill ends something of the program at once, and brings it back.
func (c *crash) kill() {
	c.aim()
	if len(c.parts) > 0 {
		c.killPart()
		c.killed[c.how]++
		return
	}
	switch n := c.rng.IntN(20); {
	case n < 3:
		c.how = "of Temporal"
		c.program.killTemporal()
	case n < 5:
		c.how = "by Ctrl-C"
		c.program.interrupt()
		c.restart(c.program)
	case n < 8:
		c.how = "twice, while starting"
		c.program.kill()
		c.died(false)
		c.program.launch()
		time.Sleep(time.Duration(c.rng.IntN(2000)) * time.Millisecond)
		c.program.kill()
		c.restart(c.program)
	default:
		c.how = "with SIGKILL"
		_ = c.program.cmd.Process.Kill() // and not waited for: the next is there at once
		c.died(false)
		c.restart(c.program)
	}
	c.killed[c.how]++
}

// ask starts a nightly or a backfill; whether it did is not known when the
// program does not answer.
func (c *crash) ask() {
	w := &wanted{path: "/v1/pipelines/retail/batches", req: api.StartBatch{Key: fmt.Sprintf("n%d", len(c.runs)), Reason: "crash test"}}
	if len(c.runs) > 2 && c.rng.IntN(3) == 0 {
		w.path = "/v1/pipelines/retail/backfills"
		w.req = api.StartBackfill{From: "2010-12-01", To: "2011-08-31", Key: fmt.Sprintf("b%d", len(c.runs)), Reason: "crash test"}
	}
	c.runs = append(c.runs, w)
	c.startRun(w)
}

func (c *crash) startRun(w *wanted) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var r api.Run
	if err := c.program.client().JSON(ctx, http.MethodPost, w.path, w.req, &r); err == nil {
		w.id = r.ID
	} else if !fault.KindOf(err).Retryable() && ctx.Err() == nil {
		c.Errorf("%s %+v: %v", w.path, w.req, err)
	}
}

// open counts the runs that have not ended, as far as one knows.
func (c *crash) open() (n int) {
	for _, w := range c.runs {
		if !w.done {
			c.look(w)
		}
		if !w.done {
			n++
		}
	}
	return n
}

// look asks how a run is; one that may never have begun is started again under
// its key, which joins it if it did.
func (c *crash) look(w *wanted) (r api.Run) {
	if w.id == "" {
		c.startRun(w)
		return r
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := c.program.client().JSON(ctx, http.MethodGet, "/v1/runs/"+url.PathEscape(w.id), nil, &r); err != nil {
		if c.forgets && fault.Is(err, fault.NotFound) {
			w.id = ""
		}
		return r
	}
	switch r.State {
	case "running":
	case "completed":
		w.done = true
	default:
		c.Fatalf("run %s %s: %s", w.id, r.State, r.Error)
	}
	return r
}

// check compares everything while nothing is in doubt.
func (c *crash) check(when string, verify bool) {
	c.Helper()
	c.checkAt(c.program, when, verify)
}

// checkAt asks one process.
func (c *crash) checkAt(p *program, when string, verify bool) {
	c.Helper()
	c.quiet.Store(true)
	defer c.quiet.Store(false)
	c.until(when+": not everything is acknowledged", c.busy.TryLock)
	defer c.busy.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cl := p.client()
	for _, v := range truths {
		var merged [][]string
		if err := insist(ctx, func(ctx context.Context) (err error) {
			merged, err = queryCSV(ctx, cl, "SELECT * FROM retail."+v.view)
			return err
		}); err != nil {
			c.Fatalf("%s: %v", when, err)
		}
		if _, differing := compareRows(merged, c.truth.table(v.view), v.keys); len(differing) > 0 {
			c.Errorf("%s: retail.%s: %q", when, v.view, differing)
		}
	}
	var l api.Ledger
	if err := insist(ctx, func(ctx context.Context) (err error) {
		if l, err = settledLedger(ctx, cl, "retail"); err == nil && l.InFlight != 0 {
			err = fault.New(fault.Transient, "%d events are in flight", l.InFlight)
		}
		return err
	}); err != nil && l.InFlight == 0 {
		c.Fatalf("%s: ledger: %v", when, err)
	}
	least, _ := c.truth.bounds()
	c.record.Add(soak.Lost, max(0, least-l.Counted))
	c.record.Add(soak.Double, max(0, l.Counted-least))
	if !l.Balanced || l.InFlight != 0 || l.Counted != least || l.Received < c.truth.rows+sum(c.truth.refused) {
		c.Errorf("%s: ledger %+v, but %v", when, l, c.truth)
	}
	for _, codes := range []map[string]int64{l.DeadLettered, c.truth.refused} {
		for code := range codes {
			if l.DeadLettered[code] != c.truth.refused[code] {
				c.Errorf("%s: %d dead letters %s, want %d", when, l.DeadLettered[code], code, c.truth.refused[code])
			}
		}
	}
	if p.said("msg=restored ") {
		c.record.Sometimes("restored from a snapshot")
	}
	if verify {
		c.ids(ctx, when, l.Received-sum(l.DeadLettered))
		var v api.Verification
		if err := cl.JSON(ctx, http.MethodPost, "/v1/pipelines/retail/verify", struct{}{}, &v); err != nil {
			c.Errorf("%s: verify: %v", when, err)
		} else if !v.Equal || v.Distinct != least {
			c.Errorf("%s: verify: %+v", when, v)
		}
	}
	if c.Failed() {
		c.FailNow()
	}
}

// end sends what is left, waits for every run and looks at what they
// published.
func (c *crash) end() {
	c.feed.rest()
	c.until("the lines left are not taken", func() bool { return !c.feed.left() })
	versions := map[uint64]string{}
	for _, w := range c.runs {
		var r api.Run
		for until := time.Now().Add(patience); r.State != "completed"; time.Sleep(200 * time.Millisecond) {
			if time.Now().After(until) {
				c.Fatalf("run %+v does not go on by itself: %+v", *w, r)
			}
			r = c.look(w)
		}
		if r.Manifest == 0 {
			continue // nothing was left to publish
		}
		if other := versions[r.Manifest]; other != "" {
			c.Errorf("%s and %s both say that they published version %d", other, r.ID, r.Manifest)
		}
		versions[r.Manifest] = r.ID
	}
	manifests, err := filepath.Glob(filepath.Join(c.bucket, "retail", "manifests", "*"))
	if err != nil || len(manifests) != len(versions) && !c.forgets || len(manifests) < len(versions) {
		c.Errorf("%d manifests for %d runs that published: %v %v", len(manifests), len(versions), versions, err)
	}
	c.check("at the end", true)
	for _, p := range c.all() {
		p.kill()
	}
	c.restart(c.all()...)
	c.check("after the end", true)
	c.record.Add(soak.Events, int64(len(c.truth.seen)))
	c.record.Add("runs", int64(len(c.runs)))
}

// until waits for what must happen.
func (c *crash) until(what string, is func() bool) {
	c.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			c.Fatalf("%s in %v: %v", what, patience, c.refusal.Load())
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func sum(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}
