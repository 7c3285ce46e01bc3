package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/serving"
	"anabranch/view"
)

// merge(column) is an aggregate over rows of a view: what the column would be
// in one group that has all their events. It merges the states that batch
// files and overlays hold, so that counts of different values, quantiles and
// averages come out as if all events were folded at once. It is written as
//
//	SELECT country, merge(visitors) FROM shop.by_day GROUP BY country
//
// and runs as a function over the list of the states, in the column _merge
// that the view then has besides.

// use is a place where an aggregate reads a plain column.
type use struct {
	function string
	column   []string // its name, after that of the view where it is given
	from     []read   // what the SELECT around it reads
	at       int
	unnamed  bool // stands alone in the SELECT list
}

// extras are what a query asks for besides views: reference tables, and columns
// of views that no definition has.
type extras struct {
	merge      map[string]bool // by pipeline.view: the column _merge
	state      bool            // the column _state: final, provisional or amended
	references map[*serving.Source][]archive.Reference
}

// Names of the extra columns.
const (
	mergeColumn = "_merge"
	stateColumn = "_state"
)

func (x extras) key() string {
	var views []string
	for v := range x.merge {
		views = append(views, v)
	}
	for _, tables := range x.references {
		for _, r := range tables {
			views = append(views, r.Object)
		}
	}
	slices.Sort(views)
	return fmt.Sprint(x.state, views)
}

// aWrittenColumn is the name of a column as a query has it, with what it is of.
const aWrittenColumn = `(?:(?:"(?:[^"]|"")*"|[\pL_][\pL\pN_$]*)\s*\.\s*){0,2}(?:"(?:[^"]|"")*"|[\pL_][\pL\pN_$]*)`

// called is merge(column) as it is written.
var called = regexp.MustCompile(`^(?i:merge)\s*\(\s*` + aWrittenColumn + `\s*\)`)

// column finds the view's column that is meant; ok is false when it is not
// one, or not one alone.
func (e *Engine) column(u use) (src *serving.Source, name string, i int, qualifier string, ok bool) {
	for _, r := range u.from {
		if r.renamed {
			continue
		}
		q := r.alias
		if q == "" {
			q = r.name
		}
		column := u.column[len(u.column)-1]
		switch len(u.column) {
		case 2:
			if !strings.EqualFold(u.column[0], q) {
				continue
			}
		case 3:
			if !strings.EqualFold(u.column[0], r.schema) || !strings.EqualFold(u.column[1], r.name) {
				continue
			}
		}
		s, err := e.serving.Source(strings.ToLower(r.schema))
		if err != nil || s.View(strings.ToLower(r.name)) == nil {
			continue
		}
		at := slices.IndexFunc(s.Shown(strings.ToLower(r.name)).Output().Fields, func(f event.Field) bool { return strings.EqualFold(f.Name, column) })
		switch {
		case at < 0:
			continue
		case ok:
			return nil, "", 0, "", false // two views have it
		}
		src, name, i, qualifier, ok = s, strings.ToLower(r.name), at, q, true
	}
	return src, name, i, qualifier, ok
}

// merges turns the uses of merge into edits, and refuses sums of what cannot
// be added.
func (e *Engine) merges(text string, uses []use) (edits []edit, wanted map[string]bool, err error) {
	wanted = map[string]bool{}
	for _, u := range uses {
		src, asked, i, qualifier, ok := e.column(u)
		place, pivoted := placeAt(text, u.at), slices.ContainsFunc(u.from, func(r read) bool { return r.pivoted })
		const before = "merge in a WITH before, and pivot that with USING any_value(...)"
		if u.function == "sum" {
			if !ok {
				continue
			}
			v := src.Shown(asked)
			if why := v.NotAdded(i); why != "" {
				c := v.Output().Fields[i].Name
				err := fault.WithCode(fault.New(fault.Invalid, "sum(%s)%s adds what %s found in each row of %s.%s: whoever is in two rows counts twice", c, place, why, src.Name, asked), "sketch_added")
				if pivoted {
					return nil, nil, fault.WithHint(err, "%s; or write sum(%s + 0) where that is what you mean", before, c)
				}
				return nil, nil, fault.WithHint(err, "write merge(%s), or sum(%s + 0) where that is what you mean", c, c)
			}
			continue
		}
		if pivoted {
			return nil, nil, fault.WithHint(fault.WithCode(fault.New(fault.Invalid, "merge(%s)%s: PIVOT and UNPIVOT take rows apart before anything could be merged", strings.Join(u.column, "."), place), "syntax"),
				before)
		}
		if !ok {
			return nil, nil, fault.WithCode(fault.New(fault.Invalid, "merge(%s)%s is not a column of one view in the FROM beside it: merge reads views directly, before any WITH or subquery", strings.Join(u.column, "."), place), "unknown_column")
		}
		v := src.Shown(asked)
		if slices.Contains(v.Keys(), i) {
			return nil, nil, fault.WithCode(fault.New(fault.Invalid, "merge(%s)%s: it tells the groups of %s.%s apart and has nothing to merge", v.Output().Fields[i].Name, place, src.Name, asked), "sql")
		}
		var written string
		if u.at >= 0 && u.at <= len(text) {
			written = called.FindString(text[u.at:])
		}
		if written == "" {
			return nil, nil, fault.WithCode(fault.New(fault.Invalid, "write merge(column) with the name of a column alone%s", place), "syntax")
		}
		wanted[src.Name+"."+asked] = true
		column := v.Output().Fields[i].Name
		edits = append(edits, edit{u.at, u.at + len(written), func(ctx context.Context, conn *sql.Conn, ep *epoch) (string, error) {
			answers := ep.views[src.Name][asked]
			function, err := e.merger(ctx, conn, src.Name, answers, column)
			if err != nil {
				return "", err
			}
			out := name(function) + "(list(" + name(qualifier) + "." + mergeColumn + "))"
			if u.unnamed {
				out += " AS " + name("merge("+column+")")
			}
			return out, nil
		}})
	}
	return edits, wanted, nil
}

// merger returns the engine's function that merges a column of a view.
func (e *Engine) merger(_ context.Context, conn *sql.Conn, pipeline string, v *view.View, column string) (string, error) {
	i := v.Output().Index(column)
	if i < 0 {
		return "", fault.New(fault.Transient, "the version of %s.%s that answers has no column %s any more: ask again", pipeline, v.Name(), column)
	}
	function := fmt.Sprintf("merge %s.%s.%s %s", pipeline, v.Name(), column, v.Version())
	e.merging.Lock()
	defer e.merging.Unlock()
	if e.mergers[function] {
		return function, nil
	}
	result, err := typeInfo(v.Output().Fields[i].Type)
	if err != nil {
		return "", fault.Wrap(fault.Bug, err)
	}
	if err := duckdb.RegisterScalarUDF(conn, function, &mergeFunction{v, i, result}); err != nil {
		return "", fault.Wrap(fault.Bug, fmt.Errorf("make %s: %w", function, err))
	}
	e.mergers[function] = true
	return function, nil
}

// mergeFunction merges a list of states.
type mergeFunction struct {
	view   *view.View
	column int
	result duckdb.TypeInfo
}

// Config tells DuckDB the types.
func (m *mergeFunction) Config() duckdb.ScalarFuncConfig {
	blob, _ := duckdb.NewTypeInfo(duckdb.TYPE_BLOB) // it is one
	list, _ := duckdb.NewListInfo(blob)
	return duckdb.ScalarFuncConfig{InputTypeInfos: []duckdb.TypeInfo{list}, ResultTypeInfo: m.result}
}

// Executor tells DuckDB what to run for each row.
func (m *mergeFunction) Executor() duckdb.ScalarFuncExecutor {
	// Bound to its context once: left to the driver, that is done by all threads
	// of a query at the same time.
	bind := func(ctx context.Context, _ []duckdb.ScalarUDFArg) (context.Context, error) { return ctx, nil }
	return duckdb.ScalarFuncExecutor{ScalarBinder: bind, RowContextExecutor: func(ctx context.Context, values []driver.Value) (any, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		list, _ := values[0].([]any)
		states := make([][]byte, 0, len(list))
		for _, s := range list {
			if b, ok := s.([]byte); ok { // null where an outer join found no row
				states = append(states, b)
			}
		}
		row, err := m.view.Merged(states)
		if err != nil || row.N == 0 {
			return nil, err
		}
		return Values(&row.Columns[m.column])(0), nil
	}}
}

// typeInfo is DuckDB's word for a type.
func typeInfo(t event.Type) (duckdb.TypeInfo, error) {
	if t.Kind == event.Decimal {
		return duckdb.NewDecimalInfo(t.Precision, t.Scale)
	}
	kinds := map[event.Kind]duckdb.Type{
		event.Bool: duckdb.TYPE_BOOLEAN, event.Int32: duckdb.TYPE_INTEGER, event.Int64: duckdb.TYPE_BIGINT, event.Float64: duckdb.TYPE_DOUBLE,
		event.Timestamp: duckdb.TYPE_TIMESTAMP, event.Date: duckdb.TYPE_DATE, event.Huge: duckdb.TYPE_HUGEINT, event.String: duckdb.TYPE_VARCHAR, event.Bytes: duckdb.TYPE_BLOB,
	}
	return duckdb.NewTypeInfo(kinds[t.Kind])
}
