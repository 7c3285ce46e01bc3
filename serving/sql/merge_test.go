package sql_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/serving/sql"
	"anabranch/view"
)

// merge gives what one fold of all the events gives, from batch files and
// overlays together; adding the numbers does not.
func TestMerge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sketched, err := view.Compile(t.Context(), view.Source{Name: "sketched", SQL: `SELECT shop, time_bucket(INTERVAL '1 hour', ts) AS hour, approx_count_distinct(units) AS kinds,
		approx_quantile(price, 0.9) AS most, avg(price) AS mean, sum(price) AS worth, count(DISTINCT price) AS prices, arg_max(price, ts) AS latest, max(ts) AS until FROM events GROUP BY ALL`}, b.shape, "ts")
	if err != nil {
		t.Fatal(err)
	}
	b.views = append(b.views, sketched)
	b.sources[0].Views = b.views
	b.speed.states["sketched"] = sketched.New()
	r := rand.New(rand.NewPCG(12, 12))
	past, present := b.events(r, 3000), b.events(r, 40)
	b.publish(1, past)
	b.fold(1, present)

	// The oracle: views of fewer keys over all the events.
	whole := func(text string) []string {
		v, err := view.Compile(t.Context(), view.Source{Name: "whole", SQL: text}, b.shape, "ts")
		if err != nil {
			t.Fatal(err)
		}
		other := setup(t)
		other.views = []*view.View{v}
		other.sources[0].Views = other.views
		other.speed.states["whole"] = v.New()
		for _, e := range []*event.Batch{past, present} {
			if err := other.speed.states["whole"].Fold(e, nil); err != nil {
				t.Fatal(err)
			}
		}
		return other.ask("SELECT * FROM shops.whole")
	}
	const columns = "approx_count_distinct(units) AS kinds, approx_quantile(price, 0.9) AS most, avg(price) AS mean, sum(price) AS worth, count(DISTINCT price) AS prices, arg_max(price, ts) AS latest, max(ts) AS until FROM events"
	const merged = "merge(kinds), merge(most), merge(mean), merge(worth), merge(prices), merge(latest), merge(until)"
	for query, want := range map[string][]string{
		"SELECT " + merged + " FROM shops.sketched":                                                        whole("SELECT " + columns),
		"SELECT shop, " + merged + " FROM shops.sketched GROUP BY shop":                                    whole("SELECT shop, " + columns + " GROUP BY ALL"),
		"SELECT s.shop, " + strings.ReplaceAll(merged, "(", "(s.") + " FROM shops.sketched s GROUP BY ALL": whole("SELECT shop, " + columns + " GROUP BY ALL"),
		"SELECT time_bucket(INTERVAL '1 day', hour) AS day, " + merged + " FROM shops.sketched GROUP BY 1": whole("SELECT time_bucket(INTERVAL '1 day', ts) AS day, " + columns + " GROUP BY ALL"),
		"SELECT MERGE ( \"kinds\" ) + 0 AS k FROM shops.sketched WHERE shop = 'shop ''1'''":                whole("SELECT approx_count_distinct(units) AS k FROM events WHERE shop = 'shop ''1'''"),
	} {
		if got := b.ask(query); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", query, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if d, err := b.engine.Describe(t.Context(), sql.Request{SQL: query}); err != nil || len(d.Columns) == 0 {
			t.Errorf("%s: described %+v, %v", query, d, err)
		}
	}
	if got := b.ask("SELECT count(*) FROM (SELECT shop, merge(kinds) AS k FROM shops.sketched GROUP BY 1 HAVING merge(kinds) > 0 ORDER BY merge(kinds))"); got[0] != "8" {
		t.Errorf("in a subquery, HAVING and ORDER BY: %v", got)
	}
	a, err := b.engine.Query(t.Context(), sql.Request{SQL: "SELECT merge(kinds) FROM shops.sketched"})
	if err != nil {
		t.Fatal(err)
	}
	if a.Columns[0].Name != "merge(kinds)" || a.Columns[0].Type != "BIGINT" {
		t.Errorf("called %+v", a.Columns[0])
	}
	a.Close()
	if got := b.ask("SELECT * FROM shops.sketched LIMIT 1"); strings.Count(got[0], "|") != 8 {
		t.Errorf("the states show: %v", got)
	}

	for query, code := range map[string]string{
		"SELECT sum(kinds) FROM shops.sketched":                                                                                         "sketch_added",
		"SELECT shop, SUM(x.prices) FILTER (WHERE hour > '2011-01-01') FROM shops.sketched x GROUP BY 1":                                "sketch_added",
		"SELECT sum(most) OVER () FROM shops.sketched":                                                                                  "",
		"SELECT sum(kinds + 0), avg(kinds), max(kinds), sum(worth) FROM shops.sketched":                                                 "",
		"SELECT merge(nothing) FROM shops.sketched":                                                                                     "unknown_column",
		"SELECT merge(shop) FROM shops.sketched":                                                                                        "sql",
		"SELECT merge(kinds + 1) FROM shops.sketched":                                                                                   "syntax",
		"SELECT merge(DISTINCT kinds) FROM shops.sketched":                                                                              "syntax",
		"SELECT merge(kinds) FILTER (WHERE shop IS NULL) FROM shops.sketched":                                                           "syntax",
		"SELECT merge(kinds) OVER () FROM shops.sketched":                                                                               "syntax",
		"WITH x AS (SELECT * FROM shops.sketched) SELECT merge(kinds) FROM x":                                                           "unknown_column",
		"PIVOT shops.sketched ON shop IN ('a') USING sum(kinds)":                                                                        "sketch_added",
		"SELECT * FROM shops.sketched PIVOT (sum(kinds) FOR shop IN ('a'))":                                                             "sketch_added",
		"SELECT sum(kinds) FROM shops.sketched PIVOT (sum(worth) FOR shop IN ('a'))":                                                    "sketch_added",
		"PIVOT (SELECT hour, shop, sum(kinds) AS k FROM shops.sketched GROUP BY ALL) ON shop IN ('a') USING sum(k)":                     "sketch_added",
		"PIVOT shops.sketched ON shop IN ('a') USING sum(kinds + 0), sum(worth)":                                                        "",
		"PIVOT shops.sketched ON shop IN ('a') USING merge(kinds)":                                                                      "syntax",
		"SELECT merge(kinds) FROM shops.sketched PIVOT (sum(worth) FOR shop IN ('a'))":                                                  "syntax",
		"WITH m AS (SELECT hour, shop, merge(kinds) AS k FROM shops.sketched GROUP BY ALL) PIVOT m ON shop IN ('a') USING any_value(k)": "",
		"SELECT merge(kinds) FROM shops.sketched AS t(kinds, b, c, d, e, f, g)":                                                         "unknown_column",
		"PIVOT shops.sketched ON shop USING sum(worth)":                                                                                 "not_answered",
		"WITH p AS (PIVOT shops.sketched ON shop USING sum(worth)) SELECT * FROM p":                                                     "not_answered",
		"SELECT merge(shop) FROM shops.by_shop JOIN shops.sketched USING (shop)":                                                        "unknown_column",
	} {
		a, err := b.engine.Query(t.Context(), sql.Request{SQL: query})
		if a != nil {
			a.Close()
		}
		if fault.CodeOf(err) != code || code == "" && err != nil {
			t.Errorf("%s: %v (%s), want %s", query, err, fault.CodeOf(err), code)
		}
		if code == "sketch_added" && (err == nil || !strings.Contains(err.Error(), "write merge(") && !strings.Contains(err.Error(), "merge in a WITH")) {
			t.Errorf("%s: no hint: %v", query, err)
		}
	}
}

// Rows tell whether they stand in the batch files, were changed above the cut,
// or are only there.
func TestStateOfRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(13, 13))
	b.fold(1, b.only(b.events(r, 20), "shop '1'"))
	if got := b.ask("SELECT DISTINCT shop, _state FROM shops.by_shop"); !slices.Equal(got, []string{"shop '1'|provisional"}) {
		t.Errorf("before any batch: %v", got)
	}
	b.publish(1, b.only(b.events(r, 20), "shop '1'"), b.only(b.events(r, 20), "shop '2'"))
	b.speed.states["by_shop"] = b.views[0].New()
	b.fold(2, b.only(b.events(r, 20), "shop '2'"))
	b.fold(3, b.only(b.events(r, 20), "shop '3'"))
	want := []string{"shop '1'|final", "shop '2'|amended", "shop '3'|provisional"}
	if got := b.ask("SELECT shop, _state FROM shops.by_shop"); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := b.ask("SELECT shop FROM shops.by_shop WHERE by_shop._state = 'amended'"); !slices.Equal(got, []string{"shop '2'"}) {
		t.Error(got)
	}
	if got := b.ask("SELECT merge(kinds) >= 1, count(*) FILTER (_state = 'final') FROM shops.by_shop"); !slices.Equal(got, []string{"true|1"}) {
		t.Error(got)
	}
	if got := b.ask("SELECT * FROM shops.by_shop"); strings.Contains(fmt.Sprint(got), "amended") {
		t.Errorf("nobody asked: %v", got)
	}
}

// only gives all events one shop.
func (b *bench) only(e *event.Batch, shop string) *event.Batch {
	b.Helper()
	dict := &event.Dict{}
	c := &e.Columns[0]
	c.Valid = nil
	code := dict.Append([]byte(shop))
	c.Dict = dict
	for i := range c.Codes {
		c.Codes[i] = code
	}
	return e
}
