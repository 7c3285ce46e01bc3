package httpapi

import (
	"encoding/binary"
	"fmt"
	"io"
	"reflect"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/duckdb/duckdb-go/v2"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// parquetFile writes record batches to a Parquet file, column by column.
type parquetFile struct {
	file   *parquet.GenericWriter[any]
	leaves [][]parquet.Value // of one batch, one list for each leaf
}

// zstdFast is shared: it keeps its encoders between uses.
var zstdFast = &zstd.Codec{Level: zstd.SpeedFastest}

func newParquet(out io.Writer, schema *arrow.Schema) (*parquetFile, error) {
	g := group{}
	names := onceNamed(len(schema.Fields()), func(i int) string { return schema.Field(i).Name })
	for i, f := range schema.Fields() {
		node, err := nodeOf(f.Type)
		if err != nil {
			return nil, fault.WithCode(fault.New(fault.Invalid, "column %s: %v", f.Name, err), "not_parquet")
		}
		g.fields = append(g.fields, named{node, names[i]})
	}
	if len(g.fields) == 0 {
		return nil, fault.WithCode(fault.New(fault.Invalid, "a Parquet file has at least one column"), "not_parquet")
	}
	w := &parquetFile{file: parquet.NewGenericWriter[any](out, parquet.NewSchema("anabranch", g),
		parquet.Compression(zstdFast), parquet.PageBufferSize(256<<10), parquet.DictionaryMaxBytes(1<<20), parquet.CreatedBy("anabranch", "1", ""))}
	for i, key := range schema.Metadata().Keys() {
		w.file.SetKeyValueMetadata(key, schema.Metadata().Values()[i])
	}
	return w, nil
}

// onceNamed numbers columns of one name, of which a row of Parquet, and an object
// of JSON for most who read it, has one.
func onceNamed(n int, name func(i int) string) []string {
	out, used := make([]string, n), make(map[string]bool, n)
	for i := range out {
		out[i] = name(i)
		for again := 1; used[out[i]]; again++ {
			out[i] = fmt.Sprintf("%s_%d", name(i), again)
		}
		used[out[i]] = true
	}
	return out
}

// group is a parquet.Group that keeps its fields in order.
type group struct {
	parquet.Group
	fields []parquet.Field
}

func (g group) Fields() []parquet.Field { return g.fields }
func (g group) GoType() reflect.Type    { return reflect.TypeFor[struct{}]() }

type named struct {
	parquet.Node
	name string
}

func (n named) Name() string                           { return n.name }
func (n named) Value(base reflect.Value) reflect.Value { return base.FieldByName(n.name) }

// nodeOf is what a type of Arrow is in Parquet; all of it may be null.
func nodeOf(t arrow.DataType) (parquet.Node, error) {
	switch t := t.(type) {
	case *arrow.ListType:
		return listOf(t.Elem())
	case *arrow.FixedSizeListType:
		return listOf(t.Elem())
	case *arrow.MapType:
		key, err := nodeOf(t.KeyType())
		if err != nil {
			return nil, err
		}
		value, err := nodeOf(t.ItemType())
		if err != nil {
			return nil, err
		}
		return parquet.Optional(parquet.Map(parquet.Required(key), value)), nil
	case *arrow.StructType:
		g := group{}
		for _, f := range t.Fields() {
			node, err := nodeOf(f.Type)
			if err != nil {
				return nil, err
			}
			g.fields = append(g.fields, named{node, f.Name})
		}
		return parquet.Optional(g), nil
	}
	leaf, err := leafOf(t)
	if err != nil {
		return nil, err
	}
	return parquet.Optional(leaf), nil
}

func listOf(elem arrow.DataType) (parquet.Node, error) {
	node, err := nodeOf(elem)
	if err != nil {
		return nil, err
	}
	return parquet.Optional(parquet.List(node)), nil
}

func leafOf(t arrow.DataType) (parquet.Node, error) {
	switch t := t.(type) {
	case *arrow.NullType:
		return parquet.Int(32), nil
	case *arrow.BooleanType:
		return parquet.Leaf(parquet.BooleanType), nil
	case *arrow.Int8Type, *arrow.Int16Type, *arrow.Int32Type, *arrow.Int64Type:
		return parquet.Encoded(parquet.Int(t.(arrow.FixedWidthDataType).BitWidth()), &parquet.DeltaBinaryPacked), nil
	case *arrow.Uint8Type, *arrow.Uint16Type, *arrow.Uint32Type, *arrow.Uint64Type:
		return parquet.Uint(t.(arrow.FixedWidthDataType).BitWidth()), nil
	case *arrow.Float32Type:
		return parquet.Leaf(parquet.FloatType), nil
	case *arrow.Float64Type:
		return parquet.Leaf(parquet.DoubleType), nil
	case *arrow.StringType, *arrow.MonthDayNanoIntervalType:
		return parquet.Encoded(parquet.String(), &parquet.RLEDictionary), nil
	case *arrow.BinaryType:
		return parquet.Encoded(parquet.Leaf(parquet.ByteArrayType), &parquet.RLEDictionary), nil
	case *arrow.Date32Type:
		return parquet.Date(), nil
	case *arrow.Time64Type:
		if t.Unit == arrow.Nanosecond {
			return parquet.TimeAdjusted(parquet.Nanosecond, false), nil
		}
		return parquet.TimeAdjusted(parquet.Microsecond, false), nil
	case *arrow.TimestampType:
		unit := map[arrow.TimeUnit]parquet.TimeUnit{arrow.Second: parquet.Millisecond, arrow.Millisecond: parquet.Millisecond, arrow.Microsecond: parquet.Microsecond, arrow.Nanosecond: parquet.Nanosecond}[t.Unit]
		return parquet.Encoded(parquet.TimestampAdjusted(unit, t.TimeZone != ""), &parquet.DeltaBinaryPacked), nil
	case *arrow.Decimal128Type:
		return parquet.Decimal(int(t.Scale), int(t.Precision), parquet.FixedLenByteArrayType(16)), nil
	}
	return nil, fmt.Errorf("no type of Parquet holds values of %s: write CAST(... AS VARCHAR)", t)
}

// slot is one value of a leaf to be: where it is in its array, -1 for none,
// and the levels that it has so far.
type slot struct{ at, repeated, defined int }

func (w *parquetFile) write(rec arrow.Record) error {
	n := int(rec.NumRows())
	w.leaves = w.leaves[:0]
	rows := make([]slot, n)
	for _, c := range rec.Columns() {
		for i := range rows {
			rows[i] = slot{at: i}
		}
		w.shred(c, rows, 0)
	}
	for i, to := range w.file.ColumnWriters() {
		if _, err := to.WriteRowValues(w.leaves[i]); err != nil {
			return err
		}
	}
	return nil
}

// shred turns an array, at these slots, into the values of its leaves. Lists
// of it repeat at the level after depth.
func (w *parquetFile) shred(c arrow.Array, slots []slot, depth int) {
	for i := range slots {
		s := &slots[i]
		switch {
		case s.at < 0:
		case c.IsNull(s.at) || c.DataType().ID() == arrow.NULL:
			s.at = -1
		default:
			s.defined++
		}
	}
	switch c := c.(type) {
	case *array.Map: // a key is always there
		items := elements(slots, depth+1, c.ValueOffsets)
		keys := append([]slot(nil), items...)
		for i := range keys {
			if keys[i].at >= 0 {
				keys[i].defined-- // which shred adds for a value that may be null
			}
		}
		w.shred(c.Keys(), keys, depth+1)
		w.shred(c.Items(), items, depth+1)
	case *array.List:
		w.shred(c.ListValues(), elements(slots, depth+1, c.ValueOffsets), depth+1)
	case *array.FixedSizeList:
		w.shred(c.ListValues(), elements(slots, depth+1, c.ValueOffsets), depth+1)
	case *array.Struct:
		for i := range c.NumField() {
			w.shred(c.Field(i), append([]slot(nil), slots...), depth)
		}
	default:
		w.leaf(c, slots)
	}
}

// elements are the slots of the elements of lists.
func elements(slots []slot, level int, of func(int) (start, end int64)) []slot {
	out := make([]slot, 0, len(slots))
	for _, s := range slots {
		if s.at < 0 {
			out = append(out, s)
			continue
		}
		start, end := of(s.at)
		if start == end {
			out = append(out, slot{-1, s.repeated, s.defined})
		}
		for at := start; at < end; at++ {
			out = append(out, slot{int(at), s.repeated, s.defined + 1})
			s.repeated = level
		}
	}
	return out
}

// leaf appends the values of a leaf.
func (w *parquetFile) leaf(c arrow.Array, slots []slot) {
	column := len(w.leaves)
	out := make([]parquet.Value, len(slots))
	value := valueOf(c, len(slots))
	for i, s := range slots {
		if s.at < 0 {
			out[i] = parquet.NullValue().Level(s.repeated, s.defined, column)
		} else {
			out[i] = value(s.at).Level(s.repeated, s.defined, column)
		}
	}
	w.leaves = append(w.leaves, out)
}

// valueOf reads an array as values of Parquet, n of them at most.
func valueOf(c arrow.Array, n int) func(int) parquet.Value {
	switch c := c.(type) {
	case *array.Boolean:
		return func(i int) parquet.Value { return parquet.BooleanValue(c.Value(i)) }
	case *array.Int8:
		return func(i int) parquet.Value { return parquet.Int32Value(int32(c.Value(i))) }
	case *array.Int16:
		return func(i int) parquet.Value { return parquet.Int32Value(int32(c.Value(i))) }
	case *array.Int32:
		return func(i int) parquet.Value { return parquet.Int32Value(c.Value(i)) }
	case *array.Int64:
		return func(i int) parquet.Value { return parquet.Int64Value(c.Value(i)) }
	case *array.Uint8:
		return func(i int) parquet.Value { return parquet.Int32Value(int32(c.Value(i))) }
	case *array.Uint16:
		return func(i int) parquet.Value { return parquet.Int32Value(int32(c.Value(i))) }
	case *array.Uint32:
		return func(i int) parquet.Value { return parquet.Int32Value(int32(c.Value(i))) }
	case *array.Uint64:
		return func(i int) parquet.Value { return parquet.Int64Value(int64(c.Value(i))) }
	case *array.Float32:
		return func(i int) parquet.Value { return parquet.FloatValue(c.Value(i)) }
	case *array.Float64:
		return func(i int) parquet.Value { return parquet.DoubleValue(c.Value(i)) }
	case *array.String:
		return func(i int) parquet.Value { return parquet.ByteArrayValue([]byte(c.Value(i))) }
	case *array.Binary:
		return func(i int) parquet.Value { return parquet.ByteArrayValue(c.Value(i)) }
	case *array.MonthDayNanoInterval:
		return func(i int) parquet.Value { return parquet.ByteArrayValue(isoDuration(c.Value(i))) }
	case *array.Date32:
		return func(i int) parquet.Value { return parquet.Int32Value(int32(c.Value(i))) }
	case *array.Time64:
		return func(i int) parquet.Value { return parquet.Int64Value(int64(c.Value(i))) }
	case *array.Timestamp:
		factor := int64(1)
		if c.DataType().(*arrow.TimestampType).Unit == arrow.Second { // of which Parquet has none
			factor = 1000
		}
		return func(i int) parquet.Value { return parquet.Int64Value(int64(c.Value(i)) * factor) }
	case *array.Decimal128:
		wide := make([]byte, 0, 16*n)
		return func(i int) parquet.Value {
			v := c.Value(i)
			at := len(wide)
			wide = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(wide, uint64(v.HighBits())), v.LowBits())
			return parquet.FixedLenByteArrayValue(wide[at:])
		}
	}
	return func(int) parquet.Value { return parquet.NullValue() }
}

// isoDuration is an interval as the other formats have it: Parquet's own would
// lose its microseconds.
func isoDuration(v arrow.MonthDayNanoInterval) []byte {
	return sql.AppendInterval(nil, duckdb.Interval{Months: v.Months, Days: v.Days, Micros: v.Nanoseconds / 1000})
}
