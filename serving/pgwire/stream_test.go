package pgwire_test

import (
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"anabranch/serving/sql"
)

// Rows go out while the query runs: one without an end is read as far as the
// client likes, and its turn is free when the client has enough.
func TestRowsComeWhileTheQueryRuns(t *testing.T) {
	t.Parallel()
	b := openOver(t, sql.Options{MaxQueries: 1})
	const endless = "SELECT i, i::VARCHAR || ' of them' FROM range(100000000000) t(i)"
	for _, mode := range []string{"simple_protocol", "cache_statement"} {
		c := b.connect("default_query_exec_mode=" + mode)
		rows, err := c.Query(t.Context(), endless)
		if err != nil {
			t.Fatal(err)
		}
		for n := range int64(100_000) {
			var i int64
			var text string
			if !rows.Next() {
				t.Fatalf("%s: row %d: %v", mode, n, rows.Err())
			}
			if err := rows.Scan(&i, &text); err != nil || i != n {
				t.Fatalf("%s: %d for row %d, %v", mode, i, n, err)
			}
		}
		if err := c.PgConn().CancelRequest(t.Context()); err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
		}
		if state(rows.Err()) != "57014" {
			t.Errorf("%s: %v", mode, rows.Err())
		}
		if _, err := c.Exec(t.Context(), "SELECT 1"); err != nil {
			t.Errorf("%s: the next query: %v", mode, err)
		}
	}
}

// An error behind rows is told behind them, whatever they travel as, and the
// session goes on.
func TestErrorsBehindRows(t *testing.T) {
	t.Parallel()
	b := open(t)
	const query = "SELECT CASE WHEN i = 300000 THEN error('half way') ELSE i END AS i FROM range(500000) t(i)"
	for _, mode := range []string{"simple_protocol", "cache_statement"} {
		c := b.connect("default_query_exec_mode=" + mode)
		rows, err := c.Query(t.Context(), query)
		n := 0
		for err == nil && rows.Next() {
			n++
		}
		if state(rows.Err()) == "" || n == 0 || n > 300_000 {
			t.Errorf("%s: %d rows, %v", mode, n, rows.Err())
		}
		if tag, err := c.PgConn().CopyTo(t.Context(), io.Discard, "COPY ("+query+") TO STDOUT (FORMAT binary)"); state(err) == "" {
			t.Errorf("%s: COPY: %s, %v", mode, tag, err)
		}
		var one int
		if err := c.QueryRow(t.Context(), "SELECT 1").Scan(&one); err != nil {
			t.Errorf("%s: the next query: %v", mode, err)
		}
	}
}

// What is inside a JSON or a struct keeps its digits, and JSON's own words.
func TestDocuments(t *testing.T) {
	t.Parallel()
	c := open(t).connect("default_query_exec_mode=simple_protocol")
	for query, want := range map[string]string{
		`'{"n": 12345678901234567890.120, "a": [9007199254740993]}'::JSON`: `{"n": 12345678901234567890.120, "a": [9007199254740993]}`,
		`{'j': '{"n": 1.10}'::JSON, 'b': true, 'd': 1.50::DECIMAL(5,2)}`:   `{"j":{"n":1.10},"b":true,"d":1.50}`,
		"{'at': DATE '2011-01-02', 'x': 'NaN'::DOUBLE, 'l': [[1], NULL]}":  `{"at":"2011-01-02","x":"NaN","l":[[1],null]}`,
		"MAP {DATE '2011-01-02': [1.5]}":                                   `{"2011-01-02":[1.5]}`,
		"TIMETZ '12:00:00.5+02:30'":                                        "12:00:00.5+02:30",
		"[TIMETZ '12:00:00-02:30:15', TIMETZ '07:08:09']":                  "{12:00:00-02:30:15,07:08:09+00}",
		"{'at': TIMETZ '23:59:59+02', 'm': MAP {1: TIME '01:02:03'}}":      `{"at":"23:59:59+02","m":{"1":"01:02:03"}}`,
		"['24:00:00'::TIME_NS, '01:02:03.123456789'::TIME_NS]":             "{24:00:00,01:02:03.123456}",
		"TIME '24:00:00'":                             "24:00:00",
		"TIMETZ '24:00:00-08'":                        "24:00:00-08",
		"MAP {[1, 2]: 'a', [NULL]: 'b'}":              `{"[1,2]":"a","[null]":"b"}`,
		"MAP {{'k': 'NaN'::DOUBLE}: TIME '24:00:00'}": `{"{\"k\":\"NaN\"}":"24:00:00"}`,
		"[TRUE, NULL]":                                `{t,NULL}`,
		`['{"a": 1.10}'::JSON]`:                       `{"{\"a\": 1.10}"}`,
	} {
		rows, err := c.Query(t.Context(), "SELECT "+query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) { return string(r.RawValues()[0]), nil })
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %s, want %s, %v", query, got, want, err)
		}
	}
	for _, mode := range []string{"simple_protocol", "cache_statement"} { // text, binary
		var at pgtype.Time
		if err := open(t).connect("default_query_exec_mode="+mode).QueryRow(t.Context(), "SELECT TIME '24:00:00'").Scan(&at); err != nil || at.Microseconds != 86_400_000_000 {
			t.Errorf("%s: the end of a day is %d, %v", mode, at.Microseconds, err)
		}
	}
}
