package pgwire

import (
	"slices"
	"strings"

	"anabranch/internal/sqltext"
)

// listsInFrom makes subqueries of what DuckDB has no table functions for: an
// unnest of several lists side by side, or with numbered rows, and
// generate_subscripts.
func (r *rewriter) listsInFrom() {
	for i := 1; i < len(r.toks); i++ {
		f := r.toks[i].Name()
		if f != "unnest" && f != "generate_subscripts" || !r.at(i+1).Is("(") || !r.inFrom(i) {
			continue
		}
		lists, end := arguments(r.toks, i+1)
		numbered := r.at(end+1).Is("with") && r.at(end+2).Is("ordinality")
		if end == len(r.toks) || f == "unnest" && len(lists) < 2 && !numbered {
			continue
		}
		words := []token{{Kind: sqltext.Sign, Text: "("}, plain("SELECT")}
		call := func(f string, args ...token) {
			if len(words) > 2 {
				words = append(words, token{Kind: sqltext.Sign, Text: ","})
			}
			words = append(append(append(words, plain(f), token{Kind: sqltext.Sign, Text: "("}), args...), token{Kind: sqltext.Sign, Text: ")"})
		}
		subscripts := slices.Concat(lists[0], []token{{Kind: sqltext.Sign, Text: ","}, {Kind: sqltext.Number, Text: "1"}})
		if f == "unnest" {
			for _, list := range lists {
				call(f, list...)
			}
		} else {
			call(f, subscripts...)
			if name := r.alias(end + 1); name.Name() != "" {
				words = append(words, plain("AS"), name)
			}
		}
		if numbered {
			call("generate_subscripts", subscripts...)
			words = append(words, plain("AS"), plain("ordinality"))
			end += 2
		}
		words = append(words, token{Kind: sqltext.Sign, Text: ")"})
		r.put(i, end+1-i, words...)
		i += len(words) - 1
	}
}

// alias returns the name that a table gets whose own ends before i, if any.
func (r *rewriter) alias(i int) token {
	if r.at(i).Is("as") {
		i++
	}
	if t := r.at(i); t.Kind == sqltext.Quoted || t.Kind == sqltext.Word && !afterTable[strings.ToLower(t.Text)] {
		return t
	}
	return token{Kind: sqltext.Sign}
}

// functionsInFrom names the column of a function in FROM like the function's
// alias, as it is in PostgreSQL.
func (r *rewriter) functionsInFrom() {
	for i := 1; i < len(r.toks); i++ {
		f := r.toks[i].Name()
		single := slices.Contains(ofOneValue, f) || slices.Contains(sessionFunctions, f)
		if f != "generate_series" && f != "unnest" && !single || !r.at(i+1).Is("(") || !(r.at(i-1).Is("from") || r.at(i-1).Is("join") || r.at(i-1).Is(",") || r.at(i-1).Is("lateral")) {
			continue
		}
		// In the list of a SELECT, behind a comma, this would be a column.
		if r.at(i-1).Is(",") && !r.inFrom(i) {
			continue
		}
		_, end := arguments(r.toks, i+1)
		if end == len(r.toks) {
			return
		}
		at, name := end+1, r.alias(end+1)
		if r.at(at).Is("as") {
			at++
		}
		switch columns := r.at(at + 1).Is("("); {
		case single: // a table of one row
			if name.Name() == "" {
				name = plain(f)
			}
			r.put(end+1, 0, plain("AS"), name, token{Kind: sqltext.Sign, Text: ")"})
			r.put(i, 0, token{Kind: sqltext.Sign, Text: "("}, plain("SELECT"))
			i += 2
		case name.Name() != "" && !columns:
			r.put(at+1, 0, token{Kind: sqltext.Sign, Text: "("}, name, token{Kind: sqltext.Sign, Text: ")"})
		}
	}
}

// ofOneValue are functions that PostgreSQL lets stand in FROM, besides those of
// the session.
var ofOneValue = []string{"string_to_array", "parse_ident", "regexp_split_to_array"}

// seriesOfRows makes rows of a generate_series in the list of a SELECT: DuckDB's
// is a list there.
func (r *rewriter) seriesOfRows() {
	for i := 1; i < len(r.toks); i++ {
		if r.toks[i].Name() != "generate_series" || !r.at(i+1).Is("(") || !(r.at(i-1).Is("select") || r.at(i-1).Is(",")) || r.inFrom(i) {
			continue
		}
		_, end := arguments(r.toks, i+1)
		r.put(min(end+1, len(r.toks)), 0, token{Kind: sqltext.Sign, Text: ")"})
		r.put(i, 0, plain("unnest"), token{Kind: sqltext.Sign, Text: "("})
		i += 2
	}
}

// afterTable are the words that may follow a table without an alias.
var afterTable = map[string]bool{"where": true, "group": true, "order": true, "limit": true, "on": true, "join": true, "left": true, "right": true, "inner": true, "cross": true, "full": true, "union": true, "having": true, "offset": true, "using": true, "with": true}

// inFrom reports whether the token at i stands in a FROM that begins a clause.
func (r *rewriter) inFrom(i int) bool {
	depth, from := 0, false
	for i--; i >= 0; i-- {
		switch t := r.toks[i]; {
		case t.Is(")"):
			depth++
		case t.Is("("):
			if depth == 0 {
				return from && !hasFrom[strings.ToLower(r.at(i-1).Text)]
			}
			depth--
		case depth > 0:
		case t.Is("from"):
			from = from || !r.at(i-1).Is("distinct")
		case t.Is("select"), t.Is("where"), t.Is("by"):
			return from
		}
	}
	return from
}
