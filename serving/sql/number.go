package sql

import (
	"math/big"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
)

// ParseNumber reads a number as an argument of a query: an integer where it is
// one, exact where it has up to 38 digits and no exponent, and a float64 else.
func ParseNumber(s string) (any, error) {
	whole, part, point := strings.Cut(s, ".")
	if n, ok := new(big.Int).SetString(whole+part, 10); ok {
		switch digits := len(strings.TrimLeft(whole+part, "+-0")); {
		case !point && n.IsInt64():
			return n.Int64(), nil
		case !point && digits <= 38:
			return n, nil
		case point && max(digits, len(part)) <= 38:
			return duckdb.Decimal{Width: uint8(max(digits, len(part), 1)), Scale: uint8(len(part)), Value: n}, nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%q is no number", s)
	}
	return f, nil
}
