package sql_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"anabranch/serving/sql"
)

// TestConnectionsStandInCatalogs asks from all sides, in more catalogs than are
// kept: connections stand in those that are there, not many, and none where one
// is gone or the query was not read to its end. Answers are those of their cuts.
func TestConnectionsStandInCatalogs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const hours = 50
	b.publish(1, b.hours(0, hours))
	kinds := []string{
		"SELECT hour, shop FROM shops.by_hour", "SELECT hour, shop, _state FROM shops.by_hour", "SELECT count(*) FROM shops.by_hour",
		"SELECT * FROM shops.by_hour ORDER BY ALL", "SELECT count(*) FROM shops.by_shop", "SELECT h.shop FROM shops.by_hour h JOIN shops.by_shop s USING (shop)",
	}
	for at := range uint64(6) {
		var wg sync.WaitGroup
		for _, query := range kinds {
			want := linesOf(t, b.engine, query)
			for range 4 {
				wg.Go(func() {
					if got := linesOf(t, b.engine, query); !slices.Equal(got, want) {
						t.Errorf("%s: %d rows, want %d", query, len(got), len(want))
					}
				})
			}
		}
		wg.Wait()
		catalogs, most := sql.Standing(b.engine)
		if len(catalogs) == 0 || len(catalogs) > most {
			t.Errorf("%d connections stand in catalogs, want 1 to %d", len(catalogs), most)
		}
		for _, catalog := range catalogs {
			if n := sql.Cell(t, b.engine, "SELECT count(*) FROM duckdb_databases() WHERE database_name = '"+catalog+"'"); fmt.Sprint(n) != "1" {
				t.Errorf("a connection stands in %s, which is gone", catalog)
			}
		}
		b.fold(2+at, b.hours(int(at)*10, 25))
	}
	before, _ := sql.Standing(b.engine)
	for range before { // each finds one, and takes it out
		a, err := b.engine.Query(t.Context(), sql.Request{SQL: "SELECT * FROM shops.by_hour, range(100000)"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Next(); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after, _ := sql.Standing(b.engine); len(after) > len(before) {
		t.Errorf("%d connections stand in catalogs after answers that were not read, %d before", len(after), len(before))
	}
}
