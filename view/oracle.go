package view

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"anabranch/event"
	"anabranch/fault"
)

// checkQuery is what DuckDB should be asked to check a view by.
type checkQuery struct {
	sql        string
	tolerances map[string]float64
}

// Errors that a check grants, relative to the value: three standard errors of
// the distinct sketch, the bound of the quantile sketch, and what DuckDB's own
// sums of DOUBLE lose by adding in some order.
const (
	distinctTolerance = 3 * 0.023
	quantileTolerance = 0.01
	floatTolerance    = 1e-9
)

// Oracle returns a SELECT by which DuckDB can check the view over a table
// "events" of the raw, deduplicated events: the view's own, with approximate
// aggregates replaced by exact ones, and ties of arg_min and arg_max decided
// as we decide them. The tolerances name the output columns that may differ,
// each with the relative error granted to it; all others must be equal.
func (v *View) Oracle() (sql string, tolerances map[string]float64) {
	return v.check.sql, maps.Clone(v.check.tolerances)
}

// ties orders arg_min and arg_max by time and then by value, and skips rows
// where either is null; a is the value, b the time.
const ties = "SELECT CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN row(b, a) END"

func (d *duck) oracle(ctx context.Context, text string, output *event.Shape) (checkQuery, error) {
	o := checkQuery{tolerances: map[string]float64{}}
	statement, err := d.tree(ctx, text)
	if err != nil {
		return o, err
	}
	template, err := d.tree(ctx, ties)
	if err != nil {
		return o, err
	}
	edit := oracleEdit{ties: first(template)}
	node := path(statement, "statements", 0, "node")
	from, _ := path(node, "from_table").(map[string]any)
	if from != nil { // the raw events are not in the pipeline's schema
		from["schema_name"], from["catalog_name"] = "", ""
	}
	list, _ := path(node, "select_list").([]any)
	for i, item := range list {
		edit.tolerance = 0
		edit.float = i < len(output.Fields) && output.Fields[i].Type.Kind == event.Float64
		edit.walk(item)
		if edit.tolerance > 0 && i < len(output.Fields) {
			o.tolerances[output.Fields[i].Name] = edit.tolerance
		}
	}
	tree, err := json.Marshal(statement)
	if err != nil {
		return o, fault.Wrap(fault.Bug, err)
	}
	if err := d.db.QueryRowContext(ctx, "SELECT json_deserialize_sql(?::JSON)", string(tree)).Scan(&o.sql); err != nil {
		return o, d.foreign(ctx, "write the oracle", err)
	}
	o.sql = strings.TrimRight(o.sql, "; \n")
	return o, nil
}

// tree parses text into plain maps and lists, every digit kept.
func (d *duck) tree(ctx context.Context, text string) (map[string]any, error) {
	var raw string
	if err := d.db.QueryRowContext(ctx, "SELECT json_serialize_sql(?::VARCHAR)::VARCHAR", text).Scan(&raw); err != nil {
		return nil, d.foreign(ctx, "parse", err)
	}
	dec := json.NewDecoder(strings.NewReader(raw))
	dec.UseNumber()
	var tree map[string]any
	if err := dec.Decode(&tree); err != nil {
		return nil, fault.Wrap(fault.Bug, fmt.Errorf("read duckdb's tree of %s: %w", d.src.Name, err))
	}
	return tree, nil
}

// path follows keys and indexes; nil where there is nothing.
func path(n any, steps ...any) any {
	for _, s := range steps {
		switch s := s.(type) {
		case string:
			m, _ := n.(map[string]any)
			n = m[s]
		case int:
			l, _ := n.([]any)
			if s >= len(l) {
				return nil
			}
			n = l[s]
		}
	}
	return n
}

// first returns the one expression of a parsed SELECT.
func first(statement map[string]any) any {
	return path(statement, "statements", 0, "node", "select_list", 0)
}

// oracleEdit edits a tree in place and notes the largest error that what it
// replaced may have had.
type oracleEdit struct {
	ties      any
	float     bool // the column is a DOUBLE
	tolerance float64
}

func (e *oracleEdit) walk(n any) {
	switch v := n.(type) {
	case []any:
		for _, child := range v {
			e.walk(child)
		}
	case map[string]any:
		for _, child := range v {
			e.walk(child)
		}
		if v["class"] == "FUNCTION" {
			e.function(v)
		}
	}
}

func (e *oracleEdit) function(n map[string]any) {
	args, _ := n["children"].([]any)
	name, _ := n["function_name"].(string)
	switch strings.ToLower(name) {
	case "sum", "avg", "mean":
		if e.float {
			e.tolerance = max(e.tolerance, floatTolerance)
		}
	case "approx_count_distinct":
		n["function_name"], n["distinct"] = "count", true
		e.tolerance = max(e.tolerance, distinctTolerance)
	case "approx_quantile":
		n["function_name"] = "quantile_disc"
		e.tolerance = max(e.tolerance, quantileTolerance)
	case "arg_min", "argmin", "min_by", "arg_max", "argmax", "max_by":
		if len(args) == 2 {
			n["children"] = []any{args[0], fill(e.ties, args[0], args[1])}
		}
	case "first", "last":
		orders, _ := path(n, "order_bys", "orders").([]any)
		if len(args) != 1 || len(orders) != 1 {
			return
		}
		to := map[string]string{"first": "arg_min", "last": "arg_max"}[strings.ToLower(name)]
		if path(orders[0], "type") == "DESCENDING" {
			to = map[string]string{"arg_min": "arg_max", "arg_max": "arg_min"}[to]
		}
		n["function_name"] = to
		n["children"] = []any{args[0], fill(e.ties, args[0], path(orders[0], "expression"))}
		n["order_bys"].(map[string]any)["orders"] = []any{}
	}
}

// fill copies a template with the columns a and b replaced.
func fill(template, a, b any) any {
	switch v := template.(type) {
	case []any:
		out := make([]any, len(v))
		for i, child := range v {
			out[i] = fill(child, a, b)
		}
		return out
	case map[string]any:
		if names, ok := v["column_names"].([]any); ok && v["class"] == "COLUMN_REF" {
			if slices.Equal(names, []any{"a"}) {
				return a
			}
			return b
		}
		out := make(map[string]any, len(v))
		for k, child := range v {
			out[k] = fill(child, a, b)
		}
		return out
	}
	return template
}
