package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/serving/sql"
)

// Text tells a value of a column as CSV does; null is empty.
func Text(columnType string, v any) string {
	switch v.(type) {
	case []any, map[string]any, duckdb.OrderedMap, duckdb.Union:
		return string(appendText(nil, sql.TypeNamed(columnType), v))
	}
	return string(appendText(nil, &sql.Type{Name: columnType}, v))
}

// appendText tells a value in CSV; null is empty.
func appendText(dst []byte, t *sql.Type, v any) []byte {
	switch x := v.(type) {
	case nil:
		return dst
	case sql.JSON:
		return append(dst, x...)
	case []any, map[string]any, duckdb.OrderedMap, duckdb.Union:
		return appendPart(dst, t, v)
	}
	dst, _ = tell(dst, t, v)
	return dst
}

// appendField appends a value as a field of CSV, in quotes where it needs them.
func appendField(dst []byte, t *sql.Type, d *sql.Datum) []byte {
	from := len(dst)
	switch d.Is {
	case sql.IsNull:
		return dst
	case sql.InInt:
		return strconv.AppendInt(dst, d.Int, 10)
	case sql.InFloat:
		return appendFloat(dst, d.Float, 64)
	case sql.InDecimal:
		return appendDecimal(dst, d)
	case sql.InDays, sql.InMicros:
		return appendTime(dst, t.Name, d.Time())
	case sql.InText:
		dst = append(dst, d.Text...)
	default:
		dst = appendText(dst, t, d.Value)
	}
	return fieldFrom(dst, from)
}

// fieldFrom makes a field of CSV of what dst has behind from: in quotes when it
// has a comma, a quotation mark or the end of a line in it, when it begins with a
// space, when it is empty, which nothing in its place is not, and when it is what
// PostgreSQL takes for the end.
func fieldFrom(dst []byte, from int) []byte {
	field := dst[from:]
	if len(field) == 0 { // as nothing at all is null
		return append(dst, '"', '"')
	}
	marks, quoted := 0, false
	for _, c := range field {
		if c < '0' { // as all of these are
			switch c {
			case '"':
				marks++
			case ',', '\n', '\r':
				quoted = true
			}
		}
	}
	if first, _ := utf8.DecodeRune(field); marks == 0 && !quoted && !unicode.IsSpace(first) && string(field) != `\.` {
		return dst
	}
	n := len(field)
	dst = append(dst, make([]byte, marks+2)...)
	to := len(dst) - 1
	dst[to] = '"'
	for i := from + n - 1; i >= from; i-- { // from the end, where there is room
		c := dst[i]
		to--
		dst[to] = c
		if c == '"' {
			to--
			dst[to] = '"'
		}
	}
	dst[from] = '"'
	return dst
}

// appendJSON appends a value as JSON, numbers with all their digits.
func appendJSON(dst []byte, t *sql.Type, d *sql.Datum) []byte {
	switch d.Is {
	case sql.IsNull:
		return append(dst, "null"...)
	case sql.InInt:
		return strconv.AppendInt(dst, d.Int, 10)
	case sql.InFloat:
		return appendNumber(dst, d.Float, 64)
	case sql.InDecimal:
		return appendDecimal(dst, d)
	case sql.InText:
		return sql.AppendQuoted(dst, d.Text)
	case sql.InDays, sql.InMicros:
		return append(appendTime(append(dst, '"'), t.Name, d.Time()), '"') // nothing in it to escape
	}
	return appendPart(dst, t, d.Value)
}

// appendDecimal is what duckdb.Decimal tells: without zeros at its end.
func appendDecimal(dst []byte, d *sql.Datum) []byte {
	n, scale := d.Int, int(d.Scale)
	for ; scale > 0 && n%10 == 0; scale-- {
		n /= 10
	}
	return sql.AppendScaled(dst, n, scale)
}

// appendPart is appendJSON for a value that is made already.
func appendPart(dst []byte, t *sql.Type, v any) []byte {
	return sql.AppendJSON(dst, t, v, inJSON, tell)
}

// inJSON is tell, with the numbers that JSON has.
func inJSON(dst []byte, t *sql.Type, v any) ([]byte, bool) {
	switch x := v.(type) {
	case float64:
		return appendNumber(dst, x, 64), true
	case float32:
		return appendNumber(dst, float64(x), 32), true
	}
	return tell(dst, t, v)
}

// appendNumber appends a number; JSON has no word for those that are none.
func appendNumber(dst []byte, x float64, bits int) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return append(dst, "null"...)
	}
	return appendFloat(dst, x, bits)
}

// appendFloat appends a float of so many bits with as many digits as tell it from
// others, and with an exponent where it is large or small: as PostgreSQL writes it.
func appendFloat(dst []byte, x float64, bits int) []byte {
	if size := math.Abs(x); size >= 1e-4 && size < 1e15 {
		return strconv.AppendFloat(dst, x, 'f', -1, bits)
	}
	return strconv.AppendFloat(dst, x, 'g', -1, bits)
}

// tell appends the text of a value that has no parts.
func tell(dst []byte, t *sql.Type, v any) (out []byte, bare bool) {
	switch x := v.(type) {
	case string:
		return append(dst, x...), false
	case bool:
		return strconv.AppendBool(dst, x), true
	case int64:
		return strconv.AppendInt(dst, x, 10), true
	case float64:
		return appendFloat(dst, x, 64), true
	case float32:
		return appendFloat(dst, float64(x), 32), true
	case *big.Int:
		return x.Append(dst, 10), true
	case duckdb.Decimal:
		return append(dst, x.String()...), true
	case int32, int16, int8, uint64, uint32, uint16, uint8:
		return fmt.Append(dst, x), true
	case time.Time:
		return appendTime(dst, t.Name, x), false
	case []byte:
		if t.Name == "UUID" && len(x) == 16 {
			return fmt.Appendf(dst, "%x-%x-%x-%x-%x", x[:4], x[4:6], x[6:8], x[8:10], x[10:]), false
		}
		return base64.StdEncoding.AppendEncode(dst, x), false
	case duckdb.Interval:
		return sql.AppendInterval(dst, x), false
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Append(dst, v), false
	}
	return append(dst, text...), true
}

// appendTime appends the time of a type. The first and the last number of days or
// parts of a second stand for times that are none.
func appendTime(dst []byte, typ string, x time.Time) []byte {
	var n, most int64 = 0, math.MaxInt64
	switch typ {
	case "DATE":
		n, most = x.Unix()/86400, math.MaxInt32
	case "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE":
		n = x.UnixMicro()
	case "TIMESTAMP_S":
		n = x.Unix()
	case "TIMESTAMP_MS":
		n = x.UnixMilli()
	case "TIMESTAMP_NS":
		n = x.UnixNano()
	}
	switch n {
	case most:
		return append(dst, "infinity"...)
	case -most:
		return append(dst, "-infinity"...)
	}
	as := layout(typ)
	if _, offset := x.Zone(); offset%60 != 0 {
		as = strings.Replace(as, "-07:00", "-07:00:00", 1)
	}
	if strings.HasPrefix(as, "15:") && sql.EndOfDay(x) {
		dst, as = append(dst, "24:00:00"...), strings.TrimLeft(as, "15:04.9")
	}
	return x.AppendFormat(dst, as)
}

// layout is how the times of a type are written.
func layout(typ string) string {
	switch typ {
	case "DATE":
		return time.DateOnly
	case "TIME":
		return "15:04:05.999999"
	case "TIME_NS":
		return "15:04:05.999999999"
	case "TIMETZ", "TIME WITH TIME ZONE":
		return "15:04:05.999999-07:00"
	case "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE":
		return "2006-01-02 15:04:05.999999-07"
	}
	return "2006-01-02 15:04:05.999999999"
}
