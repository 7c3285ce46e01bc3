package server

import (
	"context"
	"errors"
	"fmt"

	"anabranch/event"
	"anabranch/stream"
)

// tail reads the frames of one partition from an offset up to the head that
// the partition has now, and calls fn with each. It never waits for more.
func tail(ctx context.Context, log stream.Log, partition int, from, head uint64, fn func(offset uint64, h event.Header, body []byte) error) error {
	first, next, err := log.Bounds(ctx, partition)
	if err != nil {
		return fmt.Errorf("bounds of partition %d: %w", partition, err)
	}
	// Offsets have gaps: an empty stretch below head has no record to wait for.
	if from >= head || first == next {
		return nil
	}
	r, err := log.Read(ctx, partition, from)
	if err != nil {
		return fmt.Errorf("read partition %d from %d: %w", partition, from, err)
	}
	defer r.Close()
	for at := from; at < head; {
		records, err := r.Next(ctx)
		if err != nil {
			return fmt.Errorf("read partition %d from %d: %w", partition, at, err)
		}
		for _, record := range records {
			at = record.Offset + 1
			if record.Offset >= head {
				return nil
			}
			h, body, err := event.ParseFrame(record.Frame)
			if err != nil {
				return fmt.Errorf("partition %d, offset %d: %w", partition, record.Offset, err)
			}
			if err := fn(record.Offset, h, body); err != nil {
				return err
			}
		}
	}
	return nil
}

// looks is how often segments and log are looked at anew; each time the log
// has been trimmed meanwhile.
const looks = 10

// settled looks at segments and log, one after the other, and looks again
// where the log was trimmed in between: what it has forgotten is in a segment
// by then.
func settled(ctx context.Context, look func() error) error {
	for n := 1; ; n++ {
		err := look()
		if !errors.Is(err, stream.ErrTrimmed) || n == looks || ctx.Err() != nil {
			return err
		}
	}
}
