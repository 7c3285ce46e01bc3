package view

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/event"
)

// mirror is DuckDB with the same rows as batch.
type mirror struct {
	db    *sql.DB
	duck  *duck // the compiler's own, over the same shape
	batch *event.Batch
}

func openMirror(t testing.TB, batch *event.Batch) *mirror {
	t.Helper()
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	var table strings.Builder
	table.WriteString("CREATE TABLE events (_row BIGINT")
	for _, f := range batch.Shape.Fields {
		fmt.Fprintf(&table, ", %s %s", quote(f.Name), f.Type.SQL())
	}
	table.WriteString(")")
	for _, q := range []string{"SET threads = 1", table.String()} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	// Values go as text, which DuckDB casts to the column's type exactly.
	values := make([]string, len(batch.Columns)+1)
	for from := 0; from < batch.N; from += 500 {
		var q strings.Builder
		q.WriteString("INSERT INTO events VALUES ")
		for i := from; i < min(batch.N, from+500); i++ {
			values[0] = fmt.Sprint(i)
			for c := range batch.Columns {
				values[c+1] = sqlValue(&batch.Columns[c], i)
			}
			if i > from {
				q.WriteByte(',')
			}
			q.WriteString("(" + strings.Join(values, ",") + ")")
		}
		if _, err := db.Exec(q.String()); err != nil {
			t.Fatal(err)
		}
	}
	c, err := NewCompiler(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	d, err := c.duck(context.Background(), Source{}, batch.Shape)
	if err != nil {
		t.Fatal(err)
	}
	return &mirror{db, d, batch}
}

// sqlValue writes one value as SQL.
func sqlValue(c *event.Column, i int) string {
	text, ok := render(c, i)
	if !ok {
		return "NULL"
	}
	if c.Type.Kind == event.Bytes {
		return "unhex('" + fmt.Sprintf("%x", c.Bytes(i)) + "')"
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'::" + c.Type.SQL()
}

// render writes one value as DuckDB's cast to VARCHAR does; false for null.
func render(c *event.Column, i int) (string, bool) {
	if !c.Valid.Get(i) {
		return "", false
	}
	switch c.Type.Storage() {
	case event.InCodes:
		return string(c.Bytes(i)), true
	case event.InFloats:
		return string(appendFloat(nil, c.Floats[i])), true
	case event.InWide:
		return string(appendValue(nil, c.Wide[i], c.Type)), true
	}
	return string(appendValue(nil, event.Int128Of(c.Ints[i]), c.Type)), true
}

// sameText compares two rendered values; doubles may differ in their last bits
// only when loose.
func sameText(t event.Type, a, b string, loose bool) bool {
	if a == b {
		return true
	}
	if t.Kind != event.Float64 {
		return false
	}
	x, _ := parseFloat([]byte(a))
	y, _ := parseFloat([]byte(b))
	if strings.Contains(a, "nan") && strings.Contains(b, "nan") {
		return true
	}
	return loose && math.Abs(x-y) <= 1e-9*math.Max(math.Abs(x), math.Abs(y))
}

// column asks DuckDB for an expression over every row: its type and values.
func (o *mirror) column(expression string) (typ string, values []sql.NullString, err error) {
	rows, err := o.db.QueryContext(context.Background(), "SELECT typeof(x), x::VARCHAR FROM (SELECT _row, ("+expression+"\n) AS x FROM events) ORDER BY _row")
	if err != nil {
		return "", nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v sql.NullString
		if err := rows.Scan(&typ, &v); err != nil {
			return "", nil, err
		}
		values = append(values, v)
	}
	return typ, values, rows.Err()
}

// wideShape has a column of every kind, null and not.
var wideShape = event.NewShape(
	event.Field{Name: "i", Type: typeInt32},
	event.Field{Name: "j", Type: typeInt32, Nullable: true},
	event.Field{Name: "l", Type: typeInt64, Nullable: true},
	event.Field{Name: "d", Type: typeDecimal(10, 3), Nullable: true},
	event.Field{Name: "w", Type: typeDecimal(30, 4), Nullable: true},
	event.Field{Name: "h", Type: typeHuge, Nullable: true},
	event.Field{Name: "f", Type: typeFloat, Nullable: true},
	event.Field{Name: "s", Type: typeString, Nullable: true},
	event.Field{Name: "n", Type: typeString, Nullable: true}, // often a number
	event.Field{Name: "t", Type: typeTimestamp},
	event.Field{Name: "u", Type: typeTimestamp, Nullable: true},
	event.Field{Name: "dt", Type: typeDate, Nullable: true},
	event.Field{Name: "b", Type: typeBool, Nullable: true},
	event.Field{Name: "bl", Type: typeBytes, Nullable: true},
)

var someStrings = []string{"", "a", "abc", "C1234", "Ärger", "über den Wolken", " padded ", "100%", "a_b", "ABC", "straße", "日本語", "x\ty", "it's", "A123", "\u00a0nbsp\u00a0"}
var someNumbers = []string{"1", "-17", "3.5", "2.5", "abc", "", " 12 ", "1e3", "99999999999", "0.0005", "-0.5", "true", "2011-03-04", "2011-03-04 05:06:07", "2011-02-30", "12a", "+5", "1.", ".5", "nan", "inf"}

func randomRows(r *rand.Rand, n int) *event.Batch {
	b := &event.Batch{Shape: wideShape, N: n, Columns: make([]event.Column, len(wideShape.Fields))}
	small := func(k int64) int64 {
		switch r.IntN(4) {
		case 0:
			return r.Int64N(5) - 2
		case 1:
			return r.Int64N(2*k) - k
		}
		return r.Int64N(200) - 100
	}
	for c, f := range wideShape.Fields {
		col := event.Column{Type: f.Type}
		if f.Nullable {
			col.Valid = event.NewBitmap(n)
			for i := range n {
				if r.IntN(6) > 0 {
					col.Valid.Set(i)
				}
			}
		}
		words := someStrings
		if f.Name == "n" {
			words = someNumbers
		}
		if f.Type.Storage() == event.InCodes {
			col.Dict = &event.Dict{}
			for _, s := range words {
				col.Dict.Append([]byte(s))
			}
			for range n {
				col.Codes = append(col.Codes, uint32(r.IntN(len(words))))
			}
		}
		for i := 0; i < n && f.Type.Storage() != event.InCodes; i++ {
			switch f.Type.Kind {
			case event.Bool:
				col.Ints = append(col.Ints, r.Int64N(2))
			case event.Int32:
				col.Ints = append(col.Ints, small(30000))
			case event.Int64:
				col.Ints = append(col.Ints, small(1<<31))
			case event.Decimal:
				if f.Type.Storage() == event.InWide {
					col.Wide = append(col.Wide, event.MulInt64(small(1<<40), small(1<<40)))
				} else {
					col.Ints = append(col.Ints, small(9_999_999_999))
				}
			case event.Huge:
				col.Wide = append(col.Wide, event.MulInt64(small(1<<40), small(1<<20)))
			case event.Float64:
				col.Floats = append(col.Floats, []float64{0, 1.5, -2.5, 1e300, math.Inf(1), math.NaN(), 0.1, 12345.6789, r.NormFloat64() * 1000, math.Round(r.NormFloat64() * 10)}[r.IntN(10)])
			case event.Timestamp:
				col.Ints = append(col.Ints, dayOf(1890+r.Int64N(200), 1, 1)*microsPerDay+r.Int64N(366)*microsPerDay+[]int64{0, r.Int64N(microsPerDay), r.Int64N(86400) * microsPerSecond}[r.IntN(3)])
			case event.Date:
				col.Ints = append(col.Ints, dayOf(1990+r.Int64N(40), 1+r.Int64N(12), 1)+r.Int64N(31))
			}
		}
		b.Columns[c] = col
	}
	return b
}

// checkScalar compares one expression with DuckDB, row by row. It reports
// false when DuckDB or we refuse the expression.
func checkScalar(t *testing.T, o *mirror, expression string, must bool) bool {
	t.Helper()
	typ, want, err := o.column(expression)
	o.duck.src = Source{Name: "x", SQL: expression}
	e, ours := o.duck.scalar(context.Background(), o.batch.Shape)
	if ours != nil {
		if must {
			t.Errorf("%s: %v (duckdb: %v)", expression, ours, err)
		}
		return false
	}
	v := newBuilder().build(e)(&frame{b: o.batch, n: o.batch.N, seq: 1})
	if err != nil {
		// DuckDB stops at the first bad row; we must have marked some row.
		if v.failed == nil || v.failed.Count(o.batch.N) == 0 {
			t.Errorf("%s: duckdb says %v, we see no failure", expression, err)
		}
		return true
	}
	if v.failed != nil && v.failed.Count(o.batch.N) > 0 {
		t.Errorf("%s: we say %v, duckdb sees no failure", expression, v.why)
		return true
	}
	if e.untyped() {
		return true
	}
	if e.typ.SQL() != typ {
		t.Errorf("%s: type %v, duckdb %s", expression, e.typ, typ)
		return true
	}
	for i, w := range want {
		got, ok := render(&v.Column, i)
		if e.typ.Kind == event.Bytes && ok {
			continue
		}
		if ok != w.Valid || !sameText(e.typ, got, w.String, strings.Contains(expression, "%")) {
			t.Errorf("%s: row %d: got %q %v, duckdb %q %v; row is %s", expression, i, got, ok, w.String, w.Valid, showRow(o.batch, i))
			return true
		}
		if !e.null && !ok {
			t.Errorf("%s: row %d is null, but is said never to be", expression, i)
			return true
		}
	}
	return true
}

func showRow(b *event.Batch, i int) string {
	var s []string
	for c, f := range b.Shape.Fields {
		v, ok := render(&b.Columns[c], i)
		if !ok {
			v = "NULL"
		}
		s = append(s, f.Name+"="+v)
	}
	return strings.Join(s, " ")
}
