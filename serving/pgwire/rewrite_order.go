package pgwire

import "anabranch/internal/sqltext"

// inOrder sorts the columns of tables by their numbers where a question shows
// them, or the numbers, and asks for no order: PostgreSQL's answer comes so, by the
// index of pg_attribute, and clients show it as it comes.
func (r *rewriter) inOrder() {
	shown, alias, depth := "", "", 0
	named, columns := false, ""
	selecting := false
	// An item of its own tells that nothing is counted or summed.
	item := func(before, after int) bool {
		b, a := r.at(before), r.at(after)
		return selecting && (b.Is(",") || b.Is("select")) && (a.Is(",") || a.Is("as") || a.Is("from"))
	}
	for i, t := range r.toks {
		switch {
		case t.Is("("):
			depth++
		case t.Is(")"):
			depth--
		case depth > 0:
		case t.Is("distinct"), t.Is("group"), t.Is("order"), t.Is("limit"), t.Is("offset"), t.Is("fetch"), t.Is("union"), t.Is("intersect"), t.Is("except"), t.Is("with"):
			return
		case t.Is("select"):
			selecting = true
		case t.Is("from"):
			selecting = false
		case t.Name() == "attnum" && r.at(i-1).Is(".") && item(i-3, i+1):
			shown = r.at(i - 2).Name()
		case t.Name() == "column_name" && (item(i-1, i+1) || r.at(i-1).Is(".") && item(i-3, i+1)):
			named = true
		case t.Name() == "pg_attribute" && r.at(i+1).Is("as"):
			alias = r.at(i + 2).Name()
		case t.Name() == "pg_attribute":
			alias = r.at(i + 1).Name()
		case t.Name() == "columns" && r.at(i-1).Is(".") && r.at(i-2).Name() == "info" && !selecting:
			if columns = r.alias(i + 1).Name(); columns == "" {
				columns = "columns"
			}
		}
	}
	by := []string{}
	switch {
	case shown != "" && shown == alias:
		by = []string{"attrelid", "attnum"}
	case named && columns != "":
		alias, by = columns, []string{"table_schema", "table_name", "ordinal_position"}
	}
	for i, name := range by {
		before := []token{plain("ORDER"), plain("BY")}
		if i > 0 {
			before = []token{{Kind: sqltext.Sign, Text: ","}}
		}
		r.toks = append(append(r.toks, before...), plain(sqlName(alias)), token{Kind: sqltext.Sign, Text: "."}, plain(name))
	}
}
