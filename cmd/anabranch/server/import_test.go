package server

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/fault"
	"anabranch/ingest"
	"anabranch/serving"
	"anabranch/stream"
)

// history is a folder of files as somebody else might have written them, with
// copies, conflicting copies, filtered events and bad ones, in DuckDB too.
func history(t *testing.T) (dir string, db *sql.DB) {
	t.Helper()
	dir = t.TempDir()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	exec := func(text string) {
		t.Helper()
		if _, err := db.Exec(strings.ReplaceAll(text, "DIR", dir)); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	// The ids of the three overlap; one in a hundred of the later ones has
	// another amount, so that it conflicts.
	events := func(from, n int) string {
		return fmt.Sprintf(`SELECT 'e' || i AS id, CASE i %% 4 WHEN 3 THEN 'odd' ELSE 'it"em' || (i %% 50) END AS item,
			TIMESTAMP '2025-01-01 08:00:00' + INTERVAL 1 SECOND * i * 37 AS ts, CASE WHEN i %% 500 = 8 THEN -1 ELSE i * 7 %% 1000 + CASE WHEN (i + %d) %% 100 = 1 THEN 1 ELSE 0 END END AS amount
			FROM range(%d, %d) r(i)`, from/1000, from, from+n)
	}
	exec(`COPY (` + events(0, 6000) + `) TO 'DIR/a.parquet' (FORMAT parquet, ROW_GROUP_SIZE 2048)`)
	exec(`COPY (SELECT id, item, ts, amount::VARCHAR AS amount FROM (` + events(5000, 6000) + `) UNION ALL SELECT 'bad' || i, 'x', TIMESTAMP '2025-01-01', 'many' FROM range(5) r(i)) TO 'DIR/b.csv.gz' (FORMAT csv, HEADER, COMPRESSION gzip, FORCE_QUOTE (item))`)
	exec(`COPY (SELECT id, item, strftime(ts, '%Y-%m-%d %H:%M:%S') AS ts, amount FROM (` + events(10000, 6000) + `)) TO 'DIR/c.ndjson' (FORMAT json)`)
	f, err := os.OpenFile(filepath.Join(dir, "c.ndjson"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "{\"id\": \"cut off\n")
	if err := errors.Join(f.Close(), os.WriteFile(filepath.Join(dir, "_SUCCESS"), []byte("x"), 0o600), os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	exec(`CREATE TABLE every AS
		SELECT 1 AS file, row_number() OVER () AS row, id, item, ts::VARCHAR AS ts, amount::VARCHAR AS amount FROM read_parquet('DIR/a.parquet')
		UNION ALL SELECT 2, row_number() OVER (), id, item, ts, amount FROM read_csv('DIR/b.csv.gz', all_varchar = true)
		UNION ALL SELECT 3, row_number() OVER (), id, item, ts, amount FROM read_json('DIR/c.ndjson', ignore_errors = true, format = 'newline_delimited', columns = {id: 'VARCHAR', item: 'VARCHAR', ts: 'VARCHAR', amount: 'VARCHAR'})
			WHERE id IS NOT NULL`)
	exec(`CREATE TABLE events AS SELECT id, item, ts::TIMESTAMP AS ts, amount::BIGINT AS amount FROM every
		WHERE try_cast(amount AS BIGINT) >= 0 QUALIFY row_number() OVER (PARTITION BY id ORDER BY file, row) = 1`)
	exec(`DELETE FROM events WHERE item = 'odd'`)
	return dir, db
}

func wanted(t *testing.T, db *sql.DB, query string) (out []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// killing dies at a number of notes, before or after one is stored.
type killing struct {
	ingest.Notes
	left  int
	after bool
	die   context.CancelFunc
}

func (k *killing) PutWork(ctx context.Context, run, name string, body []byte) error {
	if k.left--; k.left > 0 {
		return k.Notes.PutWork(ctx, run, name, body)
	}
	if k.after {
		_ = k.Notes.PutWork(ctx, run, name, body)
	}
	k.die()
	return ctx.Err()
}

// TestImportIsWhatDuckDBSays: files of all formats come in as their rows say,
// whatever dies meanwhile, and once, however often they are imported.
func TestImportIsWhatDuckDBSays(t *testing.T) {
	t.Parallel()
	dir, db := history(t)
	s, err := openSmall(t, t.TempDir(), stream.NewMemory(), bucket.NewMemory(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(slog.New(slog.DiscardHandler)) })
	from, err := importSource(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	kills := 0
	all := func(run string, dry bool) (rows, accepted, dead int64) {
		t.Helper()
		list, err := (&ingest.Importer{Gateway: s.gateway, Notes: s.archive}).List(t.Context(), run, from, "")
		if err != nil || len(list.Files) != 3 || !slices.Equal(list.Passed, []string{"notes.txt"}) {
			t.Fatalf("%+v, %v", list, err)
		}
		for n := range list.Files {
			for try := 1; ; try++ {
				ctx, die := context.WithCancel(t.Context())
				im := &ingest.Importer{Gateway: s.gateway, Notes: &killing{s.archive, 1 + try%3, try%2 == 0, die}, PieceBytes: 60 << 10}
				f, err := im.File(ctx, run, from, n, dry)
				die()
				if err == nil {
					rows, accepted, dead = rows+f.Rows, accepted+f.Accepted, dead+f.DeadLettered
					break
				}
				if kills++; ctx.Err() == nil || try > 1000 {
					t.Fatalf("try %d: %v", try, err)
				}
			}
		}
		return rows, accepted, dead
	}
	if rows, accepted, dead := all("dry", true); rows != 18006 || dead != 12+5+1+24 || accepted != rows-dead {
		t.Fatalf("a dry run: %d rows, %d accepted, %d dead", rows, accepted, dead)
	}
	s.settle()
	if l, err := s.ledger(t.Context()); err != nil || l.Received != 0 {
		t.Fatalf("a dry run left %+v, %v", l, err)
	}
	serve := serving.New(serving.Options{Sources: func() []*serving.Source { return []*serving.Source{s.asSource} }})
	check := func(when string) {
		t.Helper()
		s.settle()
		got, err := s.rows(t.Context(), serve, "items")
		if err != nil {
			t.Fatal(err)
		}
		if want := wanted(t, db, `SELECT item || '|' || count(*) || '|' || sum(amount) FROM events GROUP BY item`); !slices.Equal(got, want) {
			t.Fatalf("%s: items are %v, DuckDB says %v", when, got, want)
		}
		l, err := s.ledger(t.Context())
		if err != nil || !l.Balanced || l.InFlight != 0 {
			t.Fatalf("%s: %+v, %v", when, l, err)
		}
		t.Logf("%s, %d kills: %d received, %d counted, %d duplicate", when, kills, l.Received, l.Counted, l.Duplicate)
	}
	rows, _, dead := all("one", false)
	if rows != 18006 || dead != 42 || kills < 20 {
		t.Fatalf("%d rows, %d dead, %d kills", rows, dead, kills)
	}
	check("imported")
	letters := map[string]int{}
	for l, err := range s.letters.List(t.Context(), deadletter.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		if l.Position == "" { // not a conflict
			letters[strings.TrimPrefix(l.Source, from.Name)+" "+l.Code]++
		}
		if strings.HasSuffix(l.Source, "/a.parquet") && (l.Line-9)%500 != 0 {
			t.Errorf("a letter of row %d of a.parquet: %s", l.Line, l.Raw)
		}
		if l.Code == "wrong_type" && (l.Line < 6002 || l.Line > 6006) {
			t.Errorf("a letter of line %d of b.csv.gz: %s", l.Line, l.Raw)
		}
	}
	if letters["a.parquet negative"] != 12 || letters["b.csv.gz wrong_type"] != 5 || letters["c.ndjson malformed"] != 1 {
		t.Errorf("dead letters: %v", letters)
	}
	s.nightly("first")
	check("after a batch")
	all("two", false)
	check("imported again")
	s.nightly("second")
	check("after a second batch")
}

func TestImportTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := mustSmall(t)
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	im := &ingest.Importer{Gateway: s.gateway, Notes: s.archive}
	source := func(url string) ingest.Source {
		t.Helper()
		from, err := importSource(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		return from
	}
	for url, kind := range map[string]fault.Kind{"file://" + dir + "/not there": fault.NotFound, "ftp://x": fault.Invalid, "file://relative": fault.Invalid} {
		if _, err := importSource(t.Context(), url); !fault.Is(err, kind) {
			t.Errorf("%s: %v, want %v", url, err, kind)
		}
	}
	if _, err := im.List(t.Context(), "empty", source("file://"+dir), ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("an empty folder: %v", err)
	}
	write("a.parquet", "this is not Parquet, though its name says so")
	write("b.csv", "id,item,ts,amount\ne1,a,2025-01-01 00:00:00,1\n")
	from := source("file://" + dir)
	if _, err := im.List(t.Context(), "r", from, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := im.File(t.Context(), "r", from, 0, false); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "a.parquet") {
		t.Errorf("what is not Parquet: %v", err)
	}
	<-time.After(10 * time.Millisecond) // another time of writing
	write("b.csv", "id,item,ts,amount\ne2,a,2025-01-01 00:00:00,1\n")
	if _, err := im.File(t.Context(), "r", from, 1, false); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "changed") {
		t.Errorf("a file that changed: %v", err)
	}
	if _, err := im.File(t.Context(), "r", from, 2, false); !fault.Is(err, fault.Invalid) {
		t.Errorf("a file that is not in the list: %v", err)
	}
	one := source("file://" + dir + "/b.csv")
	if l, err := im.List(t.Context(), "s", one, ""); err != nil || len(l.Files) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	if f, err := im.File(t.Context(), "s", one, 0, false); err != nil || f.Accepted != 1 {
		t.Errorf("%+v, %v", f, err)
	}
}
