package schemas

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/event"
)

// TestDuckDBReadsOurParquet: other programs see the types of event.Type.SQL
// and the values that were written.
func TestDuckDBReadsOurParquet(t *testing.T) {
	t.Parallel()
	r := seeded(t, 51)
	var fields []event.Field
	for _, nullable := range []bool{false, true} {
		for k := event.Bool; k <= event.Huge; k++ {
			types := []event.Type{{Kind: k}}
			if k == event.Decimal {
				types = []event.Type{{Kind: k, Precision: 4, Scale: 2}, {Kind: k, Precision: 10, Scale: 3}, {Kind: k, Precision: 18}, {Kind: k, Precision: 19, Scale: 19}, {Kind: k, Precision: 38, Scale: 4}}
			}
			for _, one := range types {
				fields = append(fields, event.Field{Name: fmt.Sprintf("%s, %t", one, nullable), Type: one, Nullable: nullable})
			}
		}
	}
	shape := event.NewShape(fields...)
	var out bytes.Buffer
	w := NewParquetWriter(&out, shape)
	var batches []*event.Batch
	for range 3 {
		b := randomBatch(r, shape, 700)
		b.IDs, b.Hashes = nil, nil
		for i := range b.Columns {
			digits(&b.Columns[i]) // Huge comes back as DECIMAL(38,0)
		}
		batches = append(batches, b)
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.EndRowGroup(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(map[string]string{"k": "v"}); err != nil {
		t.Fatal(err)
	}
	db, name := inDuckDB(t, out.Bytes())
	rows, err := db.Query("SELECT * FROM read_parquet('" + name + "')")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range fields {
		want := f.Type.SQL()
		if f.Type.Kind == event.Huge {
			want = "DECIMAL(38,0)"
		}
		if got := types[i].DatabaseTypeName(); got != want || types[i].Name() != f.Name {
			t.Errorf("column %s is %s %s", f.Name, types[i].Name(), got)
		}
	}
	all := concat(shape, batches)
	values, into := make([]any, len(fields)), make([]any, len(fields))
	for i := range values {
		into[i] = &values[i]
	}
	n := 0
	for ; rows.Next(); n++ {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i, f := range fields {
			if got, want := duckText(values[i], f.Type), wantText(&all.Columns[i], n); got != want {
				t.Fatalf("row %d, %s: %s, want %s", n, f.Name, got, want)
			}
		}
	}
	if rows.Err() != nil || n != all.N {
		t.Fatal(n, rows.Err())
	}
	// A row group that bounds exclude must not hold the value.
	for i, f := range fields {
		for range 4 {
			row := r.IntN(all.N)
			column := `"` + f.Name + `"`
			var text sql.NullString
			if err := db.QueryRow(fmt.Sprintf("SELECT CAST(%s AS VARCHAR) FROM read_parquet('%s') LIMIT 1 OFFSET %d", column, name, row)).Scan(&text); err != nil {
				t.Fatal(err)
			}
			want, is := 0, wantText(&all.Columns[i], row)
			for j := range all.N {
				if wantText(&all.Columns[i], j) == is {
					want++
				}
			}
			where := column + " IS NULL"
			if text.Valid {
				where = fmt.Sprintf("%s = CAST('%s' AS %s)", column, strings.ReplaceAll(text.String, "'", "''"), types[i].DatabaseTypeName())
			}
			var got int
			if err := db.QueryRow(fmt.Sprintf("SELECT count(*) FROM read_parquet('%s') WHERE %s", name, where)).Scan(&got); err != nil || got != want {
				t.Fatalf("%s: %d rows where %s, want %d: %v", f.Name, got, where, want, err)
			}
		}
	}
	var bounded int
	if err := db.QueryRow("SELECT count(*) FROM parquet_metadata('" + name + "') WHERE stats_min_value IS NOT NULL AND stats_max_value IS NOT NULL").Scan(&bounded); err != nil || bounded < 2*len(fields) {
		t.Fatalf("%d columns have bounds: %v", bounded, err)
	}
}

// digits keeps the values of a Huge column inside 38 digits.
func digits(c *event.Column) {
	for i, v := range c.Wide {
		if !fitsDigits(v, 38) {
			c.Wide[i] = event.Int128Of(v.Hi)
		}
	}
}

func duckText(v any, t event.Type) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		if v {
			return "1"
		}
		return "0"
	case time.Time:
		if t.Kind == event.Date {
			return fmt.Sprint(v.Unix() / 86400)
		}
		return fmt.Sprint(v.UnixMicro())
	case duckdb.Decimal:
		return v.Value.String()
	case *big.Int:
		return v.String()
	case string:
		return fmt.Sprintf("%q", v)
	case []byte:
		return fmt.Sprintf("%q", v)
	case float64:
		return fmt.Sprint(v)
	}
	return fmt.Sprint(v)
}

func wantText(c *event.Column, row int) string {
	switch {
	case !c.Valid.Get(row):
		return "null"
	case c.Floats != nil:
		return fmt.Sprint(c.Floats[row])
	case c.Wide != nil:
		return c.Wide[row].String()
	}
	return cell(c, row)
}

// inDuckDB returns DuckDB and the name of a Parquet file for it.
func inDuckDB(t *testing.T, file []byte) (db *sql.DB, name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "x.parquet")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, name
}
