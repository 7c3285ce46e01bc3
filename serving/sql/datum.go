package sql

import (
	"math/big"
	"time"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"
	"github.com/duckdb/duckdb-go/v2"
)

// Datum is a value of a row where it lies, for whoever writes rows: to make a
// Go value of each costs several times as much as to write it.
type Datum struct {
	Is DatumKind
	// Width and Scale are those of a decimal.
	Width, Scale uint8
	// Int is an integer; a decimal times ten to its scale; microseconds of a
	// time, days of a date, since 1970.
	Int   int64
	Float float64
	Text  []byte // in DuckDB's memory, or the engine's: nobody writes into it
	Value any    // what Answer.Next has, of kinds that have no field of their own
}

// DatumKind tells where a Datum has its value.
type DatumKind uint8

// The kinds. A type may have values of two: a HUGEINT that fits is InInt.
const (
	IsNull    DatumKind = iota
	InInt               // of every type of integers
	InFloat             // DOUBLE
	InDecimal           // DECIMAL, where 64 bits do
	InText              // VARCHAR
	InDays              // DATE
	InMicros            // TIMESTAMP, and with a time zone
	InValue             // all else
)

// DatumOf is a value that is made already, as Answer.Next has it.
func DatumOf(v any) Datum {
	switch x := v.(type) {
	case nil:
		return Datum{}
	case int64:
		return Datum{Is: InInt, Int: x}
	case float64:
		return Datum{Is: InFloat, Float: x}
	}
	return Datum{Is: InValue, Value: v}
}

// Any is the value as Answer.Next has it, but for integers, which are int64
// wherever they fit.
func (d *Datum) Any() any {
	switch d.Is {
	case InInt:
		return d.Int
	case InFloat:
		return d.Float
	case InDecimal:
		return duckdb.Decimal{Width: d.Width, Scale: d.Scale, Value: big.NewInt(d.Int)}
	case InText:
		return string(d.Text)
	case InDays, InMicros:
		return d.Time()
	}
	return d.Value
}

// Time is that of a date or a timestamp, in UTC.
func (d *Datum) Time() time.Time {
	if d.Is == InDays {
		return time.Unix(d.Int*86400, 0).UTC()
	}
	return time.UnixMicro(d.Int).UTC()
}

// datum takes the value of a row of the vector in hand, and returns about what
// it takes, as sizeOf does.
func (c *cells) datum(i int, d *Datum) int64 {
	switch {
	case c.valid != nil && *(*byte)(unsafe.Add(c.valid, i>>3))>>(i&7)&1 == 0:
		d.Is, d.Value = IsNull, nil
		return 8
	case c.plain != nil:
		return c.plain(c, i, d)
	}
	return c.other(i, d)
}

// other takes a value as one of Go's.
func (c *cells) other(i int, d *Datum) int64 {
	d.Is, d.Value = InValue, c.value(c, i)
	if d.Value == nil {
		d.Is = IsNull
	}
	return sizeOf(d.Value)
}

func integers[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32](c *cells, i int, d *Datum) int64 {
	d.Is, d.Int = InInt, int64(*in[T](c, i))
	return 8
}

// fits reports whether a wide number is one of 64 bits.
func (w *wide128) fits() bool { return w.high == int64(w.low)>>63 }

// decimalIn takes decimals that are kept in 2, 4, 8 or 16 bytes.
func decimalIn(width, scale uint8, is bindings.Type) func(c *cells, i int, d *Datum) int64 {
	unscaled := integers[int64]
	switch is {
	case bindings.TypeSmallInt:
		unscaled = integers[int16]
	case bindings.TypeInteger:
		unscaled = integers[int32]
	case bindings.TypeHugeInt:
		unscaled = nil
	}
	return func(c *cells, i int, d *Datum) int64 {
		switch {
		case unscaled != nil:
			unscaled(c, i, d)
		case in[wide128](c, i).fits():
			d.Int = int64(in[wide128](c, i).low)
		default:
			return c.other(i, d)
		}
		d.Is, d.Width, d.Scale = InDecimal, width, scale
		return 16
	}
}

// plainData are what datum does for types that have a field in Datum.
var plainData = map[bindings.Type]func(c *cells, i int, d *Datum) int64{
	bindings.TypeTinyInt: integers[int8], bindings.TypeSmallInt: integers[int16], bindings.TypeInteger: integers[int32], bindings.TypeBigInt: integers[int64],
	bindings.TypeUTinyInt: integers[uint8], bindings.TypeUSmallInt: integers[uint16], bindings.TypeUInteger: integers[uint32],
	bindings.TypeUBigInt: func(c *cells, i int, d *Datum) int64 {
		if int64(*in[uint64](c, i)) < 0 {
			return c.other(i, d)
		}
		return integers[int64](c, i, d)
	},
	bindings.TypeHugeInt: func(c *cells, i int, d *Datum) int64 {
		v := in[wide128](c, i)
		if !v.fits() {
			return c.other(i, d)
		}
		d.Is, d.Int = InInt, int64(v.low)
		return 16
	},
	bindings.TypeDouble: func(c *cells, i int, d *Datum) int64 {
		d.Is, d.Float = InFloat, *in[float64](c, i)
		return 8
	},
	bindings.TypeVarchar: func(c *cells, i int, d *Datum) int64 {
		d.Is, d.Text = InText, c.bytes(i)
		return int64(len(d.Text))
	},
	bindings.TypeDate: func(c *cells, i int, d *Datum) int64 {
		d.Is, d.Int = InDays, int64(*in[int32](c, i))
		return 16 // it is a Stringer, to sizeOf
	},
	bindings.TypeTimestamp: microsIn, bindings.TypeTimestampTZ: microsIn,
}

func microsIn(c *cells, i int, d *Datum) int64 {
	d.Is, d.Int = InMicros, *in[int64](c, i)
	return 16
}
