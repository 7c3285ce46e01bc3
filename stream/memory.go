package stream

import (
	"bytes"
	"context"
	"sort"
	"sync"

	"anabranch/fault"
)

// Memory is a Store that keeps its logs in memory, for tests and for trying
// things out. Its offsets have gaps on purpose, also at the beginning, so that
// nobody comes to rely on dense ones.
type Memory struct {
	mu    sync.Mutex // guards logs and limit; taken before a partition's
	logs  map[string]*memoryLog
	limit int64
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{logs: map[string]*memoryLog{}} }

// Limit makes every partition refuse, with Full, what would take it over so
// many bytes of frames; 0 means no limit.
func (m *Memory) Limit(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = bytes
	for _, l := range m.logs {
		for _, p := range l.parts {
			p.mu.Lock()
			p.limit = bytes
			p.mu.Unlock()
		}
	}
}

// Open implements Store.
func (m *Memory) Open(ctx context.Context, pipeline string, partitions int) (Log, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := CheckPipeline(pipeline, partitions); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.logs[pipeline]
	if l == nil {
		l = &memoryLog{parts: make([]*memoryPart, partitions)}
		for p := range l.parts {
			l.parts[p] = &memoryPart{number: uint64(p), limit: m.limit, changed: make(chan struct{})}
		}
		m.logs[pipeline] = l
	}
	if len(l.parts) != partitions {
		return nil, fault.New(fault.Invalid, "open the log of %s: it was made with %d partitions, not %d; their number never changes", pipeline, len(l.parts), partitions)
	}
	return &memoryHandle{log: l, closed: make(chan struct{})}, nil
}

type memoryLog struct{ parts []*memoryPart }

type memoryPart struct {
	number uint64

	mu      sync.Mutex // guards what follows
	records []Record
	next    uint64 // one above the newest offset ever given
	trimmed uint64 // one above the newest offset ever trimmed
	count   uint64 // records ever appended; the gaps follow from it
	bytes   int64
	limit   int64
	changed chan struct{} // closed and replaced whenever something changes
}

// gap is how many offsets the n-th record of the partition leaves out: 0 to 3,
// and none before the very first record of partition 0, which therefore has
// offset 0 as Kafka's first one has.
func (p *memoryPart) gap(n uint64) uint64 {
	return ((n + p.number) * 0x9E3779B97F4A7C15 >> 32) % 4
}

func (p *memoryPart) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *memoryPart) append(frame []byte) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit > 0 && p.bytes+int64(len(frame)) > p.limit {
		return 0, fault.New(fault.Full, "append to partition %d: the log is at its limit of %d bytes", p.number, p.limit)
	}
	offset := p.next + p.gap(p.count)
	p.records = append(p.records, Record{Offset: offset, Frame: bytes.Clone(frame)})
	p.bytes += int64(len(frame))
	p.next = offset + 1
	p.count++
	p.wake()
	return offset, nil
}

// at returns the index of the first record at or above offset.
func (p *memoryPart) at(offset uint64) int {
	return sort.Search(len(p.records), func(i int) bool { return p.records[i].Offset >= offset })
}

// memoryHandle is one opening of a log.
type memoryHandle struct {
	log    *memoryLog
	once   sync.Once
	closed chan struct{}
}

func (h *memoryHandle) part(ctx context.Context, partition int) (*memoryPart, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if isClosed(h.closed) {
		return nil, ErrClosed
	}
	if err := CheckPartition(len(h.log.parts), partition); err != nil {
		return nil, err
	}
	return h.log.parts[partition], nil
}

// Append implements Appender.
func (h *memoryHandle) Append(ctx context.Context, partition int, frame []byte) (uint64, error) {
	p, err := h.part(ctx, partition)
	if err != nil {
		return 0, err
	}
	if err := CheckAppend(len(h.log.parts), partition, len(frame)); err != nil {
		return 0, err
	}
	return p.append(frame)
}

// Partitions implements Log.
func (h *memoryHandle) Partitions() int { return len(h.log.parts) }

// Bounds implements Log.
func (h *memoryHandle) Bounds(ctx context.Context, partition int) (uint64, uint64, error) {
	p, err := h.part(ctx, partition)
	if err != nil {
		return 0, 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.records) == 0 {
		return p.next, p.next, nil
	}
	return p.records[0].Offset, p.next, nil
}

// Trim implements Log.
func (h *memoryHandle) Trim(ctx context.Context, partition int, below uint64) error {
	p, err := h.part(ctx, partition)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if below > p.next {
		return fault.New(fault.Invalid, "trim partition %d below %d: the log ends at %d", partition, below, p.next)
	}
	n := p.at(below)
	if n == 0 {
		return nil
	}
	p.trimmed = p.records[n-1].Offset + 1
	for _, r := range p.records[:n] {
		p.bytes -= int64(len(r.Frame))
	}
	p.records = append([]Record(nil), p.records[n:]...)
	p.wake()
	return nil
}

// Read implements Log.
func (h *memoryHandle) Read(ctx context.Context, partition int, from uint64) (Reader, error) {
	p, err := h.part(ctx, partition)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case from < p.trimmed:
		return nil, ErrTrimmed
	case from > p.next:
		return nil, fault.New(fault.Corrupt, "read partition %d from %d: the log ends at %d, so records that were seen are gone", partition, from, p.next)
	}
	return &memoryReader{part: p, log: h.closed, closed: make(chan struct{}), next: from}, nil
}

// Close implements Log. The records stay in the store.
func (h *memoryHandle) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// atOnce bounds how many records one Next returns.
const atOnce = 256

type memoryReader struct {
	part   *memoryPart
	log    <-chan struct{} // closed with the log
	once   sync.Once
	closed chan struct{}
	next   uint64
}

// Next implements Reader.
func (r *memoryReader) Next(ctx context.Context) ([]Record, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if isClosed(r.closed) || isClosed(r.log) {
			return nil, ErrClosed
		}
		r.part.mu.Lock()
		if r.next < r.part.trimmed {
			r.part.mu.Unlock()
			return nil, ErrTrimmed
		}
		if i := r.part.at(r.next); i < len(r.part.records) {
			got := append([]Record(nil), r.part.records[i:min(i+atOnce, len(r.part.records))]...)
			r.part.mu.Unlock()
			r.next = got[len(got)-1].Offset + 1
			return got, nil
		}
		changed := r.part.changed
		r.part.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		case <-r.closed:
		case <-r.log:
		}
	}
}

// Close implements Reader.
func (r *memoryReader) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
