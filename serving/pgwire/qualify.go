package pgwire

import (
	"slices"
	"strings"
)

// qualify writes the pipeline before the names of views that come without,
// which the engine wants.
func (ses *session) qualify(st statement) statement {
	names := bare(st.tokens)
	if len(names) == 0 {
		return st
	}
	where := map[string]string{}
	path := ses.path()
	for _, t := range ses.tables() {
		at := slices.Index(path, t.Schema)
		if before, ok := where[t.Name]; at >= 0 && (!ok || at < slices.Index(path, before)) {
			where[t.Name] = t.Schema
		}
	}
	var edits []edit
	for _, t := range names {
		if schema, ok := where[t.name()]; ok {
			edits = append(edits, edit{t.start, t.start, quoteName(schema) + "."})
		}
	}
	return st.edited(edits)
}

// bare finds the names after FROM, JOIN and the commas between them that have
// no schema and are not those of WITH.
func bare(toks []token) []token {
	ctes := map[string]bool{}
	for i := range toks {
		if toks[i].is("as") && i > 0 && i+1 < len(toks) && (toks[i+1].is("(") || toks[i+1].is("materialized") || toks[i+1].is("not")) {
			at := i - 1
			if toks[at].is(")") { // name (columns) AS (...)
				for at > 0 && !toks[at].is("(") {
					at--
				}
				at--
			}
			if at >= 0 {
				ctes[toks[at].name()] = true
			}
		}
	}
	var out []token
	inFrom := []bool{false} // by depth of parentheses
	inCall := []bool{false} // of a function with a FROM of its own
	clause := false         // the last FROM began one
	for i, t := range toks {
		top := len(inFrom) - 1
		switch {
		case t.is("("):
			// FROM (a, b) and FROM (a JOIN b) list tables, f(x) does not.
			inFrom = append(inFrom, inFrom[top] && i > 0 && (toks[i-1].is("from") || toks[i-1].is("join") || toks[i-1].is(",") || toks[i-1].is("(")))
			inCall = append(inCall, i > 0 && hasFrom[strings.ToLower(toks[i-1].text)])
			continue
		case t.is(")"):
			if top > 0 {
				inFrom, inCall = inFrom[:top], inCall[:top]
			}
			continue
		case t.is("from"):
			clause = !inCall[top] && !(i > 0 && toks[i-1].is("distinct"))
			inFrom[top] = inFrom[top] || clause
			continue
		case t.kind == word && slices.Contains([]string{"where", "group", "order", "having", "limit", "union", "select", "window", "qualify", "except", "intersect", "using", "sample"}, strings.ToLower(t.text)):
			inFrom[top] = false
			continue
		}
		if !inFrom[top] || t.name() == "" || i == 0 {
			continue
		}
		before := toks[i-1]
		if !(before.is("from") && clause || before.is("join") || before.is(",") || before.is("(")) {
			continue
		}
		if i+1 < len(toks) && (toks[i+1].is(".") || toks[i+1].is("(")) || ctes[t.name()] {
			continue
		}
		out = append(out, t)
	}
	return out
}

// hasFrom are the functions with a FROM between their arguments.
var hasFrom = map[string]bool{"extract": true, "overlay": true, "substring": true, "trim": true}
