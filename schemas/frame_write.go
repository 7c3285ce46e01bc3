package schemas

import (
	"bytes"
	"encoding/binary"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"anabranch/event"
	"anabranch/fault"
)

// Names of the columns that every frame has beside the fields of its schema.
const (
	idColumn   = "_id"
	hashColumn = "_hash"
)

// frameCodec holds what frames of one shape have in common: the Arrow schema,
// and the message that describes it, which is left out of each body.
type frameCodec struct {
	shape   *event.Shape
	schema  *arrow.Schema
	message []byte
}

func newFrameCodec(shape *event.Shape) (*frameCodec, error) {
	fields := make([]arrow.Field, 0, len(shape.Fields)+2)
	for _, f := range shape.Fields {
		fields = append(fields, arrow.Field{Name: f.Name, Type: arrowType(f.Type), Nullable: f.Nullable})
	}
	fields = append(fields,
		arrow.Field{Name: idColumn, Type: &arrow.FixedSizeBinaryType{ByteWidth: 16}},
		arrow.Field{Name: hashColumn, Type: arrow.PrimitiveTypes.Uint64})
	c := &frameCodec{shape: shape, schema: arrow.NewSchema(fields, nil)}
	var empty bytes.Buffer
	w := ipc.NewWriter(&empty, ipc.WithSchema(c.schema))
	if err := w.Close(); err != nil {
		return nil, fault.Wrap(fault.Bug, err)
	}
	const end = 8 // the mark behind the last message
	c.message = empty.Bytes()[:empty.Len()-end]
	return c, nil
}

// arrowType returns how a column of type t travels.
func arrowType(t event.Type) arrow.DataType {
	dictionary := func(value arrow.DataType) arrow.DataType {
		return &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: value}
	}
	switch t.Kind {
	case event.Bool:
		return arrow.FixedWidthTypes.Boolean
	case event.Int32:
		return arrow.PrimitiveTypes.Int32
	case event.Float64:
		return arrow.PrimitiveTypes.Float64
	case event.Decimal:
		return &arrow.Decimal128Type{Precision: int32(t.Precision), Scale: int32(t.Scale)}
	case event.Timestamp:
		return &arrow.TimestampType{Unit: arrow.Microsecond}
	case event.Date:
		return arrow.FixedWidthTypes.Date32
	case event.String:
		return dictionary(arrow.BinaryTypes.String)
	case event.Bytes:
		return dictionary(arrow.BinaryTypes.Binary)
	case event.Huge:
		return &arrow.Decimal128Type{Precision: 38}
	}
	return arrow.PrimitiveTypes.Int64
}

// encode renders what f has gathered.
func (c *frameCodec) encode(f *FrameBuilder) ([]byte, error) {
	columns := make([]arrow.Array, 0, len(f.columns)+2)
	for i := range f.columns {
		columns = append(columns, f.columns[i].arrow(f.n))
	}
	ids := make([]byte, 0, 16*f.n)
	for _, id := range f.ids {
		ids = binary.BigEndian.AppendUint64(ids, id.Hi)
		ids = binary.BigEndian.AppendUint64(ids, id.Lo)
	}
	fields := c.schema.Fields()
	columns = append(columns,
		flatArray(fields[len(columns)].Type, f.n, nil, 0, ids),
		flatArray(fields[len(columns)+1].Type, f.n, nil, 0, arrow.Uint64Traits.CastToBytes(f.hashes)))

	out := bytes.NewBuffer(make([]byte, 0, len(c.message)+f.Bytes()))
	w := ipc.NewWriter(out, ipc.WithSchema(c.schema))
	if err := w.Write(array.NewRecord(c.schema, columns, int64(f.n))); err != nil {
		return nil, fault.New(fault.Bug, "write frame: %w", err)
	}
	body, ok := bytes.CutPrefix(out.Bytes(), c.message)
	if !ok {
		return nil, fault.New(fault.Bug, "write frame: the schema message differs from the one left out")
	}
	return body, nil
}

// arrow returns the column as an Arrow array, sharing its memory where the
// layouts agree.
func (c *gatherer) arrow(n int) arrow.Array {
	t := arrowType(c.Type)
	switch c.Type.Kind {
	case event.Bool:
		bits := make([]byte, (n+7)/8)
		for i, v := range c.Ints {
			bits[i>>3] |= byte(v&1) << (i & 7)
		}
		return flatArray(t, n, c.Valid, c.nulls, bits)
	case event.Int32, event.Date:
		narrow := make([]int32, n)
		for i, v := range c.Ints {
			narrow[i] = int32(v)
		}
		return flatArray(t, n, c.Valid, c.nulls, arrow.Int32Traits.CastToBytes(narrow))
	case event.Float64:
		return flatArray(t, n, c.Valid, c.nulls, arrow.Float64Traits.CastToBytes(c.Floats))
	case event.Decimal, event.Huge:
		wide := make([]decimal128.Num, n)
		if c.Type.Storage() == event.InInts {
			for i, v := range c.Ints {
				wide[i] = decimal128.FromI64(v)
			}
		} else {
			for i, v := range c.Wide {
				wide[i] = decimal128.New(v.Hi, v.Lo)
			}
		}
		return flatArray(t, n, c.Valid, c.nulls, arrow.Decimal128Traits.CastToBytes(wide))
	case event.String, event.Bytes:
		return c.arrowDictionary(t.(*arrow.DictionaryType), n)
	}
	return flatArray(t, n, c.Valid, c.nulls, arrow.Int64Traits.CastToBytes(c.Ints))
}

func (c *gatherer) arrowDictionary(t *arrow.DictionaryType, n int) arrow.Array {
	d := c.interner.dict
	values := array.NewData(t.ValueType, d.Len(), []*memory.Buffer{
		nil, memory.NewBufferBytes(arrow.Uint32Traits.CastToBytes(d.Offsets)), memory.NewBufferBytes(d.Data),
	}, nil, 0, 0)
	codes := []*memory.Buffer{validity(c.Valid, c.nulls), memory.NewBufferBytes(arrow.Uint32Traits.CastToBytes(c.Codes))}
	return array.NewDictionaryData(array.NewDataWithDictionary(t, n, codes, c.nulls, 0, values))
}

func flatArray(t arrow.DataType, n int, valid event.Bitmap, nulls int, data []byte) arrow.Array {
	return array.MakeFromData(array.NewData(t, n, []*memory.Buffer{validity(valid, nulls), memory.NewBufferBytes(data)}, nil, nulls, 0))
}

func validity(valid event.Bitmap, nulls int) *memory.Buffer {
	if nulls == 0 {
		return nil
	}
	return memory.NewBufferBytes(arrow.Uint64Traits.CastToBytes(valid))
}
