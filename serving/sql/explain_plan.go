package sql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
)

// scan is a place of DuckDB's plan where files are read. The plan does not say
// which files; its columns do, as far as they can.
type scan struct {
	columns []string
	filters []alternatives // those that can be held against the bounds of a row group
	text    string         // all of them
}

// alternatives are conditions of which one list has to hold, whole. An empty list
// holds always: what it stands for is not known of a row group.
type alternatives [][]condition

// condition is a filter on one column: it has to be one of some values, or
// above or below one.
type condition struct {
	column, op string // =, <, <=, >, >=
	values     []string
}

// planNode is a node of EXPLAIN (FORMAT json).
type planNode struct {
	Name     string                     `json:"name"`
	Children []planNode                 `json:"children"`
	Info     map[string]json.RawMessage `json:"extra_info"`
}

// planOf stands before a query whose plan is wanted.
const planOf = "EXPLAIN (FORMAT json) "

// scansOf returns the places where a query reads files. Where no plan can be made,
// as of a query whose parameters have no values yet, there is one that may read
// anything. An error is one of DuckDB's about the query itself: about a name that
// there is not, or about types.
func scansOf(ctx context.Context, conn *sql.Conn, query string, args []any) (scans []scan, err error) {
	var kind, text string
	var roots []planNode
	err = planned(ctx, conn, query, func() error {
		return conn.QueryRowContext(ctx, planOf+query, args...).Scan(&kind, &text)
	})
	var d *duckdb.Error
	if errors.As(err, &d) && (d.Type == duckdb.ErrorTypeBinder || d.Type == duckdb.ErrorTypeCatalog) {
		return nil, err
	}
	if err != nil || json.Unmarshal([]byte(text), &roots) != nil {
		return []scan{{}}, nil // it may read all there is
	}
	var walk func(n planNode)
	walk = func(n planNode) {
		if strings.TrimSpace(n.Name) == "READ_PARQUET" {
			s := scan{columns: listed(n.Info["Projections"])}
			var shown []string
			ors := map[int]bool{} // which of those have to be told apart from others
			for _, f := range listed(n.Info["Filters"]) {
				any := conditions(f)
				s.filters = append(s.filters, any)
				for _, all := range any {
					for _, c := range all {
						s.columns = append(s.columns, c.column)
					}
				}
				if inner(f) {
					continue
				}
				ors[len(shown)] = len(any) > 1
				shown = append(shown, f)
			}
			for i, f := range shown {
				if ors[i] && len(shown) > 1 {
					shown[i] = "(" + f + ")"
				}
			}
			s.text = strings.Join(shown, " AND ")
			scans = append(scans, s)
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	for _, n := range roots {
		walk(n)
	}
	return scans, nil
}

// inner reports whether a filter is one of ours, and not the reader's.
func inner(filter string) bool { return strings.Contains(filter, unmarked) }

// listed reads a text, or a list of texts.
func listed(raw json.RawMessage) (all []string) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	_ = json.Unmarshal(raw, &all) // what is neither says nothing
	return all
}

// Filters as a plan shows them. What does not look like this is not understood,
// and prunes nothing as far as we can tell.
const (
	aColumn = `("(?:[^"]|"")+"|[\pL_][\pL\pN_]*)`
	aType   = `(?:::[A-Z_]+(?: WITH TIME ZONE)?(?:\(\d+,\d+\))?)?`
	aValue  = `(?:'(?:[^']|'')*'` + aType + `|-?\d+(?:\.\d+)?` + aType + `|true|false)`
)

var (
	comparison = regexp.MustCompile(`^` + aColumn + `(>=|<=|=|<|>)(` + aValue + `)`)
	oneOf      = regexp.MustCompile(`^` + aColumn + ` IN \((` + aValue + `(?:, ` + aValue + `)*)\)`)
	eachValue  = regexp.MustCompile(aValue)
	noBounds   = regexp.MustCompile(`^` + aColumn + `(?: IS NOT NULL|!=` + aValue + `)`)
)

// conditions reads one text of filters, joined by AND and OR. It shows no
// parentheses around those: with AND before OR it is never read as more than it
// says, at worst as less. nil is a text that is not understood.
func conditions(text string) (any alternatives) {
	all := []condition{}
	for {
		text = strings.TrimPrefix(text, "optional: ") // rows go through, row groups do not
		n := 0
		if m := oneOf.FindStringSubmatch(text); m != nil {
			n, all = len(m[0]), append(all, condition{unquoted(m[1]), "=", eachValue.FindAllString(m[2], -1)})
		} else if m = comparison.FindStringSubmatch(text); m != nil {
			n, all = len(m[0]), append(all, condition{unquoted(m[1]), m[2], []string{m[3]}})
		} else if n = len(noBounds.FindString(text)); n == 0 {
			n = expression(text)
		}
		if n == 0 {
			return nil
		}
		rest, and := strings.CutPrefix(text[n:], " AND ")
		rest, or := strings.CutPrefix(rest, " OR ")
		switch {
		case and:
		case or:
			any, all = append(any, all), []condition{}
		case rest == "":
			return append(any, all)
		default:
			return nil
		}
		text = rest
	}
}

// expression returns the length of the expression in parentheses with which a
// text begins. DuckDB holds those against rows, not against bounds.
func expression(text string) int {
	depth, quote := 0, byte(0)
	for i := range len(text) {
		switch c := text[i]; {
		case quote != 0:
			if c == quote { // a doubled one ends and begins
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
		if depth == 0 {
			if i > 0 {
				return i + 1
			}
			return 0
		}
	}
	return 0
}

func unquoted(name string) string {
	if inside, ok := strings.CutPrefix(name, `"`); ok {
		return strings.ReplaceAll(strings.TrimSuffix(inside, `"`), `""`, `"`)
	}
	return name
}

// has reports whether a scan may be of the part's files: whether they have all
// its columns.
func (p *part) has(s scan) bool {
	return !slices.ContainsFunc(s.columns, func(c string) bool {
		_, ok := p.columns[c]
		return !ok && c != "_state" && c != "file_row_number"
	})
}

// reading is what of a part's files a query reads, at most.
type reading struct {
	groups, filesRead, groupsRead, rowsRead int64
	filters                                 string
}

// reads holds the filters of scans against the bounds of every row group.
func (p *part) reads(ctx context.Context, conn *sql.Conn, scans []scan) (r reading, err error) {
	if len(p.paths) == 0 {
		return r, nil
	}
	bounds, any := map[string]string{}, []string{}
	var filters []string
	for _, s := range scans {
		if !p.has(s) {
			continue
		}
		all := []string{"true"}
		for _, f := range s.filters {
			all = append(all, p.alternatives(f, bounds))
		}
		any = append(any, "("+strings.Join(all, " AND ")+")")
		if s.text != "" && !slices.Contains(filters, s.text) {
			filters = append(filters, s.text)
		}
	}
	if len(any) == 0 {
		any = []string{"false"} // DuckDB has seen that none of its rows can matter
	}
	files := make([]string, len(p.paths))
	for i, path := range p.paths {
		files[i] = text(path)
	}
	columns := ""
	for _, sql := range sortedValues(bounds) {
		columns += ", " + sql
	}
	query := fmt.Sprintf("SELECT count(*), count(DISTINCT file_name) FILTER (read), count(*) FILTER (read), coalesce(sum(n) FILTER (read), 0)::BIGINT FROM (SELECT *, %s AS read FROM (SELECT file_name, row_group_id, max(row_group_num_rows) AS n%s FROM parquet_metadata([%s]) GROUP BY ALL))",
		strings.Join(any, " OR "), columns, strings.Join(files, ","))
	if err := conn.QueryRowContext(ctx, query).Scan(&r.groups, &r.filesRead, &r.groupsRead, &r.rowsRead); err != nil {
		return r, fmt.Errorf("look at the files of %s: %w", p.view, classify(err))
	}
	r.filters = strings.Join(filters, " OR ")
	return r, nil
}

// alternatives is f for a row group, as condition is.
func (p *part) alternatives(f alternatives, bounds map[string]string) string {
	var any []string
	for _, conditions := range f {
		if len(conditions) == 0 {
			return "true"
		}
		all := make([]string, len(conditions))
		for i, c := range conditions {
			all[i] = p.condition(c, bounds)
		}
		any = append(any, "("+strings.Join(all, " AND ")+")")
	}
	if len(any) == 0 {
		return "true"
	}
	return "(" + strings.Join(any, " OR ") + ")"
}

// condition is c for a row group whose bounds are columns of their own, which it
// adds. Without bounds it is true.
func (p *part) condition(c condition, bounds map[string]string) string {
	typ := p.columns[c.column]
	bound := func(which string) string {
		n := name(which + " of " + c.column)
		bounds[n] = fmt.Sprintf("try_cast(max(stats_%s_value) FILTER (path_in_schema = %s) AS %s) AS %s", which, text(c.column), typ, n)
		return n
	}
	var any []string
	for _, v := range c.values {
		switch c.op {
		case "=":
			any = append(any, fmt.Sprintf("(%s <= %s AND %s >= %s)", bound("min"), v, bound("max"), v))
		case "<", "<=":
			any = append(any, bound("min")+" "+c.op+" "+v)
		default:
			any = append(any, bound("max")+" "+c.op+" "+v)
		}
	}
	return "coalesce(" + strings.Join(any, " OR ") + ", true)"
}

func sortedValues(m map[string]string) (all []string) {
	for _, v := range m {
		all = append(all, v)
	}
	slices.Sort(all)
	return all
}
