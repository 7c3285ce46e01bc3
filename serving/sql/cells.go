package sql

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"time"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"
	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
)

// JSON is a value of DuckDB's type JSON: the text as it was given, in which
// numbers have all their digits.
type JSON string

// cells reads vectors of one type, value by value, as Go values: those of
// DuckDB's driver, but for JSON and BIT, which are texts.
type cells struct {
	name     string // of the type, as the driver names it
	data     unsafe.Pointer
	valid    unsafe.Pointer // nil: no row is null
	value    func(c *cells, i int) any
	plain    func(c *cells, i int, d *Datum) int64 // see datum; nil: by value
	children []cells
	follow   func(c *cells, v bindings.Vector) // what else there is to take in hand
}

// newCells reads values of a type.
func newCells(t bindings.LogicalType) (cells, error) {
	id := bindings.GetTypeId(t)
	c := cells{name: scalarTypes[id]}
	if bindings.LogicalTypeGetAlias(t) == "JSON" {
		c.name = "JSON"
		c.value = func(c *cells, i int) any { return JSON(c.bytes(i)) }
		return c, nil
	}
	if c.value = plainCells[id]; c.value != nil {
		c.plain = plainData[id]
		return c, nil
	}
	switch id {
	case bindings.TypeSQLNull:
		return cells{name: "SQLNULL", value: func(*cells, int) any { return nil }}, nil
	case bindings.TypeDecimal:
		return decimalCells(t), nil
	case bindings.TypeEnum:
		return enumCells(t), nil
	case bindings.TypeList:
		child, err := childCells(bindings.ListTypeChildType(t))
		c.listOf(child, child.nested()+"[]")
		return c, err
	case bindings.TypeArray:
		child, err := childCells(bindings.ArrayTypeChildType(t))
		n := int(bindings.ArrayTypeArraySize(t))
		c.name, c.children = fmt.Sprintf("%s[%d]", child.nested(), n), []cells{child}
		c.follow = func(c *cells, v bindings.Vector) { c.children[0].take(bindings.ArrayVectorGetChild(v)) }
		c.value = func(c *cells, i int) any { return c.children[0].slice(i*n, n) }
		return c, err
	case bindings.TypeMap:
		return mapCells(t)
	case bindings.TypeStruct:
		return structCells(t)
	case bindings.TypeUnion:
		return unionCells(t)
	}
	return c, fault.WithCode(fault.New(fault.Invalid, "values of its type are not answered here: write CAST(... AS VARCHAR)"), "not_answered")
}

func childCells(t bindings.LogicalType) (cells, error) {
	defer bindings.DestroyLogicalType(&t)
	return newCells(t)
}

// nested is the name of the type inside another.
func (c *cells) nested() string {
	if c.name == "JSON" {
		return "VARCHAR" // as where a query is only described
	}
	return c.name
}

// take takes a flat vector in hand.
func (c *cells) take(v bindings.Vector) {
	c.data, c.valid = bindings.VectorGetData(v), unsafe.Pointer(bindings.VectorGetValidity(v))
	if c.follow != nil {
		c.follow(c, v)
	}
}

// at is the value of a row of the vector in hand.
func (c *cells) at(i int) any {
	if c.valid != nil && *(*byte)(unsafe.Add(c.valid, i>>3))>>(i&7)&1 == 0 {
		return nil
	}
	return c.value(c, i)
}

func in[T any](c *cells, i int) *T {
	var zero T
	return (*T)(unsafe.Add(c.data, uintptr(i)*unsafe.Sizeof(zero)))
}

func (c *cells) bytes(i int) []byte { return in[bytesOf](c, i).bytes() }

func (c *cells) slice(from, n int) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = c.at(from + i)
	}
	return out
}

func same[T any](c *cells, i int) any { return *in[T](c, i) }

// plainCells are the values of types that need nothing else to be known.
var plainCells = map[bindings.Type]func(c *cells, i int) any{
	bindings.TypeBoolean: same[bool], bindings.TypeFloat: same[float32], bindings.TypeDouble: same[float64],
	bindings.TypeTinyInt: same[int8], bindings.TypeSmallInt: same[int16], bindings.TypeInteger: same[int32], bindings.TypeBigInt: same[int64],
	bindings.TypeUTinyInt: same[uint8], bindings.TypeUSmallInt: same[uint16], bindings.TypeUInteger: same[uint32], bindings.TypeUBigInt: same[uint64],
	bindings.TypeHugeInt: func(c *cells, i int) any { return in[wide128](c, i).big() },
	bindings.TypeUHugeInt: func(c *cells, i int) any {
		n := new(big.Int).SetUint64(uint64(in[wide128](c, i).high))
		return n.Add(n.Lsh(n, 64), new(big.Int).SetUint64(in[wide128](c, i).low))
	},
	bindings.TypeBigNum:      func(c *cells, i int) any { return bigNumber(c.bytes(i)) },
	bindings.TypeVarchar:     func(c *cells, i int) any { return string(c.bytes(i)) },
	bindings.TypeBlob:        func(c *cells, i int) any { return append([]byte{}, c.bytes(i)...) },
	bindings.TypeBit:         func(c *cells, i int) any { return string(bitText(nil, c.bytes(i))) },
	bindings.TypeDate:        func(c *cells, i int) any { return time.Unix(int64(*in[int32](c, i))*86400, 0).UTC() },
	bindings.TypeTimestamp:   microseconds,
	bindings.TypeTimestampTZ: microseconds,
	bindings.TypeTimestampS:  func(c *cells, i int) any { return time.Unix(*in[int64](c, i), 0).UTC() },
	bindings.TypeTimestampMS: func(c *cells, i int) any { return time.UnixMilli(*in[int64](c, i)).UTC() },
	bindings.TypeTimestampNS: func(c *cells, i int) any { return time.Unix(0, *in[int64](c, i)).UTC() },
	bindings.TypeTime:        func(c *cells, i int) any { return clockTime(*in[int64](c, i)*1000, time.UTC) },
	bindings.TypeTimeNS:      func(c *cells, i int) any { return clockTime(*in[int64](c, i), time.UTC) },
	bindings.TypeTimeTZ: func(c *cells, i int) any {
		parts := bindings.FromTimeTZ(*in[bindings.TimeTZ](c, i))
		at, offset := bindings.TimeTZStructMembers(&parts)
		h, m, s, us := bindings.TimeStructMembers(&at)
		zone := time.UTC
		if offset != 0 {
			zone = time.FixedZone("", int(offset))
		}
		return clockTime(1000*(int64(us)+1e6*(int64(s)+60*(int64(m)+60*int64(h)))), zone)
	},
	bindings.TypeInterval: func(c *cells, i int) any {
		v := in[interval](c, i)
		return duckdb.Interval{Months: v.months, Days: v.days, Micros: v.micros}
	},
	bindings.TypeUUID: func(c *cells, i int) any {
		v := in[wide128](c, i)
		out := binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(v.high)^1<<63)
		return binary.BigEndian.AppendUint64(out, v.low)
	},
}

func microseconds(c *cells, i int) any { return time.UnixMicro(*in[int64](c, i)).UTC() }

// clockTime is a time of day, on the day that the driver gives it; 24:00:00 is
// the beginning of the next one, see EndOfDay.
func clockTime(nanos int64, zone *time.Location) time.Time {
	return time.Date(1, time.January, 1, 0, 0, int(nanos/1e9), int(nanos%1e9), zone)
}

// EndOfDay reports whether a value of TIME, TIMETZ or TIME_NS is 24:00:00, which
// sorts behind all others and is not 00:00:00.
func EndOfDay(at time.Time) bool { return at.Day() != 1 }

func (w *wide128) big() *big.Int {
	n := big.NewInt(w.high)
	return n.Add(n.Lsh(n, 64), new(big.Int).SetUint64(w.low))
}

// bigNumber reads DuckDB's BIGNUM: a head of three bytes, the first bit of
// which is set for a positive number, and the size, whose bits are turned round
// in a negative one.
func bigNumber(b []byte) *big.Int {
	if len(b) < 4 {
		return new(big.Int)
	}
	size := append([]byte(nil), b[3:]...)
	if b[0]&0x80 != 0 {
		return new(big.Int).SetBytes(size)
	}
	for i := range size {
		size[i] = ^size[i]
	}
	n := new(big.Int).SetBytes(size)
	return n.Neg(n)
}

func decimalCells(t bindings.LogicalType) cells {
	width, scale := bindings.DecimalWidth(t), bindings.DecimalScale(t)
	unscaled := func(c *cells, i int) *big.Int { return in[wide128](c, i).big() }
	switch bindings.DecimalInternalType(t) {
	case bindings.TypeSmallInt:
		unscaled = func(c *cells, i int) *big.Int { return big.NewInt(int64(*in[int16](c, i))) }
	case bindings.TypeInteger:
		unscaled = func(c *cells, i int) *big.Int { return big.NewInt(int64(*in[int32](c, i))) }
	case bindings.TypeBigInt:
		unscaled = func(c *cells, i int) *big.Int { return big.NewInt(*in[int64](c, i)) }
	}
	return cells{name: fmt.Sprintf("DECIMAL(%d,%d)", width, scale), plain: decimalIn(width, scale, bindings.DecimalInternalType(t)), value: func(c *cells, i int) any {
		return duckdb.Decimal{Width: width, Scale: scale, Value: unscaled(c, i)}
	}}
}

func enumCells(t bindings.LogicalType) cells {
	list := make([]string, bindings.EnumDictionarySize(t))
	for i := range list {
		list[i] = bindings.EnumDictionaryValue(t, bindings.IdxT(i))
	}
	out := cells{name: "ENUM"}
	switch bindings.EnumInternalType(t) {
	case bindings.TypeUTinyInt:
		out.value = func(c *cells, i int) any { return list[*in[uint8](c, i)] }
	case bindings.TypeUSmallInt:
		out.value = func(c *cells, i int) any { return list[*in[uint16](c, i)] }
	default:
		out.value = func(c *cells, i int) any { return list[*in[uint32](c, i)] }
	}
	return out
}

func (c *cells) listOf(child cells, name string) {
	c.name, c.children = name, []cells{child}
	c.follow = func(c *cells, v bindings.Vector) { c.children[0].take(bindings.ListVectorGetChild(v)) }
	c.value = func(c *cells, i int) any {
		e := in[listEntry](c, i)
		return c.children[0].slice(int(e.offset), int(e.length))
	}
}

func mapCells(t bindings.LogicalType) (c cells, err error) {
	pair, err := childCells(bindings.ListTypeChildType(t))
	if err != nil {
		return c, err
	}
	key, value := &pair.children[0], &pair.children[1]
	c.listOf(pair, fmt.Sprintf("MAP(%s, %s)", key.nested(), value.nested()))
	c.value = func(c *cells, i int) any {
		e, pair := in[listEntry](c, i), c.children[0].children
		m := pairs{make([]any, e.length), make([]any, e.length)}
		for n := range int(e.length) {
			m.keys[n], m.values[n] = pair[0].at(int(e.offset)+n), pair[1].at(int(e.offset)+n)
		}
		return *(*duckdb.OrderedMap)(unsafe.Pointer(&m))
	}
	return c, nil
}

// pairs is what a duckdb.OrderedMap has. Its Set looks at all keys for one that is
// the same, of which DuckDB's maps have none, and cannot at keys of bytes.
type pairs struct{ keys, values []any }

const _ = -(unsafe.Sizeof(pairs{}) ^ unsafe.Sizeof(duckdb.OrderedMap{})) // they are one

// fields takes the vectors of the fields in hand.
func fields(c *cells, v bindings.Vector) {
	for i := range c.children {
		c.children[i].take(bindings.StructVectorGetChild(v, bindings.IdxT(i)))
	}
}

// field adds a field, and returns the list of them with its name and type.
func (c *cells) field(list, called string, t bindings.LogicalType) (string, error) {
	f, err := childCells(t)
	if err != nil {
		return "", err
	}
	c.children = append(c.children, f)
	if list != "" {
		list += ", "
	}
	return list + name(called) + " " + f.nested(), nil
}

func structCells(t bindings.LogicalType) (c cells, err error) {
	names := make([]string, bindings.StructTypeChildCount(t))
	list := ""
	for i := range names {
		if names[i] = bindings.StructTypeChildName(t, bindings.IdxT(i)); names[i] == "" {
			return c, fault.WithCode(fault.New(fault.Invalid, "a struct without names, such as (a, b), is not answered here: write {'a': a, 'b': b}"), "unnamed_struct")
		}
		if list, err = c.field(list, names[i], bindings.StructTypeChildType(t, bindings.IdxT(i))); err != nil {
			return c, err
		}
	}
	c.name, c.follow = "STRUCT("+list+")", fields
	c.value = func(c *cells, i int) any {
		out := make(map[string]any, len(names))
		for f := range c.children {
			out[names[f]] = c.children[f].at(i)
		}
		return out
	}
	return c, nil
}

func unionCells(t bindings.LogicalType) (c cells, err error) {
	tags := make([]string, bindings.UnionTypeMemberCount(t))
	c.children = []cells{{value: same[uint8]}}
	list := ""
	for i := range tags {
		tags[i] = bindings.UnionTypeMemberName(t, bindings.IdxT(i))
		if list, err = c.field(list, tags[i], bindings.UnionTypeMemberType(t, bindings.IdxT(i))); err != nil {
			return c, err
		}
	}
	c.name, c.follow = "UNION("+list+")", fields
	c.value = func(c *cells, i int) any {
		tag := *in[uint8](&c.children[0], i)
		return duckdb.Union{Tag: tags[tag], Value: c.children[tag+1].at(i)}
	}
	return c, nil
}
