package sql_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// records reads a query as Arrow, all batches as text, null as (null).
func (b *bench) records(query string, args ...any) (*arrow.Schema, []string, error) {
	b.Helper()
	r, err := b.engine.Records(b.Context(), sql.Request{SQL: query, Args: args})
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	var rows []string
	for {
		rec, err := r.Next()
		if err != nil || rec == nil {
			return r.Schema, rows, err
		}
		for i := range int(rec.NumRows()) {
			cells := make([]string, rec.NumCols())
			for c, col := range rec.Columns() {
				cells[c] = col.ValueStr(i)
			}
			rows = append(rows, strings.Join(cells, "|"))
		}
		rec.Release()
	}
}

// What every type of DuckDB becomes, with a value, its null, and inside a list.
func TestTypesInArrow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct{ sql, as, text string }{
		{"true", "bool", "true"},
		{"(-8)::TINYINT", "int8", "-8"}, {"200::UTINYINT", "uint8", "200"},
		{"(-300)::SMALLINT", "int16", "-300"}, {"60000::USMALLINT", "uint16", "60000"},
		{"(-70000)::INTEGER", "int32", "-70000"}, {"4000000000::UINTEGER", "uint32", "4000000000"},
		{"(-9223372036854775808)::BIGINT", "int64", "-9223372036854775808"}, {"18446744073709551615::UBIGINT", "uint64", "18446744073709551615"},
		{"(-99999999999999999999999999999999999999)::HUGEINT", "decimal(38, 0)", "-99999999999999999999999999999999999999"},
		{"99999999999999999999999999999999999999::UHUGEINT", "decimal(38, 0)", "99999999999999999999999999999999999999"},
		{"(-1.5)::DECIMAL(4,1)", "decimal(4, 1)", "-1.5"}, {"12345.67::DECIMAL(9,2)", "decimal(9, 2)", "12345.67"},
		{"(-0.000001)::DECIMAL(18,6)", "decimal(18, 6)", "-1e-06"},
		{"(-12345678901234567890.123)::DECIMAL(38,3)", "decimal(38, 3)", "-12345678901234567890.123"},
		{"1.5::FLOAT", "float32", "1.5"}, {"(-2.25)::DOUBLE", "float64", "-2.25"},
		{"'twelve bytes'", "utf8", "twelve bytes"}, {"'more than twelve bytes: äöü'", "utf8", "more than twelve bytes: äöü"}, {"''", "utf8", ""},
		{"'\\x00\\xFF'::BLOB", "binary", "AP8="}, {"'0110100000001'::BIT", "utf8", "0110100000001"},
		{"DATE '1969-07-20'", "date32", "1969-07-20"}, {"TIME '23:59:59.999999'", "time64[us]", "23:59:59.999999"},
		{"TIMESTAMP '2011-03-01 12:30:00.000001'", "timestamp[us]", "2011-03-01 12:30:00.000001Z"},
		{"TIMESTAMPTZ '2011-03-01 12:30:00+02'", "timestamp[us, tz=UTC]", "2011-03-01 10:30:00Z"},
		{"'2011-03-01 12:30:00'::TIMESTAMP_S", "timestamp[s]", "2011-03-01 12:30:00Z"}, {"'2011-03-01 12:30:00.5'::TIMESTAMP_MS", "timestamp[ms]", "2011-03-01 12:30:00.5Z"},
		{"'2011-03-01 12:30:00.000000001'::TIMESTAMP_NS", "timestamp[ns]", "2011-03-01 12:30:00.000000001Z"},
		{"INTERVAL '14 months 3 days 1.5 seconds'", "month_day_nano_interval", `{"months":14,"days":3,"nanoseconds":1500000000}`},
		{"'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'::UUID", "utf8", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}, {"'0fffffff-7dec-11d0-a765-00a0c91e6bf6'::UUID", "utf8", "0fffffff-7dec-11d0-a765-00a0c91e6bf6"},
		{"'b'::ENUM('a', 'b')", "utf8", "b"}, {`'{"a": 1}'::JSON`, "utf8", `{"a": 1}`},
		{"[1, NULL, 3]", "list<item: int32, nullable>", "[1,null,3]"}, {"[['a'], [], NULL]", "list<item: list<item: utf8, nullable>, nullable>", `[["a"],[],null]`},
		{"array_value(1, 2, 3)", "fixed_size_list<item: int32, nullable>[3]", "[1,2,3]"},
		{"{'a': 1, 'b': {'c': 'x'}}", "struct<a: int32, b: struct<c: utf8>>", `{"a":1,"b":{"c":"x"}}`},
		{"MAP {'k': 1, 'l': NULL}", "map<utf8, int32, items_nullable>", `[{"key":"k","value":1},{"key":"l","value":null}]`},
	} {
		schema, rows, err := b.records("SELECT x, [x, NULL, x] FROM (SELECT " + c.sql + " AS x UNION ALL SELECT NULL) ORDER BY x NULLS LAST")
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		if got := schema.Field(0).Type.String(); got != c.as {
			t.Errorf("%s is %s, want %s", c.sql, got, c.as)
		}
		x, list, _ := strings.Cut(rows[0], "|[")
		if x != c.text || strings.Count(list, "null") < 1 || len(rows) != 2 || rows[1] != "(null)|[null,null,null]" {
			t.Errorf("%s: %q", c.sql, rows)
		}
	}
}

// Values that Arrow has no place for are refused by name, and never another
// number.
func TestWhatArrowHasNot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, query := range []string{
		"SELECT 100000000000000000000000000000000000000::HUGEINT AS x", "SELECT (-170141183460469231731687303715884105728)::HUGEINT AS x",
		"SELECT 340282366920938463463374607431768211455::UHUGEINT AS x", "SELECT TIMETZ '12:00:00+02' AS x", "SELECT union_value(a := 1) AS x",
		"SELECT INTERVAL '9223372036854775807 microseconds' AS x",
	} {
		if _, rows, err := b.records(query); !fault.Is(err, fault.Invalid) || fault.CodeOf(err) != "not_arrow" || !strings.Contains(err.Error(), "column x") {
			t.Errorf("%s: %q, %v", query, rows, err)
		}
		if _, _, err := b.records(strings.Replace(query, " AS x", "::VARCHAR AS x", 1)); err != nil {
			t.Errorf("%s, as it says: %v", query, err)
		}
	}
}

// The same rows by columns as by rows, at batch borders and with nulls, lists
// and long texts across them.
func TestRecordsAreTheRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	plain := strings.NewReplacer("(null)", "null", "NULL", "null", " ", "", `"`, "", "'", "")
	for range 5 {
		n, mod := r.IntN(40_000), 2+r.IntN(9)
		query := fmt.Sprintf(`SELECT i, CASE WHEN hash(i) %% %d > 0 THEN i * 7 END AS n, CASE WHEN hash(i + 1) %% %d > 0 THEN repeat('x', (i %% 40)::INT) || i END AS s,
			hash(i) %% 3 = 0 AS b, CASE WHEN hash(i + 2) %% %d > 0 THEN list_transform(range(i %% 4), y -> CASE WHEN y <> 1 THEN repeat('y', (i %% 30)::INT) || i END) END AS l,
			CASE WHEN hash(i + 3) %% %d > 0 THEN {'a': CASE WHEN i %% 2 = 0 THEN i END, 'b': [i, NULL]} END AS st FROM range(%d) t(i)`, mod, mod, mod, mod, n)
		_, got, err := b.records(query)
		if err != nil {
			t.Fatal(err)
		}
		want := b.ask("SELECT i, n, s, b, l::VARCHAR, st::VARCHAR FROM (" + query + ")")
		slices.Sort(got)
		if len(got) != n || len(want) != n {
			t.Fatalf("%d rows by column, %d by row, of %d", len(got), len(want), n)
		}
		for i := range want {
			if plain.Replace(got[i]) != plain.Replace(want[i]) {
				t.Fatalf("row %d of %d: %s, want %s", i, n, got[i], want[i])
			}
		}
	}
}

// A query that is read no further is over when its context is, at once, and
// leaves its connection fit for the next.
func TestRecordsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, query := range []string{
		"SELECT count(*) FROM range(100000) a, range(100000) b WHERE hash(a.range + b.range) % 7 = 3", // no row for a long time
		"SELECT range FROM range(100000000000)",                                                       // rows without end
	} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		r, err := b.engine.Records(ctx, sql.Request{SQL: query})
		for err == nil {
			var rec arrow.Record
			if rec, err = r.Next(); rec != nil {
				rec.Release()
			}
		}
		began := time.Now()
		if r != nil {
			r.Close()
		}
		if !fault.Is(err, fault.Transient) || time.Since(began) > 5*time.Minute {
			t.Errorf("%v, closed after %s", err, time.Since(began))
		}
	}
	for range 20 {
		if _, rows, err := b.records("SELECT sum(range) FROM range(1000)"); err != nil || rows[0] != "499500" {
			t.Fatal(rows, err)
		}
	}
}

// An error between two batches is told, and is no end.
func TestRecordsFailOnTheWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, rows, err := b.records("SELECT CASE WHEN i = 500000 THEN error('half way') ELSE i END FROM range(1000000) t(i)")
	if err == nil || !strings.Contains(err.Error(), "half way") {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if _, _, err := b.records("SELECT $1::INT + $2::INT AS n", int64(2), "x"); err == nil {
		t.Error("a text that is no number was bound to one")
	}
	_, rows, err = b.records("SELECT $1::INT + $2::INT AS n, $3 AS s", int64(2), int64(3), nil)
	if err != nil || rows[0] != "5|(null)" {
		t.Errorf("%q, %v", rows, err)
	}
}
