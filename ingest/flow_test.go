package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"anabranch/schemas"
)

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
