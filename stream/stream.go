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

	"anabranch/fault"
)

// Record is one frame at its place in the log.
type Record struct {
	Offset uint64
	Frame  []byte // the reader's to keep
}

// Appender writes to the log.
type Appender interface {
	// Append adds frame to a partition and returns its offset once it is
	// durable: it survives kill -9 and a power cut. After an error the frame
	// may be in the log all the same; appending it again is right. Safe for
	// concurrent use; concurrent appends share their fsyncs where the driver
	// can. Errors: Throttled (busy), Full (no room; the log refuses and keeps
	// what it has), Transient, Invalid (too large, no such partition).
	Append(ctx context.Context, partition int, frame []byte) (offset uint64, err error)
}

// Reader reads one partition in order.
type Reader interface {
	// Next waits for at least one record and returns those at hand, in order,
	// each offset once. A reader resumes by itself after a lost connection. A
	// hole that the log cannot explain (a record vanished) is Corrupt and
	// names its offset. Not safe for concurrent use.
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
	// above from have been trimmed away.
	Read(ctx context.Context, partition int, from uint64) (Reader, error)
	// Bounds returns the offset of the oldest record there is, and the offset
	// above the newest (a reader starting there sees only what is appended
	// later). An empty partition has first == next.
	Bounds(ctx context.Context, partition int) (first, next uint64, err error)
	// Trim forgets the records below an offset. Trimming less than before is
	// not an error and does nothing.
	Trim(ctx context.Context, partition int, below uint64) error
	// Close releases the log's connections; readers fail after it.
	Close() error
}

// Store makes and opens logs by name.
type Store interface {
	// Open returns the log of a pipeline, making it on first use. Opening it
	// with another number of partitions than it was made with is Invalid.
	Open(ctx context.Context, pipeline string, partitions int) (Log, error)
}

// ErrTrimmed says that records a reader asked for are gone from the log; they
// are in the archive.
var ErrTrimmed = fault.New(fault.NotFound, "the log no longer has these records")

// ErrClosed is what a closed log or reader answers.
var ErrClosed = fault.New(fault.Transient, "the log is closed")
