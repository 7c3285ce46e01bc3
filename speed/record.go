package speed

import (
	"context"
	"time"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/planted"
	"anabranch/stream"
)

// record folds one record of the log. After an error nothing of it is folded
// (or p.broken is set).
func (p *partition) record(ctx context.Context, rec stream.Record) error {
	h, body, err := event.ParseFrame(rec.Frame)
	if err != nil {
		return err
	}
	if h.Pipeline != p.opt.Pipeline {
		return fault.New(fault.Corrupt, "a frame of pipeline %q lies in the log of %q", h.Pipeline, p.opt.Pipeline)
	}
	p.pending.Store(h.Ingested)
	switch h.Kind {
	case event.Rows:
		b, err := p.decode(h, body)
		if err != nil {
			return err
		}
		if err := p.apply(ctx, b, rec.Offset, rec.Offset+1); err != nil {
			return err
		}
		if h.Ingested >= p.began { // what is read again has waited for us, not for the machine
			p.opt.Delay.Observe(p.opt.Clock.Now().Sub(time.UnixMicro(h.Ingested)))
		}
	case event.Barrier:
		if err := p.barrier(h.Barrier, h.Admit, rec.Offset+1); err != nil {
			return err
		}
	default:
		return fault.New(fault.Corrupt, "frame of kind %d; this program knows rows (1) and barriers (2)", h.Kind)
	}
	p.records++
	p.total.frames.Add(1)
	p.progress.bump()
	return nil
}

// decode turns the body of a frame into a batch of the newest schema.
func (p *partition) decode(h event.Header, body []byte) (*event.Batch, error) {
	written, ok := p.opt.Schemas.Get(h.Schema)
	if !ok {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the frame follows schema version %d, which this program does not know", h.Schema),
			"deploy the pipeline definition that the gateway %q uses, then start speed again", h.Producer)
	}
	b, err := written.DecodeFrame(body)
	if err != nil {
		return nil, err
	}
	if b.N != int(h.Rows) || len(b.IDs) != b.N || len(b.Hashes) != b.N {
		return nil, fault.New(fault.Corrupt, "the frame announces %d events and holds %d with %d ids", h.Rows, b.N, len(b.IDs))
	}
	if newest := p.opt.Schemas.Newest(); newest != written {
		return newest.Upgrade(b, written)
	}
	return b, nil
}

// barrier closes the newest generation at the first occurrence of barrier k
// and opens the next; next is the offset behind it.
//
// A barrier at or below the known manifest's k is a repeated one, or one of a
// batch that can never be published over the newer: both are ignored.
func (p *partition) barrier(k uint64, admit string, next uint64) error {
	if admit != "" {
		return fault.New(fault.Invalid, "barrier %d admits import %q: this version of speed cannot count imports", k, admit)
	}
	if k == 0 {
		return fault.New(fault.Corrupt, "a barrier frame without a number")
	}
	p.changed = true
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := find(p.gens, k); planted.On(planted.BarrierTwice) && i > 0 {
		p.gens[i].k = p.gens[i-1].k
	}
	if k > p.known.K && find(p.gens, k) < 0 {
		p.gens = append(p.gens, p.opt.open(k))
	}
	p.next.Store(next)
	return nil
}
