package schemas

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow/go/v17/arrow"

	"anabranch/event"
)

// Numbers of Arrow's IPC format (Message.fbs).
const (
	continuation      = math.MaxUint32
	messageDictionary = 2
	messageRecords    = 3
)

// flat reads a flatbuffer. An access outside of it sets bad and yields zero.
type flat struct {
	b   []byte
	bad bool
}

func (f *flat) at(pos, n int) []byte {
	if pos < 0 || pos > len(f.b)-n {
		f.bad = true
		return make([]byte, n)
	}
	return f.b[pos : pos+n]
}

func (f *flat) u16(pos int) int   { return int(binary.LittleEndian.Uint16(f.at(pos, 2))) }
func (f *flat) u32(pos int) int   { return int(binary.LittleEndian.Uint32(f.at(pos, 4))) }
func (f *flat) i64(pos int) int64 { return int64(binary.LittleEndian.Uint64(f.at(pos, 8))) }

// follow returns the place that the offset at pos points to.
func (f *flat) follow(pos int) int { return pos + f.u32(pos) }

// field returns the place of a table's field, 0 when it has its default.
func (f *flat) field(table, id int) int {
	vtable := table - int(int32(f.u32(table)))
	slot := 4 + 2*id
	if slot+2 > f.u16(vtable) {
		return 0
	}
	if offset := f.u16(vtable + slot); offset != 0 {
		return table + offset
	}
	return 0
}

// vector returns the first element and the number of elements of a table's
// field, each of size bytes.
func (f *flat) vector(table, id, size int) (first, n int) {
	pos := f.field(table, id)
	if pos == 0 {
		return 0, 0
	}
	pos = f.follow(pos)
	n = f.u32(pos)
	if n < 0 || n > len(f.b)/size {
		f.bad = true
		return 0, 0
	}
	return pos + 4, n
}

// message is one message of a frame.
type message struct {
	flat
	kind   int
	header int // place of the table that kind names
	body   []byte
}

// nextMessage splits the first message from b, or says what is wrong.
func nextMessage(b []byte) (m message, rest []byte, what string) {
	if len(b) < 8 || binary.LittleEndian.Uint32(b) != continuation {
		return m, nil, "a message is missing"
	}
	size := int64(binary.LittleEndian.Uint32(b[4:]))
	if b = b[8:]; size > int64(len(b)) {
		return m, nil, "a message is cut off"
	}
	m.b, b = b[:size], b[size:]
	root := m.follow(0)
	kind, header, length := m.field(root, 1), m.field(root, 2), m.field(root, 3)
	if m.bad || kind == 0 || header == 0 {
		return m, nil, "a message has no header"
	}
	m.kind, m.header = int(m.at(kind, 1)[0]), m.follow(header)
	var body int64
	if length != 0 {
		body = m.i64(length)
	}
	if m.bad || body < 0 || body > int64(len(b)) {
		return m, nil, "the body of a message is cut off"
	}
	m.body = b[:body]
	return m, b[body:], ""
}

// records walks the buffers of a record batch.
type records struct {
	m              *message
	n              int
	node, buffer   int // next to be read
	nodes, buffers int // first ones
	nNode, nBuffer int
	bad            bool
}

// values are the buffers of one column.
type values struct {
	n     int
	valid []byte // nil when all are
	data  []byte
}

func (m *message) records(table int) (*records, string) {
	r := &records{m: m}
	if pos := m.field(table, 0); pos != 0 {
		n := m.i64(pos)
		if n < 0 || n > event.MaxFrame {
			return nil, "the number of rows is impossible"
		}
		r.n = int(n)
	}
	r.nodes, r.nNode = m.vector(table, 1, 16)
	r.buffers, r.nBuffer = m.vector(table, 2, 16)
	if m.field(table, 3) != 0 {
		return nil, "the batch is compressed"
	}
	if m.bad {
		return nil, "the batch is cut off"
	}
	return r, ""
}

func (r *records) take() []byte {
	if r.buffer >= r.nBuffer {
		r.bad = true
		return nil
	}
	pos := r.buffers + 16*r.buffer
	r.buffer++
	offset, length := r.m.i64(pos), r.m.i64(pos+8)
	size := int64(len(r.m.body))
	if r.m.bad || offset < 0 || length < 0 || offset > size || length > size-offset || offset%8 != 0 {
		r.bad = true
		return nil
	}
	return r.m.body[offset : offset+length : offset+length]
}

// next returns the buffers of the next column that has validity and data.
func (r *records) next() values {
	v := r.head()
	v.data = r.take()
	return v
}

func (r *records) head() values {
	if r.node >= r.nNode {
		r.bad = true
		return values{}
	}
	pos := r.nodes + 16*r.node
	r.node++
	n, nulls := r.m.i64(pos), r.m.i64(pos+8)
	if n != int64(r.n) || nulls < 0 || nulls > n {
		r.bad = true
		return values{}
	}
	v := values{n: int(n)}
	valid := r.take()
	if nulls == 0 {
		return v
	}
	if len(valid) < (v.n+7)/8 {
		r.bad = true
		return values{}
	}
	v.valid = append(make([]byte, 0, (v.n+63)/64*8), valid[:(v.n+7)/8]...)
	v.valid = v.valid[:cap(v.valid)]
	return v
}

func (r *records) done() bool { return !r.bad && r.node == r.nNode && r.buffer == r.nBuffer }

// dictionary reads a dictionary batch, which must be that of column id.
func (m *message) dictionary(id int64) (*event.Dict, string) {
	if m.kind != messageDictionary {
		return nil, "the dictionary is missing"
	}
	var got int64
	if pos := m.field(m.header, 0); pos != 0 {
		got = m.i64(pos)
	}
	data := m.field(m.header, 1)
	if m.bad || got != id || data == 0 || m.field(m.header, 2) != 0 {
		return nil, "the dictionary is another column's"
	}
	r, what := m.records(m.follow(data))
	if what != "" {
		return nil, what
	}
	v := r.head()
	offsets, bytes := r.take(), r.take()
	if !r.done() || v.valid != nil {
		return nil, "the dictionary has other buffers"
	}
	if v.n == 0 {
		return &event.Dict{}, ""
	}
	d := &event.Dict{Offsets: arrow.Uint32Traits.CastFromBytes(offsets), Data: bytes}
	if len(d.Offsets) != v.n+1 || d.Offsets[0] != 0 || int64(d.Offsets[v.n]) > int64(len(bytes)) {
		return nil, "the dictionary is cut off"
	}
	for i := range v.n {
		if d.Offsets[i] > d.Offsets[i+1] {
			return nil, "the dictionary runs backward"
		}
	}
	return d, ""
}
