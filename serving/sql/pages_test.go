package sql_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"anabranch/serving"
	"anabranch/serving/sql"
)

// TestOverlaysOfWhatChanged folds at random and asks after each time, so that
// each overlay is made of the one before, and holds every answer, with the order
// of its rows, against an engine that has seen nothing and makes its overlay of
// all that was touched.
func TestOverlaysOfWhatChanged(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			rnd := rand.New(rand.NewPCG(seed, 5))
			const hours = 2000
			if seed > 0 { // else nothing was published yet
				b.publish(1, b.hours(0, hours/2))
			}
			queries := []string{
				"SELECT * FROM shops.by_hour", "SELECT * FROM shops.by_shop", "SELECT * FROM shops.all_time",
				"SELECT count(*), count(mean), sum(worth) FROM shops.by_hour", "SELECT hour, shop, worth, _state FROM shops.by_hour",
				"SELECT shop, merge(mean) FROM shops.by_hour GROUP BY shop ORDER BY shop", "SELECT worth FROM shops.by_hour WHERE shop = 'shop ''3''' LIMIT 7",
			}
			for step := range 14 {
				from, n := rnd.IntN(hours), 1
				if rnd.IntN(3) == 0 {
					n = 1 + rnd.IntN(400)
				}
				b.fold(uint64(2+step), b.hours(from, n))
				if seed > 0 && step == 8 { // another version, above which speed has everything again
					b.publish(2, b.hours(0, hours))
				}
				other, err := sql.New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return b.sources }}), sql.Options{CacheDirs: []string{b.cache}})
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					query := queries[rnd.IntN(len(queries))]
					got, want := linesOf(t, b.engine, query), linesOf(t, other, query)
					if !slices.Equal(got, want) {
						t.Fatalf("seed %d, step %d, %s: %d rows that are not the %d of an engine that begins here:\n%.600s\nwant\n%.600s", seed, step, query, len(got), len(want), strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
				}
				if err := other.Close(); err != nil {
					t.Error(err)
				}
			}
			// An index may still be to be made, and a little change shares the rest.
			b.fold(99, b.hours(0, 1500))
			for step := range 4 {
				b.fold(uint64(100+step), b.hours(step, 1))
				reading, err := b.engine.Query(t.Context(), sql.Request{SQL: queries[0]}) // else the next had its place
				if err != nil {
					t.Fatal(err)
				}
				defer reading.Close()
			}
			if pages, shared := b.engine.Blocks(); b.speed.partial == 0 || pages == 0 || shared == 0 {
				t.Errorf("%d answers of what changed, %d pages, %d shared", b.speed.partial, pages, shared)
			}
		})
	}
}

// linesOf returns the rows of a query as they come.
func linesOf(t *testing.T, e *sql.Engine, query string) (lines []string) {
	t.Helper()
	a, err := e.Query(t.Context(), sql.Request{SQL: query})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer a.Close()
	for {
		row, err := a.Next()
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if row == nil {
			return lines
		}
		lines = append(lines, fmt.Sprint(row...))
	}
}
