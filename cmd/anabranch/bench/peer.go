package bench

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
)

// duckJob has DuckDB answer the same SELECT over the same files, into tables
// of its own memory.
type duckJob struct {
	db    *sql.DB
	data  *Data
	texts []string
}

func newDuckJob(ctx context.Context, t *Task) (job, error) {
	d, s, err := t.open(ctx)
	if err != nil {
		return nil, err
	}
	j := &duckJob{data: d}
	for _, name := range t.Views {
		for _, v := range s.views {
			if v.Name == name {
				j.texts = append(j.texts, v.SQL)
			}
		}
	}
	if j.db, err = openDuck(ctx, fmt.Sprintf("SET threads = %d", max(t.Cores, 1)), "SET preserve_insertion_order = false", d.events()); err != nil {
		return nil, err
	}
	return j, nil
}

// openDuck opens a database in memory with one connection.
func openDuck(ctx context.Context, setup ...string) (*sql.DB, error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, fault.Wrap(fault.Bug, err)
	}
	db.SetMaxOpenConns(1)
	for _, q := range setup {
		if err := do(ctx, db, q); err != nil {
			db.Close()
			return nil, err
		}
	}
	return db, nil
}

func do(ctx context.Context, db *sql.DB, q string) error {
	if _, err := db.ExecContext(ctx, q); err != nil {
		return fault.New(fault.Invalid, "DuckDB: %.200s: %w", q, err)
	}
	return nil
}

// events is the statement that makes the day files the table events.
func (d *Data) events() string {
	var files []string
	for _, f := range d.Days {
		files = append(files, d.path(f.Name))
	}
	return "CREATE OR REPLACE VIEW events AS FROM " + readParquet(files...)
}

func readParquet(files ...string) string {
	quoted := make([]string, len(files))
	for i, f := range files {
		quoted[i] = "'" + strings.ReplaceAll(filepath.ToSlash(f), "'", "''") + "'"
	}
	return "read_parquet([" + strings.Join(quoted, ", ") + "])"
}

func (j *duckJob) run(ctx context.Context) (int64, error) {
	for i, text := range j.texts {
		if err := do(ctx, j.db, fmt.Sprintf("CREATE OR REPLACE TEMP TABLE answer%d AS %s", i, text)); err != nil {
			return 0, err
		}
	}
	return j.data.Counted, nil
}

func (j *duckJob) answer(ctx context.Context, paths []string) error {
	for i, path := range paths {
		if err := do(ctx, j.db, fmt.Sprintf("COPY answer%d TO '%s' (FORMAT parquet)", i, path)); err != nil {
			return err
		}
	}
	return nil
}

func (j *duckJob) close() { j.db.Close() }
