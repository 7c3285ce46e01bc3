package pgwire

import (
	"bytes"
	"math"
	"testing"
	"time"

	"anabranch/serving/sql"
)

// A value where it lies goes out as one that is made.
func TestDatumsAreValues(t *testing.T) {
	t.Parallel()
	in := style{zone: time.UTC}
	types := []string{"SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT", "DOUBLE", "FLOAT", "VARCHAR", "BLOB", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "DECIMAL(38,3)", "BOOLEAN"}
	data := []sql.Datum{
		{}, {Is: sql.InInt, Int: -7}, {Is: sql.InInt, Int: math.MaxInt64}, {Is: sql.InFloat, Float: 1.5e300}, {Is: sql.InFloat, Float: math.Inf(-1)}, {Is: sql.InFloat, Float: 0.1},
		{Is: sql.InText, Text: []byte("shop 7")}, {Is: sql.InText}, {Is: sql.InDays, Int: 15000}, {Is: sql.InDays, Int: math.MaxInt32}, {Is: sql.InMicros, Int: -1},
		{Is: sql.InMicros, Int: math.MaxInt64}, {Is: sql.InMicros, Int: 1_300_000_000_123_456}, {Is: sql.InValue, Value: true},
	}
	for _, n := range []int64{0, 5, -5, 1000, -123456, math.MinInt64, math.MaxInt64} {
		for _, scale := range []uint8{0, 1, 3, 20} {
			data = append(data, sql.Datum{Is: sql.InDecimal, Width: 38, Scale: scale, Int: n})
		}
	}
	for _, name := range types {
		for _, d := range data {
			for format := range int16(2) {
				typ := typeOf(name)
				got, want := appendDatum(nil, typ, &d, format, in), appendValue(nil, typ, d.Any(), format, in)
				if !bytes.Equal(got, want) {
					t.Errorf("%s %+v in format %d: %q, want %q", name, d, format, got, want)
				}
			}
		}
	}
}
