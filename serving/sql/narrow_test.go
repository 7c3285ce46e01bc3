package sql_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"anabranch/event"
	"anabranch/serving/sql"
)

// TestTextsInAList: a list that is written where it is narrowed to a range
// answers as one that is written where it is not.
func TestTextsInAList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(17, 3))
	b.publish(1, b.events(r, 500))
	b.fold(2, b.events(r, 20))
	const some = " IN ('shop ''5''', 'shop ''2''', 'shop ''3''')"
	for _, query := range []string{
		"SELECT * FROM shops.by_shop WHERE {shop}" + some,
		"SELECT * FROM shops.by_shop WHERE {shop}  in ('shop ''7''', 'Shop', '')",
		"SELECT * FROM shops.by_shop WHERE {SHOP} IN ('shop ''1''', 'shop ''1''')",
		"SELECT * FROM shops.by_shop WHERE n > 5 AND {shop}" + some + " AND units < 1000",
		"SELECT * FROM shops.by_shop WHERE (n > 5 AND ({shop}" + some + ")) AND units < 1000",
		"SELECT * FROM shops.by_shop WHERE n > 50 OR {shop}" + some,
		"SELECT * FROM shops.by_shop WHERE n > 50 OR n < 10 AND {shop}" + some,
		"SELECT * FROM shops.by_shop WHERE NOT {shop}" + some,
		"SELECT * FROM shops.by_shop WHERE {shop} NOT" + some,
		"SELECT * FROM shops.by_shop WHERE NOT (n > 5 AND {shop}" + some + ")",
		"SELECT * FROM shops.by_shop WHERE ({shop}" + some + ") IS NULL",
		"SELECT * FROM shops.by_shop WHERE {shop}" + some + " IS NOT NULL",
		"SELECT * FROM shops.by_shop WHERE {shop} IN ('shop ''5''', NULL, 'shop ''2''')",
		"SELECT * FROM shops.by_shop WHERE {shop} IN ('shop ''5''', 'shop ''2''', shop)",
		"SELECT * FROM shops.by_shop WHERE {\"shop\"}" + some,
		"SELECT * FROM shops.by_shop b WHERE {b.shop}" + some,
		"SELECT * FROM shops.by_shop AS b WHERE { b . \"Shop\"}" + some + " AND { b.shop} IN ('shop ''3''', 'shop ''9''')",
		"SELECT * FROM shops.by_shop WHERE {by_shop.shop}" + some,
		"SELECT * FROM shops.by_shop WHERE {shops.by_shop.shop}" + some,
		"SELECT * FROM shops.by_shop JOIN shops.by_hour h USING (shop) WHERE {h.shop}" + some + " AND {by_shop.shop} IN ('shop ''2''', 'shop ''6''')",
		"WITH few AS (SELECT * FROM shops.by_shop WHERE {shop}" + some + ") SELECT count(*) FROM few WHERE {shop} IN ('shop ''2''', 'shop ''6''')",
		"SELECT (SELECT sum(worth) FROM shops.by_hour WHERE {shop}" + some + ") FROM shops.by_shop WHERE {shop} IN ('shop ''2''', 'shop ''6''')",
		"SELECT shop, sum(n) FILTER (WHERE {shop}" + some + ") FROM shops.by_shop GROUP BY shop HAVING {shop} IN ('shop ''2''', 'shop ''6''')",
		"SELECT upper(shop) AS shop FROM shops.by_shop WHERE {shop}" + some,
		"SELECT * FROM shops.by_shop AS b(s, n) WHERE {s}" + some,
		"SELECT * FROM shops.by_shop WHERE {n} IN ('9', '10', '11', '57', '60', '64')", // texts as numbers
		"SELECT * FROM shops.by_hour WHERE {hour} IN ('2011-03-13 7:00', '2011-3-13 11:00:00')",
		"SELECT merge(kinds) FROM shops.by_shop WHERE {shop}" + some,
	} {
		written := strings.NewReplacer("{", "", "}", "").Replace(query)
		without := strings.NewReplacer("{", "(", "}", ")").Replace(query)
		if got, want := b.ask(written), b.ask(without); !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", written, got, want)
		}
	}
}

// TestParametersInAList: they are what a query has.
func TestParametersInAList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish(1, b.named(3<<15))
	ask := func(where string, args ...any) (rows []any) {
		a, err := b.engine.Query(t.Context(), sql.Request{SQL: "SELECT shop FROM shops.by_shop WHERE " + where + " ORDER BY ALL", Args: args})
		if err != nil {
			t.Fatal(where, err)
		}
		defer a.Close()
		for {
			row, err := a.Next()
			if err != nil {
				t.Fatal(where, err)
			}
			if row == nil {
				return rows
			}
			rows = append(rows, row[0])
		}
	}
	want := []any{named(3), named(40_000)}
	for _, where := range []string{"shop IN ($1, $2)", "shop IN ($2, $1, $2)", "shop IN (?, ?)", "(shop) IN ($1, $2)"} {
		if got := ask(where, named(40_000), named(3)); !slices.Equal(got, want) {
			t.Errorf("%s: %q", where, got)
		}
	}
	if got := ask("shop IN ($1, '"+named(3)+"', $2)", named(40_000), nil); !slices.Equal(got, want) {
		t.Errorf("with NULL: %q", got)
	}
	if rows, _ := sql.Scanned(t, b.engine, "SELECT shop FROM shops.by_shop WHERE shop IN ($1, $2)", named(4), named(3)); rows > 10 {
		t.Errorf("%d rows left the scans of the files", rows)
	}
}

// TestPlacesBesideAList: a mistake behind what was narrowed has the place where
// its reader wrote it.
func TestPlacesBesideAList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for query, want := range map[string]string{
		"SELECT n\nFROM shops.by_shop WHERE shop IN ('a', 'b') AND nope = 1":                                      "(line 2, column 49)",
		"SELECT nope FROM shops.by_shop WHERE shop IN ('a', 'b')":                                                 "(line 1, column 8)",
		"SELECT n FROM shops.by_shop WHERE shop IN ('a', 'b') AND shop IN ('c', 'd') AND n IN (1, 2) AND nope(n)": "nope",
		"SELECT n FROM shops.by_shop WHERE shop IN ('a\nb', 'b')\nAND merge(n) = 1 AND nope":                      "(line 3, column 5)",
	} {
		if _, err := b.engine.Query(t.Context(), sql.Request{SQL: query}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
}

// TestAListOfTextsReadsWhatItNeeds: texts with a beginning in common, as names
// of merchants and customers have.
func TestAListOfTextsReadsWhatItNeeds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const groups, perGroup = 3, 1 << 15
	b.publish(1, b.named(groups*perGroup))
	for _, touched := range []bool{false, true} {
		if touched {
			b.fold(2, b.named(10))
		}
		query := fmt.Sprintf("SELECT count(*), sum(units) FROM shops.by_shop WHERE shop IN ('%s', '%s', '%s')", named(perGroup+4), named(perGroup+2), named(perGroup+900))
		if rows, overlay := sql.Scanned(t, b.engine, query); rows > 1000 || overlay > 0 {
			t.Errorf("touched %v: %d rows left the scans of the files, %d that of the overlay", touched, rows, overlay)
		}
		if got := b.ask("EXPLAIN " + query); !strings.Contains(got[0], "|3|1|1|32768|") {
			t.Errorf("touched %v: %q", touched, got)
		}
		if got := b.ask(query); !strings.HasPrefix(got[0], "3|") {
			t.Errorf("touched %v: %q", touched, got)
		}
	}
}

func named(i int) string { return fmt.Sprintf("the shop of number %06d", i) }

// named makes a sale of each of n shops.
func (b *bench) named(n int) *event.Batch {
	out := b.events(rand.New(rand.NewPCG(41, 1)), n)
	dict := &event.Dict{}
	for i := range n {
		dict.Append([]byte(named(i)))
		out.Columns[0].Codes[i] = uint32(i)
	}
	out.Columns[0].Dict, out.Columns[0].Valid = dict, nil
	return out
}
