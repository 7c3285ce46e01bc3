package schemas

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anabranch/event"
)

const retailAvro = `{"type": "record", "name": "InvoiceLine", "fields": [
	{"name": "InvoiceNo", "type": "string"},
	{"name": "StockCode", "type": "string"},
	{"name": "Description", "type": ["null", "string"], "default": null},
	{"name": "Quantity", "type": "int"},
	{"name": "InvoiceDate", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
	{"name": "UnitPrice", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 3}},
	{"name": "CustomerID", "type": ["null", "string"], "default": null},
	{"name": "Country", "type": "string"}]}`

var retailIdentity = Identity{
	Fields:  []string{"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"},
	Content: true, Key: []string{"InvoiceNo"}, Time: "InvoiceDate",
}

// TestRetail decodes real invoice lines and compares every cell with what the
// standard library's CSV reader sees, and events with lines that are equal
// byte by byte.
func TestRetail(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob(filepath.Join("testdata", "retail", "*.csv.gz"))
	rows, distinct, milli := checkRetail(t, files)
	if rows != 963+1483+1122 || rows == distinct {
		t.Errorf("%d rows, %d distinct, sum %d", rows, distinct, milli)
	}
}

// TestAllOfRetail does so for the whole example: 219 days.
func TestAllOfRetail(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob(filepath.Join("..", "examples", "retail", "data", "*.csv.gz"))
	if len(files) == 0 || testing.Short() {
		t.Skip("examples/retail/data is not there, or -short")
	}
	rows, distinct, milli := checkRetail(t, files)
	// The sum of Quantity*UnitPrice comes from the data's own account: gross
	// less refunds of the accepted lines, and the three adjustments.
	if rows != 320705 || distinct != 318222 {
		t.Errorf("%d rows, %d distinct ids; want 320705, 318222 (sum %d)", rows, distinct, milli)
	}
}

func checkRetail(t *testing.T, files []string) (rows, distinct int, milli int64) {
	s := mustParse(t, 1, retailAvro)
	d := decoder(t, s, CSV, retailIdentity)
	ids, lines := map[event.ID]string{}, map[string]event.ID{}
	for _, name := range files {
		data := gunzip(t, name)
		want, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		got := decodeAll(t, d, bytes.NewReader(data))
		if len(got.bad) > 0 || got.N != len(want)-1 {
			t.Fatalf("%s: %d rows, want %d; bad %+v", name, got.N, len(want)-1, got.bad)
		}
		for i, record := range want[1:] {
			for f, field := range s.Shape().Fields {
				if v := retailCell(got.Batch, f, i); v != record[f] && !(field.Name == "UnitPrice" && sameDecimal(v, record[f])) {
					t.Fatalf("%s, row %d: %s is %q, want %q", name, i+1, field.Name, v, record[f])
				}
			}
			line := strings.Join(record, "\x00")
			if before, seen := ids[got.IDs[i]]; seen && before != line {
				t.Fatalf("one id for %q and %q", before, line)
			}
			if before, seen := lines[line]; seen && before != got.IDs[i] {
				t.Fatalf("two ids for %q", line)
			}
			ids[got.IDs[i]], lines[line] = line, got.IDs[i]
			milli += got.Columns[3].Ints[i] * got.Columns[5].Ints[i]
		}
		rows += got.N
	}
	return rows, len(ids), milli
}

func retailCell(b *event.Batch, f, row int) string {
	c := &b.Columns[f]
	switch c.Type.Kind {
	case event.String:
		return string(c.Bytes(row))
	case event.Timestamp:
		return timeText(c.Ints[row])
	case event.Decimal:
		return event.Int128Of(c.Ints[row]).FormatDecimal(3)
	}
	return event.Int128Of(c.Ints[row]).String()
}

func sameDecimal(a, b string) bool {
	if !strings.Contains(b, ".") {
		b += "."
	}
	return strings.TrimRight(a, "0") == strings.TrimRight(b, "0")
}

func gunzip(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
