package view

import (
	"database/sql"
	"testing"

	"anabranch/event"
)

func TestOracleIsExactAndDecidesTies(t *testing.T) {
	t.Parallel()
	shape := event.NewShape(
		event.Field{Name: "k", Type: event.Type{Kind: event.String}},
		event.Field{Name: "t", Type: event.Type{Kind: event.Timestamp}},
		event.Field{Name: "x", Type: event.Type{Kind: event.Int64}, Nullable: true},
		event.Field{Name: "d", Type: event.Type{Kind: event.Float64}},
	)
	v, err := Compile(t.Context(), Source{Name: "v", SQL: `SELECT k, approx_count_distinct(x) + 0 AS n, approx_quantile(x, 0.5) FILTER (WHERE x > 0) AS q,
		arg_min(x, t) AS lo, arg_max(x, t) AS hi, first(k ORDER BY t DESC) AS f, sum(d) AS s, 'it''s' AS text FROM events GROUP BY ALL`}, shape, "t")
	if err != nil {
		t.Fatal(err)
	}
	query, tolerances := v.Oracle()
	if len(tolerances) != 3 || tolerances["n"] != distinctTolerance || tolerances["q"] != quantileTolerance || tolerances["s"] != floatTolerance {
		t.Fatalf("%v", tolerances)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{
		"CREATE TABLE events (k VARCHAR, t TIMESTAMP, x BIGINT, d DOUBLE)",
		`INSERT INTO events VALUES ('a', '2020-01-01', 9, 1), ('a', '2020-01-01', 3, 2), ('a', '2020-01-01', NULL, 3),
			('a', '2020-01-02', 4, 4), ('a', '2020-01-02', 5, 5), ('a', NULL, 77, 5)`,
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	var k, f, text string
	var n, q, lo, hi int64
	var s float64
	if err := db.QueryRow(query).Scan(&k, &n, &q, &lo, &hi, &f, &s, &text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if n != 5 || q != 5 || lo != 3 || hi != 5 || s != 20 || text != "it's" {
		t.Fatalf("n %d q %d lo %d hi %d s %v text %q from %s", n, q, lo, hi, s, text, query)
	}
}
