package archive

import (
	"context"
	"fmt"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/stream"
)

const (
	resealRows  = 1_000_000
	resealBytes = 64 << 20
)

// Reseal writes what the log holds in [from, to) of a partition as segments,
// in place of what is damaged or gone. They end behind barriers, as those of a
// Sealer do, and at to. NotFound when the log does not have all of it any
// more; nothing is changed then. No sealer may run.
func (a *Archive) Reseal(ctx context.Context, log stream.Log, partition int, from, to uint64) error {
	first, next, err := log.Bounds(ctx, partition)
	if err != nil {
		return err
	}
	if from >= to || next < to || first >= to || first > max(from, 1) {
		return fault.New(fault.NotFound, "seal [%d, %d) of partition %d again: the log has [%d, %d)", from, to, partition, first, next)
	}
	// Once to see that all of it can be read, before anything is replaced.
	if err := a.resealed(ctx, log, partition, from, to, func(*openSegment, uint64, string) error { return nil }); err != nil {
		return err
	}
	return a.resealed(ctx, log, partition, from, to, func(o *openSegment, barrier uint64, admit string) error {
		return a.replaceSegment(ctx, partition, o, barrier, admit)
	})
}

// resealed calls put with each segment of [from, to) in the log.
func (a *Archive) resealed(ctx context.Context, log stream.Log, partition int, from, to uint64, put func(o *openSegment, barrier uint64, admit string) error) error {
	r, err := log.Read(ctx, partition, from)
	if err != nil {
		return fmt.Errorf("read partition %d from %d: %w", partition, from, err)
	}
	defer r.Close()
	o := &openSegment{from: from, to: from}
	end := func(barrier uint64, admit string) error {
		if o.to == o.from {
			return nil
		}
		err := put(o, barrier, admit)
		o = &openSegment{from: o.to, to: o.to}
		return err
	}
	for o.to < to {
		records, err := r.Next(ctx)
		if err != nil {
			return fmt.Errorf("read partition %d from %d: %w", partition, o.to, err)
		}
		for _, rec := range records {
			if rec.Offset >= to {
				o.to = to // a gap in front of it
				break
			}
			h, body, err := event.ParseFrame(rec.Frame)
			if err != nil {
				return fmt.Errorf("partition %d, offset %d: %w", partition, rec.Offset, err)
			}
			if h.Kind != event.Rows {
				o.to = rec.Offset + 1
				if err := end(h.Barrier, h.Admit); err != nil {
					return err
				}
				continue
			}
			schema, ok := a.schemas.Get(h.Schema)
			if !ok {
				return fault.New(fault.Invalid, "partition %d, offset %d: schema version %d is not known", partition, rec.Offset, h.Schema)
			}
			b, err := schema.DecodeFrame(body)
			if err != nil {
				return fmt.Errorf("partition %d, offset %d: %w", partition, rec.Offset, err)
			}
			o.add(rec.Offset, h, len(rec.Frame), b)
			if (o.rows >= resealRows || o.bytes >= resealBytes) && o.to < to {
				if err := end(0, ""); err != nil {
					return err
				}
			}
		}
	}
	return end(0, "")
}
