package server

import (
	"context"
	"fmt"
	"sort"
	"sync"

	"anabranch/archive"
	"anabranch/fault"
)

// segmentIndex knows the sealed segments of a pipeline by heart and asks only
// for new ones: segments never change.
type segmentIndex struct {
	archive *archive.Archive

	mu   sync.Mutex // guards part
	part []chain
}

// chain is the segments of one partition that have not expired, from begin on;
// rows[i] counts those of the first i and of the expired ones.
type chain struct {
	begin    uint64
	segments []archive.Segment
	rows     []int64
}

// forget leaves out the segments that have expired.
func (c *chain) forget(border archive.RawBorder) {
	n := c.whole(border.From)
	c.segments, c.rows, c.begin = c.segments[n:], c.rows[n:], border.From
	if len(c.segments) == 0 {
		c.rows = []int64{border.Rows}
	}
}

func newSegmentIndex(a *archive.Archive, partitions int) *segmentIndex {
	x := &segmentIndex{archive: a, part: make([]chain, partitions)}
	for i := range x.part {
		x.part[i].rows = []int64{0}
	}
	return x
}

// refresh returns the segments of a partition, with those sealed since.
func (x *segmentIndex) refresh(ctx context.Context, partition int) (chain, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := &x.part[partition]
	m, err := x.archive.Newest(ctx)
	if err != nil && !fault.Is(err, fault.Corrupt) { // the segments are there all the same
		return chain{}, err
	}
	if err == nil && m.RawFrom(partition).From > c.begin {
		c.forget(m.RawFrom(partition))
	}
	from := c.begin
	if n := len(c.segments); n > 0 {
		from = c.segments[n-1].To
	}
	more, err := x.archive.Segments(ctx, partition, from)
	if err != nil {
		return chain{}, fmt.Errorf("list segments of partition %d: %w", partition, err)
	}
	for _, s := range more {
		c.segments = append(c.segments, s)
		c.rows = append(c.rows, c.rows[len(c.rows)-1]+s.Rows)
	}
	return *c, nil
}

// whole returns how many segments lie wholly below an offset.
func (c chain) whole(below uint64) int {
	return sort.Search(len(c.segments), func(i int) bool { return c.segments[i].To > below })
}

// border returns the highest end of a segment at or below an offset; 0 when
// there is none.
func (x *segmentIndex) border(ctx context.Context, partition int, at uint64) (uint64, error) {
	x.mu.Lock()
	c := x.part[partition]
	x.mu.Unlock()
	if n := len(c.segments); n == 0 || c.segments[n-1].To < at {
		var err error
		if c, err = x.refresh(ctx, partition); err != nil {
			return 0, err
		}
	}
	if n := c.whole(at); n > 0 {
		return c.segments[n-1].To, nil
	}
	return c.begin, nil
}
