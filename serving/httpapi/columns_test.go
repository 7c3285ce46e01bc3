package httpapi_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/ipc"
	_ "github.com/duckdb/duckdb-go/v2"

	"anabranch/serving"
	"anabranch/serving/httpapi"
	engine "anabranch/serving/sql"
)

const (
	arrowStream = "application/vnd.apache.arrow.stream"
	parquetFile = "application/vnd.apache.parquet"
)

func door(t *testing.T) *httptest.Server {
	t.Helper()
	e, err := engine.New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(httpapi.Query(e, httpapi.Options{}))
	t.Cleanup(func() { s.Close(); e.Close() })
	return s
}

func post(t *testing.T, s *httptest.Server, accept, query string) (*http.Response, []byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(query))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/sql")
	r.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// lines are the rows of a query as DuckDB writes them, sorted.
func lines(t *testing.T, query string) []string {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("SET TimeZone='UTC'"); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query("SELECT (t)::VARCHAR FROM (" + query + ") t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

// A Parquet answer holds what DuckDB itself finds, of every type, nested, with
// nulls at every level, and over more than a row group.
func TestParquetAnswers(t *testing.T) {
	t.Parallel()
	s := door(t)
	some := func(expr string) string {
		return "CASE WHEN hash(i + " + fmt.Sprint(len(expr)) + ") % 4 > 0 THEN " + expr + " END"
	}
	exprs := []string{
		"i % 2 = 0", "i::TINYINT", "i::UTINYINT", "i::SMALLINT", "(i + 40000)::USMALLINT", "(i * 10000000)::INTEGER", "(i * 40000000)::UINTEGER", "i * 1000000000000", "(18446744073709551615 - i)::UBIGINT",
		"i / 7", "(i / 7)::FLOAT", "'text ' || i", "encode('bytes ' || i)", "DATE '1960-01-01' + i::INT", "TIME '00:00:00.000001' + INTERVAL (i) SECOND",
		"TIMESTAMP '1960-01-01 00:00:00.000001' + INTERVAL (i) HOUR", "TIMESTAMPTZ '2011-01-01 00:00:00+00' + INTERVAL (i) HOUR", "'2011-01-01 00:00:00'::TIMESTAMP_MS", "'2011-01-01 00:00:00.000000001'::TIMESTAMP_NS",
		"(i - 50)::DECIMAL(4,1)", "(i / 3 - 9)::DECIMAL(18,6)", "(i / 3 - 9)::DECIMAL(38,10)",
		"range(i % 4)", "list_transform(range(i % 4), x -> CASE WHEN x <> 1 THEN range(x) END)", "{'a': i, 'b': {'c': CASE WHEN i % 3 = 0 THEN 'x' END}}",
		"list_transform(range(i % 3), x -> {'k': x, 'v': CASE WHEN x = 1 THEN 'one' END})",
		"MAP {i: CASE WHEN i % 2 = 0 THEN 'v' END, i + 1000: 'w'}", "MAP {'k': [1, NULL]}",
	}
	for i := range exprs {
		exprs[i] = fmt.Sprintf(`%s AS "c %d"`, some(exprs[i]), i)
	}
	for n, query := range map[int]string{
		100:    "SELECT i, " + strings.Join(exprs, ", ") + " FROM range(100) t(i)",
		0:      "SELECT i, [i] AS l FROM range(0) t(i)",
		300000: "SELECT i, 'shop ' || i % 100 AS s, range(i % 3) AS l FROM range(300000) t(i)",
	} {
		resp, body, err := post(t, s, parquetFile, query)
		if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != parquetFile {
			t.Fatalf("%d rows: %v %.300s %v", n, resp.Status, body, err)
		}
		path := filepath.Join(t.TempDir(), "answer.parquet")
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		got, want := lines(t, "SELECT * FROM '"+path+"'"), lines(t, query)
		if len(got) != n || len(want) != n {
			t.Fatalf("%d rows, want %d", len(got), n)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("of %d rows\n%s\nwant\n%s", n, got[i], want[i])
			}
		}
		meta := lines(t, "SELECT decode(key) AS k, decode(value) AS v FROM parquet_kv_metadata('"+path+"')")
		if len(meta) != 1 || !strings.Contains(meta[0], engine.ReceiptKey) || !strings.Contains(meta[0], "as_of") {
			t.Errorf("metadata %q", meta)
		}
	}
	for query, want := range map[string]string{
		"SELECT 1 AS a, 2 AS a":                         "{'a': 1, 'a_1': 2}",
		"SELECT INTERVAL '14 months -1.5 seconds' AS i": "{'i': P1Y2MT-1.5S}",
		"SELECT NULL AS n, 170141183460469231731::HUGEINT AS h, 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'::UUID AS u": "{'n': NULL, 'h': 170141183460469231731, 'u': f81d4fae-7dec-11d0-a765-00a0c91e6bf6}",
	} {
		_, body, err := post(t, s, parquetFile, query)
		path := filepath.Join(t.TempDir(), "answer.parquet")
		if err := errors.Join(err, os.WriteFile(path, body, 0o600)); err != nil {
			t.Fatal(err)
		}
		if got := lines(t, "SELECT * FROM '"+path+"'"); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %s", query, got, want)
		}
	}
}

func TestArrowAnswers(t *testing.T) {
	t.Parallel()
	s := door(t)
	resp, body, err := post(t, s, arrowStream+", */*;q=0.1", "SELECT i, 'shop ' || i % 100 AS s FROM range(300000) t(i)")
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != arrowStream {
		t.Fatal(resp.Status, err)
	}
	r, err := ipc.NewReader(strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	rows := int64(0)
	for r.Next() {
		rows += r.Record().NumRows()
	}
	receipt, _ := r.Schema().Metadata().GetValue(engine.ReceiptKey)
	if r.Err() != nil || rows != 300000 || receipt == "" || receipt != resp.Header.Get("Anabranch-Receipt") {
		t.Error(rows, r.Err(), receipt, resp.Header)
	}
}

// An Accept that names nothing that is written is told what is.
func TestNotAcceptable(t *testing.T) {
	t.Parallel()
	resp, body, _ := post(t, door(t), "image/png", "SELECT 1")
	if resp.StatusCode != http.StatusNotAcceptable || !strings.Contains(string(body), parquetFile) {
		t.Errorf("%s %s", resp.Status, body)
	}
}

// Values inside lists, structs and maps are told as they are outside.
func TestNestedValuesAreToldAsOthers(t *testing.T) {
	t.Parallel()
	s := door(t)
	for expr, want := range map[string]string{
		"[1.50, NULL]::DECIMAL(5,2)[]":                       `[1.5,null]`,
		"{'d': 1.50::DECIMAL(5,2), 'at': DATE '2011-01-02'}": `{"d":1.5,"at":"2011-01-02"}`,
		"[TIMESTAMP '2011-01-02 03:04:05.000006']":           `["2011-01-02 03:04:05.000006"]`,
		"['f81d4fae-7dec-11d0-a765-00a0c91e6bf6'::UUID]":     `["f81d4fae-7dec-11d0-a765-00a0c91e6bf6"]`,
		"[1, 'nan'::DOUBLE, 2]":                              `[1,null,2]`,
		"'-inf'::FLOAT":                                      `null`,
		"MAP {DATE '2011-01-02': [0.5::FLOAT]}":              `{"2011-01-02":[0.5]}`,
		"{'a, \"b\" (c': {'x y': [1]}, 'm': MAP {'k': 'v'}}": `{"a, \"b\" (c":{"x y":[1]},"m":{"k":"v"}}`,
		"[170141183460469231731::HUGEINT]":                   `[170141183460469231731]`,
		"'2011-01-01 00:00:00.000000001'::TIMESTAMP_NS":      `"2011-01-01 00:00:00.000000001"`,
		"union_value(num := 2)":                              `2`,
		"[INTERVAL '1 day']":                                 `["P1D"]`,
		"INTERVAL '14 months 3 days 04:05:06.5'":             `"P1Y2M3DT4H5M6.5S"`,
		"[1, 2]::INTEGER[2]":                                 `[1,2]`,
		"['\\xAA'::BLOB]":                                    `["qg=="]`,
	} {
		resp, body, err := post(t, s, "application/x-ndjson", "SELECT "+expr+" AS c")
		if err != nil || resp.StatusCode != http.StatusOK || string(body) != `{"c":`+want+"}\n" {
			t.Errorf("%s: %s %s, want %s", expr, resp.Status, body, want)
		}
	}
}
