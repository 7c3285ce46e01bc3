package schemas

import (
	"encoding/binary"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"

	"anabranch/event"
	"anabranch/fault"
)

// DecodeFrame reads a body that FrameBuilder made with s. The batch points
// into body where it can, so body must not change any more. Anything odd is
// Corrupt; the checksum of the frame has been checked before, so that it
// happens only when the frame was written with another schema.
//
// The messages are read here and not by Arrow's own reader: that one trusts
// lengths and offsets, and copies every buffer.
func (s *Schema) DecodeFrame(body []byte) (b *event.Batch, err error) {
	defer func() {
		// Every access below is checked; should one have been forgotten, a
		// damaged frame must still not end the program.
		if p := recover(); p != nil {
			b, err = nil, fault.New(fault.Corrupt, "read frame of schema version %d: %v", s.version, p)
		}
	}()
	b, what := s.frames.decode(body)
	if what != "" {
		return nil, fault.New(fault.Corrupt, "read frame of schema version %d: %s", s.version, what)
	}
	return b, nil
}

// decode returns the batch, or what is wrong with body.
func (c *frameCodec) decode(body []byte) (*event.Batch, string) {
	if len(body) > 0 && uintptr(unsafe.Pointer(unsafe.SliceData(body)))%8 != 0 {
		// Columns are read in place, which needs them aligned.
		body = append(make([]byte, 0, len(body)), body...)
	}
	var dicts []*event.Dict
	fields := c.shape.Fields
	for _, f := range fields {
		if f.Type.Storage() != event.InCodes {
			continue
		}
		m, rest, what := nextMessage(body)
		if what != "" {
			return nil, what
		}
		d, what := m.dictionary(int64(len(dicts)))
		if what != "" {
			return nil, "column " + f.Name + ": " + what
		}
		dicts = append(dicts, d)
		body = rest
	}
	m, rest, what := nextMessage(body)
	if what != "" {
		return nil, what
	}
	if len(rest) != 0 || m.kind != messageRecords {
		return nil, "the messages are not those of one batch"
	}
	r, what := m.records(m.header)
	if what != "" {
		return nil, what
	}
	b := &event.Batch{Shape: c.shape, N: r.n, Columns: make([]event.Column, len(fields))}
	for i, f := range fields {
		var d *event.Dict
		if f.Type.Storage() == event.InCodes {
			d, dicts = dicts[0], dicts[1:]
		}
		if what := r.column(&b.Columns[i], f, d); what != "" {
			return nil, "column " + f.Name + ": " + what
		}
	}
	ids, hashes := r.next(), r.next()
	if r.bad || len(ids.data) != 16*r.n || len(hashes.data) != 8*r.n || !r.done() {
		return nil, "ids or hashes are not those of the events"
	}
	b.IDs = make([]event.ID, r.n)
	for i := range b.IDs {
		b.IDs[i] = event.ID{Hi: binary.BigEndian.Uint64(ids.data[16*i:]), Lo: binary.BigEndian.Uint64(ids.data[16*i+8:])}
	}
	b.Hashes = arrow.Uint64Traits.CastFromBytes(hashes.data)
	return b, ""
}

// column fills in one field of the batch.
func (r *records) column(c *event.Column, f event.Field, d *event.Dict) string {
	v := r.next()
	if r.bad {
		return "the batch has too few columns"
	}
	c.Type = f.Type
	if v.valid != nil {
		c.Valid = event.NewBitmap(r.n)
		var last [8]byte
		for w := range c.Valid {
			copy(last[:], v.valid[8*w:])
			c.Valid[w] = binary.LittleEndian.Uint64(last[:])
			last = [8]byte{}
		}
	}
	want := widthOf(f.Type) * r.n
	switch {
	case f.Type.Kind == event.Bool:
		want = (r.n + 7) / 8
	case f.Type.Storage() == event.InWide:
		want = 16 * r.n
	case d != nil:
		want = 4 * r.n
	}
	if len(v.data) != want {
		return "the values are not those of its type"
	}
	switch f.Type.Kind {
	case event.Bool:
		c.Ints = make([]int64, r.n)
		for i := range c.Ints {
			c.Ints[i] = int64(v.data[i>>3] >> (i & 7) & 1)
		}
	case event.Int32, event.Date:
		c.Ints = make([]int64, r.n)
		for i := range c.Ints {
			c.Ints[i] = int64(int32(binary.LittleEndian.Uint32(v.data[4*i:])))
		}
	case event.Float64:
		c.Floats = arrow.Float64Traits.CastFromBytes(v.data)
	case event.Decimal, event.Huge:
		if f.Type.Storage() != event.InWide {
			return r.narrow(c, v.data)
		}
		r.wide(c, v.data)
	case event.String, event.Bytes:
		c.Codes, c.Dict = arrow.Uint32Traits.CastFromBytes(v.data), d
		return checkCodes(c)
	default:
		c.Ints = arrow.Int64Traits.CastFromBytes(v.data)
	}
	return ""
}

func (r *records) wide(c *event.Column, data []byte) {
	c.Wide = make([]event.Int128, r.n)
	for i := range c.Wide {
		c.Wide[i] = event.Int128{Hi: int64(binary.LittleEndian.Uint64(data[16*i+8:])), Lo: binary.LittleEndian.Uint64(data[16*i:])}
	}
}

// narrow reads 128-bit values whose type has room in 64.
func (r *records) narrow(c *event.Column, data []byte) string {
	c.Ints = make([]int64, r.n)
	odd := uint64(0)
	for i := range c.Ints {
		c.Ints[i] = int64(binary.LittleEndian.Uint64(data[16*i:]))
		odd |= binary.LittleEndian.Uint64(data[16*i+8:]) ^ uint64(c.Ints[i]>>63)
	}
	if odd != 0 {
		return "a decimal has too many digits"
	}
	return ""
}

func checkCodes(c *event.Column) string {
	n := uint32(c.Dict.Len())
	top := uint32(0)
	for _, code := range c.Codes {
		top = max(top, code)
	}
	if top >= n && len(c.Codes) > 0 && (n > 0 || top > 0 || c.Valid == nil || c.Valid.Count(len(c.Codes)) > 0) {
		return "a code is outside its dictionary"
	}
	return ""
}
