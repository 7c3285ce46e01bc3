package pgwire

import "strings"

// inDuckDB writes what clients say in PostgreSQL's words only. What is put in
// is as long as what it replaces, where that is possible: places in errors are
// those of the client's text.
func inDuckDB(st statement) statement {
	var b strings.Builder
	from := 0
	put := func(start, end int, words string) {
		b.WriteString(st.text[from:start])
		b.WriteString(words)
		from = end
	}
	for i := range st.tokens {
		toks := st.tokens[i:]
		if start, end, words := timeOfText(toks); words != "" {
			put(start, end, words)
		} else if start, end := schemaOfStar(toks); end > from && start >= from {
			put(start, end, strings.Repeat(" ", end-start))
		}
	}
	if from == 0 {
		return st
	}
	text := b.String() + st.text[from:]
	return statement{text: text, tokens: lex(text)}
}

// timeOfText finds to_timestamp('...', 'YYYY-MM-DD HH24:MI:SS.US') at the
// beginning of toks: so panels say between which times they ask. DuckDB's has
// another meaning.
func timeOfText(toks []token) (start, end int, words string) {
	as := map[string]string{"to_timestamp": "TIMESTAMP", "to_date": "DATE"}[toks[0].name()]
	if as == "" || len(toks) < 6 || !toks[1].is("(") || toks[2].kind != str || !toks[3].is(",") || toks[4].kind != str || !toks[5].is(")") ||
		!strings.HasPrefix(strings.ToUpper(toks[4].value()), "YYYY-MM-DD") {
		return 0, 0, ""
	}
	return toks[0].start, toks[5].end(), as + " " + toks[2].text
}

// schemaOfStar finds schema.table.* at the beginning of toks, which Rails and
// others write, and returns where the schema stands with its dot: DuckDB's
// grammar has table.* alone.
func schemaOfStar(toks []token) (start, end int) {
	if len(toks) < 5 || toks[0].name() == "" || !toks[1].is(".") || toks[2].name() == "" || !toks[3].is(".") || !toks[4].is("*") {
		return 0, 0
	}
	return toks[0].start, toks[1].end()
}
