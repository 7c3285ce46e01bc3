package pace

import (
	"context"
	"math"
	"sync"
	"time"

	"anabranch/internal/clock"
)

const (
	// slice is how long work goes on at least before it pays for what it took:
	// shorter than what an event's way takes.
	slice = 2 * time.Millisecond
	// spare is what unused time may be made up for.
	spare = 5 * time.Millisecond
	// longest is what one piece of work is taken for at most. A process that was
	// stopped for an hour has not worked for an hour.
	longest = 10 * time.Second
)

// Pacer holds work to a share of the processors: so many pieces at once, and
// pauses between them. A nil Pacer lets everything go. It is safe for
// concurrent use.
type Pacer struct {
	clock clock.Clock
	procs float64
	gate  chan struct{} // held by the first in the queue
	wake  chan struct{} // a token: the first in the queue looks again

	mu      sync.Mutex // guards what follows
	share   float64
	balance time.Duration // of processor time that may be used; below zero: to be waited for
	filled  time.Time     // until when balance is reckoned
	running int
	waiting int
	worked  time.Duration
	waited  time.Duration
}

// NewPacer returns a pacer of full speed for so many processors.
func NewPacer(procs int, c clock.Clock) *Pacer {
	return &Pacer{clock: c, procs: float64(procs), gate: make(chan struct{}, 1), wake: make(chan struct{}, 1), share: 1, filled: c.Now()}
}

// Set changes the share, from 0 to 1.
func (p *Pacer) Set(share float64) {
	p.mu.Lock()
	p.fill(p.clock.Now())
	changed := p.share != share
	p.share = share
	p.mu.Unlock()
	if changed {
		p.signal()
	}
}

// Stats is how a pacer is doing.
type Stats struct {
	Share          float64
	Busy           bool          // work is there, running or waiting
	Worked, Waited time.Duration // of all turns
}

// Stats returns how it is doing.
func (p *Pacer) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{p.share, p.running+p.waiting > 0, p.worked, p.waited}
}

// Turn is one step at work.
type Turn struct {
	pacer          *Pacer
	since          time.Time
	worked, waited time.Duration
}

type turnKey struct{}

// Begin waits for a turn and returns a context that carries it, for Yield. End
// must be called. The error is that of ctx.
func (p *Pacer) Begin(ctx context.Context) (context.Context, *Turn, error) {
	if p == nil {
		return ctx, nil, nil
	}
	t := &Turn{pacer: p}
	p.mu.Lock()
	p.waiting++
	p.mu.Unlock()
	if err := t.wait(ctx, p.clock.Now()); err != nil {
		return ctx, nil, err
	}
	return context.WithValue(ctx, turnKey{}, t), t, nil
}

// Yield is called between two pieces of work by whoever does a step, and waits
// when it is others' turn. Without a turn in ctx it does nothing. The error is
// that of ctx.
func Yield(ctx context.Context) error {
	t, _ := ctx.Value(turnKey{}).(*Turn)
	if t == nil {
		return ctx.Err()
	}
	now := t.pacer.clock.Now()
	if now.Sub(t.since) < slice {
		return ctx.Err()
	}
	if t.goesOn(now) {
		return ctx.Err()
	}
	return t.wait(ctx, now)
}

// End gives the turn back.
func (t *Turn) End() {
	if t == nil {
		return
	}
	p := t.pacer
	p.mu.Lock()
	if !t.since.IsZero() { // else it has lost its turn to the end of ctx
		t.pay(p.clock.Now())
		p.running--
	}
	p.mu.Unlock()
	p.signal()
}

// Share returns which part of its time the turn could work.
func (t *Turn) Share() float64 {
	if t == nil || t.worked+t.waited <= 0 {
		return 1
	}
	return float64(t.worked) / float64(t.worked+t.waited)
}

// pay takes the time since the last piece from the balance. p.mu is held.
func (t *Turn) pay(now time.Time) {
	p := t.pacer
	used := min(max(now.Sub(t.since), 0), longest)
	p.fill(now)
	p.balance -= used
	p.worked += used
	t.worked += used
	t.since = now
}

// goesOn pays, and reports whether the turn may keep on; else it waits.
func (t *Turn) goesOn(now time.Time) bool {
	p := t.pacer
	p.mu.Lock()
	t.pay(now)
	p.running--
	if p.free() && (p.waiting == 0 || p.share >= 1) {
		p.running++
		p.mu.Unlock()
		return true
	}
	p.waiting++
	t.since = time.Time{}
	p.mu.Unlock()
	p.signal()
	return false
}

// wait queues until it is the turn's time.
func (t *Turn) wait(ctx context.Context, began time.Time) error {
	p := t.pacer
	err := t.queue(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	p.waiting--
	p.waited += now.Sub(began)
	t.waited += now.Sub(began)
	if err == nil {
		t.since = now
	}
	return err
}

// queue returns once the turn counts among those that run.
func (t *Turn) queue(ctx context.Context) error {
	p := t.pacer
	select {
	case p.gate <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.gate }()
	for {
		p.mu.Lock()
		p.fill(p.clock.Now())
		if p.free() {
			p.running++
			p.mu.Unlock()
			return nil
		}
		pause := time.Second
		if rate := p.share * p.procs; rate > 0 && p.balance < 0 {
			pause = min(pause, time.Duration(float64(-p.balance)/rate)+time.Microsecond)
		}
		p.mu.Unlock()
		select {
		case <-p.clock.After(pause):
		case <-p.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// free reports whether one more may run. p.mu is held.
func (p *Pacer) free() bool {
	switch {
	case p.share >= 1:
		return true
	case p.share <= 0 || p.balance < 0:
		return false
	}
	return p.running < max(1, int(math.Ceil(p.share*p.procs-1e-9)))
}

// fill adds the time that has passed to the balance. p.mu is held.
func (p *Pacer) fill(now time.Time) {
	rate := p.share * p.procs
	gained := time.Duration(float64(max(now.Sub(p.filled), 0)) * rate)
	p.filled = now
	p.balance = min(p.balance+gained, time.Duration(float64(spare)*p.procs))
	if p.share >= 1 {
		p.balance = max(p.balance, 0)
	}
}

func (p *Pacer) signal() {
	select {
	case p.wake <- struct{}{}:
	default: // there is a token already
	}
}
