package ingest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/planted"
	"anabranch/schemas"
)

// frame is one frame from its first row until the log has answered. Requests
// keep it to learn where their rows stand.
type frame struct {
	opened time.Time
	trace  [16]byte
	bytes  int64 // taken from the budget for its rows
	full   bool  // does not wait for more; guarded by its partition's mutex

	done   chan struct{} // closed when offset and err are set
	offset uint64
	err    error
}

// partition gathers rows for one partition and appends them, one frame at a
// time: while one is on its way the next one grows, so the busier the log, the
// larger the frames. One at a time also keeps the sequence in log order.
type partition struct {
	gateway *Gateway
	number  int
	wake    chan struct{} // one token: look at open again

	mu      sync.Mutex // guards what follows
	builder *schemas.FrameBuilder
	open    *frame        // holds the rows in builder; nil when there are none
	taken   chan struct{} // closed and replaced when open is taken
	closed  bool          // takes no more rows

	// Of the goroutine that appends.
	spare    *schemas.FrameBuilder
	buffer   []byte
	producer string
	renamed  int // how often the producer got a new name
	sequence uint64
}

func newPartition(g *Gateway, number int) *partition {
	return &partition{
		gateway: g, number: number, wake: make(chan struct{}, 1), taken: make(chan struct{}),
		builder: g.opts.Schema.NewFrameBuilder(), spare: g.opts.Schema.NewFrameBuilder(), producer: g.opts.Producer,
	}
}

// add puts rows of b into the growing frame and returns it, with the place of
// the first of them in it. Size is about how large they are in the frame. It
// waits while the frame has no room and the one before is on its way.
func (p *partition) add(ctx context.Context, b *event.Batch, rows []uint32, size int, charge int64, trace [16]byte) (*frame, int, error) {
	p.mu.Lock()
	for !p.closed && p.builder.Len() > 0 && p.builder.Bytes()+size > p.gateway.opts.FrameBytes {
		p.open.full = true
		taken := p.taken
		p.mu.Unlock()
		p.signal()
		select {
		case <-taken:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	if p.closed {
		return nil, 0, errDraining()
	}
	if p.open == nil {
		p.open = &frame{opened: p.gateway.opts.Clock.Now(), done: make(chan struct{})}
		p.signal()
	}
	if p.open.trace == ([16]byte{}) {
		p.open.trace = trace
	}
	first := p.builder.Len()
	p.builder.Append(b, rows)
	p.open.bytes += charge
	if p.builder.Bytes() >= p.gateway.opts.FrameBytes {
		p.open.full = true
		p.signal()
	}
	return p.open, first, nil
}

func (p *partition) signal() {
	select {
	case p.wake <- struct{}{}:
	default: // there is a token already
	}
}

// run appends frames until ctx ends, and then what is left.
func (p *partition) run(ctx context.Context) {
	for {
		f := p.next(ctx)
		if f == nil {
			return
		}
		f.offset, f.err = p.append(ctx, f)
		// Before anybody is told: who has an answer finds its room given back.
		p.gateway.waiting.give(f.bytes)
		close(f.done)
	}
}

// next waits until the growing frame is due and takes it; its rows are then in
// spare. It returns nil when the gateway stops and nothing is left.
func (p *partition) next(ctx context.Context) *frame {
	clock, linger := p.gateway.opts.Clock, p.gateway.opts.Linger
	var timed *frame // the one due is about
	var due <-chan time.Time
	for {
		p.mu.Lock()
		stopping := ctx.Err() != nil
		p.closed = p.closed || stopping
		f := p.open
		if f != nil && (stopping || f.full || clock.Now().Sub(f.opened) >= linger) || f == nil && stopping {
			p.builder, p.spare = p.spare, p.builder
			p.open = nil
			close(p.taken)
			p.taken = make(chan struct{})
			p.mu.Unlock()
			return f
		}
		p.mu.Unlock()
		if f != nil && timed != f {
			timed, due = f, clock.After(linger-clock.Now().Sub(f.opened))
		}
		select {
		case <-p.wake:
		case <-due:
			timed, due = nil, nil
		case <-ctx.Done():
		}
	}
}

// append appends the rows in spare, trying again after passing failures with
// the same sequence: the log shows a repeat as what it is.
func (p *partition) append(ctx context.Context, f *frame) (offset uint64, err error) {
	g := p.gateway
	rows := p.spare.Len()
	body, err := p.spare.Finish()
	if err != nil {
		return 0, fmt.Errorf("encode a frame of %d events: %w", rows, err)
	}
	p.buffer, err = event.AppendFrame(p.buffer[:0], event.Header{
		Kind: event.Rows, Pipeline: g.opts.Pipeline, Schema: g.opts.Schema.Version(), Rows: uint32(rows),
		Producer: p.producer, Sequence: p.sequence + 1, Ingested: f.opened.UnixMicro(), Trace: f.trace,
	}, body)
	if err != nil {
		return 0, err
	}
	wait := g.opts.RetryAfter
	for attempt := 0; ; attempt++ {
		began := g.opts.Clock.Now()
		// Not under ctx: what was taken is appended also while stopping.
		offset, err = g.opts.Log.Append(context.WithoutCancel(ctx), p.number, p.buffer)
		if err == nil {
			p.sequence++
			if planted.On(planted.RetryRenumbered) {
				p.sequence += uint64(attempt)
			}
			now := g.opts.Clock.Now()
			g.metrics.append.Observe(now.Sub(began).Seconds())
			g.opts.Delay.Observe(now.Sub(f.opened))
			g.metrics.frames.Inc()
			g.metrics.frameBytes.Add(float64(len(p.buffer)))
			g.metrics.accepted.Add(float64(rows))
			g.fullUntil.Store(0)
			return offset, nil
		}
		kind := fault.KindOf(err)
		if kind == fault.Full || !kind.Retryable() || attempt >= g.opts.Retries || ctx.Err() != nil {
			break
		}
		g.metrics.retries.Inc()
		g.opts.Logger.Warn("append again", "pipeline", g.opts.Pipeline, "partition", p.number, "attempt", attempt+1, "error", err)
		select {
		case <-g.opts.Clock.After(wait):
		case <-ctx.Done():
		}
		wait *= 2
	}
	// Nobody knows whether it is in the log. Going on with the next number
	// would look like a lost frame when it is not, and reusing this one like a
	// repeat when it is. A new name begins again at 1.
	p.renamed++
	p.producer = fmt.Sprintf("%s.%d", g.opts.Producer, p.renamed)
	p.sequence = 0
	g.metrics.failures.Inc()
	g.opts.Logger.Error("append given up", "pipeline", g.opts.Pipeline, "partition", p.number, "events", rows, "error", err)
	if fault.Is(err, fault.Full) {
		g.fullUntil.Store(g.opts.Clock.Now().Add(fullPause).UnixNano())
	}
	return 0, err
}
