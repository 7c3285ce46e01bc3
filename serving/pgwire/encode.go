package pgwire

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/serving/sql"
)

// epoch is where PostgreSQL's dates and times begin.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// style is how a session wants texts to be written.
type style struct {
	zone *time.Location // of TIMESTAMPTZ
	iso  bool           // intervals as ISO 8601
}

// appendText writes a value, never nil, as PostgreSQL's text of its type.
func appendText(dst []byte, t *pgType, v any, in style) []byte {
	if document, ok := v.(sql.JSON); ok {
		return append(dst, document...)
	}
	switch t.kind {
	case kBool:
		if b, _ := v.(bool); b {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case kFloat4, kFloat8:
		return appendFloat(dst, t, v)
	case kBytes:
		b, _ := v.([]byte)
		return hex.AppendEncode(append(dst, `\x`...), b)
	case kDate, kTime, kTimeTZ, kTimestamp, kTimestampTZ:
		if at, ok := v.(time.Time); ok {
			return appendTime(dst, t.kind, at, in)
		}
	case kInterval:
		if i, ok := v.(duckdb.Interval); ok {
			return appendInterval(dst, i, in)
		}
	case kUUID:
		if b, ok := v.([]byte); ok && len(b) == 16 {
			return fmt.Appendf(dst, "%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		}
	case kArray:
		if list, ok := v.([]any); ok && t.elem.array != 0 {
			return appendArray(dst, t.elem, list, in)
		}
		return appendJSON(dst, t, v, in)
	case kJSON:
		return appendJSON(dst, t, v, in)
	}
	return appendPlain(dst, v)
}

// appendPlain writes numbers with all their digits, and strings.
func appendPlain(dst []byte, v any) []byte {
	switch x := v.(type) {
	case string:
		return append(dst, x...)
	case []byte:
		return append(dst, x...)
	case bool:
		return strconv.AppendBool(dst, x)
	case *big.Int:
		return x.Append(dst, 10)
	case duckdb.Decimal:
		return appendDecimal(dst, x)
	case duckdb.Union:
		return appendPlain(dst, x.Value)
	}
	if n, ok := integer(v); ok {
		return strconv.AppendInt(dst, n, 10)
	}
	return fmt.Append(dst, v)
}

// appendDecimal writes a decimal with all the digits of its scale, as numeric
// has them.
func appendDecimal(dst []byte, d duckdb.Decimal) []byte {
	n := d.Value
	if n.Sign() < 0 {
		dst, n = append(dst, '-'), new(big.Int).Neg(n)
	}
	digits := n.String()
	for len(digits) <= int(d.Scale) {
		digits = "0" + digits
	}
	point := len(digits) - int(d.Scale)
	dst = append(dst, digits[:point]...)
	if d.Scale > 0 {
		dst = append(append(dst, '.'), digits[point:]...)
	}
	return dst
}

// integer returns the value of any Go integer that fits int64.
func integer(v any) (int64, bool) {
	switch x := v.(type) {
	case int64:
		return x, true
	case int32:
		return int64(x), true
	case int16:
		return int64(x), true
	case int8:
		return int64(x), true
	case int:
		return int64(x), true
	case uint8:
		return int64(x), true
	case uint16:
		return int64(x), true
	case uint32:
		return int64(x), true
	case uint64:
		return int64(x), x <= math.MaxInt64
	}
	return 0, false
}

func float(v any) float64 {
	switch x := v.(type) {
	case float64:
		return x
	case float32:
		return float64(x)
	}
	return math.NaN()
}

func appendFloat(dst []byte, t *pgType, v any) []byte {
	if t.kind == kFloat4 {
		return appendFloat64(dst, float(v), 32)
	}
	return appendFloat64(dst, float(v), 64)
}

// appendFloat64 writes a number as one of so many bits.
func appendFloat64(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	}
	if size := math.Abs(f); size >= 1e-4 && size < 1e15 {
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}

// infinite is +1 or -1 for what DuckDB calls infinity, as its driver gives it.
func infinite(k kind, at time.Time) int {
	n, most := at.UnixMicro(), int64(math.MaxInt64)
	if k == kDate {
		n, most = at.Unix()/86400, math.MaxInt32
	}
	switch {
	case k == kTime || k == kTimeTZ:
	case n == most:
		return 1
	case n == -most:
		return -1
	}
	return 0
}

func appendTime(dst []byte, k kind, at time.Time, in style) []byte {
	switch infinite(k, at) {
	case 1:
		return append(dst, "infinity"...)
	case -1:
		return append(dst, "-infinity"...)
	}
	if k == kTimestampTZ {
		at = at.In(in.zone)
	} else if k != kTimeTZ {
		at = at.UTC()
	}
	if (k == kTime || k == kTimeTZ) && sql.EndOfDay(at) {
		dst = append(dst, "24:00:00"...)
	} else if k == kTime || k == kTimeTZ {
		dst = at.AppendFormat(dst, "15:04:05.999999")
	} else {
		year := at.Year()
		if year <= 0 {
			year = 1 - year
		}
		dst = fmt.Appendf(dst, "%04d-%02d-%02d", year, int(at.Month()), at.Day())
		if k != kDate {
			dst = at.AppendFormat(append(dst, ' '), "15:04:05.999999")
		}
	}
	if k == kTimestampTZ || k == kTimeTZ {
		dst = at.AppendFormat(dst, "-07")
		if _, off := at.Zone(); off%3600 != 0 {
			dst = fmt.Appendf(dst, ":%02d", max(off, -off)%3600/60)
			if off%60 != 0 {
				dst = fmt.Appendf(dst, ":%02d", max(off, -off)%60)
			}
		}
	}
	if at.Year() <= 0 && k != kTime && k != kTimeTZ {
		dst = append(dst, " BC"...)
	}
	return dst
}

func appendArray(dst []byte, elem *pgType, list []any, in style) []byte {
	dst = append(dst, '{')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if v == nil {
			dst = append(dst, "NULL"...)
			continue
		}
		if n := elem.kind; n != kText && n != kJSON && n != kBytes && n != kInterval && n != kTimestamp && n != kTimestampTZ {
			dst = appendText(dst, elem, v, in)
			continue
		}
		dst = append(dst, '"')
		for _, c := range appendText(nil, elem, v, in) {
			if c == '"' || c == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, c)
		}
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

// appendValue writes a value with its length before it; nil has the length -1.
func appendValue(dst []byte, t *pgType, v any, format int16, in style) []byte {
	d := sql.Datum{Is: sql.InValue, Value: v}
	if v == nil {
		d.Is = sql.IsNull
	}
	return appendDatum(dst, t, &d, format, in)
}
