package flightsql

import (
	"math/big"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
)

// arguments are the values of the first row, one for each parameter.
func arguments(rec arrow.Record) ([]any, error) {
	args := make([]any, rec.NumCols())
	for i, c := range rec.Columns() {
		v, err := argument(c, 0)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	return args, nil
}

func argument(c arrow.Array, i int) (any, error) {
	if c.IsNull(i) {
		return nil, nil
	}
	switch c := c.(type) {
	case *array.Null:
		return nil, nil
	case *array.Boolean:
		return c.Value(i), nil
	case *array.Int8:
		return int64(c.Value(i)), nil
	case *array.Int16:
		return int64(c.Value(i)), nil
	case *array.Int32:
		return int64(c.Value(i)), nil
	case *array.Int64:
		return c.Value(i), nil
	case *array.Uint8:
		return int64(c.Value(i)), nil
	case *array.Uint16:
		return int64(c.Value(i)), nil
	case *array.Uint32:
		return int64(c.Value(i)), nil
	case *array.Uint64:
		return new(big.Int).SetUint64(c.Value(i)), nil
	case *array.Float16:
		return float64(c.Value(i).Float32()), nil
	case *array.Float32:
		return float64(c.Value(i)), nil
	case *array.Float64:
		return c.Value(i), nil
	case *array.String:
		return c.Value(i), nil
	case *array.LargeString:
		return c.Value(i), nil
	case *array.Binary:
		return c.Value(i), nil
	case *array.LargeBinary:
		return c.Value(i), nil
	case *array.FixedSizeBinary:
		return c.Value(i), nil
	case *array.Date32:
		return c.Value(i).ToTime(), nil
	case *array.Date64:
		return c.Value(i).ToTime(), nil
	case *array.Time32:
		return c.Value(i).ToTime(c.DataType().(*arrow.Time32Type).Unit), nil
	case *array.Time64:
		return c.Value(i).ToTime(c.DataType().(*arrow.Time64Type).Unit), nil
	case *array.Timestamp:
		return c.Value(i).ToTime(c.DataType().(*arrow.TimestampType).Unit), nil
	case *array.Decimal128:
		t := c.DataType().(*arrow.Decimal128Type)
		return duckdb.Decimal{Width: uint8(t.Precision), Scale: uint8(t.Scale), Value: c.Value(i).BigInt()}, nil
	}
	return nil, fault.WithCode(fault.New(fault.Invalid, "an argument of type %s: want a number, a text, bytes, a time or null", c.DataType()), "parameter")
}
