package sql

import (
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
)

// origins tell which columns of an answer come straight from a view or a
// reference table, as far as the outermost SELECT shows it: a column that it
// lists by name, or by a star over tables alone. They also tell what PostgreSQL
// would call the others.
type origins []origin

// origin is one item of a SELECT list.
type origin struct {
	star   bool
	called string   // by PostgreSQL, where the item has no name of its own
	column *Column  // of the table; nil: it is computed
	tables []Column // of a star: the columns that only one of the tables has
}

// origins reads them off a query.
func (e *Engine) origins(text string, statement map[string]any) origins {
	node, _ := statement["node"].(map[string]any)
	all := namesOf(text, node)
	if node["type"] != "SELECT_NODE" || all == nil {
		return all
	}
	from := tablesOf(node["from_table"], nil)
	if slices.ContainsFunc(from, func(r read) bool { return r.pivoted || r.renamed }) {
		return all
	}
	columns := make([][]Column, len(from))
	for i, r := range from {
		columns[i] = e.columnsRead(r)
	}
	alone := tablesAlone(node["from_table"]) && !slices.ContainsFunc(from, func(r read) bool { return r.schema == "" })
	list, _ := node["select_list"].([]any)
	for i, item := range list {
		v, _ := item.(map[string]any)
		switch v["class"] {
		case "COLUMN_REF":
			all[i].column = columnOf(textsOf(v["column_names"]), from, columns)
		case "STAR":
			if plainStar(v) && alone {
				all[i].tables = onlyOnce(v["relation_name"], from, columns)
			}
		}
	}
	return all
}

// namesOf reads the names and the stars of a SELECT list; nothing where an item
// inside of which there is a star may be several columns. Of a UNION the first
// SELECT names the columns.
func namesOf(text string, node map[string]any) (all origins) {
	for node["type"] == "SET_OPERATION_NODE" {
		node, _ = node["left"].(map[string]any)
	}
	list, _ := node["select_list"].([]any)
	if node["type"] != "SELECT_NODE" {
		return nil
	}
	for _, item := range list {
		v, _ := item.(map[string]any)
		o := origin{star: v["class"] == "STAR"}
		switch {
		case o.star:
		case spreads(v):
			return nil
		case v["class"] != "COLUMN_REF":
			o.called = postgresName(text, v)
		}
		all = append(all, o)
	}
	return all
}

// columnsRead are the columns of a table that a query names.
func (e *Engine) columnsRead(r read) []Column {
	src, err := e.serving.Source(strings.ToLower(r.schema))
	if err != nil {
		return nil
	}
	name := strings.ToLower(r.name)
	if ref := src.Reference(name); ref != nil {
		return referenceTable(src.Name, ref).Columns
	}
	if src.View(name) == nil {
		return nil
	}
	_, columns := columnsOf(src.Name, src.Shown(name))
	return columns
}

// tablesAlone reports whether a FROM has tables and nothing else.
func tablesAlone(from any) bool {
	v, _ := from.(map[string]any)
	switch v["type"] {
	case "BASE_TABLE":
		return true
	case "JOIN":
		return tablesAlone(v["left"]) && tablesAlone(v["right"])
	}
	return false
}

// plainStar reports whether a star means all columns under their names.
func plainStar(v map[string]any) bool {
	for _, key := range []string{"replace_list", "rename_list", "expr"} {
		switch x := v[key].(type) {
		case nil:
		case []any:
			if len(x) > 0 {
				return false
			}
		default:
			return false
		}
	}
	columns, _ := v["columns"].(bool)
	return !columns
}

func isCalled(q string, r read) bool {
	if r.alias != "" {
		return strings.EqualFold(q, r.alias)
	}
	return strings.EqualFold(q, r.name)
}

// columnOf finds the column that is meant; nil when it is not that of one table.
func columnOf(name []string, from []read, columns [][]Column) (found *Column) {
	for i, r := range from {
		switch len(name) {
		case 1:
		case 2:
			if !isCalled(name[0], r) {
				continue
			}
		case 3:
			if !strings.EqualFold(name[0], r.schema) || !strings.EqualFold(name[1], r.name) {
				continue
			}
		default:
			return nil
		}
		for j := range columns[i] {
			if strings.EqualFold(columns[i][j].Name, name[len(name)-1]) {
				if found != nil {
					return nil
				}
				found = &columns[i][j]
			}
		}
	}
	return found
}

// onlyOnce are the columns that one of the tables of a star has alone.
func onlyOnce(relation any, from []read, columns [][]Column) (out []Column) {
	var all []Column
	for i, r := range from {
		if q, _ := relation.(string); q == "" || isCalled(q, r) {
			all = append(all, columns[i]...)
		}
	}
	for i, c := range all {
		again := slices.IndexFunc(all, func(o Column) bool { return strings.EqualFold(o.Name, c.Name) })
		last := slices.IndexFunc(all[again+1:], func(o Column) bool { return strings.EqualFold(o.Name, c.Name) })
		if again == i && last < 0 {
			out = append(out, c)
		}
	}
	return out
}

// of returns the origin of each column of an answer; an empty one where nobody
// knows.
func (all origins) of(names []string) []origin {
	out := make([]origin, len(names))
	star := slices.IndexFunc(all, func(o origin) bool { return o.star })
	if star < 0 {
		if len(all) == len(names) {
			copy(out, all)
		}
		return out
	}
	// One star stands for what the others leave.
	behind := len(all) - star - 1
	if slices.ContainsFunc(all[star+1:], func(o origin) bool { return o.star }) || len(names) < len(all)-1 {
		return out
	}
	copy(out, all[:star])
	copy(out[len(names)-behind:], all[star+1:])
	for i := star; i < len(names)-behind; i++ {
		at := slices.IndexFunc(all[star].tables, func(c Column) bool { return c.Name == names[i] })
		if at >= 0 {
			out[i].column = &all[star].tables[at]
		}
	}
	return out
}

// tell fills in View, Comment and Called of an answer's columns.
func (all origins) tell(columns []Column) {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	for i, o := range all.of(names) {
		columns[i].Called = o.called
		if o.column != nil {
			columns[i].View, columns[i].Comment = o.column.View, o.column.Comment
		}
	}
}

// Keys of the metadata of an Arrow column: those of Flight SQL, and ours.
const (
	schemaKey  = "ARROW:FLIGHT:SQL:SCHEMA_NAME"
	tableKey   = "ARROW:FLIGHT:SQL:TABLE_NAME"
	commentKey = "comment"
)

// mark does the same for Arrow's columns, in their metadata.
func (all origins) mark(fields []arrow.Field) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	for i, o := range all.of(names) {
		c := o.column
		if c == nil {
			continue
		}
		pipeline, view, _ := strings.Cut(c.View, ".")
		keys, values := []string{schemaKey, tableKey}, []string{pipeline, view}
		if c.Comment != "" {
			keys, values = append(keys, commentKey), append(values, c.Comment)
		}
		fields[i].Metadata = arrow.NewMetadata(keys, values)
	}
}
