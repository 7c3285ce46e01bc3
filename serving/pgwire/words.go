package pgwire

import (
	"slices"
	"strings"

	"anabranch/serving/sql"
)

// inDuckDB writes what clients say in PostgreSQL's words only. What is put in
// is as long as what it replaces, where that is possible: places in errors are
// those of the client's text.
func (ses *session) inDuckDB(st statement) statement {
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
		} else if start, end := ses.ownDatabase(st.tokens, i); end > 0 {
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

// ownDatabase finds the database before schema.table at i, as dbt and others
// write it, and returns where it stands with its dot. Pipeline and database may
// have one name: only what goes on with a table of that schema is meant.
func (ses *session) ownDatabase(toks []token, i int) (start, end int) {
	at := func(n int) token {
		if i+n < 0 || i+n >= len(toks) {
			return token{kind: sign}
		}
		return toks[i+n]
	}
	if at(0).name() != ses.database || !at(1).is(".") || !at(3).is(".") || at(-1).is(".") {
		return 0, 0
	}
	schema, table := at(2).name(), at(4).name()
	known := schema == "pg_catalog" || schema == "information_schema"
	if !known && schema != "" {
		known = slices.ContainsFunc(ses.tables(), func(t sql.Table) bool { return t.Schema == schema && t.Name == table })
	}
	if !known {
		return 0, 0
	}
	return at(0).start, at(1).end()
}
