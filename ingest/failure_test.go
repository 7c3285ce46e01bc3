package ingest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/fault"
	"anabranch/internal/clock"
)

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
