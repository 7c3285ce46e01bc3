package httpapi

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"math"
	"math/big"
	"testing"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/serving/sql"
)

// FuzzFields: texts are quoted in CSV as encoding/csv does it, and empty ones too.
func FuzzFields(f *testing.F) {
	for _, s := range []string{"", "a", "shop 7", "a,b", `say "no"`, `"`, `""`, "two\nlines", "\r", " space", "\u00a0", `\.`, `\.x`, "ä, ö", "\xff", "#!$%&'()*+-./", "tab\t", "\ttab"} {
		f.Add(s, "x")
		f.Add("y", s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		var want bytes.Buffer
		w := csv.NewWriter(&want)
		_ = w.Write([]string{cmp.Or(a, "EMPTY"), cmp.Or(b, "EMPTY")})
		w.Flush()
		if a == "" || b == "" {
			line := bytes.ReplaceAll(want.Bytes(), []byte("EMPTY"), []byte(`""`))
			want = *bytes.NewBuffer(line)
		}
		text := &sql.Type{Name: "VARCHAR"}
		got := appendField(nil, text, &sql.Datum{Is: sql.InText, Text: []byte(a)})
		got = append(appendField(append(got, ','), text, &sql.Datum{Is: sql.InText, Text: []byte(b)}), '\n')
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%q, %q: %q, want %q", a, b, got, want.Bytes())
		}
	})
}

// FuzzDecimals: a decimal that lies there is told as one that is made.
func FuzzDecimals(f *testing.F) {
	for _, n := range []int64{0, 1, -1, 5, 10, -100, 12345, -12000, 99, math.MaxInt64, math.MinInt64} {
		for _, scale := range []uint8{0, 1, 2, 3, 18, 37} {
			f.Add(n, scale)
		}
	}
	f.Fuzz(func(t *testing.T, n int64, scale uint8) {
		d := &sql.Datum{Is: sql.InDecimal, Width: 38, Scale: scale % 39, Int: n}
		made := duckdb.Decimal{Width: 38, Scale: scale % 39, Value: big.NewInt(n)}
		if got := string(appendField(nil, &sql.Type{Name: "DECIMAL"}, d)); got != made.String() {
			t.Errorf("%d/%d: %s, want %s", n, scale, got, made)
		}
	})
}

// Floats are written as at the PostgreSQL door, in JSON and in CSV alike.
func TestFloats(t *testing.T) {
	t.Parallel()
	double := &sql.Type{Name: "DOUBLE"}
	for x, want := range map[float64]string{
		0: "0", 0.1: "0.1", 5761354.702: "5761354.702", -1e6: "-1000000", 123456789012345: "123456789012345", 1e15: "1e+15", 1e20: "1e+20", 0.0001: "0.0001", 0.00001: "1e-05", -2.5e-7: "-2.5e-07",
	} {
		d := &sql.Datum{Is: sql.InFloat, Float: x}
		if got := string(appendField(nil, double, d)); got != want {
			t.Errorf("CSV: %s, want %s", got, want)
		}
		if got := string(appendJSON(nil, double, d)); got != want {
			t.Errorf("JSON: %s, want %s", got, want)
		}
		if got, _ := tell(nil, double, x); string(got) != want {
			t.Errorf("in a list: %s, want %s", got, want)
		}
	}
}
