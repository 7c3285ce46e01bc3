package pgwire_test

import (
	"fmt"
	"strings"
	"testing"
)

// Drivers write values by the types that they are told, in binary or not at all.
func TestTypesOfParameters(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 1, 20)
	c := b.connect().PgConn()
	for query, want := range map[string]string{
		"SELECT n FROM shops.by_shop WHERE price > $1":                                               "[1700]",
		"SELECT $1::numeric(9,2), CAST($2 AS decimal)":                                               "[1700 1700]",
		"SELECT $1::int + count(*), CAST($2 AS double precision) + 1 FROM shops.by_shop":             "[23 701]",
		"SELECT $1::timestamp with time zone, $2::timestamp, $3 FROM shops.by_shop":                  "[1184 1114 25]",
		"SELECT $1::bigint[], $2::text":                                                              "[1016 25]",
		"SELECT n FROM shops.by_shop WHERE n = ANY($1)":                                              "[1016]",
		"SELECT n FROM shops.by_shop WHERE n <> ALL ($2) AND shop = SOME($1)":                        "[1009 1016]",
		"SELECT n FROM shops.by_shop WHERE last = ANY($1) AND n > $2":                                "[1115 20]",
		"SELECT n FROM shops.by_shop WHERE last::date = ANY($1::date[])":                             "[1182]",
		"SELECT n FROM shops.by_shop WHERE ($1 IS NULL OR last > $1) AND ($2 IS NOT NULL OR n = $3)": "[1114 25 20]",
		"SELECT n FROM shops.by_shop WHERE $1 IS NULL OR price = $1":                                 "[1700]",
		"SELECT n FROM shops.by_shop WHERE n > $1 + 1 AND n < 2 * $2":                                "[23 23]",
		"SELECT n FROM shops.by_shop LIMIT $1 OFFSET ($2 - 1) * $1":                                  "[20 23]",
		"SELECT n FROM shops.by_shop WHERE last::date >= $1 AND last::date < $1 + 7":                 "[1082]",
		"SELECT n FROM shops.by_shop WHERE last > now() - INTERVAL '1 day' * $1":                     "[701]",
		"SELECT n FROM shops.by_shop WHERE n > 2 * $1 AND last > $2":                                 "[23 1114]",
		"SELECT n FROM shops.by_shop WHERE n BETWEEN $1 AND $1 + 10":                                 "[23]",
		"SELECT t.x, n FROM unnest($1::bigint[]) t(x) JOIN shops.by_shop ON n = x":                   "[1016]",
		"SELECT $1::json, $2::text":                                                                  "[114 25]",
		"SELECT $2 IS NULL, $1 IS NULL OR $1":                                                        "[16 25]",
		"SELECT relname FROM pg_class WHERE relname = ANY($1)":                                       "[1009]",
	} {
		d, err := c.Prepare(t.Context(), "", query, nil)
		if err != nil {
			t.Errorf("%s: %v", query, err)
		} else if len(d.Fields) == 0 {
			t.Errorf("%s: no columns are told", query)
		} else if got := fmt.Sprint(d.ParamOIDs); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	var n, some int64
	conn := b.connect()
	if err := conn.QueryRow(t.Context(), "SELECT min(n) FROM shops.by_shop").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM shops.by_shop WHERE n = ANY($1)", []int64{n, -1}).Scan(&some); err != nil || some == 0 {
		t.Errorf("%d %v", some, err)
	}
	for value, want := range map[string]string{"-1": "all", "1e6": "none"} {
		const query = "SELECT CASE count(*) WHEN 0 THEN 'none' WHEN (SELECT count(*) FROM shops.by_shop WHERE price IS NOT NULL) THEN 'all' END FROM shops.by_shop WHERE $1 IS NULL OR price > $1"
		r := c.ExecParams(t.Context(), query, [][]byte{[]byte(value)}, nil, nil, nil).Read()
		if r.Err != nil || string(r.Rows[0][0]) != want {
			t.Errorf("price > %s: %v %v, want %s", value, r.Rows, r.Err, want)
		}
	}
	// A number is what it is declared to be, beside whatever it stands.
	for _, query := range []string{"SELECT sum(x) FROM range(4) t(x) WHERE x < $1 + 1 AND x > $1", "DECLARE c CURSOR FOR SELECT sum(x) FROM range(4) t(x) WHERE x < $1 + 1 AND x > $1"} {
		if _, err := c.Exec(t.Context(), "BEGIN").ReadAll(); err != nil {
			t.Fatal(err)
		}
		r := c.ExecParams(t.Context(), query, [][]byte{[]byte("0.5")}, []uint32{1700}, nil, nil).Read()
		if strings.HasPrefix(query, "DECLARE") && r.Err == nil {
			r = c.ExecParams(t.Context(), "FETCH c", nil, nil, nil, nil).Read()
		}
		if r.Err != nil || string(r.Rows[0][0]) != "1" {
			t.Errorf("%s: %s %v", query, r.Rows, r.Err)
		}
		if _, err := c.Exec(t.Context(), "ROLLBACK").ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	var equal, more bool
	if err := conn.QueryRow(t.Context(), "SELECT 1.50::DECIMAL(9,2) = $1::numeric(9,3), count(*) > $2::numeric FROM range(2)", "1.504", "1.5").Scan(&equal, &more); err != nil || equal || !more {
		t.Errorf("%v %v %v", equal, more, err)
	}
}

// PostgreSQL finds mistakes when it parses: there is no statement then, and its
// name is free.
func TestAStatementThatCannotBeDescribed(t *testing.T) {
	t.Parallel()
	b := open(t)
	c := b.connect().PgConn()
	for range 2 {
		if _, err := c.Prepare(t.Context(), "s", "SELECT nope FROM shops.by_shop", nil); state(err) != "42703" {
			t.Fatal(err)
		}
	}
	if _, err := c.Prepare(t.Context(), "s", "SELECT 1", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Prepare(t.Context(), "s", "SELECT 2", nil); state(err) != "42P05" {
		t.Fatal(err)
	}
	if r := c.ExecPrepared(t.Context(), "s", nil, nil, nil).Read(); r.Err != nil || string(r.Rows[0][0]) != "1" {
		t.Error(r.Err)
	}
}

// Where files would lie is nothing to show, as to those who are no superusers.
func TestWhereFilesLie(t *testing.T) {
	t.Parallel()
	c := open(t).connect()
	if _, err := c.Exec(t.Context(), "SHOW data_directory"); state(err) != "42501" {
		t.Error(err)
	}
}

// SET SCHEMA is SET search_path, of one schema.
func TestSetSchema(t *testing.T) {
	t.Parallel()
	c := open(t).connect()
	if _, err := c.Exec(t.Context(), "SET SCHEMA 'web'"); err != nil {
		t.Fatal(err)
	}
	var now string
	if err := c.QueryRow(t.Context(), "SELECT current_schema()").Scan(&now); err != nil || now != "web" {
		t.Error(now, err)
	}
}
