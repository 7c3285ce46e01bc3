package schemas

import (
	"bytes"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go/format"

	"anabranch/event"
)

// TestParquetChoosesEncodings: values that a column's usual encoding would not
// make shorter have another, page by page, and every reader gets them back.
func TestParquetChoosesEncodings(t *testing.T) {
	t.Parallel()
	r := seeded(t, 28)
	text, long := event.Type{Kind: event.String}, event.Type{Kind: event.Int64}
	const rows = 70_000
	columns := []struct {
		name string
		want format.Encoding
		text func(i int) string
		int  func(i int) int64
	}{
		{name: "rising", want: format.DeltaByteArray, text: func(i int) string { return fmt.Sprintf("%013d-%08x", 1_767_571_200_000+i, r.Uint32()) }},
		{name: "chance", want: format.DeltaLengthByteArray, text: func(int) string { return fmt.Sprintf("%x", r.Uint64())[:1+r.IntN(8)] + fmt.Sprint(r.Uint64()) }},
		{name: "some", want: format.RLEDictionary, text: func(int) string { return fmt.Sprint("card ", r.IntN(8000)) }},
		{name: "overflow", want: format.DeltaLengthByteArray, text: func(i int) string {
			return strings.Repeat("x", 50) + fmt.Sprint("card ", i*2/3)
		}},
		{name: "hash", want: format.Plain, int: func(int) int64 { return int64(r.Uint64()) }},
		{name: "count", want: format.DeltaBinaryPacked, int: func(i int) int64 { return int64(i) }},
		{name: "both", want: format.Plain, int: func(i int) int64 {
			if i < rows/2 {
				return int64(i)
			}
			return int64(r.Uint64())
		}},
	}
	var fields []event.Field
	for _, nullable := range []bool{false, true} {
		for _, c := range columns {
			f := event.Field{Name: fmt.Sprint(c.name, " ", nullable), Type: long, Nullable: nullable}
			if c.text != nil {
				f.Type = text
			}
			fields = append(fields, f)
		}
	}
	shape := event.NewShape(fields...)
	var out bytes.Buffer
	w := NewParquetWriter(&out, shape)
	var batches []*event.Batch
	for at, n := range []int{rows / 2, rows / 2, 5000} { // the last one a row group of its own
		b := &event.Batch{Shape: shape, N: n, Columns: make([]event.Column, len(fields))}
		for c, f := range fields {
			to, from := &b.Columns[c], columns[c%len(columns)]
			to.Type = f.Type
			if f.Nullable {
				to.Valid = event.NewBitmap(n)
			}
			if from.text != nil {
				to.Dict = &event.Dict{}
			}
			for i := range n {
				if f.Nullable && (at == 2 || i%100 > 1) { // in the last one all are there
					to.Valid.Set(i)
				}
				if from.text != nil {
					to.Codes = append(to.Codes, to.Dict.Append([]byte(from.text(at*rows/2+i))))
				} else {
					to.Ints = append(to.Ints, from.int(at*rows/2+i))
				}
			}
		}
		batches = append(batches, b)
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if at > 0 {
			if err := w.EndRowGroup(); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := concat(shape, batches)
	closeAndCompare(t, w, &out, want)

	f, err := OpenParquet(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for c, f := range f.file.Metadata().RowGroups[0].Columns {
		all := f.MetaData.Encoding
		if is := all[len(all)-1]; is != columns[c%len(columns)].want {
			t.Errorf("%s: %v", fields[c].Name, all)
		}
	}

	db, name := inDuckDB(t, out.Bytes())
	got, err := db.Query("SELECT COLUMNS(*)::VARCHAR FROM read_parquet('" + name + "')")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	values, into := make([]sql.NullString, len(fields)), make([]any, len(fields))
	for i := range values {
		into[i] = &values[i]
	}
	row := 0
	for ; got.Next(); row++ {
		if err := got.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for c, v := range values {
			is := "null"
			if v.Valid && fields[c].Type == text {
				is = fmt.Sprintf("%q", v.String)
			} else if v.Valid {
				is = v.String
			}
			if is != cell(&want.Columns[c], row) {
				t.Fatalf("DuckDB: row %d, %s: %s, want %s", row, fields[c].Name, is, cell(&want.Columns[c], row))
			}
		}
	}
	if got.Err() != nil || row != want.N {
		t.Fatal(row, got.Err())
	}
}

// TestParquetPagesOfNothing: rows that are all null, in columns that have had
// texts in each encoding before.
func TestParquetPagesOfNothing(t *testing.T) {
	t.Parallel()
	shape := event.NewShape(event.Field{Name: "id", Type: event.Type{Kind: event.String}, Nullable: true})
	for _, form := range []string{"%013d", "%x"} {
		var out bytes.Buffer
		w := NewParquetWriter(&out, shape)
		var batches []*event.Batch
		for at := range 3 {
			b := &event.Batch{Shape: shape, N: 300_000, Columns: []event.Column{{Type: shape.Fields[0].Type, Dict: &event.Dict{}, Valid: event.NewBitmap(300_000)}}}
			c := &b.Columns[0]
			c.Codes = make([]uint32, b.N)
			c.Dict.Append(nil)
			for i := range b.N {
				if at == 0 && i < 10_000 {
					c.Codes[i] = c.Dict.Append(fmt.Appendf(nil, form, uint64(i)*0x9e3779b97f4a7c15>>(i%64)))
					c.Valid.Set(i)
				}
			}
			batches = append(batches, b)
			if err := w.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		closeAndCompare(t, w, &out, concat(shape, batches))
	}
}
