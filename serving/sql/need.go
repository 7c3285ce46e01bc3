package sql

import (
	"slices"
	"strings"

	"anabranch/event"
	"anabranch/serving"
)

// DuckDB pushes filters into the scans of files, and into no table function of
// others: it would ask an overlay for all groups that speed has touched, and
// drop them afterwards. So what a WHERE wants of the columns of a view is read
// off the parsed query here, and the scan of the overlay leaves out what cannot
// have it. DuckDB holds what is left against the WHERE as before, and it does not
// matter to it whether some rows are missing that would have failed. Nothing of
// the batch files is left out or let in by this: their marks do not know of it.

// need is what a row of a view has to have, or it does not matter to a query:
// all or any of other needs, or a column that is among or beside some values.
// nil is nothing: all rows may matter.
type need struct {
	all, any []*need
	column   string
	op       string // =, <, <=, >, >=, or prefix
	values   []constant
}

func allOf(needs ...*need) *need {
	needs = slices.DeleteFunc(needs, func(n *need) bool { return n == nil })
	switch len(needs) {
	case 0:
		return nil
	case 1:
		return needs[0]
	}
	return &need{all: needs}
}

func anyOf(needs ...*need) *need {
	switch {
	case len(needs) == 0 || slices.Contains(needs, nil):
		return nil
	case len(needs) == 1:
		return needs[0]
	}
	return &need{any: needs}
}

// where is the WHERE of one SELECT.
type where struct {
	condition any
	from      []read // the tables that FROM names itself
	merged    bool   // columns of two tables have become one, by USING or NATURAL
}

// maxTables is of how many tables at once needs are told apart.
const maxTables = 16

// whereOf returns the WHERE of a SELECT, if rows that it does not let through
// can be left out of what FROM reads. A sample cannot be taken of fewer rows, nor
// can a row's partner be found among fewer where that is the nearest or the
// next, and a SEMI or ANTI JOIN has columns that WHERE does not see.
func whereOf(node map[string]any, from []read) (w where, ok bool) {
	w = where{condition: node["where_clause"], from: from}
	ok = w.condition != nil && node["sample"] == nil && len(from) <= maxTables
	var look func(n any)
	look = func(n any) {
		v, _ := n.(map[string]any)
		ok = ok && v["sample"] == nil
		if v["type"] != "JOIN" {
			return
		}
		switch v["ref_type"] {
		case "REGULAR", "CROSS":
		case "NATURAL":
			w.merged = true
		default:
			ok = false
		}
		switch v["join_type"] {
		case "INNER", "LEFT", "RIGHT", "FULL":
		default:
			ok = false
		}
		if using, _ := v["using_columns"].([]any); len(using) > 0 {
			w.merged = true
		}
		look(v["left"])
		look(v["right"])
	}
	look(node["from_table"])
	return w, ok
}

// needs returns what a query needs of the views it reads, by pipeline.view. One
// that is read twice is needed for both.
func (e *Engine) needs(w *walker) map[string]*need {
	found := map[int][]*need{} // by place in the text
	for _, wh := range w.wheres {
		resolved := map[string]resolved{}
		for i, r := range wh.from {
			if r.at >= 0 && !r.pivoted && !r.renamed && r.schema != "" {
				found[r.at] = append(found[r.at], (&needing{e, w, wh, resolved, i}).of(wh.condition))
			}
		}
	}
	each := map[string][]*need{}
	for _, r := range w.reads {
		var n *need
		if of := found[r.at]; len(of) > 0 {
			n, found[r.at] = of[0], of[1:]
		}
		view := strings.ToLower(r.schema) + "." + strings.ToLower(r.name)
		each[view] = append(each[view], n)
	}
	needs := map[string]*need{}
	for view, all := range each {
		if n := anyOf(all...); n != nil {
			needs[view] = n
		}
	}
	return needs
}

// needing is what a WHERE wants of one of the tables beside it.
type needing struct {
	*Engine
	*walker
	where
	known map[string]resolved // by name
	read  int
}

// resolved is the column that a name means, of one of the tables.
type resolved struct {
	read   int // -1: of none, or who knows
	column string
}

// comparisons are the operators that are understood, and what they are with
// their sides changed.
var comparisons = map[string][2]string{
	"COMPARE_EQUAL": {"=", "="}, "COMPARE_NOT_DISTINCT_FROM": {"=", "="},
	"COMPARE_LESSTHAN": {"<", ">"}, "COMPARE_LESSTHANOREQUALTO": {"<=", ">="},
	"COMPARE_GREATERTHAN": {">", "<"}, "COMPARE_GREATERTHANOREQUALTO": {">=", "<="},
}

// of returns what a condition wants.
func (w *needing) of(n any) *need {
	v, _ := n.(map[string]any)
	children, _ := v["children"].([]any)
	kind, _ := v["type"].(string)
	switch kind {
	case "CONJUNCTION_AND", "CONJUNCTION_OR":
		needs := make([]*need, len(children))
		for i, c := range children {
			needs[i] = w.of(c)
		}
		if kind == "CONJUNCTION_OR" {
			return anyOf(needs...)
		}
		return allOf(needs...)
	case "COMPARE_BETWEEN":
		return allOf(w.leaf(v["input"], ">=", v["lower"]), w.leaf(v["input"], "<=", v["upper"]))
	case "COMPARE_IN":
		if len(children) > 1 {
			return w.in(children[0], children[1:])
		}
	case "FUNCTION":
		switch name, _ := v["function_name"].(string); {
		case len(children) != 2:
		case name == "~~":
			return w.like(children[0], children[1])
		case name == "starts_with", name == "prefix", name == "^@":
			return w.leaf(children[0], "prefix", children[1])
		}
	}
	if op, ok := comparisons[kind]; ok {
		if n := w.leaf(v["left"], op[0], v["right"]); n != nil {
			return n
		}
		return w.leaf(v["right"], op[1], v["left"])
	}
	return nil
}

// leaf is that a column is beside a value.
func (w *needing) leaf(column any, op string, value any) *need {
	name, ok := w.column(column)
	if !ok {
		return nil
	}
	c, ok := w.constant(value)
	if !ok || c.kind == aNull {
		return nil
	}
	return &need{column: name, op: op, values: []constant{c}}
}

// in is that a column is among values, or some columns in brackets among values
// in brackets.
func (w *needing) in(column any, values []any) *need {
	columns, ok := inBrackets(column)
	if !ok {
		name, ok := w.column(column)
		if !ok {
			return nil
		}
		n := &need{column: name, op: "="}
		for _, v := range values {
			c, ok := w.constant(v)
			if !ok {
				return nil
			}
			if c.kind != aNull { // nothing is equal to it
				n.values = append(n.values, c)
			}
		}
		return n
	}
	var any []*need
	for _, v := range values {
		each, ok := inBrackets(v)
		if !ok || len(each) != len(columns) {
			return nil
		}
		all := make([]*need, len(columns))
		for i := range columns {
			all[i] = w.leaf(columns[i], "=", each[i])
		}
		any = append(any, allOf(all...))
	}
	return anyOf(any...)
}

func inBrackets(n any) (of []any, ok bool) {
	v, _ := n.(map[string]any)
	if v["class"] != "FUNCTION" || v["function_name"] != "row" {
		return nil, false
	}
	of, _ = v["children"].([]any)
	return of, true
}

// like is LIKE of what begins with something else than a wildcard.
func (w *needing) like(column, pattern any) *need {
	name, ok := w.column(column)
	if !ok {
		return nil
	}
	c, ok := w.constant(pattern)
	if !ok || c.kind != aText {
		return nil
	}
	i := strings.IndexAny(c.text, "%_")
	if i == 0 {
		return nil
	}
	if i > 0 {
		c.text = c.text[:i]
		return &need{column: name, op: "prefix", values: []constant{c}}
	}
	return &need{column: name, op: "=", values: []constant{c}}
}

// column returns the column of the table that a node is.
func (w *needing) column(n any) (name string, ok bool) {
	v, _ := n.(map[string]any)
	if v["class"] != "COLUMN_REF" {
		return "", false
	}
	names := textsOf(v["column_names"])
	key := strings.Join(names, "\x00")
	r, known := w.known[key]
	if !known {
		r = w.resolve(names)
		w.known[key] = r
	}
	return r.column, r.read == w.read
}

// resolve finds the column that is meant, as DuckDB does: a table beside the
// WHERE has it, or else a query around. Two that have it are an error, but for
// one that has become of both.
func (w *needing) resolve(names []string) resolved {
	found := resolved{read: -1}
	for i, r := range w.where.from {
		called := r.alias
		if called == "" {
			called = r.name
		}
		switch {
		case r.renamed || r.pivoted:
			continue
		case len(names) == 1 && !w.merged:
		case len(names) == 2 && sameName(names[0], called):
		case len(names) == 3 && r.alias == "" && sameName(names[0], r.schema) && sameName(names[1], r.name):
		default:
			continue
		}
		src, err := w.serving.Source(strings.ToLower(r.schema))
		if err != nil || src.View(strings.ToLower(r.name)) == nil {
			continue
		}
		for _, f := range shownFields(src, r) {
			if sameName(f.Name, names[len(names)-1]) {
				if found.read >= 0 {
					return resolved{read: -1}
				}
				found = resolved{i, f.Name}
			}
		}
	}
	return found
}

func shownFields(src *serving.Source, r read) []event.Field {
	return src.Shown(strings.ToLower(r.name)).Output().Fields
}

// sameName compares names as DuckDB does: letters of ASCII alone have two cases.
func sameName(a, b string) bool {
	lower := func(c byte) byte {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}
