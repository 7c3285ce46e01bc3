package sql

import (
	"math/big"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/serving"
)

// Request is one query.
type Request struct {
	SQL string
	// Args are the values of $1, $2, ...: nil, bool, int64, float64, string,
	// []byte, time.Time, *big.Int, duckdb.Decimal.
	Args  []any
	Fresh serving.Fresh
	// AsOf answers at exactly this receipt; nil: at the newest cut. The SQL may
	// say it too, with AS OF RECEIPT '...' at its end.
	AsOf *serving.Receipt
	// User is whose limits count; "" is everybody's.
	User   string
	Limits Limits // narrower than the engine's; zero: the engine's
}

// Limits are what one query may take; zero: what the engine allows.
type Limits struct {
	Time  time.Duration
	Rows  int64
	Bytes int64 // of the answer's values
}

// arguments returns the values as the driver takes them: a decimal as its
// text, which DuckDB reads as what the query needs, and a wide number as a
// BIGINT where it fits.
func (r *Request) arguments() []any {
	args := make([]any, len(r.Args))
	for i, v := range r.Args {
		switch x := v.(type) {
		case duckdb.Decimal:
			v = x.String()
		case *big.Int:
			if x.IsInt64() {
				v = x.Int64()
			}
		}
		args[i] = v
	}
	return args
}
