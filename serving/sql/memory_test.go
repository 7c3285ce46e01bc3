package sql_test

import (
	"context"
	stdsql "database/sql"
	"os"
	"strings"
	"testing"
	"time"

	"anabranch/serving"
	"anabranch/serving/sql"
)

// What queries took comes back when they have ended, well or not, also while
// other engines of DuckDB come and go in the process. It is not parallel: the
// memory that it looks at is that of the process.
func TestMemoryComesBack(t *testing.T) {
	if resident(t) == 0 {
		t.Log("not run: no /proc tells what is resident")
		return
	}
	engine, err := sql.New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), sql.Options{MemoryLimit: "1GB"})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	other, err := stdsql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.ExecContext(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil { // which sets the allocator up for the whole process
		t.Fatal(err)
	}
	base := resident(t)
	for _, query := range []string{
		"SELECT count(*) FROM (SELECT i % 5000000 AS g, count(*), 'a text of more than twelve bytes ' || (i % 3000000) FROM range(100000000) r(i) GROUP BY ALL)",
		"SELECT * FROM (SELECT i, 'a text of more than twelve bytes ' || i AS s FROM range(100000000) r(i)) ORDER BY s DESC",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := drain(ctx, engine, sql.Request{SQL: query})
			ended <- err
		}()
		most := int64(0)
		for running := true; running; {
			select {
			case err = <-ended: // of its memory, if it is not cancelled before
				running = false
			case <-time.After(5 * time.Millisecond):
			}
			if most = max(most, resident(t)-base); most > 300<<20 {
				cancel()
			}
		}
		cancel()
		if most < 200<<20 {
			t.Logf("not run: %d MB were taken before the query ended with %v, which shows nothing", most>>20, err)
			continue
		}
		began := time.Now()
		for resident(t)-base > 100<<20 {
			if time.Since(began) > 5*time.Minute {
				t.Fatalf("of %d MB that a query took %d are there still after two minutes", most>>20, (resident(t)-base)>>20)
			}
			time.Sleep(50 * time.Millisecond) // until the allocator has looked
		}
		t.Logf("%d MB were back %s after the query ended with %.60v", most>>20, time.Since(began).Round(50*time.Millisecond), err)
	}
}

// resident is what the process has of its own: no files.
func resident(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "RssAnon:" {
			n := int64(0)
			for _, c := range f[1] {
				n = n*10 + int64(c-'0')
			}
			return n << 10
		}
	}
	return 0
}
