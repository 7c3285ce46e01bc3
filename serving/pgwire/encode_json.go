package pgwire

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/serving/sql"
)

// appendJSON writes a value as JSON. Numbers keep every digit.
func appendJSON(dst []byte, t *pgType, v any, in style) []byte {
	tell := func(dst []byte, duck *sql.Type, v any) ([]byte, bool) {
		switch x := v.(type) {
		case bool:
			return strconv.AppendBool(dst, x), true
		case []byte:
			if duck.Name != "UUID" {
				return base64.StdEncoding.AppendEncode(dst, x), false
			}
		case []any, map[string]any, duckdb.OrderedMap, duckdb.Union: // of a type that does not tell its parts
			if text, err := json.Marshal(v); err == nil {
				return append(dst, text...), true
			}
		}
		s, ok := scalars[duck.Name]
		if !ok {
			s = scalars["VARCHAR"]
		}
		dst = appendText(dst, &s, v, in)
		switch s.kind {
		case kInt2, kInt4, kInt8, kNumeric:
			return dst, true
		case kFloat4, kFloat8:
			f := float(v)
			return dst, !math.IsNaN(f) && !math.IsInf(f, 0)
		}
		return dst, false
	}
	return sql.AppendJSON(dst, t.duck, v, tell, tell)
}
