package sql_test

import (
	"strings"
	"testing"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// What people write who know other databases is answered with what to write here.
func TestHintsForOtherDialects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct{ query, code, says string }{
		{`SELECT * FROM shops.by_shop WHERE shop = "France"`, "unknown_column", `single quotes, 'France'`},
		{`SELECT "shopp" FROM shops.by_shop`, "unknown_column", `did you mean "shop"?`},
		{"SELECT * FROM shops.by_shop WHERE shop = `a`", "syntax", "a backtick is not understood here (line 1, column 44): texts stand in single quotes"},
		{"SELECT TOP 5 * FROM shops.by_shop", "syntax", "column 12): write LIMIT 5"},
		{"SELECT * FROM shops.by_shop LIMIT 5, 10", "syntax", "write LIMIT 10 OFFSET 5"},
		{"SELECT * FROM shops.by_shop AS OF '2011-01-01'", "syntax", "write AS OF RECEIPT"},
		{`SELECT E'\x00'`, "syntax", "syntax error"},
		{"SELECT nvl(n, 0) FROM shops.by_shop", "unknown_function", "write coalesce(x, y)"},
		{"SELECT Date_Format(now(), '%Y')", "unknown_function", "write strftime(time, '%Y-%m-%d')"},
		{"SELECT 1 FROM shops.by_shop a\nJOIN shops.by_shop b USING (n, shup)", "unknown_column", `no column "shup" on the left side of the join (line 2, column 32): did you mean "shop"? There is`},
		{`SELECT 1 FROM shops.by_shop a JOIN shops.by_shop b USING ("Sho p") JOIN shops.by_shop c USING (shop)`, "unknown_column", `no column "Sho p" on the left side of the join (line 1, column 60): did you mean "shop"?`},
		{"SELECT 1 FROM shops.by_shop a JOIN (SELECT 1 AS shup) b USING (shop)", "unknown_column", `no column "shop" on the right side of the join (line 1, column 64): USING wants a column that both sides have`},
		{"SELECT 1 FROM (FROM shops.by_shop JOIN shops.by_shop USING (shup)) JOIN shops.by_shop USING (shup)", "unknown_column", `no column "shup" on the left side of the join: did you mean "shop"?`},
		{"SELECT * EXCLUDE shup FROM shops.by_shop", "unknown_column", `no column "shup" in the EXCLUDE list (line 1, column 18): did you mean "shop"?`},
		{"SELECT * REPLACE (1 AS n, 1 AS shup) FROM shops.by_shop", "unknown_column", `no column "shup" in the REPLACE list (line 1, column 32): did you mean "shop"?`},
		{"SELECT shup", "unknown_column", `there is no column "shup" (line 1, column 8): the query reads no view`},
		{"SELECT NULL::INT[0]", "syntax", "a type in the query is none with what stands in its brackets: an array has from 1"},
		{"SELECT NULL::STRUCT(a INT, a INT)", "syntax", "each name once"},
		{"SELECT $1", "parameters", "the query has 1 parameters, and was given 0"},
		{"SELECT n + $2::INT + $1::INT FROM shops.by_shop", "parameters", "the query has 2 parameters, and was given 0"},
	} {
		_, err := b.engine.Query(t.Context(), sql.Request{SQL: c.query})
		if fault.CodeOf(err) != c.code || !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "IMPLEMENTED") {
			t.Errorf("%s: %v (%s)", c.query, err, fault.CodeOf(err))
		}
	}
}
