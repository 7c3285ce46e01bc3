package sql_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"anabranch/event"
	"anabranch/serving/sql"
)

// hours makes one sale of each hour from a number of hours after the start on.
func (b *bench) hours(from, n int) *event.Batch {
	out := b.events(rand.New(rand.NewPCG(41, 1)), n)
	for i := range n {
		out.Columns[1].Ints[i] = (int64(from+i) + 360_000) * 3_600_000_000
	}
	return out
}

// Filters on group columns and on time reach the row groups of batch files and
// the overlay, with rows of the files masked and without.
func TestFiltersReachFilesAndOverlay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const groups, perGroup = 3, 1 << 15
	b.publish(1, b.hours(0, groups*perGroup))
	at := func(hour int) string {
		return fmt.Sprintf("epoch_ms(%d::BIGINT)", (int64(hour)+360_000)*3_600_000)
	}
	hour := func(n int) time.Time { return time.UnixMilli((int64(n) + 360_000) * 3_600_000).UTC() }
	for _, touched := range []bool{false, true} {
		if touched {
			b.fold(2, b.hours(perGroup-5, 10)) // around the border of the first two
		}
		// read: at most so many row groups; rows: what leaves the scans of the
		// files, where the filter is all there is to choose by.
		for _, c := range []struct {
			where      string
			read, rows int
			overlay    bool // its rows pass
		}{
			{"true", 3, -1, true},
			{"hour < " + at(100), 1, 100, false},
			{"hour >= " + at(perGroup+100) + " AND hour < " + at(perGroup+200), 1, 100, false},
			{"hour >= " + at(perGroup-50) + " AND hour < " + at(perGroup+50), 2, 100, true},
			{"hour = " + at(2*perGroup+7), 1, 1, false},
			{"hour IN (" + at(5) + ", " + at(2*perGroup+7) + ")", 2, -1, false},
			{"hour > " + at(groups*perGroup+1), 0, 0, false},
			{"hour < " + at(100) + " OR hour >= " + at(2*perGroup+100), 2, 2 * perGroup, false},
			{"hour = " + at(5) + " OR hour = " + at(2*perGroup+7) + " OR hour = " + at(2*perGroup+8), 2, 2 * perGroup, false},
			{"(hour = " + at(5) + " OR hour = " + at(2*perGroup+7) + ") AND worth > -1e9", 2, 2 * perGroup, false},
			{"hour >= " + at(perGroup) + " AND (hour < " + at(5) + " OR hour > " + at(2*perGroup+7) + ")", 1, perGroup, false},
			{"hour < " + at(100) + " OR shop = 'nobody'", 3, -1, false},
			{"hour < " + at(100) + " OR hour <> " + at(7), 3, -1, true},
			{"hour < " + at(100) + " AND hour <> " + at(7), 1, 99, false},
			{"hour < " + at(100) + " AND date_part('hour', hour) = 3", 1, 5, false},
			{"hour < " + at(100) + " OR hour > " + at(200) + " AND hour < " + at(300), 3, 199, false}, // DuckDB holds it against rows
			{"shop = 'nobody' OR shop = 'no one'", 0, 0, false},
			{"date_part('hour', hour) = 3", 3, -1, true}, // nothing that a row group knows
			{"date_trunc('year', hour) = DATE '1999-01-01'", 0, 0, false},
			{"shop = 'shop ''3'''", 3, -1, true},
			{"shop = 'nobody'", 0, 0, false},
		} {
			query := "SELECT count(*), sum(worth) FROM shops.by_hour WHERE " + c.where
			got := b.ask("EXPLAIN " + query)
			var files, rows, all, read, groupsRead, rowsRead int
			var filters string
			cells := strings.Split(got[0], "|")
			if _, err := fmt.Sscan(strings.Join(append(cells[3:5], cells[6:10]...), " "), &files, &rows, &all, &read, &groupsRead, &rowsRead); err != nil {
				t.Fatal(got, err)
			}
			filters = cells[10]
			if files != 1 || all != groups || groupsRead != c.read || rows != groups*perGroup || rowsRead != c.read*perGroup || read != min(c.read, 1) || strings.Contains(filters, "mark") {
				t.Errorf("touched %v, %s: %q, want %d row groups read", touched, c.where, got, c.read)
			}
			scanned, overlay := sql.Scanned(t, b.engine, query)
			if c.rows >= 0 && scanned > int64(c.rows) || scanned > int64(rowsRead) {
				t.Errorf("touched %v, %s: %d rows left the scans of the files, of %d wanted", touched, c.where, scanned, c.rows)
			}
			if !c.overlay && overlay > 0 {
				t.Errorf("touched %v, %s: %d rows left the scan of the overlay", touched, c.where, overlay)
			}
		}
	}
	// What a plan cannot tell apart counts for each view that it may be of.
	got := strings.Join(b.ask("EXPLAIN SELECT * FROM shops.by_hour h JOIN shops.by_shop s USING (shop) WHERE h.hour < "+at(10)+" AND s.n > 0"), "\n")
	if !strings.Contains(got, "|batch files|1|98304|") || !strings.Contains(got, "|3|1|1|32768|hour<") {
		t.Error(got)
	}
	// Nor can it tell less with the values as parameters, in the type of the column or as texts.
	for _, c := range []struct {
		where string
		args  []any
		read  int
	}{
		{"hour < $1", []any{hour(100)}, 1}, {"hour = ? OR hour = ?", []any{hour(5), hour(2*perGroup + 7)}, 2}, {"hour BETWEEN $1::TIMESTAMP AND $1::TIMESTAMP + INTERVAL 1 DAY", []any{hour(perGroup + 50)}, 1},
		{"hour < $1", []any{hour(100).Format(time.DateTime)}, 1}, {"shop = $1", []any{"nobody"}, 0}, {"shop = $1 OR n = $2", []any{"nobody", 3}, 3}, {"hour IN ($1, $2)", []any{hour(5), hour(6)}, 1}, {"hour > $1", []any{nil}, 0},
	} {
		from, n := "shops.by_hour", 3
		if strings.Contains(c.where, "n =") {
			from = "(SELECT *, 1 AS n FROM shops.by_hour)"
		}
		a, err := b.engine.Query(t.Context(), sql.Request{SQL: "EXPLAIN SELECT count(*), sum(worth) FROM " + from + " WHERE " + c.where, Args: c.args})
		if err != nil {
			t.Errorf("%s: %v", c.where, err)
			continue
		}
		row, err := a.Next()
		if err != nil || row[6] != int64(n) || row[8] != int64(c.read) {
			t.Errorf("%s: %v %v, want %d row groups read", c.where, row, err, c.read)
		}
		a.Close()
	}
	// Without the values of its parameters nothing is known to be left out.
	d, err := b.engine.Describe(t.Context(), sql.Request{SQL: "EXPLAIN SELECT * FROM shops.by_hour"})
	if err != nil || len(d.Columns) != 11 || d.Columns[3].Type != "BIGINT" || d.Columns[10].Type != "VARCHAR" {
		t.Errorf("%+v, %v", d, err)
	}
}
