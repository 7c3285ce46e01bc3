package schemas

import (
	"encoding/json"
	"reflect"

	"github.com/parquet-go/parquet-go"

	"anabranch/event"
)

// shapeKey names the shape among the metadata of a file: Parquet's own schema
// cannot tell a HUGEINT from a DECIMAL(38,0).
const shapeKey = "anabranch.shape"

// storedField is one field of the shape as the file tells it.
type storedField struct {
	Name      string `json:"name"`
	Kind      uint8  `json:"kind"`
	Precision uint8  `json:"precision,omitempty"`
	Scale     uint8  `json:"scale,omitempty"`
	Nullable  bool   `json:"nullable,omitempty"`
	Doc       string `json:"doc,omitempty"`
}

func encodeShape(s *event.Shape) (string, error) {
	stored := make([]storedField, len(s.Fields))
	for i, f := range s.Fields {
		stored[i] = storedField{f.Name, uint8(f.Type.Kind), f.Type.Precision, f.Type.Scale, f.Nullable, f.Doc}
	}
	text, err := json.Marshal(stored)
	return string(text), err
}

func decodeShape(text string) (*event.Shape, error) {
	var stored []storedField
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return nil, err
	}
	fields := make([]event.Field, len(stored))
	for i, f := range stored {
		fields[i] = event.Field{
			Name: f.Name, Nullable: f.Nullable, Doc: f.Doc,
			Type: event.Type{Kind: event.Kind(f.Kind), Precision: f.Precision, Scale: f.Scale},
		}
	}
	return event.NewShape(fields...), nil
}

// parquetSchema returns the file's schema for a shape.
func parquetSchema(s *event.Shape) *parquet.Schema {
	g := group{fields: make([]parquet.Field, len(s.Fields))}
	for i, f := range s.Fields {
		node := parquetNode(f.Type)
		if f.Nullable {
			node = parquet.Optional(node)
		}
		g.fields[i] = column{node, f.Name}
	}
	return parquet.NewSchema("anabranch", g)
}

func parquetNode(t event.Type) parquet.Node {
	switch t.Kind {
	case event.Bool:
		return parquet.Leaf(parquet.BooleanType)
	case event.Int32:
		return parquet.Encoded(parquet.Leaf(parquet.Int32Type), &parquet.DeltaBinaryPacked)
	case event.Float64:
		return parquet.Leaf(parquet.DoubleType)
	case event.Decimal:
		switch {
		case t.Precision <= shortDecimal:
			return parquet.Encoded(parquet.Decimal(int(t.Scale), int(t.Precision), parquet.Int32Type), &parquet.DeltaBinaryPacked)
		case t.Precision <= event.MaxNarrow:
			return parquet.Encoded(parquet.Decimal(int(t.Scale), int(t.Precision), parquet.Int64Type), &parquet.DeltaBinaryPacked)
		}
		return parquet.Decimal(int(t.Scale), int(t.Precision), parquet.FixedLenByteArrayType(16))
	case event.Timestamp:
		return parquet.Encoded(parquet.TimestampAdjusted(parquet.Microsecond, false), &parquet.DeltaBinaryPacked)
	case event.Date:
		return parquet.Encoded(parquet.Date(), &parquet.DeltaBinaryPacked)
	case event.String:
		return parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	case event.Bytes:
		return parquet.Encoded(parquet.Leaf(parquet.ByteArrayType), &parquet.RLEDictionary)
	case event.Huge:
		return parquet.Decimal(0, 38, parquet.FixedLenByteArrayType(16))
	}
	return parquet.Encoded(parquet.Leaf(parquet.Int64Type), &parquet.DeltaBinaryPacked)
}

// shortDecimal is the precision up to which a decimal is an INT32 in a file.
const shortDecimal = 9

// inInt32 reports whether values of type t are 32 bits wide in a file.
func inInt32(t event.Type) bool {
	return t.Kind == event.Int32 || t.Kind == event.Date || t.Kind == event.Decimal && t.Precision <= shortDecimal
}

// group is a parquet.Group that keeps its fields in order, and that makes no
// Go struct of them: a column may be called anything, even "sum(a, b)".
type group struct {
	parquet.Group
	fields []parquet.Field
}

func (g group) Fields() []parquet.Field { return g.fields }
func (g group) GoType() reflect.Type    { return reflect.TypeFor[struct{}]() }

type column struct {
	parquet.Node
	name string
}

func (c column) Name() string                           { return c.name }
func (c column) Value(base reflect.Value) reflect.Value { return base.FieldByName(c.name) }
