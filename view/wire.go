package view

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"

	"anabranch/event"
)

// reader walks over bytes that may be damaged. After the first thing that is
// not there or not allowed it is bad, and everything read from it is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) fail() {
	r.bad, r.b = true, nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// count reads how many things follow, each of at least size bytes: a number
// that the remaining bytes cannot hold is bad before anything is made for it.
func (r *reader) count(size int) int {
	v := r.uvarint()
	if v > uint64(len(r.b)/size) {
		r.fail()
		return 0
	}
	return int(v)
}

// times reads a number of rows that were counted, bounded so that sums of many
// stay far from the end of the type.
func (r *reader) times() uint64 {
	v := r.uvarint()
	if v > 1<<56 {
		r.fail()
		return 0
	}
	return v
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) uint64() uint64 {
	if v := r.take(8); v != nil {
		return binary.LittleEndian.Uint64(v)
	}
	return 0
}

// int192 reads what appendInt192 wrote.
func (r *reader) int192() (lo, mid uint64, hi int64) {
	n := int(r.byte())
	if n > 24 {
		r.fail()
	}
	v := r.take(n)
	if len(v) == 0 {
		return 0, 0, 0
	}
	var full [24]byte
	if v[len(v)-1] >= 0x80 {
		for i := range full {
			full[i] = 0xff
		}
	}
	copy(full[:], v)
	le := binary.LittleEndian
	return le.Uint64(full[0:]), le.Uint64(full[8:]), int64(le.Uint64(full[16:]))
}

// appendInt192 appends a signed number as a length and that many bytes, little
// end first: as few as keep its sign, none for zero.
func appendInt192(dst []byte, lo, mid uint64, hi int64) []byte {
	var full [24]byte
	le := binary.LittleEndian
	le.PutUint64(full[0:], lo)
	le.PutUint64(full[8:], mid)
	le.PutUint64(full[16:], uint64(hi))
	n := len(full)
	fill := byte(hi >> 63)
	for n > 0 && full[n-1] == fill && (n == 1 && fill == 0 || n > 1 && (full[n-2]^fill) < 0x80) {
		n--
	}
	dst = append(dst, byte(n))
	return append(dst, full[:n]...)
}

func appendVarint(dst []byte, v int64) []byte {
	return binary.AppendUvarint(dst, uint64(v<<1)^uint64(v>>63))
}

// ordFloat maps floats to integers of the same order: NaN, of whatever bits,
// above all, and -0 to 0, because SQL holds these equal.
func ordFloat(f float64) int64 {
	if f != f {
		return math.MaxInt64
	}
	b := int64(math.Float64bits(f + 0)) // -0 + 0 is 0
	return b ^ int64(uint64(b>>63)>>1)
}

// floatOfOrd undoes ordFloat.
func floatOfOrd(v int64) float64 {
	if v == math.MaxInt64 {
		return math.NaN()
	}
	return math.Float64frombits(uint64(v ^ int64(uint64(v>>63)>>1)))
}

// ordinals returns a column of Ints or Floats as integers of the same order;
// scratch is used where they must be made.
func ordinals(c *event.Column, scratch *[]int64) []int64 {
	if c.Type.Storage() == event.InInts {
		return c.Ints
	}
	out := extend((*scratch)[:0], len(c.Floats))
	for i, f := range c.Floats {
		out[i] = ordFloat(f)
	}
	*scratch = out
	return out
}

// mix spreads x over all 64 bits: the finaliser of splitmix64. It is a
// bijection, and durable: sketches on disk were filled by it.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// fold64 is a quicker mix for tables in memory.
func fold64(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd6e8feb86659fd93)
	return hi ^ lo
}

// extend returns s with n more zero elements.
func extend[T any](s []T, n int) []T { return append(s, make([]T, n)...) }

// mapEntryBytes is about what an entry of a map of sums takes.
const mapEntryBytes = 64

func sliceBytes[T any](s []T) int64 {
	var t T
	return int64(cap(s)) * int64(unsafe.Sizeof(t))
}
