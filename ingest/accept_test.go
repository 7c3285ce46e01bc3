package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/schemas"
	"anabranch/stream"
)

func TestAnswerIsExact(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tb := setup(t, func(o *Options) {
		o.Clock = clock.NewManual(now)
		o.Rules = []Rule{
			{Code: "test_shop", Action: schemas.ActionFilter, Matches: when(func(b *event.Batch, i int) (bool, error) {
				return string(b.Column("customer").Bytes(i)) == "test", nil
			})},
			{Code: "zero", Message: "nothing sold", Action: schemas.ActionDeadLetter, Matches: quantityIs(0)},
		}
	})
	lines := []string{
		sale("a", "ann", 1),
		`{"id":"b","customer":"bob","quantity":"many"}` + "\n", // 2: wrong type
		sale("c", "cyd", 0),   // 3: rejected
		sale("d", "test", 0),  // 4: the filter comes first, so it is accepted
		"not json at all\n",   // 5
		sale("e", "ann", 2),   // 6
		sale("a", "ann", 1),   // 7: a duplicate, for others to find
		`{"customer":"fred"}`, // 8: no id, no line end
	}
	a := tb.accept(t, strings.Join(lines, ""), Meta{Request: "r1", Source: "sales.ndjson", Trace: [16]byte{9}})
	if a.Accepted != 4 || a.DeadLettered != 4 || a.ErrorsTotal != 4 || a.Request != "r1" || a.Receipt.Pipeline != "shop" {
		t.Fatalf("%+v", a)
	}
	log := readLog(t, tb.log, tb.schema)
	log.checkSequences(t)
	if want := []string{"a", "d", "e"}; !slices.Equal(sorted(log.ids), want) || len(log.ids["a"]) != 2 {
		t.Fatalf("in the log: %v", log.ids)
	}
	var last []string
	for _, p := range []event.Position{log.ids["a"][1], log.ids["d"][0]} {
		last = append(last, p.String())
	}
	slices.Sort(last)
	if !slices.Equal(a.Receipt.Positions, last) {
		t.Fatalf("positions %v, want %v", a.Receipt.Positions, last)
	}
	letters := listLetters(t, tb.letters)
	if len(letters) != 4 || len(a.Errors) != 4 {
		t.Fatalf("letters %+v\nerrors %+v", letters, a.Errors)
	}
	for i, line := range []int{2, 3, 5, 8} {
		l, e := letters[i], a.Errors[i]
		if l.Line != line || e.Line != line || e.Code != l.Code || e.Message != l.Message || e.Message == "" || e.Column != l.Column || e.Field != l.Field {
			t.Errorf("letter %+v, error %+v: want line %d", l, e, line)
		}
		if string(l.Raw) != strings.TrimSuffix(lines[line-1], "\n") {
			t.Errorf("line %d: letter holds %q", line, l.Raw)
		}
		if l.Source != "sales.ndjson" || l.Kind != "poison" || !l.Received.Equal(now) || l.SchemaVersion != 7 || l.Pipeline != "shop" {
			t.Errorf("letter %+v", l)
		}
	}
	if letters[1].Code != "zero" || letters[1].Message != "nothing sold" || letters[0].Code != schemas.CodeWrongType || letters[0].Field != "quantity" {
		t.Errorf("letters %+v", letters)
	}
	for _, headers := range log.headers {
		for _, h := range headers {
			if h.Ingested != now.UnixMicro() || h.Trace != [16]byte{9} || h.Producer != "g" {
				t.Errorf("header %+v", h)
			}
		}
	}
}

func TestNothingToTakeIsAnAnswerToo(t *testing.T) {
	t.Parallel()
	tb := setup(t, nil)
	for body, dead := range map[string]int{"": 0, "\n\n": 0, "garbage": 1, "{}\n{}": 2} {
		a := tb.accept(t, body, Meta{})
		if a.Accepted != 0 || a.DeadLettered != dead || a.Receipt.Positions == nil || len(a.Receipt.Positions) != 0 || a.Request == "" {
			t.Errorf("%q: %+v", body, a)
		}
	}
}

func TestErrorsAreListedUpToALimit(t *testing.T) {
	t.Parallel()
	tb := setup(t, nil)
	const n = 2*partLetters + 17
	body := strings.Repeat("bad\n", n)
	for range 2 { // a repetition replaces the parts of the attempt before
		a := tb.accept(t, body, Meta{Request: "many"})
		if a.DeadLettered != n || a.ErrorsTotal != n || len(a.Errors) != MaxErrors {
			t.Fatalf("%d dead letters, %d errors, %d listed", a.DeadLettered, a.ErrorsTotal, len(a.Errors))
		}
	}
	counts, err := tb.letters.Counts(t.Context())
	if err != nil || counts[schemas.CodeMalformed] != n {
		t.Fatalf("%v %v", counts, err)
	}
}

func TestARuleThatFailsLetsNothingThrough(t *testing.T) {
	t.Parallel()
	overflow := when(func(b *event.Batch, i int) (bool, error) {
		if q := b.Column("quantity").Ints[i]; q > 100 {
			return true, fault.New(fault.Invalid, "overflow")
		} else {
			return q == 7, nil
		}
	})
	tb := setup(t, func(o *Options) {
		o.Rules = []Rule{
			{Code: "three", Action: schemas.ActionFilter, Matches: quantityIs(300)},
			{Code: "seven", Action: schemas.ActionDeadLetter, Matches: overflow},
			{Code: "later", Action: schemas.ActionDeadLetter, Matches: quantityIs(200)},
		}
	})
	a := tb.accept(t, sale("a", "x", 1)+sale("b", "x", 200)+sale("c", "x", 7)+sale("d", "x", 300), Meta{})
	if a.Accepted != 2 || len(a.Errors) != 2 || a.Errors[0].Code != CodeRuleFailed || !strings.Contains(a.Errors[0].Message, "seven") || a.Errors[1].Code != "seven" {
		t.Fatalf("%+v", a)
	}
	if log := readLog(t, tb.log, tb.schema); !slices.Equal(sorted(log.ids), []string{"a", "d"}) {
		t.Fatalf("%v", log.ids)
	}
}

func TestLinger(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(time.Unix(1000, 0))
	tb := setup(t, func(o *Options) { o.Clock, o.Linger = manual, 5*time.Millisecond })
	answers := make(chan Answer, 1)
	send := func(body string) {
		go func() {
			a, err := tb.Accept(t.Context(), strings.NewReader(body), Meta{})
			if err != nil {
				t.Error(err)
			}
			answers <- a
		}()
	}
	gathered := func(n int) {
		t.Helper()
		until(t, fmt.Sprintf("%d rows are in a growing frame", n), func() bool {
			for _, p := range tb.parts {
				p.mu.Lock()
				rows := p.builder.Len()
				p.mu.Unlock()
				if rows == n {
					return true
				}
			}
			return false
		})
	}
	send(sale("a", "ann", 1))
	gathered(1)
	manual.Advance(4 * time.Millisecond)
	send(sale("b", "ann", 1)) // joins the frame and does not make it wait longer
	gathered(2)
	if len(answers) > 0 {
		t.Fatalf("answered before its time: %+v", <-answers)
	}
	manual.Advance(time.Millisecond)
	<-answers
	<-answers
	log := readLog(t, tb.log, tb.schema)
	if len(log.at) != 2 || log.ids["a"][0].Offset != log.ids["b"][0].Offset {
		t.Fatalf("%v", log.ids)
	}

	// A frame that has no room for the next row does not wait.
	large := func(id string) string {
		return fmt.Sprintf(`{"id":%q,"customer":"ann","quantity":1,"note":%q}`+"\n", id, strings.Repeat(id, 600<<10))
	}
	send(large("c") + large("d"))
	until(t, "the first of the large rows is in the log", func() bool { return len(readLog(t, tb.log, tb.schema).ids["c"]) == 1 })
	gathered(1)
	manual.Advance(5 * time.Millisecond)
	<-answers
}

func TestFrameSizes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 300, 4 << 10, 1 << 20, 4 << 20} {
		tb := setup(t, func(o *Options) { o.FrameBytes = size })
		var body bytes.Buffer
		body.WriteString(sales("s", 500))
		for i := range 3 { // rows larger than most frames
			fmt.Fprintf(&body, `{"id":"l%d","customer":"ann","quantity":1,"note":%q}`+"\n", i, strings.Repeat("n", 900<<10))
		}
		a := tb.accept(t, body.String(), Meta{})
		log := readLog(t, tb.log, tb.schema)
		if a.Accepted != 503 || len(log.at) != 503 || len(log.ids) != 503 {
			t.Fatalf("frames of %d: %d accepted, %d in the log", size, a.Accepted, len(log.at))
		}
		log.checkSequences(t)
		for _, bodies := range log.bodies {
			for _, b := range bodies {
				if len(b) > size+1<<20+64<<10 {
					t.Errorf("frame of %d bytes, asked for %d", len(b), size)
				}
			}
		}
		if used := tb.waiting.inUse() + tb.working.inUse(); used != 0 {
			t.Errorf("%d bytes were never given back", used)
		}
	}
}

func TestConcurrentRequests(t *testing.T) {
	t.Parallel()
	tb := setup(t, func(o *Options) { o.FrameBytes = 4 << 10; o.MaxInFlight = 2 * minInFlight; o.Linger = time.Microsecond })
	const senders, each = 16, 12
	results := make(chan Answer, senders*each)
	want := map[string]bool{}
	for s := range senders {
		for i := range each {
			for n := range 1 + 7*i {
				want[fmt.Sprintf("%d-%d-%d", s, i, n)] = true
			}
		}
		go func() {
			for i := range each {
				body := sales(fmt.Sprintf("%d-%d-", s, i), 1+7*i) + "bad\n"
				a, err := tb.Accept(t.Context(), strings.NewReader(body), Meta{Size: int64(len(body))})
				if err != nil || a.Accepted != 1+7*i || a.DeadLettered != 1 {
					t.Errorf("%+v %v", a, err)
				}
				results <- a
			}
		}()
	}
	var answers []Answer
	for range senders * each {
		answers = append(answers, <-results)
	}
	log := readLog(t, tb.log, tb.schema)
	log.checkSequences(t)
	if len(log.at) != len(want) || len(log.ids) != len(want) {
		t.Fatalf("%d rows of %d ids in the log, want %d", len(log.at), len(log.ids), len(want))
	}
	for id := range want {
		if len(log.ids[id]) != 1 {
			t.Fatalf("%s stands at %v", id, log.ids[id])
		}
	}
	for _, a := range answers {
		last := map[int32]event.Position{}
		prefix := ""
		for _, text := range a.Receipt.Positions {
			p, err := event.ParsePosition(text)
			if err != nil {
				t.Fatal(err)
			}
			id := log.at[p]
			prefix = id[:strings.LastIndex(id, "-")+1]
			last[p.Partition] = p
		}
		for id, at := range log.ids {
			if strings.HasPrefix(id, prefix) && at[0].Compare(last[at[0].Partition]) > 0 {
				t.Fatalf("receipt %v does not cover %s at %v", a.Receipt.Positions, id, at[0])
			}
		}
	}
	if n := len(listLetters(t, tb.letters)); n != senders*each {
		t.Fatalf("%d letters", n)
	}
}

// TestFailTheNth fails the n-th append or put, before or after its effect,
// for n = 0, 1, 2, ... until nothing fails, and repeats the request as a
// producer would: what was acknowledged is there, and nothing is there twice
// but under one id.
func TestFailTheNth(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	var good []string
	for i := range 60 {
		id := fmt.Sprint("e", i)
		if i%5 == 4 {
			fmt.Fprintf(&body, "bad %d\n", i)
			continue
		}
		good = append(good, id)
		body.WriteString(sale(id, fmt.Sprint("c", i%7), i))
	}
	slices.Sort(good)
	for _, c := range []struct {
		name    string
		kind    fault.Kind
		after   bool // the operation had its effect
		retries int
	}{
		{"refused", fault.Transient, false, -1},
		{"lost answer", fault.Transient, true, -1},
		{"refused once", fault.Transient, false, 3},
		{"lost answer once", fault.Throttled, true, 3},
		{"full", fault.Full, false, 3},
		{"denied", fault.Denied, true, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			failed := 0
			for n := 0; ; n++ {
				h, count := &hooked{}, 0
				fail := func(context.Context) (before, after error) {
					h.mu.Lock()
					defer h.mu.Unlock()
					count++
					if count-1 != n {
						return nil, nil
					}
					err := fault.New(c.kind, "operation %d fails", n)
					if c.after {
						return nil, err
					}
					return err, nil
				}
				h.onAppend, h.onPut = fail, fail
				tb := setup(t, func(o *Options) {
					h.Log, h.Letters = o.Log, o.Letters
					o.Log, o.Letters = h, h
					o.FrameBytes, o.Retries = 512, c.retries
				})
				a, err := tb.Accept(t.Context(), strings.NewReader(body.String()), Meta{Request: "r"})
				if err != nil {
					failed++
					if !strings.Contains(err.Error(), "repeat") || fault.KindOf(err) != c.kind {
						t.Fatalf("operation %d: %s: %v", n, kindAndCode(err), err)
					}
					until(t, "what was taken is settled", func() bool { return tb.waiting.inUse() == 0 })
					tb.fullUntil.Store(0)
					a = tb.accept(t, body.String(), Meta{Request: "r"})
				}
				if a.Accepted != 48 || a.DeadLettered != 12 {
					t.Fatalf("operation %d: %+v", n, a)
				}
				log := readLog(t, tb.log, tb.schema)
				log.checkSequences(t)
				if !slices.Equal(sorted(log.ids), good) {
					t.Fatalf("operation %d: in the log %v", n, sorted(log.ids))
				}
				if err == nil && !c.after && len(log.at) != 48 {
					t.Fatalf("operation %d: %d rows for %d events, and nothing failed", n, len(log.at), len(good))
				}
				if got := len(listLetters(t, tb.letters)); got != 12 {
					t.Fatalf("operation %d: %d letters, want 12", n, got)
				}
				tb.Stop()
				if count <= n {
					break // nothing failed any more
				}
			}
			if failed == 0 && c.retries < 0 {
				t.Fatal("no failure reached the sender")
			}
		})
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(time.Unix(1000, 0))
	tb := setup(t, func(o *Options) { o.Clock = manual })
	tb.store.Limit(2000)
	n, err := 0, error(nil)
	for ; err == nil && n < 100; n++ {
		_, err = tb.Accept(t.Context(), strings.NewReader(sale(fmt.Sprint(n), "ann", 1)), Meta{})
	}
	if kindAndCode(err) != "full log_full" || RetryAfter(err) <= 0 || n < 2 {
		t.Fatalf("request %d: %s: %v", n, kindAndCode(err), err)
	}
	// For a moment nothing is read at all.
	_, err = tb.Accept(t.Context(), noReader{t}, Meta{})
	if kindAndCode(err) != "full log_full" || RetryAfter(err) != fullPause {
		t.Fatalf("%s: %v", kindAndCode(err), err)
	}
	tb.store.Limit(0)
	manual.Advance(fullPause)
	tb.accept(t, sale("last", "ann", 1), Meta{})
	readLog(t, tb.log, tb.schema).checkSequences(t)
}

type noReader struct{ t *testing.T }

func (r noReader) Read([]byte) (int, error) {
	r.t.Error("the body was read")
	return 0, io.EOF
}

func TestLanes(t *testing.T) {
	t.Parallel()
	tb := setup(t, func(o *Options) {
		o.MaxInFlight = minInFlight // 4 MiB for requests in progress
		o.Lanes = []schemas.Lane{{Name: "history", Priority: 1}, {Name: "live", Priority: 10}}
	})
	type running struct {
		w    *io.PipeWriter
		done chan error
	}
	start := func(lane string) running {
		r, w := io.Pipe()
		run := running{w, make(chan error, 1)}
		before := tb.working.inUse()
		go func() {
			_, err := tb.Accept(t.Context(), r, Meta{Lane: lane, Size: 1 << 20})
			r.CloseWithError(io.ErrClosedPipe)
			run.done <- err
		}()
		until(t, "the request is admitted or refused", func() bool { return tb.working.inUse() != before || len(run.done) > 0 })
		return run
	}
	var admitted []running
	for _, c := range []struct {
		lane, want string
		after      time.Duration
	}{
		{"history", "", 0}, // one megabyte of at most two
		{"history", "throttled busy", 2 * busyPause},
		{"live", "", 0},
		{"", "", 0}, // the first lane is the one of the highest priority
		{"live", "throttled busy", busyPause},
		{"history", "throttled busy", 2 * busyPause},
		{"night", "invalid unknown_lane", 0},
	} {
		run := start(c.lane)
		if c.want == "" {
			if len(run.done) > 0 {
				t.Fatalf("lane %q: %v", c.lane, <-run.done)
			}
			admitted = append(admitted, run)
			continue
		}
		if err := <-run.done; kindAndCode(err) != c.want || RetryAfter(err) != c.after {
			t.Fatalf("lane %q: %s, again after %v: %v", c.lane, kindAndCode(err), RetryAfter(err), err)
		}
	}
	for _, run := range admitted {
		run.w.Write([]byte(sale("x", "ann", 1)))
		run.w.Close()
		if err := <-run.done; err != nil {
			t.Fatal(err)
		}
	}
	if used := tb.working.inUse(); used != 0 {
		t.Fatalf("%d bytes in use", used)
	}
}

// TestABlockedLogStopsReading shows that a body is not read faster than the
// log takes its rows.
func TestABlockedLogStopsReading(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	h := &hooked{onAppend: func(context.Context) (error, error) { <-open; return nil, nil }}
	tb := setup(t, func(o *Options) {
		h.Log, o.Log = o.Log, h
		o.MaxInFlight = minInFlight
	})
	const rows = 300_000
	body := &countingReader{r: strings.NewReader(sales("x", rows))}
	done := make(chan error, 1)
	go func() {
		a, err := tb.Accept(t.Context(), body, Meta{})
		if err == nil && a.Accepted != rows {
			err = fmt.Errorf("%+v", a)
		}
		done <- err
	}()
	until(t, "the request waits", func() bool {
		tb.waiting.mu.Lock()
		defer tb.waiting.mu.Unlock()
		blocked := tb.waiting.waiting.Len() > 0
		for _, p := range tb.parts {
			p.mu.Lock()
			blocked = blocked || p.open != nil && p.open.full
			p.mu.Unlock()
		}
		return blocked
	})
	if used := tb.waiting.inUse(); used > minInFlight/2 {
		t.Errorf("%d bytes wait for the log", used)
	}
	if n := body.n(); n > minInFlight {
		t.Errorf("%d bytes of the body were read", n)
	}
	close(open)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if used := tb.waiting.inUse(); used != 0 {
		t.Fatalf("%d bytes in use", used)
	}
}

func TestTheSenderLeaves(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	h := &hooked{onAppend: func(context.Context) (error, error) { <-open; return nil, nil }}
	tb := setup(t, func(o *Options) { h.Log, o.Log = o.Log, h })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := tb.Accept(ctx, strings.NewReader(sale("a", "ann", 1)), Meta{})
		done <- err
	}()
	until(t, "the row is taken", func() bool { return tb.waiting.inUse() > 0 })
	cancel()
	if err := <-done; kindAndCode(err) != "transient timeout" || !errors.Is(err, context.Canceled) {
		t.Fatalf("%s: %v", kindAndCode(err), err)
	}
	close(open)
	tb.Stop()
	if log := readLog(t, tb.log, tb.schema); len(log.ids["a"]) != 1 {
		t.Fatal("a row that was taken is stored although its sender has left")
	}
}

func TestDrainAndStop(t *testing.T) {
	t.Parallel()
	tb := setup(t, nil)
	r, w := io.Pipe()
	done := make(chan error, 1)
	var answer Answer
	begin := func(r *io.PipeReader) {
		go func() {
			a, err := tb.Accept(t.Context(), r, Meta{})
			r.Close() // as a server does once it has answered
			answer = a
			done <- err
		}()
		until(t, "the request is in progress", func() bool { return tb.working.inUse() > 0 })
	}
	begin(r)
	tb.Drain()
	if _, err := tb.Accept(t.Context(), noReader{t}, Meta{}); kindAndCode(err) != "transient draining" || RetryAfter(err) == 0 {
		t.Fatalf("%s: %v", kindAndCode(err), err)
	}
	io.WriteString(w, sale("a", "ann", 1))
	w.Close()
	if err := <-done; err != nil || answer.Accepted != 1 {
		t.Fatalf("a request in progress while draining: %+v %v", answer, err)
	}

	tb.draining.Store(false)
	r, w = io.Pipe()
	begin(r)
	written := make(chan struct{})
	go func() {
		io.WriteString(w, sales("b", 20_000)) // more than one window, so that some rows are taken
		close(written)
	}()
	until(t, "rows are taken", func() bool {
		_, next, _ := tb.log.Bounds(t.Context(), 0)
		return next > 0
	})
	tb.Stop()
	<-written
	io.WriteString(w, sale("last", "ann", 1))
	w.Close()
	if err := <-done; kindAndCode(err) != "transient draining" || !strings.Contains(err.Error(), "repeat") {
		t.Fatalf("%s: %v", kindAndCode(err), err)
	}
	if used := tb.waiting.inUse() + tb.working.inUse(); used != 0 {
		t.Fatalf("%d bytes in use", used)
	}
	readLog(t, tb.log, tb.schema).checkSequences(t)
	tb.Stop()
}

type countingReader struct {
	r     io.Reader
	count atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.count.Add(int64(n))
	return n, err
}

func (c *countingReader) n() int64 { return c.count.Load() }

var (
	_ stream.Log = (*hooked)(nil)
	_ Letters    = (*deadletter.Store)(nil)
)
