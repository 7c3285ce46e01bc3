package sql_test

import (
	gosql "database/sql"
	"fmt"
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
		"SELECT levenshtein(repeat('a', 3000000 + r::INT), repeat('b', 3000000)) FROM range(100) t(r)",
		"SELECT repeat('a', 10000000 + r::INT) LIKE '%' || repeat('a', 5000000 + r::INT) || 'b_' FROM range(100) t(r)",
		"SELECT repeat('a', 10000000 + r::INT) ILIKE '%' || repeat('a', 5000000 + r::INT) || 'b_' FROM range(100) t(r)",
		"SELECT repeat('a', 10000000 + r::INT) GLOB '*' || repeat('a', 5000000 + r::INT) || 'b?*[a-z]' FROM range(100) t(r)",
		"SELECT parse_path(repeat('a/', 10000000 + r::INT)) FROM range(100) t(r)",
		"SELECT length(regexp_replace(repeat('a', 10000000 + r::INT), 'a*b|a', 'c', 'g')) FROM range(100) t(r)",
		"SELECT len(generate_series(TIMESTAMPTZ '0001-01-01', TIMESTAMPTZ '9999-01-01' + INTERVAL 1 SECOND * r::INT, INTERVAL 1 SECOND)) FROM range(100) t(r)",
		"SELECT count(x) FROM (SELECT mode(r ORDER BY r DESC) OVER (ORDER BY r ROWS BETWEEN 30000 PRECEDING AND 30000 FOLLOWING) AS x FROM range(1000000) t(r))",
		"SELECT count(x) FROM (SELECT fill(CASE WHEN r = 0 THEN 1 END) OVER (ORDER BY r) AS x FROM range(1000000) t(r))",
		"SELECT count(*) FROM (SELECT range * 0 x FROM range(10000000)) a JOIN (SELECT range * 0 y FROM range(10000000)) b ON a.x <> b.y",
		"SELECT count(*) FROM (SELECT range * 0 k, range x FROM range(3000000)) a JOIN (SELECT range * 0 k, range x FROM range(3000000)) b ON a.k = b.k AND a.x < b.x - 5000000",
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

// What one call would work on for too long is refused by the name of its limit.
func TestLongCallsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.limited(sql.Options{})
	for _, query := range []string{
		"SELECT count(md5(CASE WHEN r >= 0 THEN s END)) FROM range(100000) t(r), (SELECT repeat('ab', 4000000 + (random() * 0)::INT) AS s) u",
		"SELECT count(DISTINCT CASE WHEN r % 2 = 0 THEN s || 'c' ELSE s END) FROM range(100000) t(r), (SELECT repeat('ab', 4000000 + (random() * 0)::INT) AS s) u",
		"SELECT list_sort(range(10000000 + (random() * 0)::INT))",
		"SELECT list_aggregate(range(10000000 + (random() * 0)::INT), 'histogram')",
		"SELECT count(list_contains(l, -r)) FROM range(100000) t(r), (SELECT list(x) AS l FROM range(1000000) z(x)) u",
		"SELECT quantile_cont(r, list_transform(range(100000), lambda x: x / 100000)) FROM range(10) t(r)",
		"SELECT quantile_cont(r, list_transform(range(1100), lambda x: x / 1100)) FROM range(10) t(r)",
		"SELECT quantile_disc(r, list_transform(range(1100), lambda x: x / 1100)::DOUBLE[1100]) OVER () FROM range(10) t(r)",
		"SELECT strftime(TIMESTAMP '2000-01-01', repeat('%A', 10000000))",
		"SELECT printf('%.2000000000f', 1.0)",
		"SELECT format('{0:{1}.{1}f}', 1.5, 1000000000)",
		"SELECT bitstring('1', 2147483647)",
		"SELECT bitstring('101'::BIT, 2000000000)",
		"SELECT nfc_normalize(repeat(chr(769) || chr(790), 100000))",
		"SELECT max(x COLLATE NFC) FROM (SELECT 'a' || repeat(chr(769), 50000) || repeat(chr(790), 50000) || r AS x FROM range(5) t(r))",
		"SELECT regexp_matches('a', repeat('a*', 100000))",
		"SELECT regexp_extract(repeat('ab', 1000000 + r::INT), '([ab]*)a([ab]{300})', 2) FROM range(3) t(r)",
	} {
		if _, err := drain(t.Context(), e, sql.Request{SQL: query}); fault.CodeOf(err) != "work_limit" || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v, code %q", query, err, fault.CodeOf(err))
		}
	}
	for _, query := range []string{ // there is no such zone, which is said at once
		"SELECT timezone(repeat('ab', 5000000), TIMESTAMP '2020-01-01')",
	} {
		if _, err := drain(t.Context(), e, sql.Request{SQL: query}); fault.CodeOf(err) == "timeout" || err == nil {
			t.Errorf("%s: %v", query, err)
		}
	}
	numbers := strings.TrimSuffix(strings.Repeat("1, 2, 3, ", 1500), ", ")
	doubles := strings.TrimSuffix(strings.Repeat("1.5e0, 2.5e0, ", 1000), ", ")
	for _, query := range []string{ // much, but not too much
		"SELECT count(*) FROM unnest([" + numbers + "])",
		"SELECT count(*) FROM (SELECT unnest([" + numbers + "]))",
		"SELECT count(*) FROM range(10000) t(r) WHERE list_contains([" + numbers + "], r)",
		"SELECT count(*) FROM range(10000) t(r) WHERE r = ANY([" + numbers + "])",
		"SELECT count(*) FROM range(10000) t(r) WHERE r IN (" + numbers + ")",
		"SELECT count(*) FROM range(10000) t(r) WHERE r::VARCHAR IN (SELECT unnest(string_split('" + numbers + "', ', ')))",
		"SELECT list_sum([" + numbers + "]), len('[" + numbers + "]'::INT[]), len(json_extract('[" + numbers + "]', '$[*]'))",
		"SELECT count(md5(repeat('ab', 50000) || r)) FROM range(3000) t(r)",
		"SELECT len(list_sort(range(5000000 + (random() * 0)::INT)))",
		"SELECT list_sum(list_transform(range(100000), lambda x: x + 1)), len(array_to_string(range(100000), ','))",
		"SELECT count(list_contains(l, r)) FROM range(100000) t(r), (SELECT list(x) AS l FROM range(1000) z(x)) u",
		"SELECT quantile_cont(r, list_transform(range(100), lambda x: x / 100)) FROM range(1000) t(r)",
		"SELECT quantile_cont(r, list_transform(range(1000), lambda x: x / 1000)), median(r) FROM range(1000) t(r)",
		"SELECT count(*) FROM unnest([" + doubles + "])",
		"SELECT count(*) FROM (VALUES (" + strings.ReplaceAll(doubles, ", ", "), (") + ")) t(x)",
		"SELECT count(*) FROM range(10000) t(r) WHERE r::DOUBLE IN (" + doubles + ")",
		"SELECT count(*) FROM range(10000) t(r) WHERE r::DOUBLE > 0.5 AND r::DOUBLE NOT IN (" + doubles + ") GROUP BY r + 1.5e0 LIMIT 50.0 %",
		"SELECT histogram(r::DOUBLE, [" + doubles + "]) FROM range(10000) t(r)",
		"SELECT printf('%.1000f', 1.0), nfc_normalize('a' || repeat(chr(769), 100)), regexp_matches(repeat('ab', 1000000), '[ab]*a[ab]{30}c')",
	} {
		if _, err := drain(t.Context(), e, sql.Request{SQL: query}); err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// Windows are evaluated in parts of chunks, which shows in no answer.
func TestWindowsInParts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.limited(sql.Options{})
	for _, rows := range []int{1, 33, 2048, 3000} {
		got := answerOf(t, e, sql.Request{SQL: fmt.Sprintf(`WITH t AS (SELECT r AS i, (r * 7919 %% 1009)::INT AS x, CASE WHEN r %% 3 > 0 THEN 'text of more than twelve bytes ' || r %% 97 END AS s FROM range(%d) z(r)),
			w AS (SELECT i, sum(x) OVER near AS a, list(s) OVER near AS b, mode(x ORDER BY x) OVER near AS c, {'s': max(s) OVER near} AS d, row_number() OVER (ORDER BY i) AS e, lag(s, 3) OVER (ORDER BY i) AS f, count(DISTINCT x %% 5) OVER near AS g
				FROM t WINDOW near AS (ORDER BY i ROWS BETWEEN 7 PRECEDING AND 3 FOLLOWING)),
			l AS (SELECT list(x ORDER BY i) AS xs, list(s ORDER BY i) AS ss FROM t),
			n AS (SELECT i, xs[greatest(i - 6, 1):i + 4] AS xs, ss[greatest(i - 6, 1):i + 4] AS ss, CASE WHEN i >= 3 THEN ss[i - 2] END AS before FROM t, l)
			SELECT count(*), sum((a IS DISTINCT FROM list_sum(xs))::INT), sum((b IS DISTINCT FROM ss)::INT), sum((NOT list_contains(xs, c))::INT), sum((d.s IS DISTINCT FROM list_max(ss))::INT),
				sum((e <> i + 1)::INT), sum((f IS DISTINCT FROM before)::INT), sum((g <> len(list_distinct(list_transform(xs, lambda v: v %% 5))))::INT) FROM w JOIN n USING (i)`, rows)})
		if want := fmt.Sprintf("[%d 0 0 0 0 0 0 0]", rows); fmt.Sprint(got[0]) != want {
			t.Errorf("%d rows: %v", rows, got[0])
		}
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
