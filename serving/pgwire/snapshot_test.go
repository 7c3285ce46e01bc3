package pgwire_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Sessions that begin with one snapshot see one cut of all pipelines, whatever is
// counted meanwhile, and as long as the transaction lasts that exported it.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 1, 500)
	b.fold("web", 1, 50)
	do := func(c *pgx.Conn, query string) {
		t.Helper()
		if _, err := c.PgConn().Exec(t.Context(), query).ReadAll(); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	refused := func(c *pgx.Conn, query, want string) {
		t.Helper()
		if _, err := c.PgConn().Exec(t.Context(), query).ReadAll(); state(err) != want {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
	const all = "SELECT (SELECT sum(n) FROM shops.by_shop)::TEXT || ' and ' || (SELECT sum(n) FROM web.visits)"
	read := func(c *pgx.Conn) (told string) {
		t.Helper()
		if err := c.QueryRow(t.Context(), all).Scan(&told); err != nil {
			t.Fatal(err)
		}
		return told
	}
	first := b.connect()
	refused(first, "SELECT pg_export_snapshot()", "25P01")
	do(first, "BEGIN")
	refused(first, "SELECT pg_export_snapshot()", "25P01") // of READ COMMITTED, which sees no one cut
	do(first, "ROLLBACK; BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
	var id string
	if err := first.QueryRow(t.Context(), "SELECT pg_catalog.pg_export_snapshot()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	b.fold("shops", 2, 300)
	b.fold("web", 2, 30)
	then, now := read(first), read(b.connect())
	if then == now {
		t.Fatalf("nothing was counted: %s", now)
	}
	use := fmt.Sprintf("SET TRANSACTION SNAPSHOT '%s'", id)
	var wg sync.WaitGroup
	for range 4 {
		c := b.connect()
		wg.Go(func() {
			if _, err := c.PgConn().Exec(t.Context(), "BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; "+use+"; LOCK TABLE shops.by_shop IN ACCESS SHARE MODE NOWAIT").ReadAll(); err != nil {
				t.Error(err)
				return
			}
			var told string
			if err := c.QueryRow(t.Context(), all).Scan(&told); err != nil || told != then {
				t.Errorf("%s, %v, want %s", told, err, then)
			}
		})
	}
	wg.Wait()
	other := b.connect()
	refused(other, "BEGIN; "+use, "25P01")
	do(other, "ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ")
	if got := read(other); got != now {
		t.Errorf("%s, want %s", got, now)
	}
	refused(other, use, "25001")
	do(other, "ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ")
	refused(other, "SET TRANSACTION SNAPSHOT 'nonsense'", "22023")
	do(other, "ROLLBACK")
	do(first, "COMMIT")
	refused(other, "BEGIN ISOLATION LEVEL REPEATABLE READ; "+use, "22023")
}
