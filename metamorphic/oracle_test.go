package metamorphic

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/big"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/event"
	"anabranch/view"
)

// oracle is DuckDB with every event of one case, as text that DuckDB reads by
// itself: variant 2n is event n as JSON gives it, 2n+1 as CSV does.
type oracle struct {
	db       *sql.DB
	rejected []bool // by variant: a rule made it a dead letter
	filtered []bool // by variant: a rule keeps it out of the views
	id       []string
	content  []string
	last     string // which events the table "events" has
}

func openOracle() (*oracle, error) {
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, err
	}
	o := &oracle{db: sql.OpenDB(connector)}
	o.db.SetMaxOpenConns(1)
	for _, q := range []string{"SET threads=1", "SET TimeZone='UTC'"} {
		if _, err := o.db.Exec(q); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// load reads the events of a case and judges them by its rules.
func (o *oracle) load(ctx context.Context, c *Case) error {
	n := 2 * len(c.Events)
	o.rejected, o.filtered, o.id, o.content, o.last = make([]bool, n), make([]bool, n), make([]string, n), make([]string, n), ""
	for v := range n {
		if e := c.Events[v/2]; e.Line == "" && !e.Bad {
			o.id[v], o.content[v] = c.identityOf(e)
		}
	}
	if err := o.fill(ctx, c, false); err != nil {
		return err
	}
	if err := o.fill(ctx, c, true); err != nil {
		return err
	}
	if len(c.Rules) == 0 {
		return nil
	}
	judge := "FROM (SELECT _n, CASE"
	for i, r := range c.Rules {
		judge += fmt.Sprintf(" WHEN (%s) THEN %d", r.SQL, i)
	}
	got, err := o.db.QueryContext(ctx, judge+" END AS rule FROM later) WHERE rule IS NOT NULL")
	if err != nil {
		return err
	}
	defer got.Close()
	for got.Next() {
		var v, rule int
		if err := got.Scan(&v, &rule); err != nil {
			return err
		}
		o.rejected[v] = c.Rules[rule].Action == "dead_letter"
		o.filtered[v] = !o.rejected[v]
	}
	return got.Err()
}

// fill makes the table that a definition's views are asked over: "first" or
// "later", with the events that were sent while it was in force or before.
func (o *oracle) fill(ctx context.Context, c *Case, later bool) error {
	name, fields := tableOf(later), c.fields(later)
	var table strings.Builder
	table.WriteString("CREATE OR REPLACE TABLE " + name + " (_n INTEGER")
	for _, f := range fields {
		fmt.Fprintf(&table, ", %s %s", f.Name, f.sql())
	}
	table.WriteString(")")
	if _, err := o.db.ExecContext(ctx, table.String()); err != nil {
		return err
	}
	var rows []string
	put := map[int]bool{}
	for _, s := range c.Sends {
		for _, n := range s.Events {
			e := c.Events[n]
			if s.Later && !later || e.Line != "" || e.Bad || put[n] {
				continue
			}
			put[n] = true
			values := c.values(e, later)
			for v := 2 * n; v <= 2*n+1; v++ {
				row := []string{strconv.Itoa(v)}
				for i, f := range fields {
					row = append(row, f.value(values[i], v%2 == 1))
				}
				rows = append(rows, "("+strings.Join(row, ",")+")")
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if _, err := o.db.ExecContext(ctx, "INSERT INTO "+name+" VALUES "+strings.Join(rows, ",")); err != nil {
		return fmt.Errorf("the oracle cannot read the events: %w", err)
	}
	return nil
}

func tableOf(later bool) string {
	if later {
		return "later"
	}
	return "first"
}

// fate is what must have become of the events below a position.
type fate struct {
	rows, counted, duplicates, filtered, conflicts int64
	events                                         []int // variants that count
}

func (o *oracle) fate(rows [][]placed, at event.Cut) fate {
	var f fate
	first := map[string]int{}
	for p := range rows {
		for _, r := range rows[p] {
			if r.offset >= at[p] {
				break
			}
			f.rows++
			was, seen := first[o.id[r.variant]]
			switch {
			case !seen:
				first[o.id[r.variant]] = r.variant
				if o.filtered[r.variant] {
					f.filtered++
					continue
				}
				f.counted++
				f.events = append(f.events, r.variant)
			case o.content[was] == o.content[r.variant]:
				f.duplicates++
			default:
				f.conflicts++
			}
		}
	}
	sort.Ints(f.events)
	return f
}

// table is rows as text; numbers keeps the doubles among them.
type table struct {
	columns []string // name and type
	rows    [][]string
}

// expected asks DuckDB for a view over the given events.
func (o *oracle) expected(ctx context.Context, later bool, v *view.View, events []int) (table, map[string]float64, error) {
	list := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(events)), ","), "[]")
	if this := tableOf(later) + list; this != o.last || list == "" {
		where := "false"
		if list != "" {
			where = "_n IN (" + list + ")"
		}
		if _, err := o.db.ExecContext(ctx, "CREATE OR REPLACE TABLE events AS SELECT * EXCLUDE (_n) FROM "+tableOf(later)+" WHERE "+where); err != nil {
			return table{}, nil, err
		}
		o.last = this
	}
	query, tolerances := v.Oracle()
	var casts []string // an exact quantile has another type than the sketch's
	for _, f := range v.Output().Fields {
		casts = append(casts, fmt.Sprintf("CAST(%s AS %s) AS %s", f.Name, f.Type.SQL(), f.Name))
	}
	query = "SELECT " + strings.Join(casts, ", ") + " FROM (" + query + ")"
	rows, err := o.db.QueryContext(ctx, query)
	if err != nil {
		return table{}, nil, fmt.Errorf("the oracle: %s: %w", query, err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return table{}, nil, err
	}
	var t table
	values, into := make([]any, len(types)), make([]any, len(types))
	for i := range types {
		into[i] = &values[i]
		t.columns = append(t.columns, types[i].Name()+" "+types[i].DatabaseTypeName())
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return table{}, nil, err
		}
		t.add(values)
	}
	return t, tolerances, rows.Err()
}

func (t *table) add(values []any) {
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = text(v)
	}
	t.rows = append(t.rows, row)
}

// text writes a value that DuckDB's driver gave.
func text(v any) string {
	switch x := v.(type) {
	case nil:
		return "NULL"
	case string:
		return strconv.Quote(x)
	case []byte:
		return fmt.Sprintf("%x", x)
	case float64:
		if x == 0 {
			x = 0 // no negative zero
		}
		return strconv.FormatFloat(x, 'g', -1, 64)
	case *big.Int:
		return x.String()
	case duckdb.Decimal:
		return x.String()
	case time.Time:
		return x.UTC().Format("2006-01-02 15:04:05.999999")
	}
	return fmt.Sprint(v)
}

// differ tells how two tables differ, or "". Columns that the tolerances name
// may differ by so much.
func differ(got, want table, tolerances map[string]float64) string {
	if g, w := strings.Join(got.columns, ", "), strings.Join(want.columns, ", "); g != w {
		return fmt.Sprintf("columns\n got %s\nwant %s", g, w)
	}
	tolerance := make([]float64, len(got.columns))
	exact := func(row []string) string {
		var b strings.Builder
		for i, v := range row {
			if tolerance[i] == 0 {
				b.WriteString(v + "\x00")
			}
		}
		return b.String()
	}
	for i, c := range got.columns {
		name, _, _ := strings.Cut(c, " ")
		tolerance[i] = tolerances[name]
	}
	sorted := func(rows [][]string) [][]string {
		out := append([][]string{}, rows...)
		sort.Slice(out, func(i, j int) bool { return exact(out[i]) < exact(out[j]) })
		return out
	}
	g, w := sorted(got.rows), sorted(want.rows)
	for i := range max(len(g), len(w)) {
		switch {
		case i >= len(g):
			return fmt.Sprintf("lacks %q", w[i])
		case i >= len(w):
			return fmt.Sprintf("has too much: %q", g[i])
		case exact(g[i]) != exact(w[i]):
			return fmt.Sprintf("\n got %q\nwant %q", g[i], w[i])
		}
		for c, t := range tolerance {
			if t > 0 && !near(g[i][c], w[i][c], t) {
				return fmt.Sprintf("%s, within %g:\n got %q\nwant %q", got.columns[c], t, g[i], w[i])
			}
		}
	}
	return ""
}

// near compares within a relative error; a sketch of distinct values may also
// be off by five, and a quantile that is a whole number by its rounding.
func near(a, b string, tolerance float64) bool {
	if a == b {
		return true
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	slack := 1e-6
	switch {
	case tolerance > 0.02: // among so many answers rare collisions are met too
		slack, tolerance = 5, 2*tolerance
	case tolerance > 1e-3 && !strings.Contains(a+b, "."):
		slack = 1
	}
	return err1 == nil && err2 == nil && math.Abs(x-y) <= max(slack, tolerance*math.Max(math.Abs(x), math.Abs(y)))
}
