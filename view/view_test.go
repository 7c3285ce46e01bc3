package view

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"

	"anabranch/event"
)

var retailShape = event.NewShape(
	event.Field{Name: "InvoiceNo", Type: typeString},
	event.Field{Name: "StockCode", Type: typeString},
	event.Field{Name: "Description", Type: typeString, Nullable: true},
	event.Field{Name: "Quantity", Type: typeInt32},
	event.Field{Name: "InvoiceDate", Type: typeTimestamp},
	event.Field{Name: "UnitPrice", Type: typeDecimal(10, 3)},
	event.Field{Name: "CustomerID", Type: typeString, Nullable: true},
	event.Field{Name: "Country", Type: typeString},
)

func retailRows(r *rand.Rand, n int) *event.Batch {
	b := &event.Batch{Shape: retailShape, N: n, Columns: make([]event.Column, len(retailShape.Fields))}
	for c, f := range retailShape.Fields {
		col := event.Column{Type: f.Type}
		if f.Nullable {
			col.Valid = event.NewBitmap(n)
		}
		if f.Type == typeString {
			col.Dict = &event.Dict{}
			values := map[string]int{"InvoiceNo": n/5 + 1, "StockCode": 20, "Description": 20, "CustomerID": 12, "Country": 3}[f.Name]
			for v := range values {
				prefix := f.Name
				if f.Name == "InvoiceNo" {
					prefix = [...]string{"", "", "", "", "C", "A"}[v%6]
				}
				if f.Name == "CustomerID" && v == 0 {
					col.Dict.Append(nil)
					continue
				}
				col.Dict.Append(fmt.Appendf(nil, "%s%05d", prefix, v))
			}
			for range n {
				col.Codes = append(col.Codes, uint32(r.IntN(values)))
			}
		}
		for i := range n {
			switch f.Name {
			case "Quantity":
				col.Ints = append(col.Ints, r.Int64N(200)-50)
			case "InvoiceDate":
				col.Ints = append(col.Ints, dayOf(2010, 12, 1)*microsPerDay+r.Int64N(70*24*60)*microsPerMinute)
			case "UnitPrice":
				col.Ints = append(col.Ints, r.Int64N(50000))
			}
			if f.Nullable && r.IntN(5) > 0 {
				col.Valid.Set(i)
			}
		}
		b.Columns[c] = col
	}
	return b
}

const retailSums = `
    count(*) AS lines,
    count(DISTINCT InvoiceNo) AS invoices,
    CAST(COALESCE(sum(Quantity) FILTER (WHERE NOT starts_with(InvoiceNo, 'C')), 0) AS BIGINT) AS sale_units,
    CAST(COALESCE(-sum(Quantity) FILTER (WHERE starts_with(InvoiceNo, 'C')), 0) AS BIGINT) AS refund_units,
    CAST(COALESCE(sum(Quantity * UnitPrice) FILTER (WHERE NOT starts_with(InvoiceNo, 'C')), 0) * 1000 AS BIGINT) AS gross_milli,
    CAST(COALESCE(-sum(Quantity * UnitPrice) FILTER (WHERE starts_with(InvoiceNo, 'C')), 0) * 1000 AS BIGINT) AS refund_milli,
    CAST(sum(Quantity * UnitPrice) * 1000 AS BIGINT) AS net_milli
FROM events `

var retailViews = []struct {
	sql    string
	within bool
}{
	{"SELECT CAST(InvoiceDate AS DATE) AS day," + retailSums + "GROUP BY ALL", true},
	{"SELECT strftime(InvoiceDate, '%Y-%m-%d') AS day," + retailSums + "GROUP BY ALL", true},
	{"SELECT CAST(InvoiceDate AS DATE) AS day, Country AS country," + retailSums + "GROUP BY ALL", true},
	{"SELECT time_bucket(INTERVAL '1 hour', InvoiceDate) AS hour," + retailSums + "GROUP BY ALL", true},
	{"SELECT time_bucket(INTERVAL '7 hours', InvoiceDate) AS hour," + retailSums + "GROUP BY ALL", false},
	{"SELECT strftime(InvoiceDate, '%Y-%m') AS month, StockCode," + retailSums + "GROUP BY ALL", false},
	{"SELECT CustomerID AS customer_id," + retailSums + "WHERE CustomerID IS NOT NULL AND CustomerID <> '' GROUP BY ALL", false},
	{"SELECT CustomerID," + retailSums + "GROUP BY CustomerID", false},
	{"SELECT Country, Country || '!' AS loud, upper(Country) AS up, count(*) AS n FROM events GROUP BY 1, 3, loud", false},
	{"SELECT count(*) AS n, sum(Quantity) AS q, avg(UnitPrice) AS p FROM events", false},
	{"SELECT Country, avg(Quantity) AS a, avg(UnitPrice) AS p, min(UnitPrice) AS lo, max(UnitPrice) AS hi, min(Description) AS d0, max(InvoiceDate) AS last FROM main.events AS e GROUP BY e.Country", false},
	{"SELECT Country, sum(Quantity * UnitPrice) / nullif(sum(Quantity), 0) AS mean, round(sum(UnitPrice) / count(*), 2) AS r, sum(Quantity) + count(*) AS s, sum(Quantity) > 100 AS big FROM events GROUP BY ALL", false},
	{"SELECT date_trunc('month', InvoiceDate) AS m, Quantity > 0 AS sale, count(Description) AS d, count(DISTINCT Description) AS dd, count(DISTINCT Quantity) FILTER (WHERE CustomerID IS NULL) AS qq FROM events WHERE UnitPrice > 1 GROUP BY ALL", false},
	{"SELECT Country, bool_and(Quantity > -45) AS ba, bool_or(Quantity > 148) AS bo, CASE WHEN max(Quantity) > 100 THEN 'big' ELSE 'small' END AS size FROM events GROUP BY ALL", false},
	{"SELECT CASE WHEN Quantity > 50 THEN 'many' WHEN Quantity < 0 THEN 'back' END AS class, count(*) AS n, sum(CASE WHEN CustomerID IS NULL THEN 1 ELSE 0 END) AS guests, round(sum(UnitPrice::DOUBLE), 3) AS f FROM events GROUP BY class", false},
	{"SELECT StockCode, sum(UnitPrice) FILTER (WHERE Quantity > 1000) AS none, count(*) FILTER (Quantity < 0) AS back FROM events GROUP BY ALL", false},
	{"SELECT Country FROM events GROUP BY ALL", false},
	{"SELECT InvoiceDate, Country, count(*) AS n FROM events WHERE Country LIKE '%1' OR CustomerID IN ('CustomerID00003', 'CustomerID00004') GROUP BY ALL", true},
	{"SELECT Quantity % 7 AS k, least(UnitPrice, 5) AS p, hour(InvoiceDate) AS h, count(*) AS n FROM events GROUP BY ALL", false},
}

// TestViewsAgainstDuckDB folds rows in pieces, merges and finishes, and
// compares with DuckDB's answer to the same SELECT.
func TestViewsAgainstDuckDB(t *testing.T) {
	t.Parallel()
	seed := uint64(11)
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	batch := retailRows(r, 3000)
	m := openMirror(t, batch)
	for _, c := range retailViews {
		v, err := Compile(context.Background(), Source{Name: "v", SQL: c.sql}, retailShape, "InvoiceDate")
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		if v.WithinDay() != c.within {
			t.Errorf("%s: within day %v", c.sql, v.WithinDay())
		}
		states := []*State{v.New(), v.New(), v.New()}
		var rows [3][]uint32
		for i := range batch.N {
			p := r.IntN(3)
			rows[p] = append(rows[p], uint32(i))
		}
		for p, s := range states {
			for from := 0; from < len(rows[p]); from += 200 {
				if err := s.Fold(batch, rows[p][from:min(len(rows[p]), from+200)]); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, s := range states[1:] {
			if err := states[0].Merge(s); err != nil {
				t.Fatal(err)
			}
		}
		result, err := states[0].Result()
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		got := renderRows(result)
		want, types := m.rows(t, c.sql)
		for i, f := range v.Output().Fields {
			if f.Type.SQL() != types[i] {
				t.Errorf("%s: column %s is %v, duckdb %s", c.sql, f.Name, f.Type, types[i])
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			for i := range max(len(got), len(want)) {
				if i >= len(got) || i >= len(want) || got[i] != want[i] {
					t.Errorf("%s: %d rows, duckdb %d; row %d:\n%s\n%s", c.sql, len(got), len(want), i, at(got, i), at(want, i))
					break
				}
			}
		}
	}
}

func at(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return "-"
}

func renderRows(b *event.Batch) []string {
	out := make([]string, b.N)
	for i := range out {
		for c := range b.Columns {
			v, ok := render(&b.Columns[c], i)
			if !ok {
				v = "NULL"
			}
			out[i] += v + "|"
		}
	}
	sort.Strings(out)
	return out
}

// rows returns DuckDB's answer, rendered and sorted as renderRows does.
func (m *mirror) rows(t *testing.T, query string) (out, types []string) {
	t.Helper()
	columns, err := (&duck{db: m.db, src: Source{SQL: query}}).describe(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, c := range columns {
		types = append(types, c.typ)
		list = append(list, "COALESCE("+quote(c.name)+"::VARCHAR, 'NULL')")
	}
	rows, err := m.db.Query("SELECT concat_ws('|', " + strings.Join(list, ", ") + ", '') FROM (" + query + "\n)")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	sort.Strings(out)
	return out, types
}
