package schemas

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/parquet-go/parquet-go/format"

	"anabranch/event"
)

// maxBound is the longest text that is told as a bound: readers prune by the
// begin, and the footer has one for each column of each row group.
const maxBound = 256

// bounds is the smallest and the largest value of a column in a row group, by
// which readers pass row groups over.
type bounds struct {
	seen     bool
	none     bool // they would mislead, or cost too much
	lo, hi   int64
	flo, fhi float64
	wlo, whi event.Int128
	tlo, thi []byte
}

func (b *bounds) ints(values []int64) {
	if len(values) == 0 {
		return
	}
	if !b.seen {
		b.seen, b.lo, b.hi = true, values[0], values[0]
	}
	lo, hi := b.lo, b.hi
	for _, v := range values {
		lo, hi = min(lo, v), max(hi, v)
	}
	b.lo, b.hi = lo, hi
}

func (b *bounds) float(v float64) {
	switch {
	case math.IsNaN(v): // has no place in an order
		b.none = true
	case !b.seen:
		b.seen, b.flo, b.fhi = true, v, v
	default:
		b.flo, b.fhi = min(b.flo, v), max(b.fhi, v)
	}
}

func (b *bounds) wide(v event.Int128) {
	switch {
	case !b.seen:
		b.seen, b.wlo, b.whi = true, v, v
	case v.Compare(b.wlo) < 0:
		b.wlo = v
	case v.Compare(b.whi) > 0:
		b.whi = v
	}
}

func (b *bounds) text(v []byte) {
	switch {
	case len(v) > maxBound:
		b.none = true
	case !b.seen:
		b.seen, b.tlo, b.thi = true, append([]byte(nil), v...), append([]byte(nil), v...)
	case bytes.Compare(v, b.tlo) < 0:
		b.tlo = append(b.tlo[:0], v...)
	case bytes.Compare(v, b.thi) > 0:
		b.thi = append(b.thi[:0], v...)
	}
}

// statistics writes them as Parquet does: PLAIN, a text without its length.
func (b *bounds) statistics(t format.Type) (s format.Statistics) {
	if !b.seen || b.none {
		return s
	}
	le := binary.LittleEndian
	switch t {
	case format.Int32:
		s.MinValue, s.MaxValue = le.AppendUint32(nil, uint32(b.lo)), le.AppendUint32(nil, uint32(b.hi))
	case format.Int64:
		s.MinValue, s.MaxValue = le.AppendUint64(nil, uint64(b.lo)), le.AppendUint64(nil, uint64(b.hi))
	case format.Double:
		lo, hi := b.flo, b.fhi
		if lo == 0 { // whichever zero it was, both are inside
			lo = math.Copysign(0, -1)
		}
		if hi == 0 {
			hi = 0
		}
		s.MinValue, s.MaxValue = le.AppendUint64(nil, math.Float64bits(lo)), le.AppendUint64(nil, math.Float64bits(hi))
	case format.FixedLenByteArray:
		s.MinValue, s.MaxValue = appendWide(nil, b.wlo), appendWide(nil, b.whi)
	case format.ByteArray:
		s.MinValue, s.MaxValue = b.tlo, b.thi
	}
	return s
}

// appendWide appends a value as Parquet's decimals are written.
func appendWide(dst []byte, v event.Int128) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(v.Hi))
	return binary.BigEndian.AppendUint64(dst, v.Lo)
}
