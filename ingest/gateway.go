package ingest

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"anabranch/fault"
	"anabranch/internal/lifecycle"
	"anabranch/schemas"
)

// Gateway takes the events of one pipeline. It is safe for concurrent use.
type Gateway struct {
	opts     Options
	parts    []*partition
	decoders map[schemas.Format]*sync.Pool
	rowBytes int // of the columns of fixed width, per row
	metrics  *metrics

	working *budget // what requests in progress may need beside their rows
	waiting *budget // rows in frames that the log has not acknowledged

	started   atomic.Bool
	draining  atomic.Bool
	fullUntil atomic.Int64 // until when the log counts as full, Unix nanoseconds
	loop      lifecycle.Loop
}

var _ lifecycle.Part = (*Gateway)(nil)

// What a refused request is told to wait.
const (
	busyPause  = time.Second // for the first lane; the others longer
	drainPause = 2 * time.Second
	fullPause  = 2 * time.Second // also how long the log is not asked again
	againPause = time.Second
)

// New returns the gateway of a pipeline; it takes events between Start and
// Stop. Invalid when the options do not fit each other.
func New(o Options) (*Gateway, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &Gateway{opts: o, decoders: map[schemas.Format]*sync.Pool{}, working: newBudget(o.MaxInFlight / 2), waiting: newBudget(o.MaxInFlight / 2)}
	for _, f := range []schemas.Format{schemas.NDJSON, schemas.JSONArray, schemas.CSV} {
		d, err := o.Schema.NewDecoder(f, o.Identity)
		if err != nil {
			return nil, err
		}
		g.decoders[f] = &sync.Pool{}
		g.decoders[f].Put(d)
	}
	g.rowBytes = 16*len(o.Schema.Shape().Fields) + 24 // at most; and the id and the content hash
	for p := range o.Log.Partitions() {
		g.parts = append(g.parts, newPartition(g, p))
	}
	if g.metrics, err = newMetrics(o.Metrics, o.Pipeline, g.waiting, g.working); err != nil {
		return nil, fault.Wrap(fault.Invalid, err)
	}
	return g, nil
}

// Pipeline returns the name of the pipeline.
func (g *Gateway) Pipeline() string { return g.opts.Pipeline }

// Format returns the format of a body that does not say.
func (g *Gateway) Format() schemas.Format { return g.opts.Format }

// Limits returns the bounds of one body.
func (g *Gateway) Limits() Limits { return g.opts.Limits }

// Start begins to take events.
func (g *Gateway) Start(context.Context) error {
	if g.started.Swap(true) {
		return fault.New(fault.Bug, "ingest of %s was started before", g.opts.Pipeline)
	}
	for _, p := range g.parts {
		g.loop.Go(p.run)
	}
	return nil
}

// Drain refuses new requests and lets those in progress go on, so that a
// server can finish them before Stop.
func (g *Gateway) Drain() { g.draining.Store(true) }

// Stop refuses new requests, appends the rows that were taken, and waits for
// that. Requests that still read their body are answered with an error; those
// whose rows are all in are answered as ever.
func (g *Gateway) Stop() {
	g.Drain()
	g.loop.Stop()
	g.metrics.close()
}

// decoder returns a decoder of format f; putBack takes it back.
func (g *Gateway) decoder(f schemas.Format) (*schemas.Decoder, error) {
	pool := g.decoders[f]
	if pool == nil {
		return nil, fault.New(fault.Invalid, "body format %v: want ndjson, json or csv", f)
	}
	if d, ok := pool.Get().(*schemas.Decoder); ok {
		return d, nil
	}
	return g.opts.Schema.NewDecoder(f, g.opts.Identity)
}

func (g *Gateway) putBack(f schemas.Format, d *schemas.Decoder) {
	d.Reset(bytes.NewReader(nil)) // lets the body go
	g.decoders[f].Put(d)
}

func errDraining() error {
	return &later{fault.WithCode(fault.New(fault.Transient, "this gateway is stopping"), CodeDraining), drainPause}
}

// admit sets aside what the request may need, or refuses it. The share of a
// lane falls with its rank, so that those above always find room left.
func (g *Gateway) admit(m Meta) (lane string, release func(), err error) {
	rank := -1
	for i, l := range g.opts.Lanes {
		if l.Name == m.Lane || m.Lane == "" && i == 0 {
			rank, lane = i, l.Name
			break
		}
	}
	if rank < 0 {
		names := make([]string, len(g.opts.Lanes))
		for i, l := range g.opts.Lanes {
			names[i] = l.Name
		}
		return "unknown", nil, fault.WithCode(fault.New(fault.Invalid, "pipeline %s has no lane %q; its lanes are %q", g.opts.Pipeline, m.Lane, names), CodeUnknownLane)
	}
	if !g.started.Load() || g.draining.Load() {
		return lane, nil, errDraining()
	}
	if until := g.fullUntil.Load(); until != 0 {
		if left := time.Unix(0, until).Sub(g.opts.Clock.Now()); left > 0 {
			return lane, nil, &later{fault.WithCode(fault.New(fault.Full, "the log of %s is full", g.opts.Pipeline), CodeLogFull), left}
		}
	}
	if err := g.overloaded(rank, lane); err != nil {
		return lane, nil, err
	}
	need := int64(requestBytes)
	if m.Size > 0 && m.Size < need {
		need = m.Size
	}
	need += requestFixed
	share := float64(len(g.opts.Lanes)-rank) / float64(len(g.opts.Lanes))
	if !g.working.try(need, share) {
		err := fault.WithCode(fault.New(fault.Throttled, "too many requests of lane %s of %s are in progress", lane, g.opts.Pipeline), CodeBusy)
		return lane, nil, &later{err, busyPause << min(rank, 5)}
	}
	return lane, func() { g.working.give(need) }, nil
}

const (
	// requestBytes bounds what one request holds in proportion to its body: a
	// decoder's window grown for a long event, dead letters not stored yet.
	requestBytes = 2 << 20
	// requestFixed is what the smallest one holds: a decoder with its window.
	requestFixed = 320 << 10
)
