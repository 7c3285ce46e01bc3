package natslog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/stream"
	"anabranch/stream/streamtest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		appendUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

// start opens a store and closes it with the test.
func start(t *testing.T, o Options) *Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	o.AppendTimeout = cmp.Or(o.AppendTimeout, 5*time.Minute) // the disk may stall
	s, err := Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func open(t *testing.T, s *Store, partitions int) stream.Log {
	t.Helper()
	l, err := s.Open(t.Context(), "shop", partitions)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	streamtest.Run(t, func(t *testing.T) stream.Store { return start(t, Options{Dir: t.TempDir()}) })
}

func TestExternal(t *testing.T) {
	t.Parallel()
	streamtest.Run(t, func(t *testing.T) stream.Store {
		server := start(t, Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
		return start(t, Options{URL: server.ClientURL()})
	})
}

func TestReopenedStoreKeepsEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 3 {
		s := start(t, Options{Dir: dir})
		l := open(t, s, 1)
		if first, next, err := l.Bounds(t.Context(), 0); err != nil || first != uint64(3*round+1) || next != first {
			t.Fatalf("round %d: bounds %d to %d, %v", round, first, next, err)
		}
		for range 3 {
			if _, err := l.Append(t.Context(), 0, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		// Everything is trimmed; the next offset has to survive that.
		if err := l.Trim(t.Context(), 0, uint64(3*round+4)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOneProcessForAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, Options{Dir: dir})
	if _, err := Open(t.Context(), Options{Dir: dir}); !fault.Is(err, fault.Conflict) {
		t.Fatalf("second store in one folder: %v", err)
	}
	s.Close()
	start(t, Options{Dir: dir})
}

func TestFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, Options{Dir: dir, MaxBytes: 100_000})
	l := open(t, s, 2)
	frame := make([]byte, 30_000)
	var offset uint64
	for n := 0; ; n++ {
		at, err := l.Append(t.Context(), 0, frame)
		if err != nil {
			if !fault.Is(err, fault.Full) || n != 3 {
				t.Fatalf("append %d: %v", n, err)
			}
			break
		}
		offset = at
	}
	if _, err := l.Append(t.Context(), 1, frame); err != nil {
		t.Fatalf("the other partition: %v", err)
	}
	if err := l.Trim(t.Context(), 0, offset); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), 0, frame); err != nil {
		t.Fatalf("after trimming: %v", err)
	}
	s.Close()

	// A larger limit counts from the next start on.
	s = start(t, Options{Dir: dir, MaxBytes: 1_000_000})
	l = open(t, s, 2)
	for range 5 {
		if _, err := l.Append(t.Context(), 0, frame); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()

	s = start(t, Options{Dir: dir, MinFree: 1 << 60})
	if _, err := open(t, s, 2).Append(t.Context(), 0, frame); !fault.Is(err, fault.Full) {
		t.Fatalf("with no free space: %v", err)
	}
}

// TestReadFramesOfManySizes reads many small frames, by which the reader comes
// to ask for many at once, and then the largest there are.
func TestReadFramesOfManySizes(t *testing.T) {
	t.Parallel()
	l := open(t, start(t, Options{Dir: t.TempDir()}), 1)
	sizes := make([]int, 300)
	for range 5 {
		sizes = append(sizes, event.MaxFrame, 10, event.MaxFrame-1, 1<<20)
	}
	for i, size := range sizes {
		if _, err := l.Append(t.Context(), 0, bytes.Repeat([]byte{byte(i)}, size)); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	for i, r := range readTo(t, l, 0, uint64(len(sizes))+1) {
		if len(r.Frame) != sizes[i] || len(r.Frame) > 0 && r.Frame[len(r.Frame)-1] != byte(i) {
			t.Fatalf("record %d of %d bytes, want %d", i, len(r.Frame), sizes[i])
		}
	}
	// A pull that ends early and is not noticed would cost seconds of silence.
	if took := time.Since(began); took > 3*time.Minute {
		t.Errorf("reading took %v", took)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{}, {Dir: "a", URL: "nats://b"}, {URL: "nats://b", Listen: "127.0.0.1:1"}, {Dir: "a", Listen: "0.0.0.0:4222"},
		{Dir: "a", Listen: ":4222"}, {Dir: "a", Listen: "example.org:4222"}, {Dir: "a", Listen: "4222"}, {Dir: "a", MaxBytes: -1},
		{Dir: t.TempDir(), Listen: "localhost:http"},
	} {
		if s, err := Open(t.Context(), o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v %v", o, s, err)
		}
	}
	if _, err := Open(t.Context(), Options{URL: "nats://127.0.0.1:1"}); !fault.Is(err, fault.Transient) {
		t.Errorf("nobody there: %v", err)
	}
}

// TestServerAway stops the server under appends and a reader, and starts it
// again at the same address, which is that of a gate before it: the port of a
// server that is away may be taken by others.
func TestServerAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := start(t, Options{Dir: dir, Listen: "127.0.0.1:0"})
	gate := newTurnstile(t, server.ClientURL())
	s := start(t, Options{URL: gate.address, AppendTimeout: 2 * time.Second, Logger: slog.New(slog.DiscardHandler)})
	l := open(t, s, 1)
	r, err := l.Read(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	// The disk may stall for longer than an append waits, which is then there, perhaps.
	add := func(frame string) (at uint64) {
		t.Helper()
		for end := time.Now().Add(5 * time.Minute); ; {
			at, err := l.Append(t.Context(), 0, []byte(frame))
			if err == nil {
				return at
			}
			if !fault.Is(err, fault.Transient) || time.Now().After(end) {
				t.Fatal(err)
			}
		}
	}
	last := uint64(0)
	see := func(at uint64, frame string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		for last < at {
			got, err := r.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range got {
				last++
				if g.Offset != last || last == at && string(g.Frame) != frame {
					t.Fatalf("offset %d, %q, want %d, and %q at %d", g.Offset, g.Frame, last, frame, at)
				}
			}
		}
	}
	see(add("round 1"), "round 1")
	server.Close()
	if _, err := l.Append(t.Context(), 0, []byte("away")); !fault.Is(err, fault.Transient) {
		t.Fatalf("append without a server: %v", err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	for { // what an append has left that seemed to fail
		got, err := r.Next(soon)
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatalf("next without a server: %v", err)
		}
		last += uint64(len(got))
	}
	gate.to(start(t, Options{Dir: dir, Listen: "127.0.0.1:0"}).ClientURL())
	see(add("round 2"), "round 2")
}
