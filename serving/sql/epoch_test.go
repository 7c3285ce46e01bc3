package sql_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"anabranch/serving/sql"
)

// TestTheNextCutHasTheCatalogOfTheLast asks at one position after the other, as
// dashboards do: no more catalogs are made than there are cuts that somebody
// reads. Answers that are being read stay as they were.
func TestTheNextCutHasTheCatalogOfTheLast(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const hours = 400
	b.publish(1, b.hours(0, hours/2))
	const query = "SELECT * FROM shops.by_hour"
	first := linesOf(t, b.engine, query)
	open, err := b.engine.Query(t.Context(), sql.Request{SQL: query})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	for at := range uint64(12) {
		b.fold(2+at, b.hours(int(at)*10, 25))
		linesOf(t, b.engine, query)
		linesOf(t, b.engine, "SELECT hour, shop, _state FROM shops.by_hour")
	}
	// Two kinds of catalogs, one each to go on with and one that is read.
	if got := sql.Cuts(t, b.engine); got > 3 {
		t.Errorf("%d catalogs", got)
	}
	var rest []string
	for {
		row, err := open.Next()
		if err != nil {
			t.Fatal(err)
		}
		if row == nil {
			break
		}
		rest = append(rest, fmt.Sprint(row...))
	}
	if !slices.Equal(rest, first) {
		t.Errorf("an answer of %d rows has become one of %d", len(first), len(rest))
	}
}

// TestCutsBesideEachOther asks from all sides while events come in: every answer
// counts what was there when it was asked for, at least, and is of one cut.
func TestCutsBesideEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const hours, folds = 300, 30
	b.publish(1, b.hours(0, hours))
	count := func() (n int64, err error) {
		// The same, by a view with keys and by one without.
		a, err := b.engine.Query(t.Context(), sql.Request{SQL: "SELECT (SELECT sum(n) FROM shops.by_shop), (SELECT sum(n) FROM shops.all_time)"})
		if err != nil {
			return 0, err
		}
		defer a.Close()
		row, err := a.Next()
		if err != nil {
			return 0, err
		}
		if got := fmt.Sprint(row...); len(strings.Fields(got)) != 2 || strings.Fields(got)[0] != strings.Fields(got)[1] {
			return 0, fmt.Errorf("of one cut: %s", got)
		}
		_, err = fmt.Sscan(fmt.Sprint(row[0]), &n)
		return n, err
	}
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			last := int64(0)
			for {
				select {
				case <-done:
					return
				default:
				}
				n, err := count()
				if err != nil || n < last {
					t.Errorf("%d after %d: %v", n, last, err)
					return
				}
				last = n
			}
		})
	}
	for at := range uint64(folds) {
		b.fold(2+at, b.hours(int(at), 1+int(at)%3))
		if _, err := count(); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}
