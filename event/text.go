package event

import (
	"encoding/hex"
	"strconv"
	"time"
)

// AppendText renders the value of row i for a person, as DuckDB would print
// it; null is NULL.
func (c *Column) AppendText(to []byte, i int) []byte {
	if !c.Valid.Get(i) {
		return append(to, "NULL"...)
	}
	switch c.Type.Kind {
	case Bool:
		return strconv.AppendBool(to, c.Ints[i] != 0)
	case Float64:
		return strconv.AppendFloat(to, c.Floats[i], 'g', -1, 64)
	case Decimal:
		return append(to, c.wide(i).FormatDecimal(int(c.Type.Scale))...)
	case Huge:
		return append(to, c.Wide[i].String()...)
	case Timestamp:
		return time.UnixMicro(c.Ints[i]).UTC().AppendFormat(to, "2006-01-02 15:04:05.999999")
	case Date:
		return time.Unix(c.Ints[i]*24*60*60, 0).UTC().AppendFormat(to, time.DateOnly)
	case String:
		return append(to, c.Dict.Value(c.Codes[i])...)
	case Bytes:
		return hex.AppendEncode(append(to, `\x`...), c.Dict.Value(c.Codes[i]))
	}
	return strconv.AppendInt(to, c.Ints[i], 10)
}

// wide returns a decimal's unscaled value, wherever it is kept.
func (c *Column) wide(i int) Int128 {
	if c.Type.Storage() == InWide {
		return c.Wide[i]
	}
	return Int128Of(c.Ints[i])
}
