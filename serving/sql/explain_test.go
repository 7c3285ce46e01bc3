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
	} {
		if _, err := drain(t.Context(), b.engine, sql.Request{SQL: query}); fault.CodeOf(err) != code {
			t.Errorf("%s: %v (%s), want %s", query, err, fault.CodeOf(err), code)
		}
	}
}
