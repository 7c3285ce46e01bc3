// Package outbox tells other systems what happened here, without ever waiting
// for them: messages wait in a bounded queue, one goroutine for each receiver
// delivers them, tries again for a while, and gives up aloud.
package outbox

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Message is one thing to tell.
type Message struct {
	Text string // one line, for people
	Body []byte // JSON, for programs
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
	First   time.Duration // the pause before the second attempt; default 500 ms, growing to a minute
	Log     *slog.Logger  // default: discard
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
	b := &Outbox{sink: sink, opts: o, queue: make(chan Message, o.Queue), done: make(chan struct{})}
	b.ctx, b.end = context.WithCancel(context.Background())
	go b.run()
	return b
}

// Put takes a message if there is room and returns at once.
func (b *Outbox) Put(m Message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return false
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
		if err := b.deliver(m); err != nil {
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
