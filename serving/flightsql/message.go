package flightsql

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Arguments come as messages of Arrow's IPC format, which are flatbuffers.
// Arrow's reader makes as much room as they say they need, and reads on where a
// list of them is too short: a damaged one, or a wicked one, can name a terabyte
// in a few bytes, and running out of memory is nothing that a program recovers
// from. So what a message claims is compared with what it has, before the
// reader sees it.

// Bounds of what arguments may be.
const (
	maxArguments = 1000    // fields of a schema, and pairs of metadata
	maxWords     = 1 << 16 // values of a batch, of which a query takes one
)

// The kinds of messages, by Message.fbs.
const (
	kindSchema = 1
	kindBatch  = 3
)

// buffersOf is how many buffers a column has, by the type's number in
// Schema.fbs. Others are not taken as arguments.
var buffersOf = map[byte]int{
	1: 0,                                                           // null
	2: 2, 3: 2, 6: 2, 7: 2, 8: 2, 9: 2, 10: 2, 11: 2, 15: 2, 18: 2, // of one width
	4: 3, 5: 3, 19: 3, 20: 3, // bytes and texts
}

const typeTimestamp = 10

var errMessage = errors.New("a message that is none of Arrow's")

// messages are those of one call: a schema, then batches of it.
type messages struct {
	begun            bool
	columns, buffers int
}

// check refuses a message whose claims are not true, and what no argument
// needs: compression, dictionaries and nested types.
func (m *messages) check(header []byte, body int) (err error) {
	if len(header) == 0 && body == 0 {
		return nil // of a command without arguments
	}
	defer func() {
		// Outside of the message: the accessors below do not look where they read.
		if recover() != nil {
			err = errMessage
		}
	}()
	b := buffer(header)
	message := b.table(int(b.u32(0)))
	inside, ok := message.sub(2)
	if !ok {
		return errMessage
	}
	if err := message.texts(4); err != nil {
		return err
	}
	switch kind := message.byte(1); {
	case kind == kindSchema && !m.begun:
		m.begun = true
		return m.schema(inside)
	case kind == kindBatch && m.begun:
		return m.batch(inside, body)
	default:
		return fmt.Errorf("want a schema and batches of plain values, got a message of kind %d", kind)
	}
}

// buffer is a flatbuffer. Reading outside of it panics.
type buffer []byte

func (b buffer) u16(at int) int { return int(binary.LittleEndian.Uint16(b[at : at+2])) }
func (b buffer) u32(at int) uint32 {
	return binary.LittleEndian.Uint32(b[at : at+4])
}
func (b buffer) i64(at int) int64 { return int64(binary.LittleEndian.Uint64(b[at : at+8])) }

// table is one that begins somewhere in a buffer: its fields are found by a
// list of their places.
type table struct {
	buffer
	at, places, n int
}

func (b buffer) table(at int) table {
	places := at - int(int32(b.u32(at)))
	n := (b.u16(places) - 4) / 2
	_ = b[places : places+4+2*n]
	return table{b, at, places, n}
}

// field returns where a field is, 0 for one that is not there.
func (t table) field(i int) int {
	if i >= t.n {
		return 0
	}
	if place := t.u16(t.places + 4 + 2*i); place > 0 {
		return t.at + place
	}
	return 0
}

func (t table) byte(i int) byte {
	if at := t.field(i); at > 0 {
		return t.buffer[at]
	}
	return 0
}

func (t table) sub(i int) (table, bool) {
	at := t.field(i)
	if at == 0 {
		return t, false
	}
	return t.table(at + int(t.u32(at))), true
}

// list returns where the elements of a vector begin, and how many there are,
// all of them inside the buffer.
func (t table) list(i, size int) (at, n int) {
	at = t.field(i)
	if at == 0 {
		return 0, 0
	}
	at += int(t.u32(at))
	n = int(t.u32(at))
	_ = t.buffer[at+4 : at+4+n*size]
	return at + 4, n
}

// tables has fn look at the elements of a vector of tables.
func (t table) tables(i int, fn func(table) error) error {
	at, n := t.list(i, 4)
	if n > maxArguments {
		return fmt.Errorf("%d fields, at most %d are taken", n, maxArguments)
	}
	for j := range n {
		if err := fn(t.table(at + 4*j + int(t.u32(at+4*j)))); err != nil {
			return err
		}
	}
	return nil
}

// texts checks the pairs of metadata.
func (t table) texts(i int) error {
	return t.tables(i, func(pair table) error {
		pair.list(0, 1)
		pair.list(1, 1)
		return nil
	})
}

func (m *messages) schema(t table) error {
	if err := t.texts(2); err != nil {
		return err
	}
	t.list(3, 8)
	return t.tables(1, func(f table) error {
		f.list(0, 1)
		kind := f.byte(2)
		n, known := buffersOf[kind]
		_, children := f.list(5, 4)
		_, dictionary := f.sub(4)
		if !known || children > 0 || dictionary {
			return errors.New("want numbers, texts, bytes, times or null, without dictionaries")
		}
		m.columns++
		m.buffers += n
		if t, ok := f.sub(3); ok && kind == typeTimestamp {
			t.list(1, 1)
		}
		return f.texts(6)
	})
}

func (m *messages) batch(t table, body int) error {
	if _, compressed := t.sub(3); compressed {
		return errors.New("they are compressed: send them as they are")
	}
	length := func(n int64) error {
		if n < 0 || n > maxWords {
			return fmt.Errorf("%d values, at most %d are taken", n, maxWords)
		}
		return nil
	}
	if at := t.field(0); at > 0 {
		if err := length(t.i64(at)); err != nil {
			return err
		}
	}
	nodes, n := t.list(1, 16)
	if n < m.columns {
		return errMessage
	}
	for i := range n {
		if err := errors.Join(length(t.i64(nodes+16*i)), length(t.i64(nodes+16*i+8))); err != nil {
			return err
		}
	}
	buffers, n := t.list(2, 16)
	if n < m.buffers {
		return errMessage
	}
	for i := range n {
		from, size := t.i64(buffers+16*i), t.i64(buffers+16*i+8)
		if from < 0 || size < 0 || from > int64(body) || size > int64(body)-from {
			return errors.New("a buffer outside of its message")
		}
	}
	t.list(4, 8)
	return nil
}
