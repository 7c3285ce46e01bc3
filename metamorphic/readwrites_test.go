package metamorphic

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/ingest"
	"anabranch/internal/soak"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/serving/sql"
)

var histories = flag.Int("histories", 12, "histories of sends and reads that TestReadYourWrites checks")

// Each account has a counter (how many deposits, and their sum) and a register
// (the amount of the deposit with the highest number).
var deposits = plan{
	pipeline: "deposits",
	schema: `{"type":"record","name":"Deposit","fields":[
		{"name":"account","type":"string"},
		{"name":"id","type":"string"},
		{"name":"ts","type":{"type":"long","logicalType":"local-timestamp-micros"}},
		{"name":"number","type":"long"},
		{"name":"amount","type":"long"}]}`,
	time: "ts",
	views: []View{
		{Name: "counters", SQL: "SELECT account, count(*) AS n, sum(amount) AS total FROM events GROUP BY ALL"},
		{Name: "registers", SQL: "SELECT account, max(number) AS number, arg_max(amount, number) AS last FROM events GROUP BY ALL"},
	},
	partitions: 2,
}

const (
	depositors     = 3
	clientsOfBook  = 5
	clientActions  = 24
	crashedDuring  = "speed came back from a snapshot during the history"
	killedDuring   = "speed was killed during the history"
	swappedDuring  = "version swapped during a read"
	sendLost       = "a send nobody knows the end of"
	sentAgain      = "a deposit sent again later"
	fellBack       = "speed fell back behind what a reader had seen"
	readConcurrent = "read while a send was under way"
)

// book is what one account holds: the state of the model, and the answer of a
// read.
type book struct{ n, total, number, last int64 }

// deposit is what a send does to it.
type deposit struct {
	account        int
	number, amount int64
}

func (b book) with(d deposit) book {
	b.n, b.total = b.n+1, b.total+d.amount
	if d.number > b.number {
		b.number, b.last = d.number, d.amount
	}
	return b
}

// asked is a read of one account.
type asked struct{ account int }

var bookModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byAccount := make([][]porcupine.Operation, depositors)
		for _, op := range history {
			var a int
			switch in := op.Input.(type) {
			case deposit:
				a = in.account
			case asked:
				a = in.account
			}
			byAccount[a] = append(byAccount[a], op)
		}
		return byAccount
	},
	Init: func() any { return book{} },
	Step: func(state, input, output any) (bool, any) {
		if d, ok := input.(deposit); ok {
			return true, state.(book).with(d)
		}
		return state == output, state
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// TestReadYourWrites lets clients send deposits and read accounts while
// versions are swapped and speed dies and comes back. Reads that ask for the
// latest, and reads that hand in the receipts of all that was acknowledged or
// answered before, are linearizable with the sends; so says porcupine, which
// knows nothing of positions. Reads that hand in the receipt of the answer
// before never go back, and those that ask for nothing do not while speed lives.
func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	first := *seed
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	}
	record := soak.Open(t, "readwrites", first)
	for s := first; s < first+uint64(*histories); s++ {
		h := &history{T: t, record: record, rnd: rand.New(rand.NewPCG(s, 22))}
		if err := h.play(filepath.Join(t.TempDir(), fmt.Sprint(s))); err != nil {
			t.Fatalf("seed %d: %v\nagain: go test ./metamorphic -run ReadYourWrites -args -histories 1 -seed %d", s, err, s)
		}
	}
}

// history is one run of some clients.
type history struct {
	*testing.T
	record  *soak.Run
	rnd     *rand.Rand
	rig     *rig
	gateway *ingest.Gateway
	began   time.Time
	lives   atomic.Int64 // of speed; odd while one ends and the next begins
	sending atomic.Int64

	mu         sync.Mutex // guards what follows
	operations []porcupine.Operation
	known      event.Cut // what acknowledgements and answers have shown so far
}

func (h *history) now() int64 { return time.Since(h.began).Nanoseconds() }

// learn notes what somebody has seen.
func (h *history) learn(at event.Cut) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for p, offset := range at {
		for len(h.known) <= p {
			h.known = append(h.known, 0)
		}
		h.known[p] = max(h.known[p], offset)
	}
}

func (h *history) note(op porcupine.Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, op)
}

func (h *history) play(dir string) error {
	ctx, cancel := context.WithTimeout(h.Context(), 10*time.Minute)
	defer cancel()
	p := deposits
	p.bucket = bucket.NewMemory()
	p.grace = []time.Duration{-1, time.Millisecond, time.Hour}[h.rnd.IntN(3)]
	p.records = 1 + h.rnd.IntN(30)
	r, err := newRig(ctx, p, dir)
	if err != nil {
		return err
	}
	defer r.close()
	h.rig, h.began = r, time.Now()
	log := &flaky{Log: r.log.Log, every: int64(2 + h.rnd.IntN(6)), lost: make([]atomic.Bool, p.partitions)}
	log.full.Store(math.MaxInt64) // never
	h.gateway, err = ingest.New(ingest.Options{
		Pipeline: p.pipeline, Schema: r.set.Newest(), Letters: deadletter.New(p.bucket, p.pipeline),
		Identity: schemas.Identity{Fields: []string{"id"}, Key: []string{"account"}, Time: "ts"},
		Log:      log, RetryAfter: time.Microsecond,
		Linger: []time.Duration{-1, 200 * time.Microsecond}[h.rnd.IntN(2)],
	})
	if err != nil {
		return err
	}
	if err := h.gateway.Start(ctx); err != nil {
		return err
	}
	defer h.gateway.Stop()

	var clients sync.WaitGroup
	failed := make(chan error, clientsOfBook)
	clientSeed := h.rnd.Uint64()
	for n := range clientsOfBook {
		c := &client{history: h, ctx: ctx, number: n, rnd: rand.New(rand.NewPCG(clientSeed, uint64(n))), parts: parts{}, serving: r.serving, source: r.source}
		if n == 0 {
			c.serving, c.source = r.slowly(5 * time.Millisecond)
		}
		clients.Go(func() {
			for range clientActions {
				if err := c.act(); err != nil {
					failed <- fmt.Errorf("client %d: %w", n, err)
					cancel()
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		clients.Wait()
		close(done)
	}()
	err = h.disturb(done)
	if err != nil {
		cancel()
	}
	<-done
	select {
	case err = <-failed:
	default:
	}
	if err != nil {
		return err
	}
	return h.check()
}

// check asks porcupine.
func (h *history) check() error {
	h.record.Add("histories", 1)
	h.record.Add("operations", int64(len(h.operations)))
	switch result, info := porcupine.CheckOperationsVerbose(bookModel, h.operations, time.Minute); result {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		h.record.Add("undecided", 1)
		return nil
	default:
		for _, op := range h.operations {
			h.Logf("client %d from %d to %d: %+v: %+v %v", op.ClientId, op.Call, op.Return, op.Input, op.Output, op.Metadata)
		}
		picture := filepath.Join(h.rig.dir, "history.html")
		return errors.Join(fmt.Errorf("a history of %d operations is not linearizable: %s", len(h.operations), picture), porcupine.VisualizePath(bookModel, info, picture))
	}
}

// disturb swaps versions and ends speed until the clients are done.
func (h *history) disturb(done <-chan struct{}) error {
	r := h.rig
	for n := 0; ; n++ {
		select {
		case <-done:
			return nil
		default:
		}
		id := fmt.Sprintf("run-%d", n)
		var err error
		switch x := h.rnd.IntN(10); {
		case x < 3 || r.version.Load() == 0:
			err = r.nightly(id, func() {})
		case x < 5:
			err = r.run(batch.Request{Kind: batch.Backfill, RunID: id})
		case x < 6:
			r.sealer.Stop()
			err = r.startSealer()
		case x < 7:
			err = r.speed.now.Load().Snapshot(r.ctx)
		default:
			kill := x == 9
			h.lives.Add(1)
			if kill { // and takes its time to catch up
				r.log.let(make(event.Cut, r.partitions))
				time.AfterFunc(rand.N(10*time.Millisecond), func() { r.log.let(nil) })
			}
			err = r.restart(kill)
			h.lives.Add(1)
			if kill {
				h.record.Sometimes(killedDuring)
			} else {
				h.record.Sometimes(crashedDuring)
			}
		}
		if err == nil && h.rnd.IntN(3) > 0 {
			err = r.notice()
		}
		if err != nil {
			return err
		}
	}
}

// client sends and reads, one thing after the other.
type client struct {
	*history
	ctx     context.Context
	number  int
	serving *serving.Serving
	source  *serving.Source
	rnd     *rand.Rand
	parts   parts
	sent    []string // bodies that were acknowledged
	last    int64    // number of its last deposit
	own     [depositors]book

	life int64 // of speed, at the last eventual read
	at   event.Cut
	seen [depositors]book
}

func (c *client) act() error {
	switch x := c.rnd.IntN(20); {
	case x < 8:
		return c.send()
	case x < 9 && len(c.sent) > 0:
		return c.again()
	case x < 12:
		return c.read(c.now(), serving.Fresh{Latest: true})
	case x < 16:
		// As one who was handed the receipts of all others, up to now.
		now := c.now()
		c.mu.Lock()
		known := c.known.Clone()
		c.mu.Unlock()
		return c.read(now, serving.Fresh{AtLeast: map[string]event.Cut{c.rig.pipeline: known}})
	}
	return c.eventual()
}

// send makes a deposit. One in a few clients goes away before it is answered.
func (c *client) send() error {
	c.last += 1 + c.rnd.Int64N(3)
	d := deposit{c.rnd.IntN(depositors), c.last*clientsOfBook + int64(c.number), 1 + c.rnd.Int64N(1<<40)}
	body := fmt.Sprintf(`{"account":"account %d","id":"%d-%d","ts":"2026-01-0%dT00:00:00","number":%d,"amount":%d}`, d.account, c.number, c.last, 1+c.rnd.IntN(5), d.number, d.amount)
	ctx, cancel := c.ctx, context.CancelFunc(func() {})
	if c.rnd.IntN(10) == 0 {
		ctx, cancel = context.WithTimeout(ctx, rand.N(300*time.Microsecond))
	}
	defer cancel()
	op := porcupine.Operation{ClientId: c.number, Input: d, Call: c.now()}
	c.sending.Add(1)
	answer, err := c.gateway.Accept(ctx, strings.NewReader(body), ingest.Meta{})
	c.sending.Add(-1)
	switch {
	case err != nil && c.ctx.Err() == nil && ctx.Err() != nil:
		c.record.Sometimes(sendLost)
		op.Return = math.MaxInt64 // it may still happen, or never
		c.note(op)
		return nil
	case err != nil:
		return err
	case answer.Accepted != 1:
		return fmt.Errorf("send %s: %+v", body, answer)
	}
	c.sent = append(c.sent, body)
	if err := c.learnReceipt(answer.Receipt); err != nil {
		return err
	}
	c.own[d.account] = c.own[d.account].with(d)
	op.Return = c.now() // from now on all others know of it
	c.note(op)
	// And its own receipt is enough for its own deposits.
	if c.rnd.IntN(2) == 0 {
		return c.yourWrites(answer.Receipt, d)
	}
	return nil
}

// learnReceipt reads a gateway's receipt as a query does.
func (c *client) learnReceipt(r ingest.Receipt) error {
	at, err := atLeast(r)
	if err == nil {
		c.learn(at[c.rig.pipeline])
	}
	return err
}

func atLeast(receipt any) (map[string]event.Cut, error) {
	text, err := json.Marshal(receipt)
	if err != nil {
		return nil, err
	}
	return serving.ParseAtLeast(string(text))
}

// yourWrites reads with no more than the receipt of one's own last send.
func (c *client) yourWrites(r ingest.Receipt, d deposit) error {
	at, err := atLeast(r)
	if err != nil {
		return err
	}
	got, _, err := c.ask(serving.Fresh{AtLeast: at})
	if err != nil {
		return err
	}
	if b, own := got[d.account], c.own[d.account]; b.n < own.n || b.number < d.number || b.number == d.number && b.last != d.amount {
		return fmt.Errorf("handed in %v, and account %d has %+v without %+v", at, d.account, b, d)
	}
	return nil
}

// again sends a deposit of before once more, now and then with another amount.
func (c *client) again() error {
	body := c.sent[c.rnd.IntN(len(c.sent))]
	if c.rnd.IntN(3) == 0 {
		body = strings.Replace(body, `"amount":`, `"amount":1`, 1)
	}
	c.record.Sometimes(sentAgain)
	answer, err := c.gateway.Accept(c.ctx, strings.NewReader(body), ingest.Meta{})
	if err != nil {
		return err
	}
	return c.learnReceipt(answer.Receipt)
}

// read reads one account and notes it for porcupine.
func (c *client) read(call int64, fresh serving.Fresh) error {
	a := c.rnd.IntN(depositors)
	if c.sending.Load() > 0 {
		c.record.Sometimes(readConcurrent)
	}
	op := porcupine.Operation{ClientId: c.number, Input: asked{a}, Call: call}
	version := c.rig.version.Load()
	got, at, err := c.ask(fresh)
	if err != nil {
		return err
	}
	op.Output = got[a]
	op.Metadata = fmt.Sprintf("%v at %v", fresh, at)
	if c.rig.version.Load() != version {
		c.record.Sometimes(swappedDuring)
	}
	c.learn(at)
	op.Return = c.now() // from now on all others know
	c.note(op)
	return nil
}

// eventual reads without asking for anything, and does not go back while speed
// lives; or hands in the receipt of the answer before, and never goes back.
func (c *client) eventual() error {
	life, fresh, session := c.lives.Load(), serving.Fresh{}, false
	if c.at != nil && c.rnd.IntN(2) == 0 {
		session = true
		at, err := atLeast(serving.Receipt{Pipelines: map[string]serving.PipelineReceipt{c.rig.pipeline: {At: c.at}}})
		if err != nil {
			return err
		}
		fresh.AtLeast = at
	}
	got, at, err := c.ask(fresh)
	if err != nil {
		return err
	}
	lived := life%2 == 0 && life == c.life && life == c.lives.Load()
	back := c.at != nil && !at.AtLeast(c.at)
	for a, b := range got {
		back = back || b.n < c.seen[a].n || b.number < c.seen[a].number
	}
	if back && (lived || session) {
		return fmt.Errorf("%+v at %v after %+v at %v", got, at, c.seen, c.at)
	}
	if back {
		c.record.Sometimes(fellBack)
	}
	c.life, c.at, c.seen = life, at, got
	return nil
}

// ask answers for all accounts, in SQL now and then.
func (c *client) ask(fresh serving.Fresh) (books [depositors]book, at event.Cut, err error) {
	for {
		if c.rnd.IntN(6) == 0 {
			books, at, err = c.inSQL(fresh)
		} else {
			books, at, err = c.pinned(fresh)
		}
		if err == nil || !fault.Is(err, fault.Transient) || c.ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return books, at, err
	}
	if asked := fresh.AtLeast[c.rig.pipeline]; !at.AtLeast(asked) {
		return books, at, fmt.Errorf("the answer at %v does not cover %v", at, asked)
	}
	return books, at, nil
}

func (c *client) pinned(fresh serving.Fresh) (books [depositors]book, at event.Cut, err error) {
	pin, err := c.serving.Pin(c.ctx, c.source, []string{"counters", "registers"}, fresh)
	if err != nil {
		return books, nil, err
	}
	counters, err := c.parts.merged(c.ctx, c.rig, pin, "counters")
	if err != nil {
		return books, nil, err
	}
	registers, err := c.parts.merged(c.ctx, c.rig, pin, "registers")
	if err != nil {
		return books, nil, err
	}
	for i := range counters.N {
		b := &books[accountOf(counters, i)]
		b.n, b.total = counters.Column("n").Ints[i], counters.Column("total").Wide[i].Int64()
	}
	for i := range registers.N {
		b := &books[accountOf(registers, i)]
		b.number, b.last = registers.Column("number").Ints[i], registers.Column("last").Ints[i]
	}
	return books, pin.Delta.At, nil
}

func accountOf(b *event.Batch, i int) int {
	text := b.Column("account").Bytes(i)
	return int(text[len(text)-1] - '0')
}

func (c *client) inSQL(fresh serving.Fresh) (books [depositors]book, at event.Cut, err error) {
	answer, err := c.rig.engine.Query(c.ctx, sql.Request{SQL: `SELECT c.account, n, total, number, last
		FROM deposits.counters c FULL JOIN deposits.registers r USING (account)`, Fresh: fresh})
	if err != nil {
		return books, nil, err
	}
	defer answer.Close()
	for {
		row, err := answer.Next()
		if err != nil || row == nil {
			return books, answer.Receipt.Pipelines[c.rig.pipeline].At, err
		}
		name, ok := row[0].(string)
		if !ok {
			return books, nil, fmt.Errorf("two views of one query at different cuts: %v", row)
		}
		b := &books[name[len(name)-1]-'0']
		b.n, b.total, b.number, b.last = row[1].(int64), row[2].(*big.Int).Int64(), row[3].(int64), row[4].(int64)
	}
}
