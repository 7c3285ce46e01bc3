package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// ill is what is wrong with a wire.
type ill int

const (
	well   ill = iota
	cut        // connections are reset, and new ones too
	still      // nothing passes, and nobody is told
	deaf       // nothing passes to the server
	answer     // no answer of the server passes
)

var ills = []string{"well", "cut", "still", "deaf", "without answers"}

// wire carries the connections of one process to one server. What it holds
// back it passes on when it is well again, as TCP would.
type wire struct {
	to       string
	listener net.Listener
	all      sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	turn  *sync.Cond // ill has changed
	ill   ill
	ends  map[net.Conn]bool
	ended bool
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{to: to, listener: l, ends: map[net.Conn]bool{}}
	w.turn = sync.NewCond(&w.mu)
	w.all.Go(w.accept)
	t.Cleanup(w.end)
	return w
}

func (w *wire) address() string { return w.listener.Addr().String() }

func (w *wire) accept() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.all.Go(func() {
			to, err := net.Dial("tcp", w.to)
			if err != nil {
				reset(from)
				return
			}
			if !w.add(from, to) {
				return
			}
			w.all.Go(func() { w.pass(from, to, deaf) })
			w.pass(to, from, answer)
		})
	}
}

// add takes a connection in, or resets it.
func (w *wire) add(from, to net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ill == cut || w.ended {
		reset(from, to)
		return false
	}
	w.ends[from], w.ends[to] = true, true
	return true
}

// pass copies one direction, which against stops.
func (w *wire) pass(from, to net.Conn, against ill) {
	defer func() {
		reset(from, to)
		w.mu.Lock()
		delete(w.ends, from)
		w.mu.Unlock()
	}()
	chunk := make([]byte, 32<<10)
	for {
		n, err := from.Read(chunk)
		w.mu.Lock()
		for w.ill == still || w.ill == against {
			w.turn.Wait()
		}
		w.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(chunk[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if c, ok := to.(*net.TCPConn); ok && errors.Is(err, io.EOF) {
				_ = c.CloseWrite()
			}
			return
		}
	}
}

// become makes the wire ill, or well.
func (w *wire) become(i ill) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ill = i
	if i == cut {
		w.resetAll()
	}
	w.turn.Broadcast()
}

// breakUp resets every connection, whatever is on its way.
func (w *wire) breakUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resetAll()
}

func (w *wire) resetAll() {
	for c := range w.ends {
		reset(c)
	}
}

func (w *wire) end() {
	w.mu.Lock()
	w.ended, w.ill = true, well
	w.resetAll()
	w.turn.Broadcast()
	w.mu.Unlock()
	_ = w.listener.Close()
	w.all.Wait()
}

// reset closes connections without a good-bye.
func reset(all ...net.Conn) {
	for _, c := range all {
		if c, ok := c.(*net.TCPConn); ok {
			_ = c.SetLinger(0)
		}
		_ = c.Close()
	}
}
