// Package stream remembers: it is the durable log that every event goes
// through, one append-only sequence of frames for each partition of a
// pipeline.
//
// The contract is narrow so that NATS and Kafka both fit it: offsets rise but
// have gaps, the reader keeps its own place, and nothing relies on the broker
// to drop a frame that was appended twice (event ids do that).
package stream

import (
	"context"

	"anabranch/event"
	"anabranch/fault"
)

// Record is one frame at its place in the log.
type Record struct {
	Offset uint64
	Frame  []byte // the reader's to keep, but others may hold it too: never changed
}

// Appender writes to the log.
type Appender interface {
	// Append adds frame to a partition and returns its offset once it is
	// durable: it survives kill -9 and a power cut. After an error the frame
	// may be in the log all the same; appending it again is right. Safe for
	// concurrent use; concurrent appends share their fsyncs where the driver
	// can. The frame is the caller's again when Append returns. Errors:
	// Throttled (busy), Full (no room; the log refuses and keeps what it has),
	// Transient, Invalid (over event.MaxFrame bytes, no such partition),
	// Corrupt (the partition lost acknowledged records, so that appending
	// would give their offsets away a second time).
	Append(ctx context.Context, partition int, frame []byte) (offset uint64, err error)
}

// Reader reads one partition in order.
type Reader interface {
	// Next waits for at least one record and returns those at hand, in order,
	// each offset once. A reader resumes by itself after a lost connection. A
	// hole that the log cannot explain (a record vanished) is Corrupt and
	// names its offset. ErrTrimmed when the records it stands before were
	// trimmed under it. After an error of another kind, or when ctx has
	// ended, calling Next again goes on where it stood. Not safe for
	// concurrent use; Close may be called meanwhile.
	Next(ctx context.Context) ([]Record, error)
	// Close releases the reader; Next fails after it.
	Close() error
}

// Log is the log of one pipeline.
type Log interface {
	Appender
	// Partitions returns how many partitions there are; it never changes.
	Partitions() int
	// Read returns a reader of the partition whose first record is the one
	// with the lowest offset at or above from. ErrTrimmed when records at or
	// above from have been trimmed away; Corrupt when from is above the end
	// of the log: whoever asks has seen records that are gone.
	Read(ctx context.Context, partition int, from uint64) (Reader, error)
	// Bounds returns the offset of the oldest record there is, and the offset
	// above the newest (a reader starting there sees only what is appended
	// later; its first record may have a higher one). An empty partition has
	// first == next. Next never falls, and stays where it was when everything
	// is trimmed.
	Bounds(ctx context.Context, partition int) (first, next uint64, err error)
	// Trim forgets the records below an offset, which is at most the next of
	// Bounds (Invalid above it). Trimming less than before is not an error and
	// does nothing.
	Trim(ctx context.Context, partition int, below uint64) error
	// Close releases the log's connections; readers fail after it.
	Close() error
}

// Store makes and opens logs by name.
type Store interface {
	// Open returns the log of a pipeline, making it on first use. Opening it
	// with another number of partitions than it was made with is Invalid, and
	// so is a name that CheckPipeline refuses. Each Log returned is closed by
	// itself.
	Open(ctx context.Context, pipeline string, partitions int) (Log, error)
}

// ErrTrimmed says that records a reader asked for are gone from the log; they
// are in the archive.
var ErrTrimmed = fault.New(fault.NotFound, "the log no longer has these records")

// ErrClosed is what a closed log or reader answers.
var ErrClosed = fault.New(fault.Transient, "the log is closed")

// MaxPartitions bounds the partitions of one pipeline.
const MaxPartitions = 1024

// CheckPipeline reports whether a log can be made under this name and with so
// many partitions, in every store; the error is Invalid.
func CheckPipeline(pipeline string, partitions int) error {
	bad := len(pipeline) == 0 || len(pipeline) > 64
	for i := 0; i < len(pipeline) && !bad; i++ {
		c := pipeline[i]
		bad = !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-')
	}
	if bad {
		return fault.New(fault.Invalid, "pipeline name %q: want 1 to 64 letters, digits, _ or -", pipeline)
	}
	if partitions < 1 || partitions > MaxPartitions {
		return fault.New(fault.Invalid, "pipeline %s: %d partitions: want 1 to %d", pipeline, partitions, MaxPartitions)
	}
	return nil
}

// CheckAppend reports whether a log of so many partitions takes a frame of
// size bytes in partition p; the error is Invalid.
func CheckAppend(partitions, p, size int) error {
	if err := CheckPartition(partitions, p); err != nil {
		return err
	}
	if size > event.MaxFrame {
		return fault.New(fault.Invalid, "frame of %d bytes is over the limit of %d", size, event.MaxFrame)
	}
	return nil
}

// CheckPartition reports whether there is a partition p; the error is Invalid.
func CheckPartition(partitions, p int) error {
	if p < 0 || p >= partitions {
		return fault.New(fault.Invalid, "there is no partition %d; the log has 0 to %d", p, partitions-1)
	}
	return nil
}
