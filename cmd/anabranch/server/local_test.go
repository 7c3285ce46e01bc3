package server

import (
	"compress/gzip"
	"encoding/csv"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"anabranch/ingest"
	"anabranch/schemas"
	"anabranch/serving/httpapi"
)

// openExample opens an example and sends its data, with a batch half way.
func openExample(t *testing.T, name string) (l *Local, accepted int, folder string) {
	t.Helper()
	folder = filepath.Join("..", "..", "..", "examples", name)
	def, err := schemas.ReadDefinition(os.DirFS(folder))
	if err != nil {
		t.Fatal(err)
	}
	if l, err = OpenLocal(t.Context(), def.Files, t.TempDir(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	files, _ := filepath.Glob(filepath.Join(folder, "data", "*.gz"))
	for i, file := range files {
		body := unpacked(t, file)
		answer, err := l.Send(t.Context(), body, ingest.Meta{Format: def.Format, Request: filepath.Base(file), Source: filepath.Base(file)})
		if err != nil {
			t.Fatal(err)
		}
		accepted += answer.Accepted
		if i == len(files)/2 {
			if _, err := l.Batch(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return l, accepted, folder
}

func unpacked(t *testing.T, file string) io.Reader {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if !strings.HasSuffix(file, ".gz") {
		return f
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// checkTruth compares a view with a file of the same columns; rows are found
// by the first keys columns, values compared by same.
func checkTruth(t *testing.T, l *Local, view, file string, keys int, same func(column, got, want string) bool) {
	t.Helper()
	truth, err := csv.NewReader(unpacked(t, file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	header := truth[0]
	answer, err := l.Query(t.Context(), "SELECT "+strings.Join(header, ", ")+" FROM "+l.Definition().Name+"."+view)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	got := map[string][]string{}
	for {
		values, err := answer.Next()
		if err != nil {
			t.Fatal(err)
		}
		if values == nil {
			break
		}
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = httpapi.Text(answer.Columns[i].Type, v)
		}
		key := strings.Join(row[:keys], "|")
		if got[key] != nil {
			t.Errorf("%s: two rows of %s", view, key)
		}
		got[key] = row
	}
	if len(got) != len(truth)-1 || len(got) == 0 {
		t.Errorf("%s: %d rows, want %d", view, len(got), len(truth)-1)
	}
	wrong := 0
	for _, want := range truth[1:] {
		row := got[strings.Join(want[:keys], "|")]
		for i := range want {
			if row == nil || !same(header[i], row[i], want[i]) {
				if wrong++; wrong < 5 {
					t.Errorf("%s: got %q, want %q", view, row, want)
				}
				break
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%s: %d rows differ", view, wrong)
	}
}

func checkVerify(t *testing.T, l *Local) {
	t.Helper()
	v, err := l.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !v.Equal || v.Distinct == 0 {
		t.Errorf("verify: %+v", v)
	}
}

// TestPayments: files with ten headers, dd/mm/yyyy dates and copies lead to
// the sums that an independent program has.
func TestPayments(t *testing.T) {
	t.Parallel()
	l, accepted, folder := openExample(t, "payments")
	if accepted != 41391+2 { // two of them are copies
		t.Errorf("%d accepted", accepted)
	}
	exact := func(_, got, want string) bool { return got == want }
	for view, keys := range map[string]int{"month": 1, "month_kind": 2, "month_org_unit": 2, "supplier": 1} {
		checkTruth(t, l, view, filepath.Join(folder, "truth", view+".csv"), keys, exact)
	}
	letters, err := l.Letters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, letter := range letters {
		counts[letter.Code]++
	}
	if len(counts) != 2 || counts[schemas.CodeBadDate] != 3836 || counts[schemas.CodeMissingID] != 1 {
		t.Errorf("dead letters %v", counts)
	}
	checkVerify(t, l)
}

// TestMetrics: doubles from JSON lead to the exact decimal sums, but for the
// rounding of each number to a double.
func TestMetrics(t *testing.T) {
	t.Parallel()
	l, accepted, folder := openExample(t, "metrics")
	if accepted == 0 {
		t.Fatal("nothing accepted")
	}
	checkTruth(t, l, "hour", filepath.Join(folder, "truth", "hour.csv.gz"), 2, func(column, got, want string) bool {
		switch column {
		case "sum", "min", "max":
			g, _ := strconv.ParseFloat(got, 64)
			w, err := strconv.ParseFloat(want, 64)
			if column == "sum" {
				return err == nil && math.Abs(g-w) <= 4e-16*math.Abs(w)
			}
			return err == nil && g == w
		}
		return got == want
	})
	checkVerify(t, l)
}
