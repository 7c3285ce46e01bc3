package pgwire_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Clients write a table with its schema before a star, and with its database
// before its schema.
func TestLongNames(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 1, 500)
	for database, queries := range map[string][]string{
		"shops": {`SELECT * FROM "shops"."shops"."by_shop"`, `SELECT shops.shops.by_shop.* FROM shops.shops.by_shop`, `SELECT shops.by_shop.* FROM shops.by_shop`,
			`SELECT by_shop.*, shops.by_shop.n * 2 FROM shops.by_shop`, `SELECT shops.by_shop.n FROM shops.shops.by_shop JOIN (VALUES (1)) AS one(x) ON shops.shops.by_shop.n > one.x`,
			`SELECT * FROM shops.information_schema.tables`, `SELECT * FROM "shops".pg_catalog.pg_class`},
		"anabranch": {`SELECT * FROM anabranch.shops.by_shop`, `SELECT "anabranch"."shops"."by_shop".* FROM anabranch.shops.by_shop`},
	} {
		c := b.connect("database=" + database)
		for _, q := range queries {
			all, err := c.Query(t.Context(), q)
			if rows, bad := pgx.CollectRows(all, pgx.RowToMap); err != nil || bad != nil || len(rows) == 0 {
				t.Errorf("%s: %d rows, %v %v", q, len(rows), err, bad)
			}
		}
		for q, want := range map[string]string{"SELECT * FROM other.shops.by_shop": "42P01", "SELECT shops.by_shop.nothing FROM shops.by_shop": "42703", "SELECT * FROM " + database + ".shops.nothing": "42P01"} {
			if _, err := c.Exec(t.Context(), q); state(err) != want {
				t.Errorf("%s: %v, want %s", q, err, want)
			}
		}
	}
}

// What DuckDB has no functions in FROM for.
func TestListsInFrom(t *testing.T) {
	t.Parallel()
	c := open(t).connect()
	for q, want := range map[string]int{
		"SELECT typname, a, b, n FROM pg_type, unnest(ARRAY[1, 2], ARRAY['x', 'y']) WITH ORDINALITY AS l(a, b, n) WHERE oid = 23 AND n = 2 AND b = 'y'": 1,
		"SELECT x, ordinality FROM pg_type t CROSS JOIN LATERAL unnest(ARRAY['x', t.typname]) WITH ORDINALITY l(x) WHERE t.oid = 23":                    2,
		"SELECT k FROM pg_type t, generate_subscripts(ARRAY[7, 8, 9], 1) AS k(k) WHERE t.oid = 23 AND k < 3":                                            2,
		"SELECT s FROM pg_type t, generate_subscripts(ARRAY[7, 8, 9], 1) s WHERE t.oid = 23":                                                            3,
		"SELECT * FROM current_schema()":                                                                                                      1,
		"SELECT current_database FROM current_database()":                                                                                     1,
		"SELECT v FROM version() v WHERE v LIKE 'PostgreSQL%'":                                                                                1,
		"SELECT a.b FROM current_schemas(false) a(b)":                                                                                         1,
		"SELECT d.datname, d.datcollate AS collate FROM pg_database d WHERE datname COLLATE \"C\" = 'anabranch'":                              1,
		"SELECT 1 FROM pg_type WHERE typelem::regtype = 'int4'::regtype AND oid::regtype <> 'int8'::regtype":                                  1,
		"SELECT 1 FROM pg_type WHERE oid::regtype = 'integer' AND 'int4'::regtype = oid::regtype":                                             1,
		"SELECT 1 FROM pg_type WHERE format_type(oid, NULL) LIKE '%[]' = TRUE AND typname LIKE '\\_int' || '_' = (oid > 0) AND typelem <> 26": 3,
		"SELECT typname FROM pg_type WHERE typname LIKE ANY (ARRAY['int_', 'bo%']) AND typlen > 0":                                            4,
		"SELECT 1 FROM pg_type t WHERE t.typname ILIKE ANY(ARRAY['INT\\_', 'x']) OR (t.oid >> 1) << 1 = 20":                                   2,
		"SELECT typname FROM pg_type WHERE oid IN (SELECT x FROM unnest(ARRAY[23, 25]) AS x)":                                                 2,
	} {
		all, err := c.Query(t.Context(), q)
		if rows, bad := pgx.CollectRows(all, pgx.RowToMap); err != nil || bad != nil || len(rows) != want {
			t.Errorf("%s: %v, %v %v", q, rows, err, bad)
		}
	}
}

// The ways in which clients say a time zone, and what PostgreSQL 15 shows.
func TestZones(t *testing.T) {
	t.Parallel()
	c := open(t).connect()
	for zone, want := range map[string][2]string{
		"INTERVAL '+00:00' HOUR TO MINUTE": {"<+00>-00", "2011-07-01 12:00:00+00"},
		"INTERVAL '+05:30' HOUR TO MINUTE": {"<+05:30>-05:30", "2011-07-01 17:30:00+05:30"},
		"INTERVAL '-08:00' HOUR TO MINUTE": {"<-08>+08", "2011-07-01 04:00:00-08"},
		"-7":                               {"-7", "2011-07-01 05:00:00-07"},
		"'GMT-01:00'":                      {"GMT-01:00", "2011-07-01 13:00:00+01"},
		"'<+02>-02'":                       {"<+02>-02", "2011-07-01 14:00:00+02"},
		"'America/New_York'":               {"America/New_York", "2011-07-01 08:00:00-04"},
		"'Etc/GMT+5'":                      {"Etc/GMT+5", "2011-07-01 07:00:00-05"},
	} {
		if _, err := c.Exec(t.Context(), "SET TIME ZONE "+zone); err != nil {
			t.Error(zone, err)
			continue
		}
		var at, shown string
		if err := c.QueryRow(t.Context(), "SHOW TIME ZONE", pgx.QueryExecModeSimpleProtocol).Scan(&shown); err != nil || shown != want[0] {
			t.Errorf("%s: shown as %q, want %q: %v", zone, shown, want[0], err)
		}
		results, err := c.PgConn().Exec(t.Context(), "SELECT TIMESTAMPTZ '2011-07-01 12:00:00Z'").ReadAll()
		if err != nil || len(results) != 1 {
			t.Fatal(zone, err)
		}
		if at = string(results[0].Rows[0][0]); at != want[1] {
			t.Errorf("%s: %s, want %s", zone, at, want[1])
		}
	}
	for _, zone := range []string{"INTERVAL '+0' MINUTE", "'Nowhere'", "'GMT+99:99:99'"} {
		if _, err := c.Exec(t.Context(), "SET TIME ZONE "+zone); state(err) != "22023" {
			t.Errorf("%s: %v", zone, err)
		}
	}
}

// A pattern that comes as a parameter matches anywhere, as a written one does.
func TestPatterns(t *testing.T) {
	t.Parallel()
	c := open(t).connect()
	for _, x := range []struct {
		where, pattern string
		want           int
	}{
		{"typname ~ $1", "^int[48]$", 2}, {"typname ~ $1", "nt8$", 2}, {"typname ~* $1", "^INT8$", 1}, {"typname !~ $1", ".", 0}, {"typname ~ $1", "t8|t4", 4},
	} {
		var n, written int
		if err := c.QueryRow(t.Context(), "SELECT count(*) FROM pg_type WHERE oid IN (20, 23, 1007, 1016) AND "+x.where, x.pattern).Scan(&n); err != nil || n != x.want {
			t.Errorf("%s, %s: %d, want %d: %v", x.where, x.pattern, n, x.want, err)
		}
		q := strings.Replace(x.where, "$1", "'"+x.pattern+"'", 1)
		if err := c.QueryRow(t.Context(), "SELECT count(*) FROM pg_type WHERE oid IN (20, 23, 1007, 1016) AND "+q).Scan(&written); err != nil || written != x.want {
			t.Errorf("%s: %d, want %d: %v", q, written, x.want, err)
		}
	}
}

// Times are written by PostgreSQL's patterns where strftime has them.
func TestToChar(t *testing.T) {
	t.Parallel()
	b := open(t)
	c := b.connect()
	for q, want := range map[string]string{
		"to_char(TIMESTAMP '2011-03-04 05:06:07.089', 'YYYY-MM-DD HH24:MI:SS.US')":    "2011-03-04 05:06:07.089000",
		"to_char(TIMESTAMP '2011-03-04 15:06:07.089', 'HH12:MI AM, DD Mon YY')":       "03:06 PM, 04 Mar 11",
		"to_char(TIMESTAMP '2011-03-04 05:06:07', 'FMDay, FMDD.FMMM.YYYY FMHH24:MI')": "Friday, 4.3.2011 5:06",
		"to_char(DATE '2011-03-04', 'yyyy-mm')":                                       "2011-03",
		`to_char(date_trunc('week', DATE '2011-03-04'), 'IYYY"-W"IW 100%')`:           "2011-W09 100%",
	} {
		var got string
		if err := c.QueryRow(t.Context(), "SELECT "+q).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q, want %q: %v", q, got, want, err)
		}
	}
	for _, q := range []string{"to_char(12.5, '99.9')", "to_char(12.5, 'FM99.9')", "to_char(DATE '2011-03-04', 'FMQ')", "to_char(DATE '2011-03-04', 'YYYYFM')", "to_char(DATE '2011-03-04', 'Q')", "to_char(DATE '2011-03-04', concat('YY'))"} {
		if _, err := c.Exec(t.Context(), "SELECT "+q); state(err) != "42883" {
			t.Errorf("%s: %v", q, err)
		}
	}
}

// Parts of texts by a pattern, and times that are kept as texts, as Metabase asks
// for them.
func TestPatternsAndTimesOfTexts(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 1, 500)
	c := b.connect()
	for q, want := range map[string]string{
		"substring('shop 17' FROM '[0-9]+')":                                               "17",
		"substring('shop 17' FROM 'shop ([0-9])')":                                         "1",
		"substring('shop (17)' FROM '\\([0-9]+\\)')":                                       "(17)",
		"substring('shop 17' FROM '(?:shop )[0-9]')":                                       "shop 1",
		"substring('shop 17' FROM '(?:shop )([0-9])')":                                     "1",
		"coalesce(substring('shop' FROM '[0-9]+'), 'none')":                                "none",
		"substring(substring('a shop 17' FROM 'shop.*') FROM '[0-9]+')":                    "17",
		"substring(to_char(DATE '2011-03-04', 'YYYY-MM') FROM '[0-9]+$')":                  "03",
		"substring('shop 17' FROM 6)":                                                      "17",
		"substring('shop 17' FROM 6 FOR 1)":                                                "1",
		"(SELECT max(substring(shop FROM 'shop .([0-9])')) FROM by_shop)":                  "6",
		"to_timestamp('20110313071500', 'YYYYMMDDHH24MISS')::TEXT":                         "2011-03-13 07:15:00+00",
		"to_timestamp(concat('2011', '0313', '071500'), 'YYYYMMDDHH24MISS')::DATE::TEXT":   "2011-03-13",
		"to_date('13 Mar 2011', 'DD Mon YYYY')::TEXT":                                      "2011-03-13",
		"to_date(20110313::TEXT, 'YYYYMMDD')::TEXT":                                        "2011-03-13",
		"to_char(to_date(substring('on 20110313.' FROM '[0-9]+'), 'YYYYMMDD'), 'YYYY/MM')": "2011/03",
	} {
		var got string
		if err := c.QueryRow(t.Context(), "SELECT "+q).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q, want %q: %v", q, got, want, err)
		}
	}
	for pattern, want := range map[string]string{"[0-9]+": "17", "shop ([0-9])": "1", `\(?([a-z]+)`: "shop", "(?:shop )[0-9]": "shop 1"} {
		r := c.PgConn().ExecParams(t.Context(), "SELECT substring(x FROM $1) FROM (SELECT 'shop 17' AS x)", [][]byte{[]byte(pattern)}, []uint32{1043}, nil, nil).Read()
		if r.Err != nil || len(r.Rows) != 1 || string(r.Rows[0][0]) != want {
			t.Errorf("%s as a parameter: %q, want %q: %v", pattern, r.Rows, want, r.Err)
		}
	}
	r := c.PgConn().ExecParams(t.Context(), "SELECT substring('shop 17' FROM $1)", [][]byte{[]byte("6")}, []uint32{23}, nil, nil).Read()
	if r.Err != nil || len(r.Rows) != 1 || string(r.Rows[0][0]) != "17" {
		t.Errorf("a place as a parameter: %q: %v", r.Rows, r.Err)
	}
}
