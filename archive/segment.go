package archive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/internal/planted"
	"anabranch/schemas"
)

// Segment is a sealed range of one partition's log: every event of the
// records in [From, To). The next segment begins at To. Every byte of its file
// stands under a checksum of its own, so no sum of the whole is needed.
type Segment struct {
	Partition int    `json:"partition"`
	From      uint64 `json:"from"`
	To        uint64 `json:"to"`
	Rows      int64  `json:"rows"`
	Barrier   uint64 `json:"barrier,omitempty"` // the barrier that ended it, its record at offset To-1; 0: none
	Admit     string `json:"admit,omitempty"`   // the import that this barrier admits, or empty
	Name      string `json:"name"`
	Size      int64  `json:"size"`
}

const segmentKey = "anabranch.segment"

// segmentMeta stands in the footer of a segment.
type segmentMeta struct {
	Format    int               `json:"format"`
	Pipeline  string            `json:"pipeline"`
	Partition int               `json:"partition"`
	From      uint64            `json:"from"`
	To        uint64            `json:"to"`
	Rows      int64             `json:"rows"`
	Barrier   uint64            `json:"barrier,omitempty"`
	Admit     string            `json:"admit,omitempty"`
	Schemas   []uint32          `json:"schemas"`                 // versions of its rows, ascending
	Groups    []uint32          `json:"groups"`                  // the version of each row group
	First     int64             `json:"first_ingested,omitzero"` // of its frames, µs since 1970
	Last      int64             `json:"last_ingested,omitzero"`
	Producers map[string]uint64 `json:"producers,omitempty"` // the last sequence of each producer with a frame in it
}

// Segments returns the chain of segments from the one that begins at from (0,
// or some segment's To) to the newest. From 0 it begins with the first that has
// not expired. Corrupt when the chain has a gap.
func (a *Archive) Segments(ctx context.Context, partition int, from uint64) ([]Segment, error) {
	if from == 0 {
		m, err := a.Newest(ctx)
		switch kind := fault.KindOf(err); {
		case err == nil:
			from = m.RawFrom(partition).From
		case kind != fault.Corrupt && kind != fault.Invalid:
			return nil, err
		}
	}
	objects, err := a.listSegments(ctx, partition, from)
	if err != nil {
		return nil, err
	}
	chain := make([]Segment, len(objects))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i, o := range objects {
		if s, ok := a.segments.get(o.Name); ok {
			chain[i] = s
			continue
		}
		group.Go(func() (err error) {
			chain[i], _, err = a.readSegmentMeta(gctx, partition, o)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	at := from
	for _, s := range chain {
		if s.From != at {
			return nil, fault.New(fault.Corrupt, "read the segments of partition %d: %s begins at %d, but everything below %d and nothing above is there; restore what is missing from a copy of the bucket", partition, s.Name, s.From, at)
		}
		at = s.To
	}
	return chain, nil
}

// listSegments returns the objects of the segments from the one at from on.
func (a *Archive) listSegments(ctx context.Context, partition int, from uint64) ([]bucket.Info, error) {
	after := ""
	if from > 0 {
		after = a.segmentName(partition, from-1)
	}
	var out []bucket.Info
	for info, err := range a.bucket.List(ctx, a.segmentPrefix(partition), after) {
		if err != nil {
			return nil, fmt.Errorf("list the segments of partition %d: %w", partition, err)
		}
		if _, ok := a.segmentFrom(partition, info.Name); ok {
			out = append(out, info)
		}
	}
	return out, nil
}

func (a *Archive) segmentFrom(partition int, name string) (uint64, bool) {
	number, ok := strings.CutSuffix(strings.TrimPrefix(name, a.segmentPrefix(partition)), ".parquet")
	from, err := strconv.ParseUint(number, 10, 64)
	return from, ok && err == nil && a.segmentName(partition, from) == name
}

// readSegmentMeta reads the footer of one segment and nothing else.
func (a *Archive) readSegmentMeta(ctx context.Context, partition int, o bucket.Info) (Segment, *segmentMeta, error) {
	file, err := schemas.OpenParquet(&footerReader{remote: remote{ctx, a, o.Name}, size: o.Size}, o.Size)
	if err != nil {
		return Segment{}, nil, named(o.Name, err)
	}
	return a.checkSegment(partition, o, file)
}

func (a *Archive) checkSegment(partition int, o bucket.Info, file *schemas.ParquetFile) (Segment, *segmentMeta, error) {
	m := &segmentMeta{}
	if err := readMeta(o.Name, file, segmentKey, m); err != nil {
		return Segment{}, nil, err
	}
	if err := checkFormat(o.Name, m.Format); err != nil {
		return Segment{}, nil, err
	}
	from, _ := a.segmentFrom(partition, o.Name)
	rows := int64(0)
	for _, n := range file.RowGroups() {
		rows += n
	}
	switch {
	case m.Pipeline != a.pipeline || m.Partition != partition || m.From != from:
		return Segment{}, nil, fault.New(fault.Corrupt, "read %s: it calls itself pipeline %s, partition %d, offset %d", o.Name, m.Pipeline, m.Partition, m.From)
	case m.To <= m.From || rows != m.Rows || len(m.Groups) != len(file.RowGroups()):
		return Segment{}, nil, fault.New(fault.Corrupt, "read %s: %d rows in %d row groups from %d to %d, its footer says %d rows in %d", o.Name, rows, len(file.RowGroups()), m.From, m.To, m.Rows, len(m.Groups))
	}
	s := Segment{
		Partition: partition, From: m.From, To: m.To, Rows: m.Rows, Barrier: m.Barrier, Admit: m.Admit, Name: o.Name, Size: o.Size,
	}
	a.segments.put(s)
	return s, m, nil
}

// BarrierAt returns the offset of the first barrier k in a partition, looking
// at the sealed segments from the one that begins at from; from must not lie
// above that barrier (the cut of a published manifest below k never does). Ok
// is false when no sealed segment ends at it yet. The cut of k is offset+1.
func (a *Archive) BarrierAt(ctx context.Context, partition int, k, from uint64) (offset uint64, ok bool, err error) {
	chain, err := a.Segments(ctx, partition, from)
	if err != nil {
		return 0, false, err
	}
	if planted.On(planted.LastBarrier) {
		slices.Reverse(chain)
	}
	for _, s := range chain {
		if s.Barrier == k {
			return s.To - 1, true, nil // a repeated append of k may follow; it means nothing
		}
	}
	return 0, false, nil
}

// footerReader reads the end of an object in one request, and small objects
// whole.
type footerReader struct {
	remote
	size int64
	tail []byte
}

// tailBytes holds the footer of any usual segment and of its checksums.
const tailBytes = 128 << 10

func (r *footerReader) ReadAt(b []byte, off int64) (int, error) {
	start := max(0, r.size-tailBytes)
	if off < start {
		return r.remote.ReadAt(b, off)
	}
	if r.tail == nil {
		tail := make([]byte, r.size-start)
		if _, err := r.remote.ReadAt(tail, start); err != nil {
			return 0, err
		}
		r.tail = tail
	}
	n, err := bytes.NewReader(r.tail).ReadAt(b, off-start)
	if err == io.EOF && n == len(b) {
		err = nil
	}
	return n, err
}

// segmentCache remembers what the footers of segments say.
type segmentCache struct {
	mu sync.Mutex // guards at
	at map[string]Segment
}

// maxSegments bounds the memory of a segmentCache, at some 300 bytes each.
const maxSegments = 1 << 17

func newSegmentCache() *segmentCache { return &segmentCache{at: map[string]Segment{}} }

func (c *segmentCache) get(name string) (Segment, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.at[name]
	return s, ok
}

func (c *segmentCache) put(s Segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.at) >= maxSegments {
		clear(c.at)
	}
	c.at[s.Name] = s
}
