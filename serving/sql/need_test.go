package sql_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"anabranch/event"
	"anabranch/serving/httpapi"
	"anabranch/serving/sql"
	"anabranch/view"
)

// wide adds a view whose keys have the types that filters reach the overlay by,
// and publishes and folds enough for several pages.
func (b *bench) wide(r *rand.Rand, past, present int) {
	b.Helper()
	v, err := view.Compile(b.Context(), view.Source{Name: "wide", SQL: "SELECT units, shop, time_bucket(INTERVAL '1 hour', ts) AS hour, CAST(ts AS DATE) AS day, CAST(units AS BIGINT) * 7 AS big, price, count(*) AS n, max(shop) AS last FROM events GROUP BY ALL"}, b.shape, "ts")
	if err != nil {
		b.Fatal(err)
	}
	b.views = append(b.views, v)
	b.sources[0].Views = b.views
	b.speed.states["wide"] = v.New()
	b.publish(1, b.events(r, past))
	b.fold(2, b.events(r, present))
}

// asked returns the rows of a query with arguments, as sorted lines.
func (b *bench) asked(query string, args []any) ([]string, error) {
	a, err := b.engine.Query(b.Context(), sql.Request{SQL: query, Args: args})
	if err != nil {
		return nil, err
	}
	defer a.Close()
	lines := []string{}
	for {
		row, err := a.Next()
		if err != nil {
			return nil, err
		}
		if row == nil {
			slices.Sort(lines)
			return lines, nil
		}
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = fmt.Sprintf("%T %s", v, httpapi.Text(a.Columns[i].Type, v))
		}
		lines = append(lines, strings.Join(cells, "|"))
	}
}

// filters makes random conditions on columns of wide.
type filters struct {
	*rand.Rand
	args []any
	of   []string // qualifiers of the columns
}

func (f *filters) pick(of ...string) string { return of[f.IntN(len(of))] }

// value makes a constant that a column may be compared with, in one of the ways
// in which it can be written.
func (f *filters) value(column string) string {
	param := func(v any) string {
		f.args = append(f.args, v)
		return fmt.Sprintf("$%d", len(f.args))
	}
	if f.IntN(25) == 0 {
		return f.pick("NULL", param(nil))
	}
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	switch column {
	case "units", "big", "n":
		n := f.IntN(110) - 55
		if column == "big" && f.IntN(4) > 0 {
			n *= 7
		}
		if column == "n" {
			n = f.IntN(4)
		}
		switch f.IntN(9) {
		case 0:
			return param(int64(n))
		case 1:
			return quoted(fmt.Sprint(n))
		case 2:
			return param(fmt.Sprint(n))
		case 3:
			return fmt.Sprintf("%d.0", n)
		case 4:
			return fmt.Sprintf("CAST(%d AS BIGINT)", n)
		case 5:
			return fmt.Sprintf("(%d + 1)", n)
		}
		return fmt.Sprint(n)
	case "shop", "last":
		s := fmt.Sprintf("shop '%d'", f.IntN(9))
		if f.IntN(5) == 0 {
			s = f.pick("", "shop", "shop '", "t", "é", "shop '1'\x01", "SHOP '1'")
		}
		switch f.IntN(5) {
		case 0:
			return param(s)
		case 1:
			return "CAST(" + quoted(s) + " AS VARCHAR)"
		case 2:
			return quoted(s) + f.pick("", "", " COLLATE NOCASE")
		}
		return quoted(s)
	case "day":
		at := time.UnixMicro(1_300_000_000_000_000).UTC().AddDate(0, 0, f.IntN(4)-1)
		switch f.IntN(8) {
		case 0:
			return param(at.Truncate(24 * time.Hour))
		case 1:
			return param(at)
		case 2:
			return param(at.Format(time.DateOnly))
		case 3:
			return quoted(at.Format(time.DateOnly))
		case 4:
			return "TIMESTAMP " + quoted(at.Format(time.DateTime))
		case 5:
			return quoted(at.Format(time.DateTime))
		case 6:
			return param(at.Format(time.DateOnly)) + "::DATE"
		}
		return "DATE " + quoted(at.Format(time.DateOnly))
	case "hour":
		at := time.UnixMicro(1_300_000_000_000_000).UTC().Truncate(time.Hour).Add(time.Duration(f.IntN(14)-2) * time.Hour)
		if f.IntN(4) == 0 {
			at = at.Add(time.Duration(f.IntN(3)-1) * time.Microsecond)
		}
		const micros = "2006-01-02 15:04:05.999999"
		switch f.IntN(12) {
		case 0:
			return param(at)
		case 1:
			return param(at.Format(micros))
		case 2:
			return quoted(at.Format(micros))
		case 3:
			return quoted(at.Format("2006-01-02T15:04:05Z"))
		case 4:
			return quoted(at.Format("2006-01-02T15:04:05") + "+02:00")
		case 5:
			return "TIMESTAMPTZ " + quoted(at.Format(micros)+"+01")
		case 6:
			return quoted(at.Format("2006-01-02 15:04"))
		case 7:
			return "DATE " + quoted(at.Format(time.DateOnly))
		case 8:
			return quoted(at.Format(time.DateOnly))
		case 9:
			return fmt.Sprintf("epoch_ms(%d::BIGINT)", at.UnixMilli())
		case 10:
			return param(at.Format("2006-01-02T15:04:05Z07:00")) + "::TIMESTAMP"
		}
		return "TIMESTAMP " + quoted(at.Format(micros))
	}
	return fmt.Sprintf("%d.%02d", f.IntN(1000), f.IntN(100))
}

func (f *filters) condition(depth int) string {
	if depth > 0 {
		switch f.IntN(6) {
		case 0, 1:
			return "(" + f.condition(depth-1) + " AND " + f.condition(depth-1) + ")"
		case 2:
			return "(" + f.condition(depth-1) + " OR " + f.condition(depth-1) + ")"
		case 3:
			return "NOT (" + f.condition(depth-1) + ")"
		}
	}
	column := f.pick("units", "units", "units", "shop", "shop", "shop", "hour", "hour", "hour", "day", "day", "big", "n", "price", "last")
	named := f.pick(f.of...) + f.pick(column, strings.ToUpper(column), `"`+column+`"`)
	value := func() string { return f.value(column) }
	list := func() string {
		all := make([]string, 1+f.IntN(5))
		for i := range all {
			all[i] = value()
		}
		return strings.Join(all, ", ")
	}
	switch f.IntN(14) {
	case 0, 1:
		return named + f.pick(" IN (", " IN (", " NOT IN (") + list() + ")"
	case 2, 3:
		return named + f.pick(" ", " ", " NOT ") + "BETWEEN " + value() + " AND " + value()
	case 4:
		return value() + f.pick(" = ", " < ", " >= ", " <> ", " > ") + named
	case 5:
		return named + f.pick(" IS NULL", " IS NOT NULL", " IS DISTINCT FROM "+value(), " IS NOT DISTINCT FROM "+value())
	case 6:
		return f.pick(f.of...) + "shop" + f.pick(" LIKE ", " NOT LIKE ", " ILIKE ") + f.pick("'shop ''1%'", "'shop%'", "'%2%'", "'shop ''_'''", "'shop ''4'''", "'S%'", "''", "$1")
	case 7:
		return "starts_with(" + f.pick(f.of...) + "shop, " + f.pick("'shop ''1'", "'shop'", "''", "'x'") + ")"
	case 8:
		q := f.pick(f.of...)
		pair := func() string { return "(" + f.value("units") + ", " + f.value("shop") + ")" }
		return "(" + q + "units, " + q + "shop) IN (" + pair() + ", " + pair() + ", " + pair() + ")"
	}
	return named + f.pick(" = ", " = ", " < ", " <= ", " > ", " >= ", " <> ") + value()
}

// TestFiltersOfOverlays holds queries with filters that the scan of the overlay
// takes against the same ones written so that it takes none.
func TestFiltersOfOverlays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(23, 1))
	b.wide(r, 2500, 900)
	shapes := []struct {
		query string
		of    []string
	}{
		{"SELECT * FROM shops.wide WHERE {}", []string{"", "wide.", "shops.wide.", "Wide."}},
		{"SELECT * FROM shops.wide WHERE {}", []string{""}},
		{"SELECT shop, sum(n), count(*) FROM shops.wide w WHERE {} GROUP BY ALL HAVING count(*) > 1", []string{"", "w."}},
		{"SELECT *, _state FROM shops.wide WHERE {}", []string{""}},
		{"SELECT upper(shop) AS shop, n AS units, units AS n FROM shops.wide WHERE {}", []string{""}},
		{"SELECT count(*) FROM shops.wide AS w(shop, units) WHERE {}", []string{"w."}},
		{"SELECT shop, merge(n) FROM shops.wide WHERE {} GROUP BY shop", []string{""}},
		{"SELECT count(*), sum(a.n), sum(b.n) FROM shops.wide a JOIN shops.wide b ON a.units = b.units WHERE {}", []string{"a.", "b."}},
		{"SELECT count(*), sum(a.n), sum(b.n) FROM shops.wide a LEFT JOIN shops.wide b ON a.units = b.units AND b.hour < a.hour WHERE {}", []string{"a.", "b."}},
		{"SELECT count(*), sum(a.n), sum(b.n) FROM shops.wide a RIGHT JOIN shops.wide b ON a.units = -b.units AND a.shop = b.shop WHERE {}", []string{"a.", "b."}},
		{"SELECT count(*), sum(a.n), sum(b.n) FROM shops.wide a FULL JOIN shops.wide b ON a.units = 2 * b.units AND a.shop = b.shop AND a.day = b.day WHERE {}", []string{"a.", "b."}},
		{"SELECT count(*), sum(a.n) FROM shops.wide a FULL JOIN (SELECT units + 1 AS units, shop, n, hour, day, big, price, last FROM shops.wide) b USING (units, shop, day) WHERE {}", []string{"", "a.", "b."}},
		{"SELECT count(*), sum(a.n) FROM shops.wide a RIGHT JOIN (SELECT units::VARCHAR AS units, shop FROM shops.wide) b USING (units, shop) WHERE {}", []string{"", "a."}},
		{"SELECT count(*), sum(a.n) FROM shops.wide a SEMI JOIN shops.wide b ON a.units = 2 * b.units WHERE {}", []string{"", "a."}},
		{"SELECT count(*), sum(n) FROM (SELECT * FROM shops.wide) a ANTI JOIN shops.wide b ON a.units = 2 * b.units WHERE {}", []string{""}},
		{"SELECT count(*), sum(b.n) FROM shops.wide a ASOF JOIN (SELECT hour, sum(n) AS n FROM shops.wide GROUP BY ALL) b ON a.hour > b.hour WHERE {}", []string{"a."}},
		{"SELECT count(*), max(b.hour) FROM (SELECT DISTINCT hour + INTERVAL 90 MINUTE AS minute FROM shops.wide) a ASOF JOIN (FROM shops.by_hour WHERE shop IS NULL) b ON a.minute >= b.hour, shops.wide w WHERE {}", []string{"w."}},
		{"SELECT count(*) FROM shops.wide w, shops.by_shop s WHERE w.shop = s.shop AND {}", []string{"w."}},
		{"SELECT count(*) FROM shops.by_shop s WHERE EXISTS (SELECT 1 FROM shops.wide w WHERE w.shop = s.shop AND {})", []string{"w.", ""}},
		{"SELECT count(*) FROM shops.wide w WHERE EXISTS (SELECT 1 FROM shops.by_shop s WHERE w.shop = s.shop AND {})", []string{"w."}},
		{"SELECT n, (SELECT sum(n) FROM shops.wide WHERE {}) FROM shops.by_shop WHERE shop = 'shop ''1'''", []string{""}},
		{"WITH w AS (SELECT * FROM shops.wide WHERE {}) SELECT (SELECT count(*) FROM w), (SELECT count(*) FROM w WHERE n = 1), (SELECT count(*) FROM shops.wide WHERE units = 4)", []string{"", "shops.wide."}},
		{"WITH w AS (SELECT * FROM shops.wide) SELECT * FROM w WHERE {}", []string{"", "w."}},
		{"SELECT count(*) FROM shops.wide WHERE {} UNION ALL SELECT sum(n) FROM shops.wide WHERE units = 3", []string{""}},
		{"SELECT * FROM (SELECT *, rank() OVER (PARTITION BY shop ORDER BY n, units, hour, price) AS place FROM shops.wide) w WHERE {}", []string{""}},
		{"SELECT *, rank() OVER (PARTITION BY shop ORDER BY n, units, hour, price) AS place FROM shops.wide WHERE {} QUALIFY place < 4", []string{""}},
		{"SELECT * FROM (PIVOT (SELECT shop, units, n FROM shops.wide) ON shop IN ('shop ''1''', 'shop ''2''') USING sum(n)) AS w(units, n, last) WHERE {}", []string{"w."}},
		{"SELECT shop, (SELECT count(*) FROM (SELECT 1) WHERE {}) FROM shops.wide WHERE units < 9", []string{""}},
		{"SELECT count(*) FROM shops.wide a, LATERAL (SELECT sum(n) AS x FROM shops.wide b WHERE a.units = b.units AND {}) WHERE x > 1", []string{"b.", "a."}},
		{"WITH RECURSIVE w AS (SELECT 1 AS i, 0::HUGEINT AS x UNION ALL SELECT i + 1, x + (SELECT sum(n) FROM shops.wide WHERE units <= i AND {}) FROM w WHERE i < 3) SELECT * FROM w", []string{"wide."}},
	}
	answered, narrowed := 0, 0
	const each, plain = 8, 400
	for i := range each*len(shapes) + plain {
		s, depth := shapes[0], 0
		if i < each*len(shapes) {
			s, depth = shapes[i%len(shapes)], 2
		}
		f := &filters{Rand: rand.New(rand.NewPCG(23, uint64(i))), of: s.of}
		f.args = []any{}
		condition := f.condition(depth)
		if strings.Contains(condition, "$1") && len(f.args) == 0 {
			f.args = append(f.args, "shop%")
		}
		query := strings.ReplaceAll(s.query, "{}", condition)
		want, err := b.asked(strings.ReplaceAll(s.query, "{}", "CASE WHEN "+condition+" THEN true ELSE false END"), f.args)
		if err != nil {
			continue // a constant that is none of the column's, or a column that is not there
		}
		got, err := b.asked(query, f.args)
		if err != nil {
			t.Errorf("%s %v: %v", query, f.args, err)
			continue
		}
		answered++
		if !slices.Equal(got, want) {
			t.Errorf("%s %v:\ngot  %d %q\nwant %d %q", query, f.args, len(got), got[:min(5, len(got))], len(want), want[:min(5, len(want))])
		}
		if s.query == shapes[0].query && i%5 == 0 {
			if sql.Handed(t, b.engine, query, f.args...) < sql.Handed(t, b.engine, "SELECT * FROM shops.wide") {
				narrowed++
			}
		}
	}
	t.Logf("%d answered, %d of those looked at handed out fewer groups", answered, narrowed)
	if answered < (each*len(shapes)+plain)*2/3 || narrowed == 0 {
		t.Errorf("%d answered, %d of those looked at handed out fewer groups", answered, narrowed)
	}
}

// TestNeedsOfOverlays: what is certain narrows the scan of the overlay, what is
// not leaves it whole.
func TestNeedsOfOverlays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.wide(rand.New(rand.NewPCG(23, 2)), 500, 700)
	all := sql.Handed(t, b.engine, "SELECT * FROM shops.wide")
	hour := time.UnixMicro(1_300_000_000_000_000).UTC().Truncate(time.Hour)
	for _, c := range []struct {
		query string
		few   bool
		args  []any
	}{
		{"FROM shops.wide WHERE units < 0", true, nil},
		{"FROM shops.wide WHERE $1 > wide.Units", true, []any{int64(3)}},
		{"FROM shops.wide WHERE units = '7'", true, nil},
		{"FROM shops.wide WHERE units = $1", true, []any{"7"}},
		{"FROM shops.wide WHERE hour = $1", true, []any{hour}},
		{"FROM shops.wide WHERE hour < $1", true, []any{hour.Format(time.DateTime)}},
		{"FROM shops.wide WHERE hour BETWEEN '2011-03-13T07:00:00Z' AND TIMESTAMP '2011-03-13 08:00:00'", true, nil},
		{"FROM shops.wide WHERE day > '2011-03-13'", true, nil},
		{"FROM shops.wide WHERE day = DATE '2011-03-12'", true, nil},
		{"FROM shops.wide WHERE shop IN ('shop ''1''', NULL, $1)", true, []any{"shop '2'"}},
		{"FROM shops.wide WHERE shop LIKE 'shop ''1%'", true, nil},
		{"FROM shops.wide WHERE (units, shop) IN ((1, 'shop ''1'''), (2, 'shop ''2'''))", true, nil},
		{"FROM shops.wide WHERE big IN (7, 14) OR units = 3 AND n > 0", true, nil},
		{"FROM shops.wide WHERE upper(shop) <> 'X' AND units = 3", true, nil},
		{"SELECT merge(n) FROM shops.wide WHERE units < 0", true, nil},
		{"SELECT *, _state FROM shops.wide WHERE units < 0", true, nil},
		{"FROM shops.by_shop s LEFT JOIN shops.wide w USING (shop) WHERE w.units < 0", true, nil},
		{"WITH w AS (FROM shops.wide WHERE units < 0) SELECT (SELECT count(*) FROM w), (SELECT sum(n) FROM w)", true, nil},
		{"SELECT n FROM shops.by_shop s WHERE EXISTS (SELECT 1 FROM shops.wide w WHERE w.shop = s.shop AND units < 0)", true, nil},
		{"SELECT (SELECT count(*) FROM shops.wide WHERE units < -40), (SELECT count(*) FROM shops.wide WHERE units > 40)", true, nil},

		{"FROM shops.wide WHERE units <> 3", false, nil},
		{"FROM shops.wide WHERE units < '3'", false, nil}, // as texts, or as numbers?
		{"FROM shops.wide WHERE units = ' 7'", false, nil},
		{"FROM shops.wide WHERE units < 3.5", false, nil},
		{"FROM shops.wide WHERE price < 3", false, nil},
		{"FROM shops.wide WHERE units + 0 < 0", false, nil},
		{"FROM shops.wide WHERE shop COLLATE NOCASE = 'SHOP ''1'''", false, nil},
		{"FROM shops.wide WHERE shop = 'SHOP ''1''' COLLATE NOCASE", false, nil},
		{"FROM shops.wide WHERE hour < TIMESTAMPTZ '2011-03-13 07:00:00+01'", false, nil},
		{"FROM shops.wide WHERE day >= $1", false, []any{hour.Add(time.Minute)}},
		{"FROM shops.wide WHERE units < 0 OR upper(shop) <> 'X'", false, nil},
		{"FROM shops.wide WHERE NOT (units >= 0 AND n > 0)", false, nil},
		{"FROM shops.wide WHERE shop IS NULL", false, nil},
		{"FROM shops.wide WHERE shop LIKE '%1%'", false, nil},
		{"SELECT (SELECT count(*) FROM shops.wide WHERE units < 0), (SELECT sum(n) FROM shops.wide)", false, nil},
		{"SELECT count(*), sum(n) FILTER (units < 0) FROM shops.wide", false, nil},
		{"FROM shops.wide AS w(units) WHERE w.units < 0", false, nil},
		{"SELECT n FROM shops.by_shop AS wide WHERE EXISTS (SELECT 1 FROM shops.wide w WHERE wide.n < 0 OR w.n > 0)", false, nil},
		{"FROM shops.wide TABLESAMPLE 100% WHERE units < 0", false, nil},
		{"FROM shops.wide WHERE units < 0 USING SAMPLE 100%", false, nil},
		{"FROM shops.wide JOIN (SELECT 3 AS units) q USING (units) WHERE units > 0", false, nil},
		{"FROM (SELECT 3 AS units) q NATURAL JOIN shops.wide WHERE units > 0", false, nil},
		{"FROM (SELECT 3 AS units) q ANTI JOIN shops.wide w ON w.units > q.units + 100 WHERE units > 0", false, nil},
		{"FROM (SELECT 3 AS x) q POSITIONAL JOIN shops.wide w WHERE units < 0", false, nil},
		{"FROM (SELECT TIMESTAMP '2012-01-01' AS x) q ASOF JOIN shops.wide w ON q.x >= w.hour WHERE w.units < 0", false, nil},
	} {
		query := c.query
		if strings.HasPrefix(query, "FROM") {
			query = "SELECT * " + query
		}
		if got := sql.Handed(t, b.engine, query, c.args...); c.few != (got < all) {
			t.Errorf("%s: %d groups of %d handed out", query, got, all)
		}
	}
}

// TestExplainTellsOfOverlays: EXPLAIN tells how many groups of an overlay are
// handed out, and why no others.
func TestExplainTellsOfOverlays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.wide(rand.New(rand.NewPCG(23, 3)), 300, 700)
	for where, want := range map[string]string{
		"true":                             "",
		"units = 7 AND upper(shop) <> 'X'": "units=7",
		"(units IN (7, -3, 7) OR shop >= 'shop ''3''') AND hour < DATE '2011-03-14'": "(units IN (7, -3, 7) OR shop>='shop ''3''') AND hour<'2011-03-14 00:00:00'::TIMESTAMP",
		"day BETWEEN '2011-03-13' AND $1 AND shop LIKE 'shop%'":                      "day>='2011-03-13'::DATE AND day<='2011-03-14'::DATE AND starts_with(shop, 'shop')",
		"shop IN (NULL, NULL)": "false",
		"units IS NULL":        "",
	} {
		args := []any{}
		if strings.Contains(where, "$1") {
			args = append(args, "2011-03-14")
		}
		query := "SELECT * FROM shops.wide WHERE " + where
		got, err := b.asked("EXPLAIN "+query, args)
		if err != nil {
			t.Fatal(err)
		}
		cells := strings.Split(got[1], "|")
		handed, _ := strings.CutPrefix(cells[9], "int64 ")
		filters := strings.TrimPrefix(strings.TrimPrefix(cells[10], "string "), "<nil> ")
		if want != strings.TrimSpace(filters) || handed != fmt.Sprint(sql.Handed(t, b.engine, query, args...)) {
			t.Errorf("%s: %q, want %q; the scan hands out %d", where, got[1], want, sql.Handed(t, b.engine, query, args...))
		}
	}
}

// TestReadersOfOneOverlay: what one query needs is not what another gets, at the
// same time, or of a query that is held and asked again.
func TestReadersOfOneOverlay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.wide(rand.New(rand.NewPCG(23, 4)), 300, 600)
	whole := map[int64]int{} // rows by units
	a, err := b.engine.Query(t.Context(), sql.Request{SQL: "SELECT units FROM shops.wide WHERE units + 0 IS NOT NULL"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for {
		row, err := a.Next()
		if err != nil {
			t.Fatal(err)
		}
		if row == nil {
			break
		}
		whole[int64(row[0].(int32))]++
	}
	var all sync.WaitGroup
	for reader := range 4 {
		all.Go(func() {
			for i := range 15 {
				units := int64(reader*15+i) - 30
				got, err := b.asked("SELECT units FROM shops.wide WHERE units = $1", []any{units})
				if err != nil || len(got) != whole[units] {
					t.Errorf("%d groups of %d units, want %d, %v", len(got), units, whole[units], err)
				}
			}
			held, err := b.engine.Hold(t.Context(), sql.Request{SQL: "SELECT units FROM shops.wide WHERE units = $1", Args: []any{int64(reader)}})
			if err != nil {
				t.Error(err)
				return
			}
			defer held.Close()
			for range 2 {
				records, err := held.Records(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				n := 0
				for r, err := records.Next(); r != nil || err != nil; r, err = records.Next() {
					if err != nil {
						t.Error(err)
						break
					}
					n += int(r.NumRows())
					r.Release()
				}
				records.Close()
				if n != whole[int64(reader)] {
					t.Errorf("%d groups of %d units as records, want %d", n, reader, whole[int64(reader)])
				}
			}
		})
	}
	all.Wait()
}

// TestFiltersOfLongTexts: texts that do not fit into the place of their address,
// beside short ones with the same beginning.
func TestFiltersOfLongTexts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish(1, b.named(50))
	e := b.named(1500)
	dict := &event.Dict{}
	for i := range 1500 {
		s := named(i)
		dict.Append([]byte(s[:len(s)-i%3*len(s)/4])) // some of them twice
	}
	e.Columns[0].Dict = dict
	b.fold(2, e)
	all := sql.Handed(t, b.engine, "SELECT * FROM shops.by_shop")
	for _, condition := range []string{
		"shop = '" + named(30) + "'", "shop = '" + named(31)[:19] + "'", "shop = '" + named(32)[:13] + "'", "shop = 'the shop'", "shop = ''",
		"shop < '" + named(40) + "'", "shop >= '" + named(1400) + "'", "shop > '" + named(1400) + "x'", "shop <= 'the shop of number'", "shop BETWEEN '" + named(300) + "' AND '" + named(302) + "'",
		"shop IN ('" + named(3) + "', '" + named(3) + "', '" + named(99) + "', 'the shop of', 'x')", "shop LIKE '" + named(120)[:24] + "%'", "shop LIKE 'the shop of number 0001_2%'",
	} {
		query := "SELECT * FROM shops.by_shop WHERE "
		got, want := b.ask(query+condition), b.ask(query+"CASE WHEN "+condition+" THEN true ELSE false END")
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %d %q, want %d %q", condition, len(got), got[:min(5, len(got))], len(want), want[:min(5, len(want))])
		}
		if handed := sql.Handed(t, b.engine, query+condition); handed >= all {
			t.Errorf("%s: %d of %d handed out", condition, handed, all)
		}
	}
}
