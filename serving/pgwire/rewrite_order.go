package pgwire

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
		return selecting && (b.is(",") || b.is("select")) && (a.is(",") || a.is("as") || a.is("from"))
	}
	for i, t := range r.toks {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case depth > 0:
		case t.is("distinct"), t.is("group"), t.is("order"), t.is("limit"), t.is("offset"), t.is("fetch"), t.is("union"), t.is("intersect"), t.is("except"), t.is("with"):
			return
		case t.is("select"):
			selecting = true
		case t.is("from"):
			selecting = false
		case t.name() == "attnum" && r.at(i-1).is(".") && item(i-3, i+1):
			shown = r.at(i - 2).name()
		case t.name() == "column_name" && (item(i-1, i+1) || r.at(i-1).is(".") && item(i-3, i+1)):
			named = true
		case t.name() == "pg_attribute" && r.at(i+1).is("as"):
			alias = r.at(i + 2).name()
		case t.name() == "pg_attribute":
			alias = r.at(i + 1).name()
		case t.name() == "columns" && r.at(i-1).is(".") && r.at(i-2).name() == "info" && !selecting:
			if columns = r.alias(i + 1).name(); columns == "" {
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
			before = []token{{kind: sign, text: ","}}
		}
		r.toks = append(append(r.toks, before...), plain(sqlName(alias)), token{kind: sign, text: "."}, plain(name))
	}
}
