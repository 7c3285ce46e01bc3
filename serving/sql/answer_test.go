package sql_test

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/sql"
)

// The values of every type, and their names, are those of DuckDB's driver:
// alone, null, and inside of what has parts.
func TestValuesAreTheDrivers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	db, err := stdsql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("SET TimeZone='UTC'"); err != nil {
		t.Fatal(err)
	}
	values := []string{
		"true", "(-8)::TINYINT", "200::UTINYINT", "(-300)::SMALLINT", "60000::USMALLINT", "(-70000)::INTEGER", "4000000000::UINTEGER",
		"(-9223372036854775808)::BIGINT", "18446744073709551615::UBIGINT", "(-170141183460469231731687303715884105728)::HUGEINT",
		"340282366920938463463374607431768211455::UHUGEINT", "'-123456789012345678901234567890123456789012345'::BIGNUM", "'7'::BIGNUM", "0::BIGNUM",
		"(-1.5)::DECIMAL(4,1)", "12345.67::DECIMAL(9,2)", "(-0.000001)::DECIMAL(18,6)", "(-12345678901234567890.123)::DECIMAL(38,3)",
		"1.5::FLOAT", "(-2.25)::DOUBLE", "'infinity'::DOUBLE", "'twelve bytes'", "'more than twelve bytes: äöü'", "''", `'\x00\xFF'::BLOB`, "''::BLOB",
		"DATE '1969-07-20'", "DATE '9999-12-31'", "'0044-03-15 (BC)'::DATE", "TIME '23:59:59.999999'", "TIMETZ '12:00:00.5+02:30'", "TIMETZ '12:00:00'",
		"TIMESTAMP '2011-03-01 12:30:00.000001'", "'infinity'::TIMESTAMP", "TIMESTAMPTZ '2011-03-01 12:30:00+02'", "'2011-03-01 12:30:00'::TIMESTAMP_S",
		"'1911-03-01 12:30:00.5'::TIMESTAMP_MS", "'2011-03-01 12:30:00.000000001'::TIMESTAMP_NS", "INTERVAL '14 months 3 days 1.5 seconds'",
		"'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'::UUID", "'b'::ENUM('a', 'b')", "union_value(a := 1)::UNION(a INTEGER, b VARCHAR)", "'x'::UNION(a INTEGER, b VARCHAR)",
		"[1, NULL, 3]", "[['a'], [], NULL]", "array_value(1, 2, 3)", `{'a': 1, 'b "c"': {'c': 'x'}}`, "MAP {'k': 1, 'l': NULL}", "MAP {DATE '2011-01-01': [1]}",
	}
	for _, v := range values {
		query := fmt.Sprintf(`SELECT x, [x, NULL], {'a': x, 'b': NULL::INT}, MAP {1: x}, array_value(x, x), [[x], []]
			FROM (SELECT %s AS x, 0 AS n UNION ALL SELECT NULL, i + 1 FROM range(2500) r(i) UNION ALL SELECT %[1]s, 9999) ORDER BY n`, v)
		rows, err := db.Query(query)
		if err != nil {
			t.Errorf("%s: %v", v, err)
			continue
		}
		types, _ := rows.ColumnTypes()
		a, err := b.engine.Query(t.Context(), sql.Request{SQL: query})
		if err != nil {
			t.Errorf("%s: %v", v, err)
			continue
		}
		for i, c := range a.Columns {
			if c.Type != types[i].DatabaseTypeName() {
				t.Errorf("%s: is %s, want %s", v, c.Type, types[i].DatabaseTypeName())
			}
		}
		lying, err := b.engine.Query(t.Context(), sql.Request{SQL: query})
		if err != nil {
			t.Errorf("%s: %v", v, err)
			continue
		}
		for n := 0; ; n++ {
			got, err := a.Next()
			if err != nil {
				t.Fatalf("%s: %v", v, err)
			}
			data, err := lying.Row()
			if err != nil || (data == nil) != (got == nil) {
				t.Fatalf("%s: %v, %v", v, data, err)
			}
			for i := range data {
				if is := data[i].Any(); !reflect.DeepEqual(is, got[i]) && (data[i].Is != sql.InInt || fmt.Sprint(is) != fmt.Sprint(got[i])) {
					t.Fatalf("%s, row %d: lies there as %#v, is %#v", v, n, is, got[i])
				}
			}
			if !rows.Next() {
				if got != nil || n != 2502 {
					t.Errorf("%s: %d rows, and %v", v, n, got)
				}
				break
			}
			want, into := make([]any, len(types)), make([]any, len(types))
			for i := range want {
				into[i] = &want[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s, row %d:\n%#v\nwant\n%#v", v, n, got, want)
				break
			}
		}
		a.Close()
		lying.Close()
		rows.Close()
	}
	for _, v := range []string{"'1'::VARIANT", "MAP {'1'::VARIANT: 1}"} {
		if _, err := b.engine.Query(t.Context(), sql.Request{SQL: "SELECT " + v + " AS x"}); fault.CodeOf(err) != "not_answered" {
			t.Errorf("%s: %v", v, err)
		}
	}
}

// A JSON is the text that was given, wherever it stands; a BIT is its bits.
func TestTextsStayTexts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const text = `{"n": 12345678901234567890.120, "b": 1, "a": [9007199254740993]}`
	a, err := b.engine.Query(t.Context(), sql.Request{SQL: "SELECT x, [x], {'x': x}, '0110'::BIT, ['0110'::BIT] FROM (SELECT '" + text + "'::JSON AS x)"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	row, err := a.Next()
	if want := []any{sql.JSON(text), []any{sql.JSON(text)}, map[string]any{"x": sql.JSON(text)}, "0110", []any{"0110"}}; !reflect.DeepEqual(row, want) {
		t.Errorf("%v, %v", row, err)
	}
	if a.Columns[0].Type != "JSON" || a.Columns[3].Type != "BIT" {
		t.Error(a.Columns)
	}
}

// Of an answer of millions of rows the engine and its reader hold some
// thousands at a time.
func TestAnswersAreNotHeldWhole(t *testing.T) {
	// Not parallel: the heap that it looks at is that of the process.
	engine, err := sql.New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), sql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	a, err := engine.Query(t.Context(), sql.Request{SQL: "SELECT i, i::VARCHAR || ' and more than twelve bytes' AS s, i / 7 AS d FROM range(3000000) t(i)"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n, most, heap := 0, int64(0), int64(0)
	for {
		row, err := a.Next()
		if err != nil {
			t.Fatal(err)
		}
		if row == nil {
			break
		}
		if n++; n%500_000 == 0 {
			held, _ := sql.Cell(t, engine, "SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()").(int64)
			runtime.GC()
			runtime.ReadMemStats(&now)
			most, heap = max(most, held), max(heap, int64(now.HeapAlloc)-int64(before.HeapAlloc))
		}
	}
	t.Logf("%d rows: at most %d kB in DuckDB, %d kB in Go", n, most>>10, heap>>10)
	if n != 3_000_000 || most > 32<<20 || heap > 8<<20 {
		t.Errorf("%d rows: at most %d bytes in DuckDB, %d in Go", n, most, heap)
	}
}

// An answer that nobody reads on is over when its context is: its turn is free,
// and who reads on after all is told. One of few rows never holds a turn.
func TestUnreadAnswersEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.limited(sql.Options{MaxQueries: 1, Patience: time.Minute})
	few, err := e.Query(t.Context(), sql.Request{SQL: "FROM range(1000)"})
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []time.Duration{0, 20 * time.Millisecond} {
		ctx, cancel := context.WithCancel(t.Context())
		a, err := e.Query(ctx, sql.Request{SQL: endless, Limits: sql.Limits{Time: limit}})
		for ; fault.CodeOf(err) == "timeout"; limit *= 2 { // before its first rows
			a, err = e.Query(ctx, sql.Request{SQL: endless, Limits: sql.Limits{Time: 2 * limit}})
		}
		if err != nil {
			t.Fatal(err)
		}
		r := sql.Request{SQL: "SELECT 1"}
		code := "timeout"
		if limit == 0 {
			cancel()
			code = "cancelled"
		}
		if _, err := drain(t.Context(), e, r); err != nil { // in the turn of the other
			t.Error(err)
		}
		for err == nil {
			_, err = a.Next()
		}
		if fault.CodeOf(err) != code {
			t.Errorf("%v (%s), want %s", err, fault.CodeOf(err), code)
		}
		for range 2 {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
		cancel()
	}
	n := 0
	for row, err := few.Next(); row != nil; row, err = few.Next() {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if n != 1000 {
		t.Errorf("%d rows", n)
	}
	few.Close()
}

// An error half way is told, and is no end.
func TestAnswersFailOnTheWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	n, err := drain(t.Context(), b.engine, sql.Request{SQL: "SELECT CASE WHEN i = 500000 THEN error('half way') ELSE i END FROM range(1000000) t(i)"})
	if err == nil || !strings.Contains(err.Error(), "half way") || n == 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// A map of many is answered in time that follows their number.
func TestLargeMaps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for query, want := range map[string]int{"SELECT map(range(300000), range(300000))": 300000, "SELECT map(['a'::BLOB, 'b'::BLOB], [1, 2])": 2, "SELECT map([], [])": 0} {
		a, err := b.engine.Query(t.Context(), sql.Request{SQL: query})
		if err != nil {
			t.Fatal(err)
		}
		row, err := a.Next()
		if err != nil || len(row) != 1 {
			t.Fatal(query, err)
		}
		m, ok := row[0].(duckdb.OrderedMap)
		if !ok || m.Len() != want || len(m.Values()) != want {
			t.Errorf("%s: %T of %d", query, row[0], m.Len())
		}
		a.Close()
	}
}
