package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	flight "github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/duckdb/duckdb-go/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	engine "anabranch/serving/sql"
)

// rows are an answer, each cell as one text whatever door it came through.
type rows [][]string

// kinds are the types of an answer's columns, as DuckDB names them: what a
// text stands for.
type kinds []string

// null is what a cell without a value says.
const null = "NULL"

// cell is a value as a text that is the same for every door: numbers by their
// value, times in UTC, bytes in base64.
func cell(kind string, v any) string {
	switch x := v.(type) {
	case nil:
		return null
	case bool:
		return strconv.FormatBool(x)
	case float64:
		return number(strconv.FormatFloat(x, 'g', -1, 64))
	case float32:
		return number(strconv.FormatFloat(float64(x), 'g', -1, 32))
	case json.Number:
		return number(string(x))
	case []byte:
		if kind == "UUID" && len(x) == 16 {
			return cell(kind, [16]byte(x))
		}
		return base64.StdEncoding.EncodeToString(x)
	case [16]byte:
		return fmt.Sprintf("%x-%x-%x-%x-%x", x[:4], x[4:6], x[6:8], x[8:10], x[10:])
	case time.Time:
		switch {
		case kind == "DATE":
			return x.Format(time.DateOnly)
		case kind == "TIME":
			return x.Format("15:04:05.999999")
		case strings.HasPrefix(kind, "TIMESTAMP WITH") || kind == "TIMESTAMPTZ":
			return x.UTC().Format("2006-01-02 15:04:05.999999999-07")
		}
		return x.Format("2006-01-02 15:04:05.999999999")
	case duckdb.Decimal:
		return number(x.String())
	case duckdb.OrderedMap:
		out := map[string]any{}
		for i, key := range x.Keys() {
			out[cell("", key)] = x.Values()[i]
		}
		return cell(kind, out)
	case pgtype.Numeric:
		text, _ := x.Value()
		return number(fmt.Sprint(text))
	case pgtype.Time:
		return time.UnixMicro(x.Microseconds).UTC().Format("15:04:05.999999")
	case pgtype.Interval:
		return string(engine.AppendInterval(nil, duckdb.Interval{Months: x.Months, Days: x.Days, Micros: x.Microseconds}))
	case []any:
		parts := make([]string, len(x))
		for i, e := range x {
			parts[i] = cell(strings.TrimSuffix(kind, "[]"), e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for k, e := range x {
			parts = append(parts, k+": "+cell("", e))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	case string:
		switch {
		case strings.HasSuffix(kind, "]"), strings.HasPrefix(kind, "STRUCT"), strings.HasPrefix(kind, "MAP"), kind == "JSON":
			var nested any
			d := json.NewDecoder(strings.NewReader(x))
			d.UseNumber()
			if d.Decode(&nested) == nil {
				return cell("", nested)
			}
		case numeric(kind):
			return number(x)
		}
		return x
	}
	return number(fmt.Sprint(v))
}

func numeric(kind string) bool {
	kind, _, _ = strings.Cut(kind, "(")
	switch kind {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL":
		return true
	}
	return false
}

// number is a number by its value: 1.50 is 3/2.
func number(text string) string {
	if r, ok := new(big.Rat).SetString(text); ok {
		return r.RatString()
	}
	return text
}

// arrowCell is a value of a column in Arrow.
func arrowCell(kind string, a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	switch a := a.(type) {
	case *array.Boolean:
		return a.Value(i)
	case *array.Float64:
		return a.Value(i)
	case *array.Float32:
		return a.Value(i)
	case *array.String:
		return a.Value(i)
	case *array.LargeString:
		return a.Value(i)
	case *array.Binary:
		return slices.Clone(a.Value(i))
	case *array.Date32:
		return a.Value(i).FormattedString()
	case *array.Timestamp:
		t := a.Value(i).ToTime(a.DataType().(*arrow.TimestampType).Unit)
		if a.DataType().(*arrow.TimestampType).TimeZone != "" {
			return cell("TIMESTAMPTZ", t)
		}
		return cell("TIMESTAMP", t)
	case *array.Time64:
		return a.Value(i).ToTime(a.DataType().(*arrow.Time64Type).Unit).Format("15:04:05.999999999")
	case *array.MonthDayNanoInterval:
		v := a.Value(i)
		return string(engine.AppendInterval(nil, duckdb.Interval{Months: v.Months, Days: v.Days, Micros: v.Nanoseconds / 1000}))
	case *array.Decimal128:
		return json.Number(a.Value(i).ToString(a.DataType().(*arrow.Decimal128Type).Scale))
	case *array.Map:
		out := map[string]any{}
		from, to := a.ValueOffsets(i)
		for j := int(from); j < int(to); j++ {
			out[cell("", arrowCell("", a.Keys(), j))] = arrowCell("", a.Items(), j)
		}
		return out
	case array.ListLike:
		out := []any{}
		from, to := a.ValueOffsets(i)
		for j := int(from); j < int(to); j++ {
			out = append(out, arrowCell("", a.ListValues(), j))
		}
		return out
	case *array.Struct:
		out := map[string]any{}
		for f := range a.NumField() {
			out[a.DataType().(*arrow.StructType).Field(f).Name] = arrowCell("", a.Field(f), i)
		}
		return out
	}
	return json.Number(a.ValueStr(i))
}

func arrowRows(k kinds, r array.RecordReader) (out rows, err error) {
	for r.Next() {
		rec := r.Record()
		for i := range int(rec.NumRows()) {
			row := make([]string, len(k))
			for c := range row {
				row[c] = cell(k[c], arrowCell(k[c], rec.Column(c), i))
			}
			out = append(out, row)
		}
	}
	return out, r.Err()
}

// read turns the bytes of an answer in a format into rows.
func read(k kinds, media string, body []byte) (out rows, err error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	switch media {
	case formats["json"]:
		var a struct{ Rows [][]any }
		if err := decoder.Decode(&a); err != nil {
			return nil, err
		}
		for _, r := range a.Rows {
			row := make([]string, len(k))
			for i := range row {
				row[i] = cell(k[i], r[i])
			}
			out = append(out, row)
		}
	case formats["ndjson"]:
		for decoder.More() {
			var r map[string]any
			if err := decoder.Decode(&r); err != nil {
				return nil, err
			}
			row := make([]string, len(k))
			for i := range row {
				row[i] = cell(k[i], r[fmt.Sprintf("c%d", i)])
			}
			out = append(out, row)
		}
	case formats["csv"]:
		all, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
		if err != nil {
			return nil, err
		}
		for _, r := range all[1:] {
			row := make([]string, len(k))
			for i := range row {
				if row[i] = cell(k[i], r[i]); r[i] == "" {
					row[i] = null // CSV cannot tell it from the empty text
				}
			}
			out = append(out, row)
		}
	case formats["arrow"]:
		r, err := ipc.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		defer r.Release()
		return arrowRows(k, r)
	case formats["parquet"]:
		return parquetRows(k, body)
	}
	return out, nil
}

// parquetRows reads a file as DuckDB does.
func parquetRows(k kinds, body []byte) (out rows, err error) {
	f, err := os.CreateTemp("", "answer-*.parquet")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(body)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	all, err := db.Query("SELECT * FROM read_parquet('" + f.Name() + "')")
	if err != nil {
		return nil, err
	}
	defer all.Close()
	for all.Next() {
		values, into, row := make([]any, len(k)), make([]any, len(k)), make([]string, len(k))
		for i := range into {
			into[i] = &values[i]
		}
		if err := all.Scan(into...); err != nil {
			return nil, err
		}
		for i := range row {
			row[i] = cell(k[i], values[i])
		}
		out = append(out, row)
	}
	return out, all.Err()
}

// asker asks one running program through all its doors.
type asker struct {
	*testing.T
	http   string
	pg     map[string]*pgx.Conn
	flight *flight.Client
}

func newAsker(t *testing.T, at, pg, flightURL string) *asker {
	t.Helper()
	a := &asker{T: t, http: at, pg: map[string]*pgx.Conn{}}
	for name, mode := range map[string]pgx.QueryExecMode{"PostgreSQL, text": pgx.QueryExecModeSimpleProtocol, "PostgreSQL, binary": pgx.QueryExecModeCacheStatement} {
		c, err := pgx.ParseConfig(pg)
		if err != nil {
			t.Fatal(err)
		}
		c.DefaultQueryExecMode = mode
		conn, err := pgx.ConnectConfig(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		a.pg[name] = conn
	}
	var err error
	if a.flight, err = flight.NewClient(strings.TrimPrefix(flightURL, "grpc://"), nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.flight.Close() })
	return a
}

func (a *asker) post(query, media string) ([]byte, string, error) {
	req, err := http.NewRequestWithContext(a.Context(), http.MethodPost, a.http+"/v1/query", strings.NewReader(query))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/sql")
	req.Header.Set("Accept", media)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return body, resp.Header.Get("Anabranch-Receipt"), err
}

// columns tells the types of an answer's columns, and its receipt.
func (a *asker) columns(query string) (kinds, string) {
	a.Helper()
	body, receipt, err := a.post(query, formats["json"])
	if err != nil {
		a.Fatalf("%s: %v", query, err)
	}
	var answer queryAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		a.Fatalf("%s: %v\n%.500s", query, err, body)
	}
	var k kinds
	for _, c := range answer.Columns {
		k = append(k, c.Type)
	}
	return k, receipt
}

// everywhere returns what each door answers.
func (a *asker) everywhere(query string, k kinds) map[string]rows {
	a.Helper()
	out := map[string]rows{}
	keep := func(door string, r rows, err error) {
		if err != nil {
			a.Errorf("%s: %s: %v", door, query, err)
			return
		}
		out[door] = r
	}
	for name, media := range formats {
		if name == "table" {
			continue
		}
		body, _, err := a.post(query, media)
		var r rows
		if err == nil {
			r, err = read(k, media, body)
		}
		keep("HTTP, "+name, r, err)
		var said, wrong bytes.Buffer
		c := newQuery()
		c.SetArgs([]string{query, "--server", a.http, "-o", name})
		c.SetOut(&said)
		c.SetErr(&wrong)
		if err = c.ExecuteContext(a.Context()); err == nil {
			r, err = read(k, media, said.Bytes())
		}
		keep("command line, "+name, r, err)
	}
	for name, conn := range a.pg {
		r, err := askPG(a.Context(), conn, query, k)
		keep(name, r, err)
	}
	r, err := a.askFlight(query, k)
	keep("Flight SQL", r, err)
	return out
}

func askPG(ctx context.Context, conn *pgx.Conn, query string, k kinds) (out rows, err error) {
	all, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	for all.Next() {
		values, err := all.Values()
		if err != nil {
			return nil, err
		}
		row := make([]string, len(k))
		for i := range row {
			if f := all.FieldDescriptions()[i]; f.DataTypeOID == pgtype.JSONOID && values[i] != nil {
				values[i] = string(all.RawValues()[i]) // pgx would make floats of its numbers
			}
			row[i] = cell(k[i], values[i])
		}
		out = append(out, row)
	}
	return out, all.Err()
}

func (a *asker) askFlight(query string, k kinds) (rows, error) {
	info, err := a.flight.Execute(a.Context(), query)
	if err != nil {
		return nil, err
	}
	r, err := a.flight.DoGet(a.Context(), info.Endpoint[0].Ticket)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	return arrowRows(k, r)
}

// expressed is what a door can say of a value: what it cannot is told in
// docs/http.md and docs/clients.md.
func expressed(door, kind, v string) string {
	flat := !strings.HasSuffix(kind, "]")
	switch {
	case strings.HasSuffix(door, "csv") && flat:
		if v == "" {
			return null
		}
	case strings.HasSuffix(door, "json") || strings.HasSuffix(door, "csv"): // JSON has no such numbers
		for _, none := range []string{"NaN", "+Inf", "-Inf"} {
			v = strings.ReplaceAll(v, none, null)
		}
	case strings.HasSuffix(door, "parquet") && strings.HasPrefix(kind, "INTERVAL"):
		return "" // it has a text of its own
	case strings.HasPrefix(door, "PostgreSQL") && kind == "TIMESTAMP_NS":
		if whole, parts, ok := strings.Cut(v, "."); ok { // it has microseconds
			return strings.TrimRight(strings.TrimRight(whole+"."+parts[:min(len(parts), 6)], "0"), ".")
		}
	}
	return v
}

// same fails where a door says something else than the others.
func (a *asker) same(query string) rows {
	a.Helper()
	k, _ := a.columns(query)
	all := a.everywhere(query, k)
	const first = "HTTP, arrow"
	want := all[first]
	for door, got := range all {
		if len(got) != len(want) {
			a.Errorf("%s: %d rows; %s: %d\n%s", door, len(got), first, len(want), query)
			continue
		}
		told := 0
		for i := range want {
			for c := range want[i] {
				w, g := expressed(door, k[c], want[i][c]), got[i][c]
				if w != g && w != "" && told < 3 {
					told++
					a.Errorf("%s: row %d, column %d (%s): %q; %s: %q\n%.300s", door, i, c, k[c], g, first, w, query)
				}
			}
		}
	}
	return want
}
