package ingest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"anabranch/event"
	"anabranch/internal/clock"
)

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
