// Package outbox tells other systems what happened here, without ever waiting
// for them: messages wait in a bounded queue, one goroutine for each receiver
// delivers them, tries again for a while, and gives up aloud.
package outbox

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Message is one thing to tell.
type Message struct {
	Text string `json:"text"` // one line, for people
	Body []byte `json:"body"` // JSON, for programs

	file string // in which it waits; empty: in memory only
}

// Sink is a receiver. Deliver returns once it has the message; a permanent
// error of package backoff is not tried again. A message may come twice.
type Sink interface {
	Deliver(ctx context.Context, m Message) error
	String() string // for logs: without anything secret
}

// Options of an Outbox. A zero field means its default.
type Options struct {
	Queue   int           // messages that wait; default 256. One too many is dropped, and logged
	Timeout time.Duration // of one attempt; default 10 s
	GiveUp  time.Duration // how long a message is tried; default 15 min
	Drain   time.Duration // how long Stop lets what waits be delivered; default 3 s
	// Dir is a folder of its own in which messages wait, so that those that were
	// not delivered before a kill are delivered by the next process, and those
	// that are left at Stop, too. Empty: they wait in memory.
	Dir   string
	First time.Duration // the pause before the second attempt; default 500 ms, growing to a minute
	Log   *slog.Logger  // default: discard
}

// Outbox delivers messages to one sink, in order.
type Outbox struct {
	sink  Sink
	opts  Options
	queue chan Message
	end   context.CancelFunc
	ctx   context.Context
	done  chan struct{}

	mu      sync.Mutex // guards what follows
	spool   *spool     // nil: messages wait in memory only
	stopped bool
	dropped int // since the last message that found room
}

// New returns an outbox that works until Stop.
func New(sink Sink, o Options) *Outbox {
	o.Queue = cmp.Or(o.Queue, 256)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.GiveUp = cmp.Or(o.GiveUp, 15*time.Minute)
	o.Drain = cmp.Or(o.Drain, 3*time.Second)
	o.First = cmp.Or(o.First, 500*time.Millisecond)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	var left []Message
	b := &Outbox{sink: sink, opts: o, done: make(chan struct{})}
	if o.Dir != "" {
		var err error
		if b.spool, left, err = openSpool(o.Dir); err != nil {
			o.Log.Error("messages will not outlive this process", "receiver", sink.String(), "error", err)
		}
	}
	b.queue = make(chan Message, o.Queue+len(left))
	for _, m := range left {
		b.queue <- m
	}
	b.ctx, b.end = context.WithCancel(context.Background())
	go b.run()
	return b
}

// Put takes a message if there is room and returns at once: with Dir, when it
// is on disk.
func (b *Outbox) Put(m Message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return false
	}
	if b.spool != nil && len(b.queue) < cap(b.queue) { // nobody else puts: there is still room then
		if err := b.spool.keep(&m); err != nil {
			m.file = ""
			b.opts.Log.Error("a message waits in memory only", "receiver", b.sink.String(), "error", err)
		}
	}
	select {
	case b.queue <- m:
		b.dropped = 0
		return true
	default:
		b.dropped++
		b.opts.Log.Error("a message is dropped: the receiver is slower than what happens", "receiver", b.sink.String(), "dropped in a row", b.dropped, "message", m.Text)
		return false
	}
}

// Stop takes no more messages and returns once what waits is delivered, or
// after Drain.
func (b *Outbox) Stop() {
	b.mu.Lock()
	if !b.stopped {
		b.stopped = true
		close(b.queue)
	}
	b.mu.Unlock()
	timer := time.AfterFunc(b.opts.Drain, b.end)
	defer timer.Stop()
	<-b.done
	b.end()
}

func (b *Outbox) run() {
	defer close(b.done)
	for m := range b.queue {
		err := b.deliver(m)
		if err != nil && b.ctx.Err() != nil && m.file != "" {
			continue // the next process delivers it
		}
		if m.file != "" {
			if e := os.Remove(m.file); e != nil {
				b.opts.Log.Warn("a delivered message is still there and will be delivered again", "error", e)
			}
		}
		if err != nil {
			b.opts.Log.Error("a message could not be delivered and is given up", "receiver", b.sink.String(), "error", err, "message", m.Text)
		}
	}
}

func (b *Outbox) deliver(m Message) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval = b.opts.First
	_, err := backoff.Retry(b.ctx, func() (struct{}, error) {
		ctx, cancel := context.WithTimeout(b.ctx, b.opts.Timeout)
		defer cancel()
		return struct{}{}, b.sink.Deliver(ctx, m)
	}, backoff.WithBackOff(pace), backoff.WithMaxElapsedTime(b.opts.GiveUp), backoff.WithNotify(func(err error, pause time.Duration) {
		b.opts.Log.Warn("a message is not delivered yet", "receiver", b.sink.String(), "error", err, "again in", pause.Round(time.Millisecond))
	}))
	return err
}
