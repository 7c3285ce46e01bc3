package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/stream"
)

// follow seals from the end of the chain on, as long as it can. Conflict says
// that somebody else wrote a segment: the chain has a new end.
func (p *sealing) follow(ctx context.Context) error {
	from, last, err := p.a.sealedEnd(ctx, p.partition)
	if err != nil {
		return err
	}
	reader, err := p.log.Read(ctx, p.partition, from)
	if errors.Is(err, stream.ErrTrimmed) {
		if end, _, again := p.a.sealedEnd(ctx, p.partition); again == nil && end > from {
			return fault.New(fault.Conflict, "sealed meanwhile up to %d", end)
		}
		return fault.New(fault.Corrupt, "partition %d: the log was trimmed above offset %d, up to which it is sealed: events are lost unless a copy of the log or the bucket has them", p.partition, from)
	}
	if err != nil {
		return fmt.Errorf("read partition %d from %d: %w", p.partition, from, err)
	}
	f := &following{sealing: p, open: openSegment{from: from, to: from}, continuity: newContinuity(last)}
	p.note(func(st *SealerStats) { st.Sealed, st.Read, st.Err = from, from, nil })

	ctx, cancel := context.WithCancel(ctx)
	records := make(chan []stream.Record)
	failed := make(chan error, 1)
	var reading sync.WaitGroup
	defer func() {
		cancel()
		reading.Wait()
	}()
	reading.Go(func() {
		defer reader.Close()
		for {
			next, err := reader.Next(ctx)
			if err != nil {
				failed <- err
				return
			}
			select {
			case records <- next:
			case <-ctx.Done():
				return
			}
		}
	})
	for {
		select {
		case next := <-records:
			for _, r := range next {
				if err := f.take(ctx, r); err != nil {
					return err
				}
			}
		case <-f.old:
			if err := f.seal(ctx, 0, ""); err != nil {
				return err
			}
		case err := <-failed:
			if fault.Is(err, fault.Corrupt) {
				err = errors.Join(err, f.sealRead(ctx))
			}
			return fmt.Errorf("read partition %d behind %d: %w", p.partition, f.open.to, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// following is the open segment of one follow.
type following struct {
	*sealing
	open       openSegment
	old        <-chan time.Time // the open segment has reached its age
	continuity *continuity
}

// take adds one record to the open segment, and seals it when it is time.
func (f *following) take(ctx context.Context, r stream.Record) error {
	h, batch, err := f.decode(r)
	if err != nil {
		// What came before is good and need not wait for a repair.
		if s := f.sealRead(ctx); s != nil {
			return s
		}
		return fmt.Errorf("partition %d, offset %d: %w", f.partition, r.Offset, err)
	}
	if h.Kind == event.Barrier {
		// The same barrier may come again, a retried append; it ends a
		// segment each time, and readers look for the first.
		f.open.to = r.Offset + 1
		return f.seal(ctx, h.Barrier, h.Admit)
	}
	if len(f.open.frames) == 0 {
		f.old = f.a.opts.Clock.After(f.opts.MaxAge)
	}
	f.open.add(r.Offset, h, len(r.Frame), batch)
	f.count(h, r.Offset)
	if f.open.rows >= f.opts.MaxRows || f.open.bytes >= f.opts.MaxBytes {
		return f.seal(ctx, 0, "")
	}
	return nil
}

// decode reads one record; the batch is nil for a barrier.
func (f *following) decode(r stream.Record) (event.Header, *event.Batch, error) {
	h, body, err := event.ParseFrame(r.Frame)
	if err != nil {
		return h, nil, err
	}
	if h.Pipeline != f.a.pipeline {
		return h, nil, fault.New(fault.Corrupt, "the frame is of pipeline %q, the log of %q", h.Pipeline, f.a.pipeline)
	}
	switch h.Kind {
	case event.Barrier:
		if h.Barrier == 0 {
			return h, nil, fault.New(fault.Corrupt, "a barrier without a number")
		}
		return h, nil, nil
	case event.Rows:
	default:
		return h, nil, fault.New(fault.Invalid, "a frame of kind %d, which this program does not know; run the newer program", h.Kind)
	}
	schema, ok := f.a.schemas.Get(h.Schema)
	if !ok {
		return h, nil, fault.New(fault.Invalid, "a frame of schema version %d, which is not among those of the pipeline; start the program with the definition that has it", h.Schema)
	}
	b, err := schema.DecodeFrame(body)
	if err == nil && (b.N != int(h.Rows) || len(b.IDs) != b.N || len(b.Hashes) != b.N) {
		err = fault.New(fault.Corrupt, "a frame of %d rows, its header says %d", b.N, h.Rows)
	}
	return h, b, err
}

// sealRead seals what was read when there is something.
func (f *following) sealRead(ctx context.Context) error {
	if len(f.open.frames) == 0 {
		return nil
	}
	return f.seal(ctx, 0, "")
}

// seal writes the open segment and begins the next one behind it.
func (f *following) seal(ctx context.Context, barrier uint64, admit string) error {
	if barrier == 0 { // a batch waits for the others
		over, err := f.turn(ctx)
		if err != nil {
			return err
		}
		defer over()
	}
	start := f.a.opts.Clock.Now()
	s, err := f.a.putSegment(ctx, f.partition, &f.open, barrier, admit)
	if err != nil {
		return err
	}
	f.open, f.old = openSegment{from: s.To, to: s.To}, nil
	f.note(func(st *SealerStats) {
		st.Sealed, st.Read = s.To, s.To
		st.Segments++
		st.Rows += s.Rows
	})
	f.metrics.sealed(f.partition, s, f.a.opts.Clock.Now().Sub(start))
	f.a.opts.Log.Debug("archive: sealed", "segment", s.Name, "to", s.To, "rows", s.Rows, "barrier", s.Barrier, "bytes", s.Size)
	return nil
}

// count notes that a frame was read, and looks at its producer's numbering.
func (f *following) count(h event.Header, offset uint64) {
	repeat, gap := f.continuity.next(h.Producer, h.Sequence)
	if gap > 0 {
		f.a.opts.Log.Warn("archive: frames of a producer are not in the log where they should be", "pipeline", f.a.pipeline,
			"partition", f.partition, "offset", offset, "producer", h.Producer, "sequence", h.Sequence, "missing", gap)
	}
	f.note(func(st *SealerStats) {
		st.Read = offset + 1
		st.Missing = f.continuity.missing
		if repeat {
			st.Repeats++
		}
	})
	f.metrics.continuity(f.partition, repeat, f.continuity.missing)
}

// continuity follows the numbers that producers give their frames. A gateway
// has several appends on their way at once, and one that failed comes behind
// its successors: a number that is missing may still come.
type continuity struct {
	producers map[string]*numbered
	missing   int64
}

type numbered struct {
	last uint64
	open []uint64 // below last and not seen
}

const (
	// maxProducers bounds the memory: gateways come and go.
	maxProducers = 4096
	// maxOpen is how many missing numbers of one producer may still come;
	// the oldest beyond it are taken as lost for good.
	maxOpen = 1024
)

// newContinuity goes on from the last segment, if there is one.
func newContinuity(last *segmentMeta) *continuity {
	c := &continuity{producers: map[string]*numbered{}}
	if last != nil {
		for producer, sequence := range last.Producers {
			c.producers[producer] = &numbered{last: sequence}
		}
	}
	return c
}

// next takes the number of one frame. Repeat says that it was seen before, gap
// how many numbers it leaves out. 0 is no number.
func (c *continuity) next(producer string, sequence uint64) (repeat bool, gap uint64) {
	if sequence == 0 {
		return false, 0
	}
	n := c.producers[producer]
	if n == nil {
		if len(c.producers) >= maxProducers {
			clear(c.producers)
		}
		c.producers[producer] = &numbered{last: sequence}
		return false, 0
	}
	if sequence <= n.last {
		at, found := slices.BinarySearch(n.open, sequence)
		if found {
			n.open = slices.Delete(n.open, at, at+1)
			c.missing--
		}
		return !found, 0
	}
	gap = sequence - n.last - 1
	c.missing += int64(gap)
	for s := max(n.last+1, sequence-min(sequence, maxOpen)); s < sequence; s++ {
		n.open = append(n.open, s)
	}
	if over := len(n.open) - maxOpen; over > 0 {
		n.open = slices.Delete(n.open, 0, over)
	}
	n.last = sequence
	return false, gap
}
