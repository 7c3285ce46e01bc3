package sql

import (
	"encoding/hex"
	"fmt"
	"math"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"
	bindings "github.com/duckdb/duckdb-go-bindings"
)

// column collects vectors of DuckDB into one array of Arrow. Where a row is
// null the bytes are zero, so that the same rows are the same bytes.
type column interface {
	dataType() arrow.DataType
	// add appends n rows of a flat vector, beginning with row from.
	add(v bindings.Vector, from, n int) error
	// size is how many bytes there are, about.
	size() int
	// take returns what was added, and the column begins anew.
	take() arrow.ArrayData
}

// validity is which rows are not null. It has no bits while all are valid.
type validity struct {
	bits     []byte
	n, nulls int
}

// add appends the validity of n rows and returns DuckDB's mask over them, nil
// when all are valid.
func (b *validity) add(v bindings.Vector, from, n int) mask {
	var m mask
	if p := bindings.VectorGetValidity(v); p != nil {
		m = mask{unsafe.Slice((*byte)(p), (from+n+63)/64*8), from}
		if set := bitutil.CountSetBits(m.bits, from, n); set < n {
			b.nulls += n - set
		} else {
			m = mask{}
		}
	}
	if b.nulls > 0 {
		if b.bits == nil {
			b.grow(b.n + n)
			bitutil.SetBitsTo(b.bits, 0, int64(b.n), true)
		}
		b.grow(b.n + n)
		if m.bits == nil {
			bitutil.SetBitsTo(b.bits, int64(b.n), int64(n), true)
		} else {
			bitutil.CopyBitmap(m.bits, from, n, b.bits, b.n)
		}
	}
	b.n += n
	return m
}

func (b *validity) grow(rows int) {
	if need := int(bitutil.BytesForBits(int64(rows))); need > len(b.bits) {
		b.bits = append(b.bits, make([]byte, need-len(b.bits))...)
	}
}

// mask is DuckDB's validity of some rows of a vector.
type mask struct {
	bits []byte
	from int
}

func (m mask) null(i int) bool { return m.bits != nil && bitutil.BitIsNotSet(m.bits, m.from+i) }

// data makes an array of what was added, and begins anew.
func (b *validity) data(t arrow.DataType, buffers [][]byte, children ...arrow.ArrayData) arrow.ArrayData {
	all := make([]*memory.Buffer, 1, 1+len(buffers))
	if b.bits != nil {
		all[0] = memory.NewBufferBytes(b.bits)
	}
	for _, bytes := range buffers {
		all = append(all, memory.NewBufferBytes(bytes))
	}
	out := array.NewData(t, b.n, all, children, b.nulls, 0)
	for _, c := range children {
		c.Release()
	}
	*b = validity{}
	return out
}

// values returns the memory of n values of a vector, beginning with from.
func values[T any](v bindings.Vector, from, n int) []T {
	p := bindings.VectorGetData(v)
	if p == nil || n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(p), from+n)[from:]
}

// fixed is a column whose values are the same bytes in DuckDB and in Arrow.
type fixed struct {
	validity
	t     arrow.DataType
	width int
	bytes []byte
	last  int // bytes of the array before
}

func (c *fixed) dataType() arrow.DataType { return c.t }
func (c *fixed) size() int                { return len(c.bytes) }

func (c *fixed) add(v bindings.Vector, from, n int) error {
	if c.bytes == nil {
		c.bytes = make([]byte, 0, max(c.last, n*c.width))
	}
	m := c.validity.add(v, from, n)
	at := len(c.bytes)
	c.bytes = append(c.bytes, values[byte](v, from*c.width, n*c.width)...)
	for i := 0; m.bits != nil && i < n; i++ {
		if m.null(i) {
			clear(c.bytes[at+i*c.width : at+(i+1)*c.width])
		}
	}
	return nil
}

func (c *fixed) take() arrow.ArrayData {
	out := c.validity.data(c.t, [][]byte{c.bytes})
	c.last, c.bytes = len(c.bytes), nil
	return out
}

// made is a column whose values of type T are made into others of one width.
type made[T any] struct {
	validity
	t     arrow.DataType
	width int
	put   func(into []byte, value *T) error
	bytes []byte
	last  int
}

func (c *made[T]) dataType() arrow.DataType { return c.t }
func (c *made[T]) size() int                { return len(c.bytes) }

func (c *made[T]) add(v bindings.Vector, from, n int) error {
	if c.bytes == nil {
		c.bytes = make([]byte, 0, max(c.last, n*c.width))
	}
	m := c.validity.add(v, from, n)
	at := len(c.bytes)
	c.bytes = append(c.bytes, make([]byte, n*c.width)...)
	in := values[T](v, from, n)
	for i := range in {
		if m.null(i) {
			continue
		}
		if err := c.put(c.bytes[at+i*c.width:at+(i+1)*c.width], &in[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *made[T]) take() arrow.ArrayData {
	out := c.validity.data(c.t, [][]byte{c.bytes})
	c.last, c.bytes = len(c.bytes), nil
	return out
}

// bools are bytes in DuckDB and bits in Arrow.
type bools struct {
	validity
	bits []byte
}

func (c *bools) dataType() arrow.DataType { return arrow.FixedWidthTypes.Boolean }
func (c *bools) size() int                { return len(c.bits) }

func (c *bools) add(v bindings.Vector, from, n int) error {
	at := c.n
	m := c.validity.add(v, from, n)
	if need := (c.n + 7) / 8; need > len(c.bits) {
		c.bits = append(c.bits, make([]byte, need-len(c.bits))...)
	}
	for i, x := range values[byte](v, from, n) {
		if x != 0 && !m.null(i) {
			bitutil.SetBit(c.bits, at+i)
		}
	}
	return nil
}

func (c *bools) take() arrow.ArrayData {
	out := c.validity.data(c.dataType(), [][]byte{c.bits})
	c.bits = nil
	return out
}

// bytesOf is DuckDB's string: up to twelve bytes in itself, more elsewhere.
type bytesOf struct {
	length uint32
	inline [4]byte
	p      unsafe.Pointer
}

func (s *bytesOf) bytes() []byte {
	if s.length <= 12 {
		return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(s), 4)), s.length)
	}
	return unsafe.Slice((*byte)(s.p), s.length)
}

// texts is a column of bytes of any length: VARCHAR, BLOB, and what is shown
// as text. render is nil where DuckDB's bytes are Arrow's.
type texts struct {
	validity
	t       arrow.DataType
	render  func(dst, value []byte) []byte
	offsets []int32
	bytes   []byte
	last    int
}

func (c *texts) dataType() arrow.DataType { return c.t }
func (c *texts) size() int                { return len(c.bytes) + 4*len(c.offsets) }

func (c *texts) add(v bindings.Vector, from, n int) error {
	c.begin(n)
	m := c.validity.add(v, from, n)
	in := values[bytesOf](v, from, n)
	for i := range in {
		if !m.null(i) {
			if c.render != nil {
				c.bytes = c.render(c.bytes, in[i].bytes())
			} else {
				c.bytes = append(c.bytes, in[i].bytes()...)
			}
		}
		if err := c.end(); err != nil {
			return err
		}
	}
	return nil
}

func (c *texts) begin(n int) {
	if c.offsets == nil {
		c.offsets = make([]int32, 1, max(batchRows/8, n)+1)
		c.bytes = make([]byte, 0, c.last)
	}
}

// end closes the value that was appended last.
func (c *texts) end() error {
	if len(c.bytes) > math.MaxInt32 {
		return fmt.Errorf("the values of few rows take more than %d bytes: ask for parts of them", math.MaxInt32)
	}
	c.offsets = append(c.offsets, int32(len(c.bytes)))
	return nil
}

func (c *texts) take() arrow.ArrayData {
	c.begin(0)
	c.last = len(c.bytes)
	out := c.validity.data(c.t, [][]byte{arrow.Int32Traits.CastToBytes(c.offsets), c.bytes})
	c.offsets, c.bytes = nil, nil
	return out
}

// bitText renders DuckDB's BIT: how many bits of the first byte are unused,
// then the bytes.
func bitText(dst, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	for i := int(value[0]); i < 8*(len(value)-1); i++ {
		dst = append(dst, '0'+value[1+i/8]>>(7-i%8)&1)
	}
	return dst
}

// words is a column of texts made of values of type T.
type words[T any] struct {
	texts
	write func(dst []byte, value *T) []byte
}

func (c *words[T]) add(v bindings.Vector, from, n int) error {
	c.begin(n)
	m := c.validity.add(v, from, n)
	in := values[T](v, from, n)
	for i := range in {
		if !m.null(i) {
			c.bytes = c.write(c.bytes, &in[i])
		}
		if err := c.end(); err != nil {
			return err
		}
	}
	return nil
}

// wide is DuckDB's 128-bit integer; Arrow's has the same bytes.
type wide128 struct {
	low  uint64
	high int64
}

// uuidText renders a UUID, which DuckDB keeps with its first bit turned round
// so that it sorts as a signed number.
func uuidText(dst []byte, u *wide128) []byte {
	var raw [16]byte
	high := uint64(u.high) ^ 1<<63
	for i := range 8 {
		raw[i], raw[8+i] = byte(high>>(56-8*i)), byte(u.low>>(56-8*i))
	}
	text := hex.AppendEncode(make([]byte, 0, 32), raw[:])
	for i, at := range []int{0, 8, 12, 16, 20} {
		if i > 0 {
			dst = append(dst, '-')
		}
		end := 32
		if i < 4 {
			end = []int{8, 12, 16, 20}[i]
		}
		dst = append(dst, text[at:end]...)
	}
	return dst
}

// nothing is a column of SQL's NULL only.
type nothing struct{ n int }

func (c *nothing) dataType() arrow.DataType              { return arrow.Null }
func (c *nothing) size() int                             { return 0 }
func (c *nothing) add(_ bindings.Vector, _, n int) error { c.n += n; return nil }
func (c *nothing) take() arrow.ArrayData {
	out := array.NewData(arrow.Null, c.n, []*memory.Buffer{nil}, nil, c.n, 0)
	c.n = 0
	return out
}
