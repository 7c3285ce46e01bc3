package sql_test

import (
	"strings"
	"testing"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// What ends DuckDB's database, or the whole program, where it is left to itself,
// is one query's error, and the next query is answered.
func TestNoQueryEndsTheEngine(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.limited(sql.Options{})
	for query, code := range map[string]string{
		"SELECT percent_rank(ORDER BY x) OVER (ORDER BY x ROWS BETWEEN 5 FOLLOWING AND 2 FOLLOWING) FROM range(10000) t(x)": "engine_failed",
		"SELECT NULL::INT[100000][100000][100000]":                                                  "engine_failed",
		"SELECT json_transform('{\"a\": 1}', '{\"a\": \"INT[100000][100000][100000][100000]\"}')":   "engine_failed",
		"SELECT lead(x, -9223372036854775808) OVER () FROM range(10000) t(x)":                       "",
		"SELECT lag(x, -9223372036854775807 - 1) OVER () FROM range(10000) t(x)":                    "conversion",
		"SELECT lead(x, o) OVER () FROM (SELECT range x, -9223372036854775808 o FROM range(10000))": "",
	} {
		_, err := drain(t.Context(), e, sql.Request{SQL: query})
		if fault.CodeOf(err) != code || err != nil && code == "" {
			t.Errorf("%s: %v, code %q, want %q", query, err, fault.CodeOf(err), code)
		}
		if err != nil && (strings.Contains(err.Error(), "0x") || strings.Contains(err.Error(), "Stack Trace")) {
			t.Errorf("%s: tells where the engine lies in memory: %v", query, err)
		}
		if _, err := drain(t.Context(), e, sql.Request{SQL: "SELECT 1"}); err != nil {
			t.Fatalf("after %s: %v", query, err)
		}
	}
}
