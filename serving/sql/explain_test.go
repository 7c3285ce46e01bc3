package sql_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// EXPLAIN tells where the rows of each view come from, and runs nothing.
func TestExplain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(14, 1))
	b.publish(1, b.only(b.events(r, 20), "shop '1'"), b.only(b.events(r, 20), "shop '2'"))
	b.fold(2, b.only(b.events(r, 5), "shop '2'"))
	got := b.ask("explain SELECT error('it ran') FROM shops.by_shop JOIN shops.all_time ON true")
	if len(got) != 4 || !strings.HasPrefix(got[2], "shops.by_shop|"+b.views[0].Version()+"|batch files|1|2|") || !strings.HasSuffix(got[2], "|1|1|1|2|NULL") || got[3] != "shops.by_shop|"+b.views[0].Version()+"|speed, merged|NULL|1|NULL|NULL|NULL|NULL|1|NULL" {
		t.Errorf("%q", got)
	}
	if strings.Contains(fmt.Sprint(got), b.cache) {
		t.Errorf("it tells of folders: %v", got)
	}
	if again := b.ask("-- why\n/* and */ EXPLAIN -- this\n SELECT error('it ran') FROM shops.by_shop JOIN shops.all_time ON true"); !slices.Equal(got, again) {
		t.Errorf("behind a comment: %q", again)
	}
	for query, code := range map[string]string{
		"EXPLAIN SELECT * FROM read_text('/etc/passwd')": "function_refused", "EXPLAIN DROP TABLE x": "read_only", "EXPLAIN SELECT *\nFROM shops.nothing": "unknown_view", "EXPLAIN ANALYZE SELECT 1": "read_only", "EXPLAIN /* x */ ANALYZE SELECT 1": "read_only",
		"EXPLAIN SELECT nosuch FROM shops.by_shop": "unknown_column", "EXPLAIN SELECT sum(shop) FROM shops.by_shop": "sql", "EXPLAIN SELECT nosuch, $1 FROM shops.by_shop": "unknown_column",
	} {
		if _, err := drain(t.Context(), b.engine, sql.Request{SQL: query}); fault.CodeOf(err) != code {
			t.Errorf("%s: %v (%s), want %s", query, err, fault.CodeOf(err), code)
		}
	}
	_, err := drain(t.Context(), b.engine, sql.Request{SQL: "EXPLAIN\nSELECT n, unitz FROM shops.by_shop"})
	if line, column, ok := sql.PlaceOf(err); !ok || line != 2 || column != 11 || !strings.Contains(err.Error(), `did you mean "units"?`) {
		t.Errorf("a column that there is not: %v", err)
	}
	if _, err := b.engine.Describe(t.Context(), sql.Request{SQL: "EXPLAIN SELECT unitz FROM shops.by_shop"}); fault.CodeOf(err) != "unknown_column" {
		t.Errorf("described: %v", err)
	}
	if d, err := b.engine.Describe(t.Context(), sql.Request{SQL: "EXPLAIN SELECT units FROM shops.by_shop WHERE shop = $1 AND n > $2"}); err != nil || len(d.Columns) == 0 {
		t.Errorf("described with parameters: %v %v", d, err)
	}
}
