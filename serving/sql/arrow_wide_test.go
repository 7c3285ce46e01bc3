package sql_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// A batch is small enough for the messages that clients take, however wide the
// rows of a chunk are; a row that is larger stands in one of its own.
func TestBatchesOfWideRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	columns := make([]string, 1600)
	for i := range columns {
		columns[i] = fmt.Sprintf("range + %d AS c%d", i, i)
	}
	const most = 4 << 20
	for query, rows := range map[string]int{
		"SELECT " + strings.Join(columns, ", ") + " FROM range(5000)":                                                5000,
		"SELECT range, repeat('x', 100000) AS a, repeat('y', range::INT * 100) AS b FROM range(1000)":                1000,
		"SELECT range, [repeat('x', 5000) FOR i IN range(10)] AS l, {'t': repeat('y', 60000)} AS s FROM range(3000)": 3000,
		"SELECT range, CASE WHEN range % 2048 = 700 THEN repeat('z', 8000000) ELSE 'z' END AS few FROM range(10000)": 10000,
	} {
		r, err := b.engine.Records(t.Context(), sql.Request{SQL: query})
		if err != nil {
			t.Fatal(err)
		}
		seen, large := 0, 0
		for {
			rec, err := r.Next()
			if err != nil {
				t.Fatalf("%.60s: %v", query, err)
			}
			if rec == nil {
				break
			}
			size := 0
			for _, c := range rec.Columns() {
				size += int(c.Data().SizeInBytes())
			}
			if size > most {
				large++
			}
			for i := range int(rec.NumRows()) {
				if got := rec.Column(0).ValueStr(i); got != fmt.Sprint(seen+i) {
					t.Fatalf("%.60s: row %d is %s", query, seen+i, got)
				}
			}
			seen += int(rec.NumRows())
			rec.Release()
		}
		r.Close()
		if seen != rows || large > 0 && !strings.Contains(query, "few") || large > 5 {
			t.Errorf("%.60s: %d rows, %d batches of more than 4 MiB", query, seen, large)
		}
	}
}

// Of every type some rows of a chunk are what they are among all of them.
func TestPartsOfChunks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, value := range []string{
		"i", "i % 3 = 1", "(i % 100)::TINYINT", "i::HUGEINT * 1000000000000000000", "i::DECIMAL(9,2) / 7", "i::DECIMAL(38,3)", "i / 3", "(i / 3)::FLOAT", "'text ' || i", "('text ' || i)::BLOB",
		"DATE '2011-01-01' + i::INT", "TIMESTAMP '2011-01-01' + to_hours(i)", "TIME '00:00:00' + to_seconds(i)", "to_hours(i)", "md5(i::VARCHAR)::UUID", "(['a', 'b', 'c'])[1 + i % 3]::ENUM('a', 'b', 'c')", "'101'::BIT",
		"[i, NULL, i + 1]", "range(i % 5)", "[[i], NULL, []]", "array_value(CASE WHEN i % 3 = 0 THEN i END, NULL, i + 2)", "{'a': i, 'b': 'b' || i, 'c': NULL}", "MAP {i: [i::VARCHAR], -1: NULL}", "[{'a': CASE WHEN i % 2 = 0 THEN i END, 'b': [i % 2 = 0]}]", "(i::VARCHAR)::JSON", "NULL",
	} {
		x := "CASE WHEN i % 4 > 0 THEN " + value + " END"
		if strings.HasPrefix(value, "array_value") { // there is no CASE of arrays
			x = value
		}
		query := "SELECT i, x, [x], {'x': x}, repeat('w', 1000) FROM (SELECT i, " + x + " AS x FROM range(5000) AS r(i))"
		_, all, err := b.records(query)
		if err != nil || len(all) != 5000 {
			t.Errorf("%s: %d rows, %v", value, len(all), err)
			continue
		}
		for _, from := range []int{0, 31, 33, 64, 2040, 2063, 4970} {
			_, few, err := b.records(fmt.Sprintf("%s WHERE i >= %d AND i < %d", query, from, from+30)) // of a chunk from its beginning
			if err != nil || strings.Join(few, "\n") != strings.Join(all[from:from+30], "\n") {
				t.Errorf("%s from %d: %v\n%.300s\nwant\n%.300s", value, from, err, strings.Join(all[from:from+30], "\n"), strings.Join(few, "\n"))
				break
			}
		}
	}
}

// Whoever reads wide rows hears of the end of the time among the rows of a chunk.
func TestWideRowsEndWithTheirTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	columns := make([]string, 1600)
	for i := range columns {
		columns[i] = fmt.Sprintf("range + %d AS c%d", i, i)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a, err := b.engine.Query(ctx, sql.Request{SQL: "SELECT " + strings.Join(columns, ", ") + " FROM range(10000000)"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := a.Row(); err != nil {
		t.Fatal(err)
	}
	cancel()
	for n := range 2000 {
		if _, err = a.Row(); err != nil {
			if fault.CodeOf(err) != "cancelled" || n > 20 {
				t.Errorf("after %d rows: %v", n, err)
			}
			return
		}
	}
	t.Error("a chunk was read to its end")
}
