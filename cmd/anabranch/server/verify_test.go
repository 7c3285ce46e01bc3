package server

import (
	"database/sql"
	"testing"

	"anabranch/schemas"
)

// TestCountedEventsAreTheFirstOfTheirID: a copy of an event that a filter has
// taken out does not count in its place, whatever the copy says.
func TestCountedEventsAreTheFirstOfTheirID(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE raw AS FROM (VALUES
		(1, 'test', 0, 'a', 10, 0), (2, 'real', 0, 'a', 10, 1), -- filtered, and another copy of it
		(3, 'real', 0, 'b', 11, 0), (4, 'test', 0, 'b', 12, 0), -- counted, and a copy that the filter would take
		(5, 'real', 1, 'a', 10, 0),                             -- another partition
		(6, NULL, 0, 'c', 13, 0),
		(2147483647, 'real', 0, 'd', 14, 0)                     -- for which a filter fails
		) AS v(n, shop, _partition, _id, _offset, _row)`); err != nil {
		t.Fatal(err)
	}
	query := countedEvents([]schemas.Rule{
		{Code: "test", SQL: "shop = 'test'", Action: schemas.ActionFilter},
		{Code: "refused", SQL: "n = 3", Action: schemas.ActionDeadLetter},
		{Code: "next", SQL: "n + 1::INTEGER = 0 -- a note", Action: schemas.ActionFilter},
	})
	var got string
	if err := db.QueryRow("SELECT string_agg(n, ' ' ORDER BY n) FROM (" + query + ")").Scan(&got); err != nil {
		t.Fatal(err)
	}
	if want := "3 5 6 2147483647"; got != want {
		t.Errorf("%s count, want %s", got, want)
	}
}
