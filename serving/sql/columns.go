package sql

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math/big"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/event"
	"anabranch/fault"
)

// tableName names a table in full.
type tableName struct{ catalog, schema, table string }

func (t tableName) String() string {
	return name(t.catalog) + "." + name(t.schema) + "." + name(t.table)
}

// appendBatch fills a table with the rows of a batch.
func appendBatch(conn *sql.Conn, table tableName, rows *event.Batch) error {
	return conn.Raw(func(dc any) error {
		a, err := duckdb.NewAppender(dc.(driver.Conn), table.catalog, table.schema, table.table)
		if err != nil {
			return fault.Wrap(fault.Bug, fmt.Errorf("fill %s: %w", table, err))
		}
		read := make([]func(int) driver.Value, len(rows.Columns))
		for i := range rows.Columns {
			read[i] = reader(&rows.Columns[i])
		}
		values := make([]driver.Value, len(read))
		for r := range rows.N {
			for i, f := range read {
				values[i] = f(r)
			}
			if err := a.AppendRow(values...); err != nil {
				_ = a.Close()
				return fault.Wrap(fault.Bug, fmt.Errorf("fill %s: %w", table, err))
			}
		}
		if err := a.Close(); err != nil {
			return fault.Wrap(fault.Bug, fmt.Errorf("fill %s: %w", table, err))
		}
		return nil
	})
}

// reader returns what a column's rows are to DuckDB's appender.
func reader(c *event.Column) func(int) driver.Value {
	value := func(i int) driver.Value { return nil }
	switch t := c.Type; {
	case t.Kind == event.Bool:
		value = func(i int) driver.Value { return c.Ints[i] != 0 }
	case t.Kind == event.Int32:
		value = func(i int) driver.Value { return int32(c.Ints[i]) }
	case t.Kind == event.Int64:
		value = func(i int) driver.Value { return c.Ints[i] }
	case t.Kind == event.Float64:
		value = func(i int) driver.Value { return c.Floats[i] }
	case t.Kind == event.Timestamp:
		value = func(i int) driver.Value { return time.UnixMicro(c.Ints[i]).UTC() }
	case t.Kind == event.Date:
		value = func(i int) driver.Value { return time.Unix(c.Ints[i]*86400, 0).UTC() }
	case t.Kind == event.Huge:
		value = func(i int) driver.Value { return c.Wide[i].Big() }
	case t.Kind == event.Decimal:
		unscaled := func(i int) *big.Int { return big.NewInt(c.Ints[i]) }
		if t.Storage() == event.InWide {
			unscaled = func(i int) *big.Int { return c.Wide[i].Big() }
		}
		value = func(i int) driver.Value {
			return duckdb.Decimal{Width: t.Precision, Scale: t.Scale, Value: unscaled(i)}
		}
	case t.Kind == event.String:
		value = func(i int) driver.Value { return string(c.Dict.Value(c.Codes[i])) }
	case t.Kind == event.Bytes:
		value = func(i int) driver.Value { return c.Dict.Value(c.Codes[i]) }
	}
	return func(i int) driver.Value {
		if !c.Valid.Get(i) {
			return nil
		}
		return value(i)
	}
}

// scanBatch reads all rows of a query into a batch of the given shape.
func scanBatch(rows *sql.Rows, shape *event.Shape) (*event.Batch, error) {
	b := &event.Batch{Shape: shape, Columns: make([]event.Column, len(shape.Fields))}
	nulls := make([][]int, len(shape.Fields))
	for i, f := range shape.Fields {
		b.Columns[i].Type = f.Type
		if f.Type.Storage() == event.InCodes {
			b.Columns[i].Dict = &event.Dict{Offsets: []uint32{0}}
		}
	}
	values := make([]any, len(shape.Fields))
	targets := make([]any, len(values))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return nil, classify(err)
		}
		for i, v := range values {
			if v == nil {
				nulls[i] = append(nulls[i], b.N)
			}
			if err := put(&b.Columns[i], v); err != nil {
				return nil, fmt.Errorf("column %s: %w", shape.Fields[i].Name, err)
			}
		}
		b.N++
	}
	if err := rows.Err(); err != nil {
		return nil, classify(err)
	}
	for i, list := range nulls {
		if len(list) == 0 {
			continue
		}
		valid := event.NewBitmap(b.N)
		for r := range b.N {
			valid.Set(r)
		}
		for _, r := range list {
			valid.Clear(r)
		}
		b.Columns[i].Valid = valid
	}
	return b, nil
}

// put appends one value as the driver gives it; nil appends a placeholder.
func put(c *event.Column, v any) error {
	switch c.Type.Storage() {
	case event.InFloats:
		f, _ := v.(float64)
		c.Floats = append(c.Floats, f)
	case event.InCodes:
		var text []byte
		switch s := v.(type) {
		case string:
			text = []byte(s)
		case []byte:
			text = s
		}
		c.Codes = append(c.Codes, c.Dict.Append(text))
	case event.InWide:
		w, err := wide(v)
		if err != nil {
			return err
		}
		c.Wide = append(c.Wide, w)
	case event.InInts:
		n, err := narrow(c.Type, v)
		if err != nil {
			return err
		}
		c.Ints = append(c.Ints, n)
	}
	return nil
}

func wide(v any) (event.Int128, error) {
	var n *big.Int
	switch x := v.(type) {
	case nil:
		return event.Int128{}, nil
	case *big.Int:
		n = x
	case duckdb.Decimal:
		n = x.Value
	default:
		return event.Int128{}, fault.New(fault.Bug, "got %T for a wide number", v)
	}
	w, ok := event.Int128FromBig(n)
	if !ok {
		return w, fault.New(fault.Bug, "%s does not fit 128 bits", n)
	}
	return w, nil
}

func narrow(t event.Type, v any) (int64, error) {
	switch x := v.(type) {
	case nil:
		return 0, nil
	case bool:
		if x {
			return 1, nil
		}
		return 0, nil
	case int32:
		return int64(x), nil
	case int64:
		return x, nil
	case duckdb.Decimal:
		return x.Value.Int64(), nil
	case time.Time:
		if t.Kind == event.Date {
			days := x.Unix() / 86400
			if x.Unix()%86400 < 0 {
				days--
			}
			return days, nil
		}
		return x.UnixMicro(), nil
	}
	return 0, fault.New(fault.Bug, "got %T for %s", v, t)
}
