package sql

import (
	"bytes"
	stdsql "database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"anabranch/event"
)

// Whatever a column can hold comes back from DuckDB as it went, and DuckDB
// means the same by it.
func TestBatchesGoThroughDuckDBUnchanged(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	of := []event.Type{{Kind: event.Bool}, {Kind: event.Int32}, {Kind: event.Int64}, {Kind: event.Float64}, {Kind: event.Timestamp}, {Kind: event.Date}, {Kind: event.String}, {Kind: event.Bytes}, {Kind: event.Huge}}
	for _, p := range []uint8{1, 4, 5, 9, 10, 18, 19, 38} {
		of = append(of, event.Type{Kind: event.Decimal, Precision: p, Scale: p / 2})
	}
	db, conn := ownEngine(t)
	_ = db
	for round, n := range []int{0, 1, 63, 64, 2047, 2048, 2049, 5000} {
		b := &event.Batch{N: n}
		var fields []event.Field
		for i, t := range of {
			fields = append(fields, event.Field{Name: fmt.Sprint("c", i), Type: t, Nullable: true})
			b.Columns = append(b.Columns, randomColumn(r, t, n))
		}
		b.Shape = event.NewShape(fields...)
		table := tableName{"memory", "main", fmt.Sprint("t", round)}
		if _, err := conn.ExecContext(t.Context(), "CREATE TABLE "+table.String()+columns(b.Shape)); err != nil {
			t.Fatal(err)
		}
		if err := appendBatch(conn, table, b); err != nil {
			t.Fatal(err)
		}
		got, err := readBatch(t.Context(), conn, "FROM "+table.String(), b.Shape)
		if err != nil {
			t.Fatal(err)
		}
		if got.N != n {
			t.Fatalf("%d rows of %d", got.N, n)
		}
		rows, err := conn.QueryContext(t.Context(), "FROM "+table.String())
		if err != nil {
			t.Fatal(err)
		}
		values, into := make([]any, len(of)), make([]any, len(of))
		for i := range into {
			into[i] = &values[i]
		}
		for i := 0; rows.Next(); i++ {
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for c := range of {
				want := fmt.Sprintf("%#v", Values(&b.Columns[c])(i))
				if is := fmt.Sprintf("%#v", Values(&got.Columns[c])(i)); is != want {
					t.Fatalf("row %d of %d, %s: %s came back as %s", i, n, of[c], want, is)
				}
				if fmt.Sprint(values[c]) != fmt.Sprint(Values(&b.Columns[c])(i)) {
					t.Fatalf("row %d of %d, %s: DuckDB has %v for %s", i, n, of[c], values[c], want)
				}
			}
		}
		rows.Close()
	}
	wrong := event.NewShape(event.Field{Name: "x", Type: event.Type{Kind: event.Int32}})
	if _, err := readBatch(t.Context(), conn, "SELECT 1::BIGINT", wrong); err == nil {
		t.Error("a BIGINT was read as an INTEGER")
	}
}

// The engine's own functions, over a file as view files are: with nulls, with
// the largest numbers, and with rows behind the last one that is marked.
func TestOwnFunctions(t *testing.T) {
	t.Parallel()
	_, conn := ownEngine(t)
	path := filepath.Join(t.TempDir(), "rows.parquet")
	largest := strings.Repeat("9", 38)
	if _, err := conn.ExecContext(t.Context(), fmt.Sprintf(`COPY (SELECT i, CASE WHEN i %% 5 = 0 THEN NULL WHEN i %% 5 = 1 THEN -%s ELSE i END::DECIMAL(38,0) AS d FROM range(300000) r(i))
		TO %s (ROW_GROUP_SIZE 50000)`, largest, text(path))); err != nil {
		t.Fatal(err)
	}
	m := masks{}
	marked := map[int64]bool{}
	files, at := event.Column{Type: event.Type{Kind: event.String}, Dict: &event.Dict{}}, event.Column{}
	files.Dict.Append([]byte("a"))
	files.Dict.Append([]byte("b"))
	for i := int64(0); i < 250_000; i += 1 + i%11 {
		marked[i] = true
		files.Codes = append(files.Codes, 0, 1)
		at.Ints = append(at.Ints, i, i/2)
	}
	m.mark(&files, &at)
	if len(m) != 2 || len(m["a"]) <= len(m["b"]) {
		t.Fatalf("marks of %d files", len(m))
	}
	mk, err := newMark(m["a"])
	if err != nil {
		t.Fatal(err)
	}
	defer mk.free()
	found := newSlot()
	defer found.free()
	found.put(unsafe.Pointer(mk.p))
	var n, sum, different int64
	err = conn.QueryRowContext(t.Context(), fmt.Sprintf(`SELECT count(*), sum(i), count(*) FILTER (WHERE h IS DISTINCT FROM d::HUGEINT OR typeof(h) <> 'HUGEINT')
		FROM (SELECT i, d, %s(d) AS h FROM read_parquet(%s, file_row_number=true) WHERE %s(%d::BIGINT, file_row_number))`,
		name(asHuge), text(path), name(unmarked), found.address())).Scan(&n, &sum, &different)
	if err != nil {
		t.Fatal(err)
	}
	var wantN, wantSum int64
	for i := range int64(300_000) {
		if !marked[i] {
			wantN, wantSum = wantN+1, wantSum+i
		}
	}
	if n != wantN || sum != wantSum || different != 0 {
		t.Errorf("%d rows with sum %d, want %d with %d; %d wide integers differ", n, sum, wantN, wantSum, different)
	}
	// Rows of which some were left out before, and which begin anywhere.
	for _, r := range [][3]int64{{0, 300_000, 1}, {5, 300_000, 1}, {2051, 9_000, 1}, {249_990, 250_011, 1}, {1, 300_000, 3}, {299_999, 300_000, 1}} {
		err = conn.QueryRowContext(t.Context(), fmt.Sprintf("SELECT count(*), coalesce(sum(r), 0) FROM range(%d, %d, %d) s(r) WHERE %s(%d::BIGINT, r)",
			r[0], r[1], r[2], name(unmarked), found.address())).Scan(&n, &sum)
		if err != nil {
			t.Fatal(err)
		}
		wantN, wantSum = 0, 0
		for i := r[0]; i < r[1]; i += r[2] {
			if !marked[i] {
				wantN, wantSum = wantN+1, wantSum+i
			}
		}
		if n != wantN || sum != wantSum {
			t.Errorf("from %d below %d by %d: %d rows with sum %d, want %d with %d", r[0], r[1], r[2], n, sum, wantN, wantSum)
		}
	}
}

// ownEngine is a DuckDB that has the engine's functions and nothing else of it.
func ownEngine(t *testing.T) (*stdsql.DB, *stdsql.Conn) {
	t.Helper()
	db, err := stdsql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := ownFunctions(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return db, conn
}

// randomColumn makes n values up, extreme ones among them, and a third nulls.
func randomColumn(r *rand.Rand, t event.Type, n int) event.Column {
	c := event.Column{Type: t}
	if r.IntN(4) > 0 {
		c.Valid = event.NewBitmap(n)
		for i := range n {
			if r.IntN(3) > 0 {
				c.Valid.Set(i)
			}
		}
	}
	bound := int64(math.MaxInt64)
	switch t.Kind {
	case event.Bool:
		bound = 1
	case event.Int32:
		bound = math.MaxInt32
	case event.Date:
		bound = 1 << 20
	case event.Timestamp:
		bound = 1 << 55
	case event.Decimal:
		if t.Precision <= event.MaxNarrow {
			bound = int64(math.Pow10(int(t.Precision))) - 1
		}
	}
	c.Dict = &event.Dict{}
	for i := range n {
		x := bound
		switch r.IntN(4) {
		case 0:
			x = -bound
		case 1:
			x = r.Int64N(bound)
		case 2:
			x = min(bound, int64(r.IntN(3)))
		}
		if t.Kind == event.Bool && x < 0 {
			x = 0
		}
		switch t.Storage() {
		case event.InInts:
			c.Ints = append(c.Ints, x)
		case event.InFloats:
			c.Floats = append(c.Floats, []float64{float64(x), math.Inf(1), -0.5, math.Copysign(0, -1)}[r.IntN(4)])
		case event.InWide:
			w := event.Int128{Hi: x >> r.IntN(60), Lo: r.Uint64()}
			if t.Kind == event.Decimal {
				w = event.Int128Of(x)
			}
			c.Wide = append(c.Wide, w)
		case event.InCodes:
			c.Codes = append(c.Codes, c.Dict.Append(bytes.Repeat([]byte(fmt.Sprint(i%10)), r.IntN(30))))
		}
	}
	if n == 0 || t.Storage() != event.InCodes {
		return c
	}
	slices.Reverse(c.Codes)
	return c
}
