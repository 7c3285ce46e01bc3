package natslog

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"anabranch/internal/soak"
	"anabranch/stream"
)

var (
	zombies    = flag.Int("zombies", 10, "how often TestZombieTrims has a process stand still")
	zombieSeed = flag.Uint64("seed", 0, "of TestZombieTrims; 0 picks one")
)

// turnstile stands between a client and a server. What the client sends goes
// no further than the first request that holds a text, until it is let go:
// to the server the client stood still before that request.
type turnstile struct {
	address string
	server  atomic.Pointer[string]
	mu      sync.Mutex // guards what follows
	text    []byte
	held    chan struct{} // closed when the request is there
	let     chan struct{}
}

func newTurnstile(t *testing.T, server string) *turnstile {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &turnstile{address: "nats://" + l.Addr().String()}
	x.to(server)
	var running sync.WaitGroup
	t.Cleanup(func() { l.Close(); running.Wait() })
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", *x.server.Load())
			if err != nil {
				client.Close()
				continue
			}
			running.Go(func() { x.pass(to, client) })
			running.Go(func() { _, _ = io.Copy(client, to); client.Close(); to.Close() })
		}
	})
	return x
}

// to has the connections that come from now on go to another server.
func (x *turnstile) to(server string) {
	host := strings.TrimPrefix(server, "nats://")
	x.server.Store(&host)
}

func (x *turnstile) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		x.mu.Lock()
		var wait chan struct{}
		if x.text != nil && bytes.Contains(buf[:n], x.text) {
			x.text, wait = nil, x.let
			close(x.held)
		}
		x.mu.Unlock()
		if wait != nil {
			<-wait
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// hold stops the next request that holds text; held tells when it has come.
func (x *turnstile) hold(text string) (held <-chan struct{}, release func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.text, x.held, x.let = []byte(text), make(chan struct{}), make(chan struct{})
	return x.held, func() { close(x.let) }
}

// Two processes trim one log, as two that seal and fold it do. One stands
// still in the midst of it while the other goes on and trims more. When it
// wakes, what was trimmed is still known to be trimmed and not lost, and
// nothing more is gone.
func TestZombieTrims(t *testing.T) {
	t.Parallel()
	seed := *zombieSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-zombies %d -seed %d", *zombies, seed)
	record := soak.Open(t, "zombie-log", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	server := start(t, Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	gate := newTurnstile(t, server.ClientURL())
	owner := open(t, start(t, Options{URL: server.ClientURL()}), 1)
	zombie := open(t, start(t, Options{URL: gate.address}), 1)
	trimmed := uint64(1)
	for range *zombies {
		var last uint64
		for range 8 + rng.IntN(8) {
			offset, err := owner.Append(t.Context(), 0, []byte("frame"))
			if err != nil {
				t.Fatal(err)
			}
			last = offset
		}
		old := trimmed + 1 + rng.Uint64N(last-trimmed-2)
		trimmed = old + 1 + rng.Uint64N(last-old)
		// Before its mark, or between its mark and the purge behind it.
		before := []string{"$JS.API.STREAM.UPDATE", "$JS.API.STREAM.PURGE"}[rng.IntN(2)]
		one, other := zombie, owner
		lower, higher := old, trimmed
		if rng.IntN(3) == 0 { // the sleeper wants more than the other
			lower, higher = higher, lower
			record.Sometimes("the sleeper would trim more")
		}
		held, release := gate.hold(before)
		done := make(chan error, 1)
		go func() { done <- one.Trim(t.Context(), 0, lower) }()
		select {
		case <-held:
		case err := <-done:
			t.Fatalf("the trim ended without %s: %v", before, err)
		}
		if err := other.Trim(t.Context(), 0, higher); err != nil {
			t.Fatal(err)
		}
		release()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		record.Add("zombies", 1)
		if first, next, err := owner.Bounds(t.Context(), 0); err != nil || first != trimmed || next != last+1 {
			t.Fatalf("stopped before %s of %d, meanwhile %d: bounds %d to %d, %v; want %d to %d", before, lower, higher, first, next, err, trimmed, last+1)
		}
		for _, from := range []uint64{old, trimmed - 1} {
			if _, err := owner.Read(t.Context(), 0, from); from < trimmed && !errors.Is(err, stream.ErrTrimmed) {
				t.Fatalf("stopped before %s of %d, meanwhile %d: read from %d: %v, want that it was trimmed", before, lower, higher, from, err)
			}
		}
		if trimmed > last {
			continue
		}
		r, err := owner.Read(t.Context(), 0, trimmed)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Next(t.Context())
		if err != nil || got[0].Offset != trimmed {
			t.Fatalf("read from %d: %v %v", trimmed, got, err)
		}
		r.Close()
	}
}
