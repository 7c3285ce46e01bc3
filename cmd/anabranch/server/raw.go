package server

import (
	"context"
	"fmt"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
)

// rawFn is given events with the offsets of their frames and their rows there.
type rawFn func(b *event.Batch, offsets []uint64, rows []int32) error

// raw reads the events of a partition below an offset, in log order: from
// segments as far as they go, then from the log. Of the last segment fn also
// gets what lies at and above the offset.
func (p *pipeline) raw(ctx context.Context, partition int, below uint64, fn rawFn) error {
	next := uint64(0) // the first offset that fn has not been given
	newest := p.set.Newest()
	return settled(ctx, func() error {
		c, err := p.segments.refresh(ctx, partition)
		if err != nil {
			return err
		}
		if c.begin > 0 {
			return fault.WithHint(fault.WithCode(fault.New(fault.Invalid, "the raw events of partition %d below %d have expired: there is nothing to compare all of the views with", partition, c.begin), archive.RawGone),
				"`anabranch audit %s` compares the days whose events are there", p.def.Name)
		}
		for _, s := range c.segments {
			if s.From >= below {
				break
			}
			if s.To <= next {
				continue
			}
			if err := p.archive.ReadSegment(ctx, s, fn.from(next)); err != nil {
				return err
			}
			next = s.To
		}
		return tail(ctx, p.log, partition, next, below, func(offset uint64, h event.Header, body []byte) error {
			next = offset + 1
			if h.Kind != event.Rows {
				return nil
			}
			schema, ok := p.set.Get(h.Schema)
			if !ok {
				return fault.New(fault.Corrupt, "partition %d, offset %d: schema version %d is not known", partition, offset, h.Schema)
			}
			b, err := schema.DecodeFrame(body)
			if err != nil {
				return fmt.Errorf("partition %d, offset %d: %w", partition, offset, err)
			}
			if b, err = newest.Upgrade(b, schema); err != nil {
				return err
			}
			offsets, rows := make([]uint64, b.N), make([]int32, b.N)
			for i := range rows {
				offsets[i], rows[i] = offset, int32(i)
			}
			return fn(b, offsets, rows)
		})
	})
}

// from leaves out what lies below an offset.
func (fn rawFn) from(offset uint64) rawFn {
	return func(b *event.Batch, offsets []uint64, rows []int32) error {
		first := 0 // offsets rise
		for first < len(offsets) && offsets[first] < offset {
			first++
		}
		if first == 0 {
			return fn(b, offsets, rows)
		}
		keep := make([]uint32, 0, b.N-first)
		for i := first; i < b.N; i++ {
			keep = append(keep, uint32(i))
		}
		return fn(b.Gather(keep), offsets[first:], rows[first:])
	}
}
