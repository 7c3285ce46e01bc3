package sql_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/serving/sql"
)

// A description tells what an answer then has, without reading anything.
func TestDescribe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish(1, b.events(rand.New(rand.NewPCG(1, 2)), 50))
	for query, args := range map[string][]any{
		"SELECT * FROM shops.by_shop": nil,
		"SELECT shop, n + $2::INTEGER AS more FROM shops.by_shop WHERE shop = $1 AND last > $3":             {"shop '1'", int64(3), time.Unix(0, 0)},
		"SELECT [n, 1] AS list, {'a': price, 'b': [shop]} AS s, MAP([1],[2]) AS m FROM shops.by_shop":       nil,
		"SELECT $1::DECIMAL(38,2) AS d, $2::HUGEINT AS h, $3::BLOB AS b, $4::BOOLEAN AS t, $5::DOUBLE AS f": {duckdb.Decimal{Width: 5, Scale: 2, Value: big.NewInt(123)}, big.NewInt(7), []byte{1}, true, 2.5},
		"DESCRIBE shops.by_shop": nil,
	} {
		d, err := b.engine.Describe(t.Context(), sql.Request{SQL: query})
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if len(d.Params) != len(args) {
			t.Errorf("%s: parameters %v", query, d.Params)
		}
		a, err := b.engine.Query(t.Context(), sql.Request{SQL: query, Args: args})
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		same := func(x, y sql.Column) bool { return x.Name == y.Name && x.Type == y.Type }
		if !slices.EqualFunc(d.Columns, a.Columns, same) {
			t.Errorf("%s: described %+v, answered %+v", query, d.Columns, a.Columns)
		}
		if row, err := a.Next(); err != nil || row == nil {
			t.Errorf("%s: %v, %v", query, row, err)
		}
		a.Close()
	}
	d, err := b.engine.Describe(t.Context(), sql.Request{SQL: "SELECT n FROM shops.by_shop WHERE shop = $1 AND last > $2"})
	if err != nil || !slices.Equal(d.Params, []string{"VARCHAR", "TIMESTAMP"}) {
		t.Errorf("%v, %v", d.Params, err)
	}
	if d, err = b.engine.Describe(t.Context(), sql.Request{SQL: "SELECT $1 AS x"}); err != nil || len(d.Columns) != 0 || !slices.Equal(d.Params, []string{""}) {
		t.Errorf("what depends on a value: %+v, %v", d, err)
	}
	if got := sql.Cuts(t, b.engine); got > 4 {
		t.Errorf("%d catalogs are left", got)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish(1, b.events(rand.New(rand.NewPCG(1, 3)), 50))
	for _, c := range []struct {
		query string
		arg   any
		want  string
	}{
		{"SELECT $1 + 1", int64(41), "42"},
		{"SELECT $1::INTEGER + 1", "41", "42"},
		{"SELECT $1 IS NULL", nil, "true"},
		{"SELECT date_trunc('day', $1::TIMESTAMP)::VARCHAR", time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), "2026-03-04 00:00:00"},
		{"SELECT $1::DECIMAL(10,2) + 1", duckdb.Decimal{Width: 10, Scale: 2, Value: big.NewInt(150)}, "2.5"},
		// None is rounded to what stands beside it.
		{"SELECT 1.50::DECIMAL(10,2) = $1", duckdb.Decimal{Width: 4, Scale: 3, Value: big.NewInt(1504)}, "false"},
		{"SELECT list_sum(list_filter([1, 2, 3], lambda x: x::BIGINT > $1 AND $1 < 2))", duckdb.Decimal{Width: 2, Scale: 1, Value: big.NewInt(15)}, "5"},
		{"SELECT sum(x) FROM range(1, 4) t(x) WHERE /* é */ x >= $1", duckdb.Decimal{Width: 2, Scale: 1, Value: big.NewInt(15)}, "5"},
		{"SELECT sum(x) FROM range(1, 4) t(x) WHERE x BETWEEN ? AND 2.5", duckdb.Decimal{Width: 2, Scale: 1, Value: big.NewInt(15)}, "2"},
		{"SELECT 2 IN (1, $1)", duckdb.Decimal{Width: 2, Scale: 1, Value: big.NewInt(15)}, "false"},
		{"SELECT $1 = 1.5 AND 1.5 = ($1)", duckdb.Decimal{Width: 2, Scale: 1, Value: big.NewInt(15)}, "true"},
		{"SELECT count(*) FROM (SELECT x FROM range(3) t(x) GROUP BY x HAVING sum(x) > $1 ORDER BY x + $1) LIMIT $1", duckdb.Decimal{Width: 2, Scale: 1, Value: big.NewInt(15)}, "1"},
		{"SELECT count(*) > 0 FROM shops.by_shop WHERE price < $1", duckdb.Decimal{Width: 20, Scale: 3, Value: big.NewInt(100_000_000_000)}, "true"},
		{"SELECT $1::HUGEINT + 1", new(big.Int).Lsh(big.NewInt(1), 100), "1267650600228229401496703205377"},
		{"SELECT $1 || ';DROP'", "x' OR 1=1", "x' OR 1=1;DROP"},
	} {
		a, err := b.engine.Query(t.Context(), sql.Request{SQL: c.query, Args: []any{c.arg}})
		if err != nil {
			t.Errorf("%s: %v", c.query, err)
			continue
		}
		if row, err := a.Next(); err != nil || fmt.Sprint(row[0]) != c.want {
			t.Errorf("%s with %v: %v, %v", c.query, c.arg, row, err)
		}
		a.Close()
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all, err := b.engine.Tables(t.Context())
	if err != nil || len(all) != 3 || all[0].Schema != "shops" || all[2].Name != "by_hour" && all[2].Name != "all_time" || all[0].Kind != sql.KindView {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, table := range all {
		if table.Name == "by_shop" && (len(table.Columns) != 7 || table.Columns[0].Name != "shop" || table.Columns[0].Type != "VARCHAR" || !table.Columns[0].Nullable) {
			t.Errorf("%+v", table)
		}
	}
}
