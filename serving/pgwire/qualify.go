package pgwire

import (
	"slices"
	"strings"

	"anabranch/internal/sqltext"
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
		if schema, ok := where[t.Name()]; ok {
			edits = append(edits, edit{t.Start, t.Start, quoteName(schema) + "."})
		}
	}
	return st.edited(edits)
}

// bare finds the names after FROM, JOIN and the commas between them that have
// no schema and are not those of WITH.
func bare(toks []token) []token {
	ctes := map[string]bool{}
	for i := range toks {
		if toks[i].Is("as") && i > 0 && i+1 < len(toks) && (toks[i+1].Is("(") || toks[i+1].Is("materialized") || toks[i+1].Is("not")) {
			at := i - 1
			if toks[at].Is(")") { // name (columns) AS (...)
				for at > 0 && !toks[at].Is("(") {
					at--
				}
				at--
			}
			if at >= 0 {
				ctes[toks[at].Name()] = true
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
		case t.Is("("):
			// FROM (a, b) and FROM (a JOIN b) list tables, f(x) does not.
			inFrom = append(inFrom, inFrom[top] && i > 0 && (toks[i-1].Is("from") || toks[i-1].Is("join") || toks[i-1].Is(",") || toks[i-1].Is("(")))
			inCall = append(inCall, i > 0 && hasFrom[strings.ToLower(toks[i-1].Text)])
			continue
		case t.Is(")"):
			if top > 0 {
				inFrom, inCall = inFrom[:top], inCall[:top]
			}
			continue
		case t.Is("from"):
			clause = !inCall[top] && !(i > 0 && toks[i-1].Is("distinct"))
			inFrom[top] = inFrom[top] || clause
			continue
		case t.Kind == sqltext.Word && slices.Contains([]string{"where", "group", "order", "having", "limit", "union", "select", "window", "qualify", "except", "intersect", "using", "sample"}, strings.ToLower(t.Text)):
			inFrom[top] = false
			continue
		}
		if !inFrom[top] || t.Name() == "" || i == 0 {
			continue
		}
		before := toks[i-1]
		if !(before.Is("from") && clause || before.Is("join") || before.Is(",") || before.Is("(")) {
			continue
		}
		if i+1 < len(toks) && (toks[i+1].Is(".") || toks[i+1].Is("(")) || ctes[t.Name()] {
			continue
		}
		out = append(out, t)
	}
	return out
}

// hasFrom are the functions with a FROM between their arguments.
var hasFrom = map[string]bool{"extract": true, "overlay": true, "substring": true, "trim": true}
