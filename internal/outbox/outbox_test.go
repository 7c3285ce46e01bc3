package outbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver is an HTTP server that does with each request what answer says.
func receiver(t *testing.T, answer http.HandlerFunc) Sink {
	t.Helper()
	s := httptest.NewServer(answer)
	sink, err := Parse(s.URL+"/$SECRET", slog.New(slog.DiscardHandler), func(string) string { return "s3cret" })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sink.(*httpSink).client.CloseIdleConnections()
		s.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return sink
}

func logger() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

func TestAReceiverThatFailsIsTriedAgainAndOrderIsKept(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	got := make(chan string, 10)
	sink := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch calls.Add(1) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.WriteHeader(http.StatusInternalServerError)
		default:
			got <- r.URL.Path + " " + r.Header.Get("Content-Type") + " " + string(body)
		}
	})
	log, said := logger()
	b := New(sink, Options{First: time.Millisecond, Log: log})
	b.Put(Message{Text: "a", Body: []byte("1")})
	b.Put(Message{Text: "b", Body: []byte("2")})
	for _, want := range []string{"/s3cret application/json 1", "/s3cret application/json 2"} {
		if g := <-got; g != want {
			t.Errorf("got %q, want %q", g, want)
		}
	}
	b.Stop()
	if strings.Contains(said.String(), "s3cret") || !strings.Contains(said.String(), "503") {
		t.Errorf("the log says %s", said)
	}
}

// TestASlowReceiverDelaysNobody: Put returns at once, what finds no room is
// dropped, and Stop does not wait for ever.
func TestASlowReceiverDelaysNobody(t *testing.T) {
	t.Parallel()
	hangs := make(chan struct{})
	sink := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hangs:
		case <-r.Context().Done():
		}
	})
	log, said := logger()
	b := New(sink, Options{Queue: 4, Timeout: time.Hour, Drain: 10 * time.Millisecond, Log: log})
	taken := 0
	for range 100 {
		if b.Put(Message{Text: "m"}) {
			taken++
		}
	}
	if taken < 4 || taken > 5 { // one is with the receiver, perhaps
		t.Errorf("%d of 100 found room for 4", taken)
	}
	began := time.Now()
	b.Stop()
	close(hangs)
	if d := time.Since(began); d > 5*time.Minute {
		t.Errorf("Stop took %s", d)
	}
	if b.Put(Message{}) {
		t.Error("a stopped outbox takes a message")
	}
	b.Stop()
	if !strings.Contains(said.String(), "dropped in a row") {
		t.Errorf("the log says %s", said)
	}
}

func TestWhatIsRefusedForGoodIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	sink := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		http.Error(w, "no such hook", http.StatusNotFound)
	})
	log, said := logger()
	b := New(sink, Options{First: time.Millisecond, Drain: 5 * time.Minute, Log: log})
	b.Put(Message{Text: "the ledger is off"})
	b.Stop()
	if calls.Load() != 1 || !strings.Contains(said.String(), "no such hook") || !strings.Contains(said.String(), "the ledger is off") {
		t.Errorf("%d calls; the log says %s", calls.Load(), said)
	}
}

// The clock is that of the test: a machine that stands still gives nothing up.
func TestAMessageIsGivenUpAndTheNextIsDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, isGivenUp)
}

func isGivenUp(t *testing.T) {
	var calls, good atomic.Int64
	b := New(sinkFunc(func(_ context.Context, m Message) error {
		calls.Add(1)
		if m.Text == "bad" {
			return errors.New("not this one")
		}
		good.Add(1)
		return nil
	}), Options{First: time.Millisecond, GiveUp: 20 * time.Millisecond, Drain: 5 * time.Minute})
	b.Put(Message{Text: "bad"})
	b.Put(Message{Text: "good"})
	b.Stop()
	if calls.Load() < 3 || good.Load() != 1 {
		t.Errorf("%d calls, %d of them of the good one, want the bad one more than once and the good one", calls.Load(), good.Load())
	}
}

// TestWhatWaitsOutlivesTheProcess: a receiver that is away gets everything
// from the next process, in order and nothing twice.
func TestWhatWaitsOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	away := make(chan struct{}, 100)
	first := New(sinkFunc(func(context.Context, Message) error {
		away <- struct{}{}
		return errors.New("away")
	}), Options{Dir: dir, First: time.Millisecond, Drain: time.Millisecond})
	for _, text := range []string{"a", "b", "c"} {
		if !first.Put(Message{Text: text, Body: []byte(text)}) {
			t.Fatal("no room")
		}
	}
	<-away
	first.Stop()
	var got []string
	heard := sinkFunc(func(_ context.Context, m Message) error {
		got = append(got, m.Text+string(m.Body))
		return nil
	})
	if err := os.WriteFile(filepath.Join(dir, "000000000009.json"), []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := New(heard, Options{Dir: dir, Drain: 5 * time.Minute})
	second.Put(Message{Text: "d", Body: []byte("d")})
	second.Stop()
	third := New(heard, Options{Dir: dir, Drain: 5 * time.Minute})
	third.Stop()
	if strings.Join(got, " ") != "aa bb cc dd" {
		t.Errorf("%q", got)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v", left)
	}
}

type sinkFunc func(context.Context, Message) error

func (f sinkFunc) Deliver(ctx context.Context, m Message) error { return f(ctx, m) }
func (sinkFunc) String() string                                 { return "a test" }

func TestExecAndFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "page")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n{ echo \"$1 $ANABRANCH_TEXT\"; cat; } >> "+dir+"/out\n[ \"$1\" != fail ] || { echo no pager; exit 3; }\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	deliver := func(receiver string) error {
		sink, err := Parse(receiver, nil, os.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		return sink.Deliver(t.Context(), Message{Text: "text", Body: []byte(`{"a":1}`)})
	}
	if err := deliver("exec:" + script + " now"); err != nil {
		t.Fatal(err)
	}
	if err := deliver("exec:" + script + " fail"); err == nil || !strings.Contains(err.Error(), "no pager") {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(dir + "/out"); string(got) != "now text\n{\"a\":1}fail text\n{\"a\":1}" {
		t.Errorf("%q", got)
	}
	for range 2 {
		if err := deliver("file:" + dir + "/lines"); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := os.ReadFile(dir + "/lines"); string(got) != "{\"a\":1}\n{\"a\":1}\n" {
		t.Errorf("%q", got)
	}
}

func TestReceiversThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "mailto:ana", "exec:", "exec:/no/such/program", "file:", "https://", "log:x"} {
		var kind interface{ FaultKind() string }
		if _, err := Parse(text, nil, os.Getenv); !errors.As(err, &kind) || kind.FaultKind() != "invalid" {
			t.Errorf("%q: %v", text, err)
		}
	}
}
