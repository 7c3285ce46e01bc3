package metamorphic

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"anabranch/fault"
	"anabranch/stream"
)

// gate is a log whose readers can be held at an offset: a speed layer that
// lags.
type gate struct {
	stream.Log
	mu      sync.Mutex // guards what follows
	limit   []uint64
	changed chan struct{}
}

func newGate(l stream.Log) *gate {
	g := &gate{Log: l, limit: make([]uint64, l.Partitions()), changed: make(chan struct{})}
	for p := range g.limit {
		g.limit[p] = math.MaxUint64
	}
	return g
}

// flaky is a log that loses acknowledgements: every so many appends one is
// done and reported as failed, so that its frame is appended again. Its
// partitions from full on take nothing.
type flaky struct {
	stream.Log
	every int64
	full  atomic.Int64
	n     atomic.Int64
	lost  []atomic.Bool // by partition: the last one was; a gateway does not try for ever
}

func (f *flaky) Append(ctx context.Context, p int, frame []byte) (uint64, error) {
	if int64(p) >= f.full.Load() {
		return 0, fault.New(fault.Full, "the log is full")
	}
	offset, err := f.Log.Append(ctx, p, frame)
	if f.every == 0 || err != nil {
		return offset, err
	}
	if lose := f.n.Add(1)%f.every == 0; f.lost[p].CompareAndSwap(!lose, lose) && lose {
		return 0, fault.New(fault.Transient, "the acknowledgement was lost")
	}
	return offset, err
}

// let lets readers see the records below limit; nil: all.
func (g *gate) let(limit []uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p := range g.limit {
		g.limit[p] = math.MaxUint64
		if limit != nil {
			g.limit[p] = limit[p]
		}
	}
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *gate) look(p int) (uint64, chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limit[p], g.changed
}

func (g *gate) Read(ctx context.Context, p int, from uint64) (stream.Reader, error) {
	r, err := g.Log.Read(ctx, p, from)
	if err != nil {
		return nil, err
	}
	return &gated{Reader: r, gate: g, p: p}, nil
}

type gated struct {
	stream.Reader
	gate *gate
	p    int
	held []stream.Record
}

func (r *gated) Next(ctx context.Context) ([]stream.Record, error) {
	for {
		if len(r.held) == 0 {
			got, err := r.Reader.Next(ctx)
			if err != nil {
				return nil, err
			}
			r.held = got
		}
		limit, changed := r.gate.look(r.p)
		n := slices.IndexFunc(r.held, func(rec stream.Record) bool { return rec.Offset >= limit })
		if n < 0 {
			n = len(r.held)
		}
		if n > 0 {
			out := r.held[:n]
			r.held = r.held[n:]
			return out, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
