package sql

import (
	"encoding/json"
	"fmt"
	"strings"

	"anabranch/fault"
)

// read is a table that a query names.
type read struct {
	schema, name string
	alias        string
	at           int // byte offset in the text
	pivoted      bool
	renamed      bool // its columns have other names: AS t(a, b)
}

// The kinds of nodes that DuckDB's tree may have. Anything else is refused by
// its name, so that what a later parser understands is not answered before
// somebody has looked at it.
var (
	queryNodes = set(`SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE CTE_NODE`)
	tableNodes = set(`BASE_TABLE SUBQUERY JOIN TABLE_FUNCTION EXPRESSION_LIST EMPTY PIVOT SHOW_REF`)
	classes    = set(`COLUMN_REF CONSTANT FUNCTION WINDOW CASE CAST COMPARISON CONJUNCTION OPERATOR SUBQUERY STAR PARAMETER LAMBDA LAMBDA_REF
		POSITIONAL_REFERENCE COLLATE BETWEEN DEFAULT TYPE`)
	otherNodes = set(`ORDER_MODIFIER LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER DISTINCT_MODIFIER ORDER_DEFAULT ASCENDING DESCENDING
		STRUCT_TYPE_INFO LIST_TYPE_INFO ARRAY_TYPE_INFO DECIMAL_TYPE_INFO STRING_TYPE_INFO GENERIC_TYPE_INFO UNBOUND_TYPE_INFO`)
)

// What a query may have: DuckDB plans for minutes over more, and cannot be
// interrupted then. The same holds for comments in comments.
const (
	maxNodes    = 5000
	maxParts    = 500
	maxComments = 32
	maxWritten  = 20_000 // parts, each name of a WITH written out where it is read
	maxNested   = 100    // lists and structs in each other
)

// nests are functions whose type has those of what they are given in it.
var nests = set(`list_value list_pack array_value struct_pack row map map_from_entries list_zip array_zip union_value`)

// isNested tells whether v makes a value of values.
func isNested(v map[string]any) bool {
	name, _ := v["function_name"].(string)
	return v["type"] == "ARRAY_CONSTRUCTOR" || nests[strings.ToLower(name)]
}

// commentsIn returns how deep comments of a text are in each other, at most:
// text in quotes counts as well.
func commentsIn(text string) (deepest int) {
	depth := 0
	for i := 0; i+1 < len(text); i++ {
		switch text[i : i+2] {
		case "/*":
			depth++
			deepest = max(deepest, depth)
			i++
		case "*/":
			depth = max(0, depth-1)
			i++
		}
	}
	return deepest
}

// walker judges a tree and collects the tables it reads.
type walker struct {
	text    string
	args    []any // of its parameters; none where a query is only described
	reads   []read
	nodes   int     // expressions, constants in lists left out
	nested  int     // how deep in values of values
	parts   int     // tables, subqueries and set operations
	written int     // the same, names of WITH written out
	err     error   // the first refusal
	uses    []use   // of merge, and of sum of a plain column
	from    []read  // what the SELECT reads that is walked
	amongst []among // what WHERE has of lists of texts
	wheres  []where
	state   bool            // a column is called _state
	more    map[string]bool // functions that may be called besides
}

// scope are the names that WITH gives, the innermost first.
type scope struct {
	name string
	up   *scope
	size int // of what it stands for, in parts, written out
}

// find returns what a name stands for, or nil.
func (s *scope) find(name string) *scope {
	for ; s != nil; s = s.up {
		if strings.EqualFold(s.name, name) {
			return s
		}
	}
	return nil
}

func (w *walker) refuse(err error) {
	if w.err == nil {
		w.err = err
	}
}

// walk judges n, which sees the names of sc.
func (w *walker) walk(n any, sc *scope) {
	switch v := n.(type) {
	case []any:
		for _, child := range v {
			w.walk(child, sc)
		}
	case map[string]any:
		w.object(v, sc)
	}
}

func (w *walker) object(v map[string]any, sc *scope) {
	if w.err != nil {
		return
	}
	class, isExpression := v["class"].(string)
	kind, _ := v["type"].(string)
	switch {
	case queryNodes[kind] || tableNodes[kind]:
		w.parts++
		w.written++
	case isExpression && class != "CONSTANT":
		w.nodes++
	}
	if children, _ := v["children"].([]any); class == "CONJUNCTION" {
		w.nodes += len(children)
	}
	if w.nodes > maxNodes || w.parts > maxParts {
		w.refuse(fault.WithCode(fault.New(fault.Invalid, "the query is too large: it has more than %d expressions, or more than %d tables, subqueries and set operations", maxNodes, maxParts), "sql_too_complex"))
		return
	}
	if isNested(v) {
		w.nested++
		defer func() { w.nested-- }()
		if w.nested > maxNested {
			w.refuse(fault.WithCode(fault.New(fault.Invalid, "lists and structs stand in each other more than %d deep%s", maxNested, w.place(v)), "sql_too_complex"))
			return
		}
	}
	switch {
	case isExpression && !classes[class]:
		w.refuse(refused("not_answered", "%s is not answered here%s", class, w.place(v)))
		return
	case isExpression:
		w.expression(class, v, sc)
		return
	case kind != "" && !queryNodes[kind] && !tableNodes[kind] && !otherNodes[kind]:
		w.refuse(refused("not_answered", "%s is not answered here%s", kind, w.place(v)))
		return
	}
	sc = w.with(v, sc)
	if kind == "SELECT_NODE" {
		around := w.from
		defer func() { w.from = around }()
		w.from = tablesOf(v["from_table"], nil)
		w.narrow(v["where_clause"])
		if wh, ok := whereOf(v, w.from); ok {
			w.wheres = append(w.wheres, wh)
		}
	}
	switch kind {
	case "PIVOT": // its aggregates read what it is made of
		around := w.from
		defer func() { w.from = around }()
		w.from = tablesOf(v, nil)
	case "BASE_TABLE":
		w.table(v, sc)
	case "TABLE_FUNCTION":
		w.tableFunction(v, sc)
		return
	case "SHOW_REF":
		if table, _ := v["table_name"].(string); table != "" || v["query"] == nil {
			w.refuse(refused("not_answered", "SHOW inside a query is not answered here: read information_schema.tables"))
		}
	}
	if v["at_clause"] != nil {
		w.refuse(refused("not_answered", "AT is not answered here%s: write AS OF RECEIPT '...' at the end of the query", w.place(v)))
	}
	w.children(v, sc)
}

// children walks what v holds, the values of constants left out.
func (w *walker) children(v map[string]any, sc *scope) {
	for key, child := range v {
		if key != "cte_map" {
			w.walk(child, sc)
		}
	}
}

// with judges the queries of a WITH, each of which sees those before it, and
// itself where it is recursive, and returns what the rest of the node sees.
func (w *walker) with(v map[string]any, sc *scope) *scope {
	if cte, ok := v["cte_name"].(string); ok {
		sc = &scope{name: cte, up: sc}
	}
	ctes, _ := v["cte_map"].(map[string]any)
	entries, _ := ctes["map"].([]any)
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		key, _ := entry["key"].(string)
		// DuckDB takes such a name outside of its WITH for a file.
		if strings.ContainsAny(key, "./:*?[") {
			w.refuse(refused("not_answered", "WITH %q: a name with one of ./:*?[ is not answered here", key))
		}
		before := w.written
		w.walk(entry["value"], sc)
		sc = &scope{key, sc, w.written - before}
		w.written = before
	}
	return sc
}

func (w *walker) table(v map[string]any, sc *scope) {
	r := read{at: offset(v)}
	catalog, _ := v["catalog_name"].(string)
	r.schema, _ = v["schema_name"].(string)
	r.name, _ = v["table_name"].(string)
	r.alias, _ = v["alias"].(string)
	of := sc.find(r.name)
	switch {
	case catalog != "":
		w.refuse(fault.WithCode(fault.New(fault.Invalid, "%s.%s.%s%s: write pipeline.view", catalog, r.schema, r.name, w.place(v)), "unknown_view"))
	case r.schema != "" || of == nil:
		w.reads = append(w.reads, r)
	default:
		if w.written += of.size; w.written > maxWritten {
			w.refuse(fault.WithCode(fault.New(fault.Invalid, "the query is too large: with %s and its like written out%s it has more than %d tables, subqueries and set operations", r.name, w.place(v), maxWritten), "sql_too_complex"))
		}
	}
}

func (w *walker) tableFunction(v map[string]any, sc *scope) {
	f, _ := v["function"].(map[string]any)
	name, _ := f["function_name"].(string)
	if err := w.mayCall(name, true, f); err != nil {
		w.refuse(err)
		return
	}
	w.children(f, sc)
}

func (w *walker) expression(class string, v map[string]any, sc *scope) {
	switch class {
	case "CONSTANT":
		return
	case "COLUMN_REF":
		names := textsOf(v["column_names"])
		w.state = w.state || len(names) > 0 && strings.EqualFold(names[len(names)-1], stateColumn)
	case "FUNCTION", "WINDOW":
		name, _ := v["function_name"].(string)
		if w.use(strings.ToLower(name), class, v); strings.EqualFold(name, "merge") {
			return
		}
		if err := w.mayCall(name, false, v); err != nil {
			w.refuse(err)
			return
		}
		if exports, _ := v["export_state"].(bool); exports {
			w.refuse(refused("not_answered", "EXPORT_STATE is not answered here%s", w.place(v)))
			return
		}
		w.structure(name, v)
	case "CAST":
		if namesVariant(v["cast_type"]) {
			w.refuse(noVariant(w.place(v)))
			return
		}
	}
	for key, child := range v {
		if key != "cast_type" {
			w.walk(child, sc)
		}
	}
}

// use notes where merge is called, and where sum is of a plain column.
func (w *walker) use(name, class string, v map[string]any) {
	if name != "merge" && name != "sum" {
		return
	}
	children, _ := v["children"].([]any)
	var column map[string]any
	if len(children) == 1 {
		column, _ = children[0].(map[string]any)
	}
	distinct, _ := v["distinct"].(bool)
	plain := column["class"] == "COLUMN_REF" && class == "FUNCTION"
	unnamed, _ := v["unnamed"].(bool)
	switch {
	case plain && (name == "sum" || v["filter"] == nil && !distinct):
		w.uses = append(w.uses, use{name, textsOf(column["column_names"]), w.from, offset(v), unnamed})
	case name == "merge":
		w.refuse(fault.WithCode(fault.New(fault.Invalid, "merge%s takes the name of one column, without DISTINCT, FILTER or OVER: choose rows with WHERE", w.place(v)), "syntax"))
	}
}

// tablesOf returns the tables that a FROM names itself.
func tablesOf(from any, into []read) []read {
	v, _ := from.(map[string]any)
	switch v["type"] {
	case "BASE_TABLE":
		r := read{at: offset(v)}
		names, _ := v["column_name_alias"].([]any)
		r.renamed = len(names) > 0
		r.schema, _ = v["schema_name"].(string)
		r.name, _ = v["table_name"].(string)
		r.alias, _ = v["alias"].(string)
		return append(into, r)
	case "JOIN":
		return tablesOf(v["right"], tablesOf(v["left"], into))
	case "PIVOT":
		begin := len(into)
		into = tablesOf(v["source"], into)
		for i := range into[begin:] {
			into[begin+i].pivoted = true
		}
	}
	return into
}

func textsOf(list any) (texts []string) {
	all, _ := list.([]any)
	for _, t := range all {
		s, _ := t.(string)
		texts = append(texts, s)
	}
	return texts
}

func (w *walker) mayCall(name string, from bool, v map[string]any) error {
	if w.more[strings.ToLower(name)] {
		return nil
	}
	return mayCall(name, from, w.place(v))
}

// offset returns where a node is in the text, or -1.
func offset(v map[string]any) int {
	n, ok := v["query_location"].(json.Number)
	if !ok {
		return -1
	}
	at, err := n.Int64()
	if err != nil || at < 0 || at > 1<<40 { // DuckDB writes 2^64-1 for nowhere
		return -1
	}
	return int(at)
}

// place says where a node is, for a message.
func (w *walker) place(v map[string]any) string { return placeAt(w.text, offset(v)) }

func placeAt(text string, at int) string {
	if at < 0 || at > len(text) {
		return ""
	}
	line, column := place(text, at)
	return fmt.Sprintf(" (line %d, column %d)", line, column)
}
