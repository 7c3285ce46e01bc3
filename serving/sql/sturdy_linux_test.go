package sql_test

import (
	"strings"
	"testing"
	"unicode/utf8"

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

// A value that an error would tell is told in part, wherever it is cut.
func TestErrorsOfLongValuesAreShort(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, query := range []string{
		"SELECT date_part(repeat('ab', 500000), DATE '2000-01-01')", "SELECT error(repeat('ab', 5000000))", "SELECT repeat('ab', 5000000)::INT", "SELECT TRY_CAST(1 AS INT), error(repeat('ä', 1000000))",
		`SELECT error(repeat('"', 1000000))`, "SELECT error('a' || repeat(chr(92), 1000000))", "SELECT error(repeat('x', 8190) || chr(10) || chr(1) || repeat(chr(2), 1000))", "SELECT error(repeat('x', 8186) || repeat(chr(1), 1000))",
		"SELECT error(repeat('x', 8187) || repeat(chr(1), 1000))", "SELECT error(repeat('x', 8188) || repeat(chr(1), 1000))", "SELECT error(repeat('x', 8189) || repeat(chr(1), 1000))", "SELECT error(repeat('x', 8191) || repeat(chr(1), 1000))",
		"SELECT error(repeat('x', 8188) || repeat(chr(92) || 'u', 1000))", "SELECT error(repeat('x', 8187) || repeat(chr(92) || 'u', 1000))", "SELECT error(repeat('x', 8190) || repeat('🙂', 1000))", "SELECT error(repeat('x', 8189) || repeat('🙂', 1000))", "SELECT error(repeat('x', 8191) || repeat(chr(92), 1000))", "SELECT error(repeat('x', 8192) || repeat('\"', 1000))",
	} {
		_, err := drain(t.Context(), b.engine, sql.Request{SQL: query})
		if code := fault.CodeOf(err); code != "sql" && code != "conversion" || len(err.Error()) > 10_000 || len(err.Error()) < 4 || !utf8.ValidString(err.Error()) {
			t.Errorf("%s: code %q, %.300v", query, code, err)
		}
	}
}
