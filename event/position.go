package event

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Position is the place of one event: the partition, the offset of its frame
// in the partition's log, and its row in the frame. Offsets rise but are not
// dense: never compute the next one, read it.
type Position struct {
	Partition int32
	Offset    uint64
	Row       int32
}

// Compare orders positions by partition, then by log order.
func (p Position) Compare(o Position) int {
	return cmp.Or(cmp.Compare(p.Partition, o.Partition), cmp.Compare(p.Offset, o.Offset), cmp.Compare(p.Row, o.Row))
}

// String renders p as "partition/offset/row", which ParsePosition reads.
func (p Position) String() string {
	return fmt.Sprintf("%d/%d/%d", p.Partition, p.Offset, p.Row)
}

// ParsePosition reads what String wrote; the error is Invalid.
func ParsePosition(s string) (Position, error) {
	part := strings.Split(s, "/")
	if len(part) == 3 {
		p, e1 := strconv.ParseInt(part[0], 10, 32)
		o, e2 := strconv.ParseUint(part[1], 10, 64)
		r, e3 := strconv.ParseInt(part[2], 10, 32)
		if e1 == nil && e2 == nil && e3 == nil && p >= 0 && r >= 0 {
			return Position{int32(p), o, int32(r)}, nil
		}
	}
	return Position{}, invalid("position %q: want partition/offset/row", s)
}

// Cut holds, for each partition, the first offset that is not covered: the
// events below it are in, those at and above it are not.
type Cut []uint64

// Covers reports whether the event at p lies below the cut.
func (c Cut) Covers(p Position) bool {
	return int(p.Partition) < len(c) && p.Offset < c[p.Partition]
}

// AtLeast reports whether c covers everything that o covers.
func (c Cut) AtLeast(o Cut) bool {
	for p, offset := range o {
		if offset > 0 && (p >= len(c) || c[p] < offset) {
			return false
		}
	}
	return true
}

// Join returns the cut that covers what c covers and what o covers, and shares
// nothing with either.
func (c Cut) Join(o Cut) Cut {
	if len(c) < len(o) {
		c, o = o, c
	}
	out := c.Clone()
	for p, offset := range o {
		out[p] = max(out[p], offset)
	}
	return out
}

// Clone returns a copy that shares nothing with c.
func (c Cut) Clone() Cut { return slices.Clone(c) }

// String renders c as "offset,offset,...", one for each partition.
func (c Cut) String() string {
	part := make([]string, len(c))
	for i, o := range c {
		part[i] = strconv.FormatUint(o, 10)
	}
	return strings.Join(part, ",")
}

// ParseCut reads what String wrote; the error is Invalid.
func ParseCut(s string) (Cut, error) {
	if s == "" {
		return nil, nil
	}
	part := strings.Split(s, ",")
	c := make(Cut, len(part))
	for i, p := range part {
		o, err := strconv.ParseUint(p, 10, 64)
		if err != nil {
			return nil, invalid("cut %q: %q is not an offset", s, p)
		}
		c[i] = o
	}
	return c, nil
}
