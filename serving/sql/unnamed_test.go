package sql_test

import (
	"slices"
	"testing"

	"anabranch/serving/sql"
)

// What PostgreSQL 15 calls columns that a query gives no name. The
// names are its own answers to these queries, but for what it does not understand.
func TestUnnamedColumnsAreCalledAsPostgreSQLCallsThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for query, want := range map[string][]string{
		"SELECT count(*), count(n), SUM(n), max(n) FILTER (WHERE n > 1), coalesce(min(n), 0), nullif(max(n), 0) FROM shops.by_shop":       {"count", "count", "sum", "max", "coalesce", "nullif"},
		"SELECT n, n::int, n::int::text, CAST(n AS DOUBLE), '1'::int, '1'::int::text, true, DATE '2024-01-01', 1, 'x' FROM shops.by_shop": {"", "n", "n", "n", "int4", "text", "?column?", "date", "?column?", "?column?"},
		"SELECT n + 1, -n, n > 1, n IS NULL, NOT (n > 1), n BETWEEN 1 AND 2, shop || 'x', shop LIKE 'x' FROM shops.by_shop":               slices.Repeat([]string{"?column?"}, 8),
		"SELECT extract(year FROM DATE '2024-01-01'), date_part('year', DATE '2024-01-01'), trim(shop), substring(shop FROM 2), upper(shop), greatest(1, n), sum(n)::int, (n + 1)::text FROM shops.by_shop GROUP BY ALL": {
			"extract", "date_part", "btrim", "substring", "upper", "greatest", "sum", "text"},
		"SELECT CASE WHEN n > 1 THEN 1 END, CASE WHEN n > 1 THEN 1 ELSE n END, CASE WHEN n > 1 THEN 1 ELSE 0::int END FROM shops.by_shop": {"case", "n", "case"},
		"SELECT (SELECT max(n) FROM shops.by_shop), (SELECT n + 1 FROM shops.by_shop LIMIT 1), (SELECT n AS m FROM shops.by_shop LIMIT 1), EXISTS (SELECT 1), ARRAY[1], (ARRAY[1])[1]": {
			"max", "?column?", "m", "exists", "array", "array"},
		"SELECT row_number() OVER (ORDER BY n), sum(n) OVER (), n AS \"Many\", shop x FROM shops.by_shop": {"row_number", "sum", "", ""},
		"SELECT 1, *, count(*) OVER () FROM shops.by_shop":                                                {"?column?", "", "", "", "", "", "", "", "count"},
		"SELECT count(*) FROM shops.by_shop UNION ALL SELECT n AS other FROM shops.by_shop":               {"count"},
		"WITH a AS (SELECT count(*) AS n FROM shops.by_shop) SELECT n, sum(n) FROM a GROUP BY n":          {"", "sum"},
		"SELECT max(COLUMNS(*)) FROM shops.by_shop":                                                       {"", "", "", "", "", "", ""},
		"SELECT sum(n) FROM shops.by_shop AS t(shop, n)":                                                  {"sum"},
	} {
		r := sql.Request{SQL: query}
		a, err := b.engine.Query(t.Context(), r)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		a.Close()
		d, err := b.engine.Describe(t.Context(), r)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		for _, columns := range [][]sql.Column{a.Columns, d.Columns} {
			var got []string
			for _, c := range columns {
				got = append(got, c.Called)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
		}
	}
}
