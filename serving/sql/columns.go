package sql

import (
	"math/big"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/event"
)

// tableName names a table in full.
type tableName struct{ catalog, schema, table string }

func (t tableName) String() string {
	return name(t.catalog) + "." + name(t.schema) + "." + name(t.table)
}

// Values returns what gives the values of a column as DuckDB's driver would.
func Values(c *event.Column) func(int) any {
	value := func(i int) any { return nil }
	switch t := c.Type; {
	case t.Kind == event.Bool:
		value = func(i int) any { return c.Ints[i] != 0 }
	case t.Kind == event.Int32:
		value = func(i int) any { return int32(c.Ints[i]) }
	case t.Kind == event.Int64:
		value = func(i int) any { return c.Ints[i] }
	case t.Kind == event.Float64:
		value = func(i int) any { return c.Floats[i] }
	case t.Kind == event.Timestamp:
		value = func(i int) any { return time.UnixMicro(c.Ints[i]).UTC() }
	case t.Kind == event.Date:
		value = func(i int) any { return time.Unix(c.Ints[i]*86400, 0).UTC() }
	case t.Kind == event.Huge:
		value = func(i int) any { return c.Wide[i].Big() }
	case t.Kind == event.Decimal:
		unscaled := func(i int) *big.Int { return big.NewInt(c.Ints[i]) }
		if t.Storage() == event.InWide {
			unscaled = func(i int) *big.Int { return c.Wide[i].Big() }
		}
		value = func(i int) any {
			return duckdb.Decimal{Width: t.Precision, Scale: t.Scale, Value: unscaled(i)}
		}
	case t.Kind == event.String:
		value = func(i int) any { return string(c.Dict.Value(c.Codes[i])) }
	case t.Kind == event.Bytes:
		value = func(i int) any { return c.Dict.Value(c.Codes[i]) }
	}
	return func(i int) any {
		if !c.Valid.Get(i) {
			return nil
		}
		return value(i)
	}
}
