package pgwire_test

import (
	"strings"
	"testing"
)

// Hibernate looks up composite keys, and pages go on behind a row, with
// parameters that have no type of their own: pgjdbc sends dates so.
func TestRowsOfParameters(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 1, 500)
	conn := b.connect().PgConn()
	const rows = "(VALUES ('a', DATE '2020-01-01', 9), ('a', '2020-01-02', 10), ('b', '2020-01-01', 100), ('b', NULL, 7)) AS r(k, d, n)"
	for _, c := range []struct{ where, args, want string }{
		{"(k, d) IN (($1, $2))", "a|2020-01-01 +00", "9"},
		{"(k, d, n) IN (($1, $2, $3))", "a|2020-01-01 +00| 9", "9"},
		{"(k, d) IN (($1, $2), ('b', DATE '2020-01-01'))", "a|2020-01-01 +00", "9 100"},
		{"NOT (k, d) IN (($1, $2))", "a|2020-01-01 +00", "10 100 7"},
		{"(k, d) NOT IN (($1, $2))", "a|2020-01-01 +00", "10 100 7"},
		{"(k, d) NOT IN (($1, $2))", "b|2020-01-01 +00", "9 10"},
		{"(upper(k), d) = (upper($1), $2)", "a|2020-01-01 +00", "9"},
		{"(k, n) = ($1, $2)", "a| 9", "9"},
		{"(k, n) <> ($1, $2)", "a| 9", "10 100 7"},
		{"(k, n) > ($1, $2)", "a| 9", "10 100 7"},
		{"(k, n) >= ($1, $2)", "a| 9", "9 10 100 7"},
		{"(n, k) < ($1, $2)", "9|a", "7"},
		{"(k, d, n) <= ($1, $2, $3)", "a|2020-01-01 +00| 9", "9"},
		{"n > 0 AND (k, d) IN (SELECT k, d FROM (SELECT $1 AS k, $2::date AS d))", "a|2020-01-01", "9"},
		{"(k, n) IN (('a', 10), ('b', 7)) AND $1 = 'a'", "a", "10 7"},
	} {
		var args [][]byte
		for _, a := range strings.Split(c.args, "|") {
			args = append(args, []byte(a))
		}
		r := conn.ExecParams(t.Context(), "SELECT n FROM "+rows+" WHERE "+c.where, args, nil, nil, nil)
		got := ""
		for r.NextRow() {
			got += " " + string(r.Values()[0])
		}
		if _, err := r.Close(); err != nil || got != " "+c.want {
			t.Errorf("%s of %s: %s %v, want %s", c.where, c.args, got, err, c.want)
		}
	}
}
