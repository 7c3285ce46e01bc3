package sql

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
)

// within returns the narrower of two limits, part by part.
func (l Limits) within(o Limits) Limits {
	l.Time, l.Rows, l.Bytes = narrower(l.Time, o.Time), narrower(l.Rows, o.Rows), narrower(l.Bytes, o.Bytes)
	return l
}

func narrower[N ~int64](a, b N) N {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// limited ends with ctx, and with the cause that names the limit after its time.
func (l Limits) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, l.Time,
		fault.WithCode(fault.New(fault.Throttled, "the query took longer than %s: ask for less, or later", l.Time), "timeout"))
}

// meter counts what an answer has given.
type meter struct {
	Limits
	rows, bytes int64
}

// mostOfRow is how many bytes one row of an answer may have. A door holds a row
// as a whole, more than once, for as long as its reader takes to read it.
const mostOfRow = 64 << 20

// add counts some more. The errors name the limit.
func (m *meter) add(rows, bytes int64) error {
	m.rows, m.bytes = m.rows+rows, m.bytes+bytes
	switch {
	case bytes > mostOfRow*min(rows, 4): // of many rows at once, which are a batch
		return fault.WithCode(fault.New(fault.Invalid, "a row of the answer has more than %d bytes: ask for less of it", mostOfRow), "bytes_limit")
	case m.rows > m.Rows:
		return fault.WithCode(fault.New(fault.Invalid, "the answer has more than %d rows: ask for fewer, with WHERE, GROUP BY or LIMIT", m.Rows), "rows_limit")
	case m.bytes > m.Bytes:
		return fault.WithCode(fault.New(fault.Invalid, "the answer has more than %d bytes: ask for less", m.Bytes), "bytes_limit")
	}
	return nil
}

// sizeOf is about what a value takes.
func sizeOf(v any) int64 {
	switch x := v.(type) {
	case string:
		return int64(len(x))
	case []byte:
		return int64(len(x))
	case JSON:
		return int64(len(x))
	case *big.Int, duckdb.Decimal:
		return 16
	case []any:
		n := int64(8)
		for _, e := range x {
			n += sizeOf(e)
		}
		return n
	case map[string]any:
		n := int64(8)
		for k, e := range x {
			n += int64(len(k)) + sizeOf(e)
		}
		return n
	case json.Marshaler, fmt.Stringer:
		return 16
	}
	return 8
}
