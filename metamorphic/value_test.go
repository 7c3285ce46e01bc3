package metamorphic

import (
	"math/big"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/event"
)

// value is row i of a column as DuckDB's driver would give it.
func value(c *event.Column, i int) any {
	if !c.Valid.Get(i) {
		return nil
	}
	switch c.Type.Storage() {
	case event.InFloats:
		return c.Floats[i]
	case event.InCodes:
		if c.Type.Kind == event.Bytes {
			return c.Bytes(i)
		}
		return string(c.Bytes(i))
	case event.InWide:
		return number(c.Type, c.Wide[i].Big())
	}
	switch c.Type.Kind {
	case event.Bool:
		return c.Ints[i] == 1
	case event.Timestamp:
		return time.UnixMicro(c.Ints[i]).UTC()
	case event.Date:
		return time.Unix(c.Ints[i]*86400, 0).UTC()
	}
	return number(c.Type, big.NewInt(c.Ints[i]))
}

func number(t event.Type, v *big.Int) any {
	if t.Kind == event.Decimal {
		return duckdb.Decimal{Width: t.Precision, Scale: t.Scale, Value: v}
	}
	return v
}
