package metamorphic

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/internal/soak"
	"anabranch/serving"
	"anabranch/serving/httpapi"
	"anabranch/serving/sql"
)

var (
	swaps = flag.Int("swaps", 100, "versions to publish under the readers of TestOneQueryOneCut")
	reads = flag.Int64("reads", 10_000, "answers that its readers check at least")
)

const (
	// A world grows; a new one is taken after so many swaps.
	swapsOfWorld = 50
	// asksOfSwap is how many answers of the SQL engine are asked for around
	// each swap.
	asksOfSwap = 4
)

// Of the situations that are there to be reached.
const (
	swappedUnder = "version swapped during a query"
	pinnedAgain  = "pinned cut was dropped, pinned again"
	tooEarly     = "published cut not reached by speed yet"
	heldAcross   = "pin read when a newer version answered others"
	snapAcross   = "statements of one snapshot with a swap between them"
	restarted    = "speed restarted under the readers"
	raced        = "two runs raced to publish"
)

// TestOneQueryOneCut reads merged views in four ways while versions are
// published under the readers and generations are dropped: what an answer
// adds up to is always what lies below the position in its receipt.
func TestOneQueryOneCut(t *testing.T) {
	t.Parallel()
	first := *seed
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	}
	record := soak.Open(t, "onecut", first)
	var done int
	var checked int64
	for s := first; done < *swaps || checked < *reads; s++ {
		c := &cutTest{T: t, record: record, rnd: rand.New(rand.NewPCG(s, 21)), swaps: min(swapsOfWorld, max(1, *swaps-done))}
		if !c.play(filepath.Join(t.TempDir(), fmt.Sprint(s))) {
			t.Fatalf("seed %d", s)
		}
		done += c.swaps
		checked += c.checked.Load()
	}
}

// cutTest is one world with its readers.
type cutTest struct {
	*testing.T
	record  *soak.Run
	rnd     *rand.Rand
	swaps   int
	rig     *rig
	mover   *mover
	checked atomic.Int64 // answers
	// Readers pass here, so many before each put of a manifest and as many
	// behind it: reads that nothing happens to show little.
	pins, asks turnstile
	held       atomic.Bool // speed lags until the next version is there
}

// turnstile lets readers pass one by one.
type turnstile chan struct{}

// let lets n readers pass, and waits while those of before have not.
func (t turnstile) let(ctx context.Context, n int) {
	for range n {
		select {
		case t <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// watched is a bucket that calls around each put of a manifest.
type watched struct {
	bucket.Bucket
	around func(published bool)
}

func (w watched) Put(ctx context.Context, name string, body io.ReadSeeker, when bucket.Condition) (string, error) {
	if !strings.Contains(name, "/manifests/") {
		return w.Bucket.Put(ctx, name, body, when)
	}
	w.around(false)
	defer w.around(true)
	return w.Bucket.Put(ctx, name, body, when)
}

// play is false when something was wrong.
func (c *cutTest) play(dir string) bool {
	ctx, cancel := context.WithTimeout(c.Context(), time.Duration(c.swaps)*time.Second+5*time.Minute)
	defer cancel()
	p := onecut
	p.grace = []time.Duration{-1, -1, time.Millisecond, 20 * time.Millisecond, time.Hour}[c.rnd.IntN(5)]
	p.records = 20 + c.rnd.IntN(200)
	ofSwap := max(2, int(*reads) / *swaps)
	c.pins, c.asks = make(turnstile, ofSwap), make(turnstile, asksOfSwap)
	p.bucket = watched{bucket.NewMemory(), func(published bool) {
		if c.held.Load() {
			if !published {
				return // readers may wait for speed: let none pass
			}
			c.held.Store(false)
			time.AfterFunc(rand.N(20*time.Millisecond), func() { c.rig.log.let(nil) })
		}
		c.pins.let(ctx, ofSwap/2)
		c.asks.let(ctx, asksOfSwap/2)
	}}
	r, err := newRig(ctx, p, dir)
	if err != nil {
		c.Error(err)
		return false
	}
	defer r.close()
	c.rig, c.mover = r, newMover(r, rand.New(rand.NewPCG(c.rnd.Uint64(), 1)))
	for range 3 * p.partitions {
		if _, err := c.mover.append(); err != nil {
			c.Error(err)
			return false
		}
	}
	if head, err := r.head(ctx); err != nil || r.speed.Wait(ctx, head) != nil {
		c.Error("the first events are not folded", err)
		return false
	}

	stop, always := make(chan struct{}), make(turnstile)
	close(always)
	var readers sync.WaitGroup
	readerSeed := c.rnd.Uint64()
	failed := make(chan error, 6)
	for i, read := range []func(*reader) error{(*reader).query, (*reader).ask, (*reader).snapshot, (*reader).pin, (*reader).pin, (*reader).pin} {
		pass, from, source := c.asks, r.serving, r.source
		switch i {
		case 3, 4:
			pass = c.pins
		case 5: // is slow, and nobody waits for it
			pass = always
			from, source = r.slowly(100 * time.Millisecond)
		}
		rd := &reader{cutTest: c, ctx: ctx, serving: from, source: source, rnd: rand.New(rand.NewPCG(readerSeed, uint64(i))), parts: parts{}}
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-pass:
				}
				before := r.version.Load()
				if err := read(rd); err != nil {
					failed <- err
					cancel()
					return
				}
				c.checked.Add(1)
				if r.version.Load() != before {
					c.record.Sometimes(swappedUnder)
				}
			}
		})
	}
	err = c.swap()
	close(stop)
	if err != nil {
		cancel()
	}
	readers.Wait()
	select {
	case err = <-failed: // the first one; it broke all others off
	default:
	}
	if err != nil {
		c.Error(err)
		return false
	}
	c.record.Add("swaps", int64(c.swaps))
	c.record.Add("reads", c.checked.Load())
	for range r.speed.dropped.Load() {
		c.record.Sometimes(pinnedAgain)
	}
	for range r.speed.tooEarly.Load() {
		c.record.Sometimes(tooEarly)
	}
	return true
}

// swap publishes versions while events go on.
func (c *cutTest) swap() error {
	r := c.rig
	budget, moved := make(chan struct{}, 64), make(chan error, 1)
	go func() {
		for range budget {
			if _, err := c.mover.append(); err != nil {
				moved <- err
				return
			}
		}
		moved <- nil
	}()
	some := func() {
		for range c.rnd.IntN(8) {
			select {
			case budget <- struct{}{}:
			default: // the mover is behind
			}
		}
	}
	err := func() error {
		for n := range c.swaps {
			some()
			id := fmt.Sprintf("run-%d", n)
			var err error
			switch x := c.rnd.IntN(10); {
			case n > 0 && x == 0:
				err = c.lag(id, some)
			case n == 0 || x < 6:
				err = r.nightly(id, some)
			case x < 9:
				err = r.run(c.backfill(id))
			default: // both: the loser plans again
				c.record.Sometimes(raced)
				other, q := make(chan error, 1), c.backfill(id+"-b")
				go func() { other <- r.run(q) }()
				err = r.nightly(id, some)
				if e := <-other; err == nil {
					err = e
				}
			}
			some()
			if err == nil && c.rnd.IntN(3) > 0 { // else speed learns of it later
				err = r.notice()
			}
			if err == nil && c.rnd.IntN(25) == 0 {
				c.record.Sometimes(restarted)
				err = r.restart(c.rnd.IntN(2) == 0)
			}
			if err != nil {
				return fmt.Errorf("swap %d: %w", n, err)
			}
		}
		return nil
	}()
	close(budget)
	if e := <-moved; err == nil {
		err = e
	}
	return err
}

// lag publishes a version that speed has not reached.
func (c *cutTest) lag(id string, some func()) error {
	head, err := c.rig.head(c.rig.ctx)
	if err != nil {
		return err
	}
	c.rig.log.let(head)
	c.held.Store(true)
	return c.rig.nightly(id, some)
}

func (c *cutTest) backfill(id string) batch.Request {
	q := batch.Request{Kind: batch.Backfill, RunID: id}
	if c.rnd.IntN(2) == 0 {
		from := int32(c.rnd.IntN(pairDays))
		to := from + int32(c.rnd.IntN(pairDays))
		q.From, q.To = &from, &to
	}
	if c.rnd.IntN(2) == 0 {
		q.View = onecut.views[c.rnd.IntN(len(onecut.views))].Name
	}
	return q
}

// reader checks answers, one way of asking after another.
type reader struct {
	*cutTest
	ctx     context.Context
	serving *serving.Serving
	source  *serving.Source
	rnd     *rand.Rand
	parts   parts
	held    *serving.Pin
}

// fresh asks for more than the eventual answer now and then, and tells which
// position the answer has to cover.
func (r *reader) fresh() (serving.Fresh, event.Cut, error) {
	switch r.rnd.IntN(20) {
	case 0:
		head, err := r.rig.head(r.ctx)
		return serving.Fresh{Latest: true}, head, err
	case 1:
		head, err := r.rig.head(r.ctx)
		return serving.Fresh{AtLeast: map[string]event.Cut{r.rig.pipeline: head}}, head, err
	}
	return serving.Fresh{}, nil, nil
}

// same compares what one view adds up to with what lies below at.
func (r *reader) same(how string, at event.Cut, got sums) error {
	want := r.mover.books.at(at)
	if got != want.sums {
		return fmt.Errorf("%s at %v: %+v, want %+v", how, at, got, want.sums)
	}
	return nil
}

func covers(how string, at, asked event.Cut) error {
	if asked != nil && !at.AtLeast(asked) {
		return fmt.Errorf("%s: the answer at %v does not cover %v, which was asked for", how, at, asked)
	}
	return nil
}

var viewNames = []string{"total", "accounts", "days"}

// pin reads the pinned states of all views without SQL.
func (r *reader) pin() error {
	if r.held != nil && r.rig.version.Load() > r.held.Manifest.Version {
		pin := r.held
		r.held = nil
		r.record.Sometimes(heldAcross)
		return r.pinned("a pin of before", pin)
	}
	fresh, asked, err := r.fresh()
	if err != nil {
		return err
	}
	pin, err := r.serving.Pin(r.ctx, r.source, viewNames, fresh)
	if err != nil {
		return err
	}
	if err := covers("a pin", pin.Delta.At, asked); err != nil {
		return err
	}
	if r.held == nil && r.rnd.IntN(50) == 0 {
		r.held = pin
		return nil
	}
	return r.pinned("a pin", pin)
}

func (r *reader) pinned(how string, pin *serving.Pin) error {
	m, d := pin.Manifest, pin.Delta
	how = fmt.Sprintf("%s of version %d at barrier %d", how, m.Version, m.K)
	for _, name := range viewNames {
		result, err := r.parts.merged(r.ctx, r.rig, pin, name)
		if err != nil {
			return err
		}
		var got sums
		n, pair, moved := result.Column("n"), result.Column("pair"), result.Column("moved")
		for i := range result.N {
			row := sums{n.Ints[i], pair.Wide[i].Int64(), moved.Wide[i].Int64()}
			if name == "accounts" && row.pair != 0 {
				return fmt.Errorf("%s at %v: account %s has %+v, and both halves of a pair come in one frame", how, d.At, result.Column("account").Bytes(i), row)
			}
			got.add(row)
		}
		if err := r.same(how+": "+name, d.At, got); err != nil {
			return err
		}
	}
	want := r.mover.books.at(d.At)
	if got := m.Counted + d.Counted; got != want.n {
		return fmt.Errorf("%s at %v: %d events counted, want %d", how, d.At, got, want.n)
	}
	if copies, conflicts := m.Duplicates+d.Duplicates, m.Conflicts+d.Conflicts; copies != want.copies || conflicts != want.conflicts {
		return fmt.Errorf("%s at %v: %d copies and %d conflicts, want %d and %d", how, d.At, copies, conflicts, want.copies, want.conflicts)
	}
	return nil
}

// questions read one view or join several. Each gives n, pair and moved, once
// or several times over, which must all be of one cut.
var questions = []string{
	"SELECT n, pair, moved FROM pairs.total",
	"SELECT sum(n), sum(pair), sum(moved) FROM pairs.accounts",
	"SELECT sum(n), sum(pair), sum(moved) FROM pairs.days",
	`SELECT t.n, t.pair, t.moved, a.n, a.pair, a.moved FROM pairs.total t,
		(SELECT sum(n) AS n, sum(pair) AS pair, sum(moved) AS moved FROM pairs.accounts) a`,
	`SELECT a.n, a.pair, a.moved, d.n, d.pair, d.moved, t.n, t.pair, t.moved FROM
		(SELECT sum(n) AS n, sum(pair) AS pair, sum(moved) AS moved FROM pairs.accounts) a,
		(SELECT sum(n) AS n, sum(pair) AS pair, sum(moved) AS moved FROM pairs.days) d, pairs.total t`,
	"SELECT sum(a.n), sum(b.pair), sum(a.moved) FROM pairs.accounts a JOIN pairs.accounts b USING (account) WHERE a.n = b.n AND a.pair = 0 AND b.pair = 0",
	"SELECT (SELECT n FROM pairs.total), (SELECT sum(pair) FROM pairs.days), (SELECT sum(moved) FROM pairs.accounts)",
}

// row checks the numbers of one answer, three by three.
func (r *reader) row(question string, at event.Cut, row []int64) error {
	for i := 0; i+3 <= len(row); i += 3 {
		if err := r.same(question, at, sums{row[i], row[i+1], row[i+2]}); err != nil {
			return err
		}
	}
	return nil
}

// query asks in SQL.
func (r *reader) query() error {
	question := questions[r.rnd.IntN(len(questions))]
	fresh, asked, err := r.fresh()
	if err != nil {
		return err
	}
	answer, err := r.rig.engine.Query(r.ctx, sql.Request{SQL: question, Fresh: fresh})
	if err != nil {
		return fmt.Errorf("%s: %w", question, err)
	}
	defer answer.Close()
	values, err := answer.Next()
	if err != nil || values == nil {
		return fmt.Errorf("%s: no row: %w", question, err)
	}
	row := make([]int64, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case int64:
			row[i] = v
		case *big.Int:
			row[i] = v.Int64()
		default:
			return fmt.Errorf("%s: column %d is a %T", question, i, v)
		}
	}
	receipt := answer.Receipt.Pipelines[r.rig.pipeline]
	if err := covers(question, receipt.At, asked); err != nil {
		return err
	}
	if got, want := receipt.RowsBatch+receipt.RowsSpeed, r.mover.books.at(receipt.At).n; got != want {
		return fmt.Errorf("%s at %v: the receipt says %d rows, want %d", question, receipt.At, got, want)
	}
	r.record.Add("in SQL", 1)
	return r.row(question, receipt.At, row)
}

// ask asks over HTTP.
func (r *reader) ask() error {
	question := questions[r.rnd.IntN(len(questions))]
	consistency := "eventual"
	var asked event.Cut
	var err error
	if r.rnd.IntN(10) == 0 {
		consistency = "latest"
		if asked, err = r.rig.head(r.ctx); err != nil {
			return err
		}
	}
	body, err := json.Marshal(map[string]string{"sql": question, "consistency": consistency})
	if err != nil {
		return err
	}
	w := httptest.NewRecorder()
	httpapi.Query(r.rig.engine, httpapi.Options{}).ServeHTTP(w, httptest.NewRequestWithContext(r.ctx, http.MethodPost, "/v1/query", strings.NewReader(string(body))))
	if w.Code != http.StatusOK {
		return fmt.Errorf("%s: %d %s", question, w.Code, w.Body)
	}
	var answer struct {
		Rows    [][]int64
		Receipt serving.Receipt
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Rows) != 1 {
		return fmt.Errorf("%s: %s: %w", question, w.Body, err)
	}
	at := answer.Receipt.Pipelines[r.rig.pipeline].At
	if err := covers(question, at, asked); err != nil {
		return err
	}
	r.record.Add("over HTTP", 1)
	return r.row(question+" over HTTP", at, answer.Rows[0])
}

// snapshot reads several times from one cut.
func (r *reader) snapshot() error {
	fresh, asked, err := r.fresh()
	if err != nil {
		return err
	}
	snapshot, err := r.rig.engine.Snapshot(r.ctx, r.rig.source, append([]string(nil), viewNames...), fresh)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	receipt := snapshot.Receipt.Pipelines[r.rig.pipeline]
	if err := covers("a snapshot", receipt.At, asked); err != nil {
		return err
	}
	before := r.rig.version.Load()
	for range 3 {
		for _, name := range viewNames {
			rows, err := snapshot.Read(r.ctx, name)
			if err != nil {
				return err
			}
			var got sums
			for i := range rows.N {
				got.add(sums{rows.Column("n").Ints[i], rows.Column("pair").Wide[i].Int64(), rows.Column("moved").Wide[i].Int64()})
			}
			if err := r.same("a snapshot: "+name, receipt.At, got); err != nil {
				return err
			}
		}
		r.record.Add("in snapshots", 3)
	}
	if r.rig.version.Load() != before {
		r.record.Sometimes(snapAcross)
	}
	return nil
}
