package sql_test

import (
	gosql "database/sql"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// Each of these works for many minutes, or takes all memory, if nothing
// interrupts it between two chunks.
func TestLongCallsAreInterrupted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.limited(sql.Options{Limits: sql.Limits{Time: 300 * time.Millisecond}})
	for _, query := range []string{
		"SELECT list_transform(range(100000), lambda x: list_sum(list_transform(range(100000), lambda y: x * y)))", // while it is planned
		"SELECT list_sum(list_transform(range(r, r + 100000), lambda x: list_sum(list_transform(range(100000), lambda y: x * y)))) FROM range(3) t(r)",
		"SELECT list_transform(range(1000 + r), lambda a: list_sum(list_transform(range(1000), lambda b: list_sum(list_transform(range(1000), lambda c: a + b + c))))) FROM range(100) t(r)",
		"SELECT list_reduce(range(300000 + r), lambda x, y: list_sum(range(x % 1000)) + y) FROM range(20) t(r)",
		"SELECT count(list_filter(range(100000), lambda x: list_contains(range(100000), x + r))) FROM range(400) t(r)",
		"SELECT len(generate_series(TIMESTAMP '0001-01-01', TIMESTAMP '9999-01-01' + INTERVAL 1 SECOND * r::INT, INTERVAL 1 SECOND)) FROM range(100) t(r)",
		"SELECT sum(damerau_levenshtein(repeat('a', 3000 + (r % 9)::INT), repeat('b', 3000))) FROM range(100000) t(r)",
		"SELECT sum(levenshtein(repeat('a', 9000 + (r % 9)::INT), repeat('b', 9000))) FROM range(100000) t(r)",
		"SELECT sum(len(regexp_extract_all(repeat('ab', 30000 + r::INT), '(a*)(b*)'))) FROM range(100000) t(r)",
		"SELECT sum(len(json_extract('[' || repeat('1,', 20000 + r::INT) || '1]', '$[*]'))) FROM range(100000) t(r)",
		"SELECT count(map(range(20000 + r), range(20000 + r))) FROM range(100000) t(r)",
		"SELECT sum(length(range(3000 + r)::VARCHAR)) FROM range(10000000) t(r)",
	} {
		_, err := drain(t.Context(), e, sql.Request{SQL: query})
		if code := fault.CodeOf(err); code != "timeout" && code != "memory_limit" {
			t.Errorf("%s: %v, code %q", query, err, code)
		}
		if _, err := e.Describe(t.Context(), sql.Request{SQL: query}); err != nil && fault.CodeOf(err) != "timeout" && fault.CodeOf(err) != "memory_limit" {
			t.Errorf("%s, described: %v", query, err)
		}
	}
	if _, err := drain(t.Context(), e, sql.Request{SQL: "SELECT list_transform(range(100), lambda x: x * 2)"}); err != nil {
		t.Error("afterwards:", err)
	}
}

// A function may fail at each memory it asks for, if the list says so: the query
// fails, or answers, and the engine works on. It is not parallel: all calls of
// the process fail.
func TestCallsFailAnywhere(t *testing.T) {
	examples := examplesOf(t, sql.FailWell())
	b := setup(t)
	e := b.limited(sql.Options{})
	defer sql.FailCallsFrom(-1)
	failed, points := 0, 25
	if testing.Short() {
		points = 8
	}
	for _, query := range append(examples,
		"SELECT list_transform(range(r, r + 10), lambda x: list_sum(list_transform(range(10), lambda y: x * y))) FROM range(3) t(r)",
		"SELECT list_reduce(range(10 + r), lambda x, y: list_histogram(range(x % 10))[1] + y) FROM range(4) t(r)",
		"SELECT list_histogram(range(r)), list_sort(list_transform(range(30 + r), lambda x: upper('x' || x))), list_distinct(range(r)), list_unique(range(r)), list_aggregate(range(r), 'median') FROM range(20) t(r)",
		"SELECT regexp_extract_all('abcabc' || r, 'a.'), regexp_replace('abcabc' || r, 'a(b)', '\\1', 'g'), regexp_split_to_array('a,b,c' || r, ',') FROM range(10) t(r)",
		"SELECT lpad('x' || r, 300, 'ab'), replace(repeat('ab', 50 + r::INT), 'a', 'ccc'), string_split('a,b' || r, ','), format('{:10}', r), md5('ab' || r) FROM range(20) t(r)",
		"SELECT json_extract('[1,2,' || r || ']', '$[*]'), json_object('a', r), to_json({a: r, b: [1, 2]}), json_transform('{\"a\":' || r || '}', '{\"a\":\"INT\"}') FROM range(20) t(r)",
		"SELECT map(range(10 + r), range(10 + r)), map_concat(map([r], ['x']), map([r + 1], ['y'])) FROM range(20) t(r)",
		"SELECT ('1' || r)::DECIMAL(38,3), try_cast('[' || r AS INT[]), ('[1,' || r || ']')::INT[], range(r)::VARCHAR, {a: r}::VARCHAR, (r || ' days')::INTERVAL FROM range(20) t(r)",
		"SELECT a.x, count(*) FROM range(100) a(x) JOIN range(100) b(y) ON 'x' || a.x = 'x' || y AND upper('a' || y) LIKE '%A%' || a.x GROUP BY a.x ORDER BY lower('Q' || a.x)",
		"SELECT row_number() OVER (PARTITION BY lower('x' || x % 3) ORDER BY hash('y' || x)), sum(length(upper('a' || x))) OVER (ORDER BY x ROWS 3 PRECEDING) FROM range(100) t(x)",
		"SELECT string_agg(upper('x' || x), ','), list(x * 2 ORDER BY lower('y' || x)), arg_max(repeat('x', x::INT % 5), x) FROM range(100) t(x) GROUP BY x % 7",
	) {
		sql.FailCallsFrom(math.MaxInt64 - 1)
		if _, err := drain(t.Context(), e, sql.Request{SQL: query}); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		checks := sql.CallsChecked()
		for at := 0; at < checks; at += max(1, checks/points) {
			sql.FailCallsFrom(at)
			if _, err := drain(t.Context(), e, sql.Request{SQL: query}); err != nil {
				failed++
			}
		}
		sql.FailCallsFrom(-1)
		if _, err := drain(t.Context(), e, sql.Request{SQL: query}); err != nil {
			t.Fatalf("%s, afterwards: %v", query, err)
		}
	}
	if failed < len(examples) {
		t.Errorf("only %d queries failed, of %d and more that were made to", failed, len(examples))
	}
}

// examplesOf returns queries with the engine's own examples of functions, where
// it has any that is a query by itself.
func examplesOf(t *testing.T, functions []string) (queries []string) {
	t.Helper()
	db, err := gosql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, f := range functions {
		rows, err := db.QueryContext(t.Context(), "SELECT DISTINCT unnest(examples) FROM duckdb_functions() WHERE function_name = $1 AND function_type = 'scalar' ORDER BY 1", f)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var example string
			if err := rows.Scan(&example); err != nil {
				t.Fatal(err)
			}
			query := "SELECT (" + strings.ReplaceAll(strings.TrimSuffix(strings.TrimSpace(example), ";"), "\n", " ") + ")::VARCHAR"
			if _, err := db.ExecContext(t.Context(), query); err == nil {
				queries = append(queries, query)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
	slices.Sort(queries)
	queries = slices.Compact(queries)
	if len(queries) < 100 {
		t.Fatalf("%d examples", len(queries))
	}
	return queries
}
