package pgwire_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// state is the SQLSTATE of an error, "" for none.
func state(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return "not from the server: " + err.Error()
	}
	return ""
}

func TestSimpleAndExtended(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 1, 500)
	for _, mode := range []string{"simple_protocol", "exec", "cache_statement", "describe_exec", "cache_describe"} {
		c := b.connect("default_query_exec_mode=" + mode)
		for range 2 {
			var shop string
			var n, units int64
			var price string
			var last time.Time
			err := c.QueryRow(t.Context(), "SELECT shop, n, units, price::text, last FROM shops.by_shop WHERE shop = $1 AND n > $2", "shop '3'", 2).Scan(&shop, &n, &units, &price, &last)
			if err != nil {
				t.Fatalf("%s: %v", mode, err)
			}
			if shop != "shop '3'" || n < 3 || last.Year() != 2011 {
				t.Errorf("%s: %q %d %v", mode, shop, n, last)
			}
		}
		var sum int64
		if err := c.QueryRow(t.Context(), "SELECT sum(n)::BIGINT FROM by_shop").Scan(&sum); err != nil || sum != 500 {
			t.Errorf("%s: %d of 500 events by a name without its pipeline: %v", mode, sum, err)
		}
		var document string
		if err := c.QueryRow(t.Context(), "SELECT json_object('units', 7)").Scan(&document); err != nil || document != `{"units":7}` {
			t.Errorf("%s: JSON: %q %v", mode, document, err)
		}
		plan, err := c.Query(t.Context(), "EXPLAIN SELECT shop FROM shops.by_shop WHERE n > $1 AND shop = $2", "2", "x")
		if rows, bad := pgx.CollectRows(plan, pgx.RowToMap); err != nil || bad != nil || len(rows) != 2 || rows[0]["view"] != "shops.by_shop" {
			t.Errorf("%s: EXPLAIN with parameters: %v %v %v", mode, rows, err, bad)
		}
		all, err := c.Query(t.Context(), `SELECT "shops"."by_shop".* FROM "shops"."by_shop" WHERE "shops"."by_shop"."shop" = $1`, "shop '3'")
		if rows, bad := pgx.CollectRows(all, pgx.RowToMap); err != nil || bad != nil || len(rows) != 1 || rows[0]["shop"] != "shop '3'" {
			t.Errorf("%s: all columns of a table by its schema: %v %v %v", mode, rows, err, bad)
		}
		if err := c.QueryRow(t.Context(), "SELECT $1", "x").Scan(new(string)); err != nil {
			t.Errorf("%s: a parameter without a type: %v", mode, err)
		}
	}
}

func TestSeveralStatements(t *testing.T) {
	t.Parallel()
	b := open(t)
	c := b.connect()
	results, err := c.PgConn().Exec(t.Context(), "SELECT 1 AS a; ; SELECT 'x;y' AS b, 2; -- the end;\n SHOW search_path;").ReadAll()
	if err != nil || len(results) != 3 || string(results[1].Rows[0][0]) != "x;y" || results[0].CommandTag.String() != "SELECT 1" {
		t.Fatalf("%v, %v", results, err)
	}
	results, err = c.PgConn().Exec(t.Context(), "SELECT 1; SELECT nonsense; SELECT 2").ReadAll()
	if len(results) != 1 || state(err) == "" {
		t.Fatalf("the first mistake must end a string of statements: %v, %v", results, err)
	}
	if results, err = c.PgConn().Exec(t.Context(), " ; -- nothing").ReadAll(); err != nil {
		t.Fatalf("%v, %v", results, err)
	}
	if _, err := c.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
}

func TestPortalsAndCursors(t *testing.T) {
	t.Parallel()
	b := open(t)
	c := b.connect()
	ctx := t.Context()
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "DECLARE c NO SCROLL CURSOR WITHOUT HOLD FOR SELECT i FROM range(25) t(i)"); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, want := range []int{10, 10, 5, 0} {
		rows, err := tx.Query(ctx, "FETCH FORWARD 10 FROM c")
		if err != nil {
			t.Fatal(err)
		}
		n, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil || len(n) != want {
			t.Fatalf("%d rows, want %d: %v", len(n), want, err)
		}
		total += len(n)
	}
	if tag, err := tx.Exec(ctx, "CLOSE c"); err != nil || tag.String() != "CLOSE CURSOR" {
		t.Fatal(tag, err)
	}
	if _, err := tx.Exec(ctx, "FETCH 1 FROM c"); state(err) != "34000" {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "SELECT 1"); state(err) != "25P02" {
		t.Fatal("a failed transaction goes on:", err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if status := c.PgConn().TxStatus(); status != 'I' {
		t.Fatalf("status %c", status)
	}
}

// TestCopyInBinary: what tools that read much ask for, and how they find out
// what types there are.
// A cursor is there from its DECLARE on, unless that or its transaction fails,
// also one that outlives a transaction: psqlODBC uses the names again.
func TestCursorsEndWithWhatMadeThem(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 1, 20)
	for name, steps := range map[string][]string{
		"a mistake":                          {"DECLARE c CURSOR WITH HOLD FOR SELECT nothing FROM shops.by_shop: 42703", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "FETCH 1 FROM c"},
		"a mistake in a transaction":         {"BEGIN", "DECLARE c CURSOR FOR SELECT nothing FROM shops.by_shop: 42703", "SELECT 1: 25P02", "ROLLBACK", "BEGIN", "DECLARE c CURSOR FOR SELECT 1", "FETCH 1 FROM c"},
		"rolled back":                        {"BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "ROLLBACK", "FETCH 1 FROM c: 34000"},
		"failed":                             {"BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "SELECT nothing FROM shops.by_shop: 42703", "COMMIT", "FETCH 1 FROM c: 34000"},
		"committed":                          {"BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "DECLARE d CURSOR FOR SELECT 1", "COMMIT", "FETCH 1 FROM c", "FETCH 1 FROM d: 34000"},
		"committed before":                   {"BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "COMMIT", "BEGIN", "ROLLBACK", "FETCH 1 FROM c"},
		"outside":                            {"DECLARE c CURSOR WITH HOLD FOR SELECT 1", "BEGIN", "SAVEPOINT s", "ROLLBACK TO s", "ROLLBACK", "FETCH 1 FROM c"},
		"behind the savepoint":               {"BEGIN", "SAVEPOINT s", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "ROLLBACK TO s", "FETCH 1 FROM c: 34000", "ROLLBACK TO s", "DECLARE c CURSOR FOR SELECT 1"},
		"before the savepoint":               {"BEGIN", "DECLARE c CURSOR FOR SELECT 1", "SAVEPOINT s", "SELECT nothing FROM shops.by_shop: 42703", "ROLLBACK TO SAVEPOINT s", "FETCH 1 FROM c"},
		"behind a savepoint that was let go": {"BEGIN", "SAVEPOINT s", "SAVEPOINT u", "DECLARE c CURSOR FOR SELECT 1", "RELEASE u", "SAVEPOINT u", "ROLLBACK TO u", "FETCH 1 FROM c", "ROLLBACK TO s", "FETCH 1 FROM c: 34000"},
	} {
		c := b.connect().PgConn()
		for _, step := range steps {
			query, want, _ := strings.Cut(step, ": ")
			if _, err := c.Exec(t.Context(), query).ReadAll(); state(err) != want {
				t.Errorf("%s: %s: %v, want state %q", name, query, err, want)
			}
		}
	}
}

// FETCH 0 tells what columns a cursor has: GDAL asks so.
func TestFetchNothing(t *testing.T) {
	t.Parallel()
	b := open(t)
	c := b.connect().PgConn()
	all := c.Exec(t.Context(), "BEGIN; DECLARE c CURSOR FOR SELECT i AS n FROM range(3) AS r(i); FETCH 0 IN c; MOVE 0 IN c; FETCH 2 FROM c; FETCH ALL FROM c")
	var got []string
	for all.NextResult() {
		r, seen := all.ResultReader(), ""
		for _, f := range r.FieldDescriptions() {
			seen += f.Name + ":"
		}
		for r.NextRow() {
			seen += " " + string(r.Values()[0])
		}
		tag, err := r.Close()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, seen+" "+tag.String())
	}
	if want := "[ BEGIN  DECLARE CURSOR n: FETCH 0  MOVE 0 n: 0 1 FETCH 2 n: 2 FETCH 1]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	if _, err := c.Exec(t.Context(), "FETCH 0 FROM c").ReadAll(); state(err) != "0A000" {
		t.Error("the last row again:", err)
	}
}

func TestCopyInBinary(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 1, 500)
	c := b.connect().PgConn()
	for _, options := range []string{"(FORMAT binary)", "WITH BINARY", "(FORMAT 'binary')"} {
		var out bytes.Buffer
		tag, err := c.CopyTo(t.Context(), &out, "COPY (SELECT n, CAST(NULL AS INTEGER), 'é' FROM range(3) AS r(n) ORDER BY n) TO STDOUT "+options)
		if err != nil || tag.String() != "COPY 3" {
			t.Fatal(options, tag, err)
		}
		want := "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		for n := range 3 {
			want += "\x00\x03\x00\x00\x00\x08" + string(binary.BigEndian.AppendUint64(nil, uint64(n))) + "\xff\xff\xff\xff" + "\x00\x00\x00\x02é"
		}
		if want += "\xff\xff"; out.String() != want {
			t.Errorf("%s: %q, want %q", options, out.String(), want)
		}
	}
	if _, err := c.CopyTo(t.Context(), io.Discard, "COPY (SELECT 1) TO STDOUT (FORMAT binary, HEADER)"); state(err) == "" {
		t.Error("a binary COPY has a header")
	}
	read := c.ExecParams(t.Context(), "SELECT typname FROM pg_catalog.pg_type WHERE (typreceive != 0 OR typsend != 0) AND typreceive::TEXT = 'timestamp_recv'", nil, nil, nil, nil).Read()
	if read.Err != nil || len(read.Rows) != 1 || string(read.Rows[0][0]) != "timestamp" {
		t.Errorf("%q %v", read.Rows, read.Err)
	}
	read = c.ExecParams(t.Context(), "select version();", nil, nil, nil, nil).Read()
	if read.Err != nil || read.FieldDescriptions[0].Name != "version" {
		t.Errorf("%+v %v", read.FieldDescriptions, read.Err)
	}
}

func TestErrorsHaveStates(t *testing.T) {
	t.Parallel()
	b := open(t)
	c := b.connect()
	for query, want := range map[string]string{
		"SELEC 1":                     "42601",
		"DROP TABLE shops.by_shop":    "25006",
		"INSERT INTO x VALUES (1)":    "25006",
		"ALTER USER ada PASSWORD 'x'": "25006",
		"/* a */ -- b\n grant SELECT ON shops.by_shop TO ada": "25006",
		"TRUNCATE shops.by_shop CONTINUE IDENTITY RESTRICT":   "25006",
		"CREATE EXTENSION x":                                        "25006",
		"LOCK TABLE shops.by_shop IN EXCLUSIVE MODE":                "25006",
		"BEGIN; LOCK TABLE shops.by_shop IN ACCESS SHARE MODE; END": "",
		"COPY shops.by_shop TO '/tmp/x'":                            "25006",
		"COPY shops.by_shop FROM STDIN":                             "25006",
		"SET nonsense = 1":                                          "42704",
		"SET consistency = 'never'":                                 "22023",
		"SET client_encoding = 'LATIN1'":                            "22023",
		"SHOW nonsense":                                             "42704",
		"SET timezone = 'Nowhere/Atlantis'":                         "22023",
		"FETCH 1 FROM nothing":                                      "34000",
		"DEALLOCATE nothing":                                        "26000",
		"SAVEPOINT a":                                               "25P01",
	} {
		_, err := c.PgConn().Exec(t.Context(), query).ReadAll()
		if state(err) != want {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
}

func TestCancelAndTimeout(t *testing.T) {
	t.Parallel()
	b := open(t)
	const endless = "SELECT count(*) FROM range(100000000000) a, range(1000) b WHERE a.range % 7 = b.range % 3"
	for _, mode := range []string{"simple_protocol", "cache_statement"} {
		c := b.connect("default_query_exec_mode=" + mode)
		time.AfterFunc(300*time.Millisecond, func() { _ = c.PgConn().CancelRequest(context.Background()) })
		began := time.Now()
		_, err := c.Exec(t.Context(), endless)
		if state(err) != "57014" || time.Since(began) > 5*time.Minute {
			t.Fatalf("%s: after %s: %v", mode, time.Since(began), err)
		}
		if _, err := c.Exec(t.Context(), "SET statement_timeout = '200ms'"); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		if _, err = c.Exec(t.Context(), endless); state(err) != "57014" || time.Since(began) > 5*time.Minute {
			t.Fatalf("%s: after %s: %v", mode, time.Since(began), err)
		}
		for _, text := range []string{"SET statement_timeout = 0", "SELECT 1"} { // for which 200 ms may be too short
			if _, err := c.Exec(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 3, 10)
	ctx := t.Context()
	c := b.connect("application_name=tests", "options=-c%20statement_timeout%3D5s%20-c%20timezone%3DEurope/Berlin")
	show := func(name string) (v string) {
		t.Helper()
		var p *string
		if err := c.QueryRow(ctx, "SHOW "+name).Scan(&p); err != nil {
			t.Fatal(name, err)
		}
		if p == nil {
			return "NULL"
		}
		return *p
	}
	for name, want := range map[string]string{"application_name": "tests", "statement_timeout": "5s", "TimeZone": "Europe/Berlin", "search_path": `shops, web`,
		"transaction isolation level": "read committed", "server_version": "15.0 (Anabranch test)", "receipt": "NULL", "consistency": "eventual", "time zone": "Europe/Berlin"} {
		if got := show(name); got != want {
			t.Errorf("SHOW %s: %q, want %q", name, got, want)
		}
	}
	for _, set := range []string{"SET client_encoding TO 'UTF8'", "SET NAMES 'utf8'", "SET DateStyle = ISO", "SET extra_float_digits = 3", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
		"SET TIME ZONE 'UTC'", "SET search_path TO shops, public", "SET consistency = latest", "SET consistency TO 'eventual'", "SET my.own = 1", "RESET my.own", "RESET ALL",
		`SET consistency = 'at-least {"pipeline":"shops","positions":["0/1/0"]}'`, "SET standard_conforming_strings = on", "DISCARD ALL"} {
		if _, err := c.PgConn().Exec(ctx, set).ReadAll(); err != nil {
			t.Errorf("%s: %v", set, err)
		}
	}
	if err := c.DeallocateAll(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(ctx, "SELECT * FROM by_shop"); err != nil {
		t.Fatal(err)
	}
	if got := show("receipt"); !strings.Contains(got, `"shops":{`) || !strings.Contains(got, `"at":[3]`) {
		t.Error("receipt", got)
	}
	if _, err := c.Exec(ctx, "BEGIN; SET LOCAL timezone = 'Asia/Tokyo'; SET application_name = 'other'"); err != nil {
		t.Fatal(err)
	}
	if show("timezone") != "Asia/Tokyo" || c.PgConn().ParameterStatus("application_name") != "other" {
		t.Error(show("timezone"))
	}
	if _, err := c.Exec(ctx, "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if show("timezone") != "Europe/Berlin" || c.PgConn().ParameterStatus("application_name") != "tests" {
		t.Error("what a transaction set is left after its ROLLBACK", show("timezone"))
	}
	if _, err := b.dial("database=nonsense"); state(errors.Unwrap(err)) != "3D000" && !strings.Contains(fmt.Sprint(err), "3D000") {
		t.Error(err)
	}
}

// From REPEATABLE READ on, a transaction sees the cut of its first query; a
// plain one sees the newest in each.
func TestATransactionKeepsItsCut(t *testing.T) {
	t.Parallel()
	b := open(t)
	ctx := t.Context()
	for level, keeps := range map[pgx.TxIsoLevel]bool{pgx.RepeatableRead: true, pgx.Serializable: true, pgx.ReadCommitted: false} {
		b.fold("shops", b.speeds["shops"].At()[0]+1, 10)
		b.fold("web", b.speeds["web"].At()[0]+1, 10)
		c := b.connect()
		tx, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: level})
		if err != nil {
			t.Fatal(err)
		}
		count := func(view string) (n int64) {
			t.Helper()
			if err := tx.QueryRow(ctx, "SELECT sum(n)::BIGINT FROM "+view).Scan(&n); err != nil {
				t.Fatal(level, view, err)
			}
			return n
		}
		first := count("shops.by_shop")
		b.fold("shops", b.speeds["shops"].At()[0]+1, 7)
		b.fold("web", b.speeds["web"].At()[0]+1, 7)
		if again := count("shops.by_shop"); (again == first) != keeps {
			t.Errorf("%s: %d events, then %d", level, first, again)
		}
		// A pipeline that is read later is kept from then on.
		web := count(`web.visits`)
		b.fold("web", b.speeds["web"].At()[0]+1, 7)
		if again := count(`web.visits`); (again == web) != keeps {
			t.Errorf("%s: %d events of another pipeline, then %d", level, web, again)
		}
		if err := tx.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		var n int64
		if err := c.QueryRow(ctx, "SELECT sum(n)::BIGINT FROM shops.by_shop").Scan(&n); err != nil || n != first+7 {
			t.Errorf("%s: after the transaction %d events, want %d: %v", level, n, first+7, err)
		}
	}
}

// The catalog is as closed as the engine: it reads no files, runs nothing and
// tells nothing of the machine.
func TestTheCatalogIsClosed(t *testing.T) {
	t.Parallel()
	b := open(t)
	c := b.connect().PgConn()
	for query, want := range map[string]string{
		"SELECT getenv('HOME') FROM pg_class":                           "42501",
		"SELECT getvariable('types') FROM pg_class":                     "42501",
		"SELECT * FROM read_text('/etc/passwd'), pg_class":              "42501",
		"SELECT * FROM read_csv('/etc/passwd'), pg_class":               "42501",
		"SELECT * FROM glob('/*'), pg_class":                            "42501",
		"SELECT * FROM '/etc/passwd', pg_class":                         "42P01",
		"SELECT * FROM duckdb_settings(), pg_class":                     "42501",
		"SELECT * FROM duckdb_settings, pg_class":                       "42P01",
		"SELECT * FROM sqlite_master, pg_class":                         "42P01",
		"SELECT * FROM shops.by_shop, pg_class":                         "42P01",
		"SELECT * FROM query('SELECT 1'), pg_class":                     "42501",
		"COPY (SELECT * FROM pg_class) TO '/tmp/pg_class'":              "25006",
		"CREATE TABLE pg_x AS SELECT 1":                                 "25006",
		"DROP TABLE pg_class":                                           "25006",
		"DELETE FROM pg_class":                                          "25006",
		"INSERT INTO pg_class (oid) VALUES (1)":                         "25006",
		"ATTACH '/tmp/pg_x' AS pg_x":                                    "25006",
		"PRAGMA pg_x":                                                   "25006",
		"INSTALL pg_x":                                                  "25006",
		"CALL pg_x()":                                                   "25006",
		"EXPLAIN ANALYZE DELETE FROM pg_class":                          "25006",
		"WITH x AS (DELETE FROM pg_class RETURNING *) SELECT * FROM x":  "42601",
		"SELECT 1 FROM pg_class; DROP TABLE pg_class":                   "25006",
		"SELECT count(*) FROM pg_class a, pg_class b, pg_nothing":       "42P01",
		"SELECT nothing FROM pg_class":                                  "42000",
		"SELECT pg_read_file('/etc/passwd')":                            "42000",
		"SELECT pg_stat_file('/etc/passwd')":                            "42000",
		"SELECT lo_import('/etc/passwd') FROM pg_class":                 "42000",
		"SELECT set_config('statement_timeout', 'for ever', false)":     "22023",
		"SELECT set_config('lock_configuration', 'false', false)":       "42704",
		"SELECT current_setting('consistency') FROM pg_class, range(3)": "",
	} {
		_, err := c.Exec(t.Context(), query).ReadAll()
		got := state(err)
		if got != want && !(want == "42000" && (got == "42883" || got == "42703")) {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
	if _, err := c.Exec(t.Context(), "SELECT oid FROM pg_class LIMIT 1").ReadAll(); err != nil {
		t.Error(err)
	}
}

// A question to the catalog has the catalog's memory and no more; nothing of it
// goes to disk, which would be filled otherwise.
func TestTheCatalogHasNoDisk(t *testing.T) {
	t.Parallel()
	c := open(t).connect().PgConn()
	for _, query := range []string{
		"SELECT count(*) FROM (SELECT DISTINCT i, md5(i::VARCHAR) FROM range(10000000) r(i), (SELECT 1 FROM pg_class LIMIT 1))",
		"SELECT relname, i, md5(i::VARCHAR) FROM range(10000000) r(i), (SELECT relname FROM pg_class LIMIT 1) ORDER BY 3",
	} {
		if _, err := c.Exec(t.Context(), query).ReadAll(); state(err) != "53200" {
			t.Errorf("%s: %v", query, err)
		}
		if _, err := os.Stat(".tmp"); err == nil {
			t.Errorf("%s: a file was written", query)
		}
	}
	if _, err := c.Exec(t.Context(), "SELECT oid FROM pg_class LIMIT 1").ReadAll(); err != nil {
		t.Error(err)
	}
}

// In the catalog's questions LIKE knows the backslash, as in PostgreSQL.
func TestNamesAsPatterns(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 1, 20)
	c := b.connect().PgConn()
	for where, want := range map[string]string{
		`relname LIKE 'by_%'`: "2", `relname LIKE 'by\_shop'`: "1", `relname LIKE E'by\\_%'`: "2", `relname NOT LIKE 'by\_shop' AND relname LIKE 'by%'`: "1",
		`relname LIKE 'b\_\_shop'`: "0", `relname ILIKE 'BY\_SHOP'::text`: "1", `relname LIKE 'by' || '\_shop' AND true`: "1", `(CASE WHEN relname LIKE lower('BY\_SHOP') THEN 1 END) = 1`: "1", `relname LIKE 'by!_shop' ESCAPE '!'`: "1", `relname LIKE 'by\_shop' ESCAPE '\'`: "1",
	} {
		r := c.ExecParams(t.Context(), "SELECT count(*) FROM pg_catalog.pg_class WHERE "+where, nil, nil, nil, nil).Read()
		if r.Err != nil || len(r.Rows) != 1 || string(r.Rows[0][0]) != want {
			t.Errorf("%s: %q %v, want %s", where, r.Rows, r.Err, want)
		}
	}
	for pattern, want := range map[string]string{`by\_shop`: "1", `by_shop`: "1", `b\__shop`: "0", `%`: "2"} {
		r := c.ExecParams(t.Context(), "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'shops' AND table_name LIKE $1", [][]byte{[]byte(pattern)}, nil, nil, nil).Read()
		if r.Err != nil || len(r.Rows) != 1 || string(r.Rows[0][0]) != want {
			t.Errorf("%s: %q %v, want %s", pattern, r.Rows, r.Err, want)
		}
	}
}
