package sql

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	bindings "github.com/duckdb/duckdb-go-bindings"
)

// flat are the types whose values Arrow keeps as DuckDB does.
var flat = map[bindings.Type]arrow.FixedWidthDataType{
	bindings.TypeTinyInt: arrow.PrimitiveTypes.Int8.(arrow.FixedWidthDataType), bindings.TypeUTinyInt: arrow.PrimitiveTypes.Uint8.(arrow.FixedWidthDataType),
	bindings.TypeSmallInt: arrow.PrimitiveTypes.Int16.(arrow.FixedWidthDataType), bindings.TypeUSmallInt: arrow.PrimitiveTypes.Uint16.(arrow.FixedWidthDataType),
	bindings.TypeInteger: arrow.PrimitiveTypes.Int32.(arrow.FixedWidthDataType), bindings.TypeUInteger: arrow.PrimitiveTypes.Uint32.(arrow.FixedWidthDataType),
	bindings.TypeBigInt: arrow.PrimitiveTypes.Int64.(arrow.FixedWidthDataType), bindings.TypeUBigInt: arrow.PrimitiveTypes.Uint64.(arrow.FixedWidthDataType),
	bindings.TypeFloat: arrow.PrimitiveTypes.Float32.(arrow.FixedWidthDataType), bindings.TypeDouble: arrow.PrimitiveTypes.Float64.(arrow.FixedWidthDataType),
	bindings.TypeDate: arrow.FixedWidthTypes.Date32, bindings.TypeTime: arrow.FixedWidthTypes.Time64us, bindings.TypeTimeNS: arrow.FixedWidthTypes.Time64ns,
	bindings.TypeTimestamp: micros, bindings.TypeTimestampTZ: microsUTC,
	bindings.TypeTimestampS: &arrow.TimestampType{Unit: arrow.Second}, bindings.TypeTimestampMS: &arrow.TimestampType{Unit: arrow.Millisecond},
	bindings.TypeTimestampNS: &arrow.TimestampType{Unit: arrow.Nanosecond},
}

var (
	micros    = &arrow.TimestampType{Unit: arrow.Microsecond}
	microsUTC = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
)

// newColumn returns the column that a type of DuckDB becomes in Arrow.
func newColumn(t bindings.LogicalType) (column, error) {
	id := bindings.GetTypeId(t)
	if same, ok := flat[id]; ok {
		return &fixed{t: same, width: same.Bytes()}, nil
	}
	switch id {
	case bindings.TypeBoolean:
		return &bools{}, nil
	case bindings.TypeVarchar:
		return &texts{t: arrow.BinaryTypes.String}, nil
	case bindings.TypeBlob:
		return &texts{t: arrow.BinaryTypes.Binary}, nil
	case bindings.TypeBit:
		return &texts{t: arrow.BinaryTypes.String, render: bitText}, nil
	case bindings.TypeUUID:
		return &words[wide128]{texts{t: arrow.BinaryTypes.String}, uuidText}, nil
	case bindings.TypeInterval:
		return &made[interval]{t: arrow.FixedWidthTypes.MonthDayNanoInterval, width: 16, put: putInterval}, nil
	case bindings.TypeHugeInt:
		return &made[wide128]{t: &arrow.Decimal128Type{Precision: 38}, width: 16, put: putHuge}, nil
	case bindings.TypeUHugeInt:
		return &made[wide128]{t: &arrow.Decimal128Type{Precision: 38}, width: 16, put: putUhuge}, nil
	case bindings.TypeSQLNull:
		return &nothing{}, nil
	case bindings.TypeDecimal:
		return decimals(t)
	case bindings.TypeEnum:
		return enums(t)
	case bindings.TypeList, bindings.TypeMap, bindings.TypeArray, bindings.TypeStruct:
		return nested(id, t)
	}
	return nil, fmt.Errorf("no type of Arrow holds its values: write CAST(... AS VARCHAR)")
}

// interval is DuckDB's; Arrow's counts nanoseconds.
type interval struct {
	months, days int32
	micros       int64
}

func putInterval(into []byte, v *interval) error {
	if v.micros > math.MaxInt64/1000 || v.micros < math.MinInt64/1000 {
		return fmt.Errorf("an interval of %d microseconds is longer than Arrow's may be: write CAST(... AS VARCHAR)", v.micros)
	}
	binary.LittleEndian.PutUint32(into, uint32(v.months))
	binary.LittleEndian.PutUint32(into[4:], uint32(v.days))
	binary.LittleEndian.PutUint64(into[8:], uint64(v.micros*1000))
	return nil
}

func putWide(into []byte, v *wide128) {
	binary.LittleEndian.PutUint64(into, v.low)
	binary.LittleEndian.PutUint64(into[8:], uint64(v.high))
}

// most is 10^38, which the widest decimal has no place for.
var most = wide128{0x098a224000000000, 0x4b3b4ca85a86c47a}

func below(a, b wide128) bool { return a.high < b.high || a.high == b.high && a.low < b.low }

// putHuge writes a HUGEINT as a decimal of 38 digits.
func putHuge(into []byte, v *wide128) error {
	size := *v
	if size.high < 0 {
		size.low = -size.low
		size.high = ^size.high
		if size.low == 0 {
			size.high++
		}
	}
	if size.high < 0 || !below(size, most) { // the smallest HUGEINT has no opposite
		return fmt.Errorf("a number of 39 digits is wider than the widest decimal: write CAST(... AS VARCHAR)")
	}
	putWide(into, v)
	return nil
}

func putUhuge(into []byte, v *wide128) error {
	if v.high < 0 || !below(*v, most) {
		return fmt.Errorf("a number of 39 digits is wider than the widest decimal: write CAST(... AS VARCHAR)")
	}
	putWide(into, v)
	return nil
}

// decimals widens what DuckDB keeps in two, four or eight bytes.
func decimals(t bindings.LogicalType) (column, error) {
	as := &arrow.Decimal128Type{Precision: int32(bindings.DecimalWidth(t)), Scale: int32(bindings.DecimalScale(t))}
	switch bindings.DecimalInternalType(t) {
	case bindings.TypeSmallInt:
		return &made[int16]{t: as, width: 16, put: widen[int16]}, nil
	case bindings.TypeInteger:
		return &made[int32]{t: as, width: 16, put: widen[int32]}, nil
	case bindings.TypeBigInt:
		return &made[int64]{t: as, width: 16, put: widen[int64]}, nil
	}
	return &fixed{t: as, width: 16}, nil
}

func widen[T int16 | int32 | int64](into []byte, v *T) error {
	n := int64(*v)
	putWide(into, &wide128{uint64(n), n >> 63})
	return nil
}

// enums are shown as the texts they stand for.
func enums(t bindings.LogicalType) (column, error) {
	list := make([]string, bindings.EnumDictionarySize(t))
	for i := range list {
		list[i] = bindings.EnumDictionaryValue(t, bindings.IdxT(i))
	}
	text := texts{t: arrow.BinaryTypes.String}
	switch bindings.EnumInternalType(t) {
	case bindings.TypeUTinyInt:
		return &words[uint8]{text, func(dst []byte, v *uint8) []byte { return append(dst, list[*v]...) }}, nil
	case bindings.TypeUSmallInt:
		return &words[uint16]{text, func(dst []byte, v *uint16) []byte { return append(dst, list[*v]...) }}, nil
	}
	return &words[uint32]{text, func(dst []byte, v *uint32) []byte { return append(dst, list[*v]...) }}, nil
}

// child makes the column of a type that another is made of.
func child(t bindings.LogicalType) (column, error) {
	defer bindings.DestroyLogicalType(&t)
	return newColumn(t)
}

func nested(id bindings.Type, t bindings.LogicalType) (column, error) {
	switch id {
	case bindings.TypeList:
		items, err := child(bindings.ListTypeChildType(t))
		if err != nil {
			return nil, err
		}
		return &lists{t: arrow.ListOf(items.dataType()), items: items}, nil
	case bindings.TypeArray:
		items, err := child(bindings.ArrayTypeChildType(t))
		if err != nil {
			return nil, err
		}
		each := int(bindings.ArrayTypeArraySize(t))
		return &arrays{t: arrow.FixedSizeListOf(int32(each), items.dataType()), each: each, items: items}, nil
	case bindings.TypeMap:
		key, err := child(bindings.MapTypeKeyType(t))
		if err != nil {
			return nil, err
		}
		value, err := child(bindings.MapTypeValueType(t))
		if err != nil {
			return nil, err
		}
		as := arrow.MapOf(key.dataType(), value.dataType())
		return &lists{t: as, items: &structs{t: as.Elem(), fields: []column{key, value}}}, nil
	}
	out := &structs{}
	var fields []arrow.Field
	for i := range bindings.StructTypeChildCount(t) {
		f, err := child(bindings.StructTypeChildType(t, i))
		if err != nil {
			return nil, err
		}
		out.fields = append(out.fields, f)
		fields = append(fields, arrow.Field{Name: bindings.StructTypeChildName(t, i), Type: f.dataType(), Nullable: true})
	}
	out.t = arrow.StructOf(fields...)
	return out, nil
}
