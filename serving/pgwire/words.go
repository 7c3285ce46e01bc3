package pgwire

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"anabranch/internal/sqltext"
	"anabranch/serving/sql"
)

// inDuckDB writes what clients say in PostgreSQL's words only. What is put in
// is as long as what it replaces, where that is possible: places in errors are
// those of the client's text.
func (ses *session) inDuckDB(st statement) statement {
	var edits []edit
	compared, budget := 0, 16*len(st.tokens) // where the last comparison of rows ends
	for i := range st.tokens {
		toks := st.tokens[i:]
		if start, end, words := timeOfText(toks); words != "" {
			edits = append(edits, edit{start, end, words})
		} else {
			edits = append(edits, textInTime(toks, &budget)...)
		}
		if name, format := charOfTime(toks); format != nil {
			edits = append(edits, edit{name.Start, name.End(), "strftime"}, edit{format.Start, format.End(), sqlText(strftimeOf(format.Value()))})
		}
		if st.tokens[i].Start >= compared {
			start, end, words := rowWithParameters(st.text, st.tokens, i, &budget)
			if words != "" {
				edits = append(edits, edit{start, end, words})
			}
			compared = max(compared, end)
		}
		if start, end := schemaOfStar(toks); end > 0 {
			edits = append(edits, edit{start, end, strings.Repeat(" ", end-start)})
		}
		if start, end := ses.ownDatabase(st.tokens, i); end > 0 {
			edits = append(edits, edit{start, end, strings.Repeat(" ", end-start)})
		}
	}
	edits = append(edits, patternsOfSubstring(st, nil)...)
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	return st.edited(edits)
}

// timesOfText are the functions that make times of texts, with the types of these.
var timesOfText = map[string]string{"to_timestamp": "TIMESTAMP", "to_date": "DATE"}

// timeOfText finds to_timestamp('...', 'YYYY-MM-DD HH24:MI:SS.US') at the
// beginning of toks: so panels say between which times they ask. DuckDB's has
// another meaning.
func timeOfText(toks []token) (start, end int, words string) {
	as := timesOfText[toks[0].Name()]
	if as == "" || len(toks) < 6 || !toks[1].Is("(") || toks[2].Kind != sqltext.String || !toks[3].Is(",") || toks[4].Kind != sqltext.String || !toks[5].Is(")") ||
		!strings.HasPrefix(strings.ToUpper(toks[4].Value()), "YYYY-MM-DD") {
		return 0, 0, ""
	}
	return toks[0].Start, toks[5].End(), as + " " + toks[2].Text
}

// charOfTime finds to_char(time, 'YYYY-MM-DD') at the beginning of toks, and
// returns its name and its format. Formats of numbers, and patterns that
// strftime has nothing for, are left alone: there is no such function then.
func charOfTime(toks []token) (name, format *token) {
	if toks[0].Name() != "to_char" || len(toks) < 2 || !toks[1].Is("(") {
		return nil, nil
	}
	args, end := arguments(toks, 1)
	if end == len(toks) || len(args) != 2 || len(args[1]) != 1 || args[1][0].Kind != sqltext.String || strftimeOf(args[1][0].Value()) == "" {
		return nil, nil
	}
	return &toks[0], &args[1][0]
}

// patterns are those of to_char, the longer ones before what they begin with,
// and what strftime has for them.
var patterns = strings.Split("YYYY %Y YY %y MM %m DDD %j DD %d HH24 %H HH12 %I HH %I MI %M SS %S MS %g US %f Month %B Mon %b Day %A Dy %a AM %p PM %p IYYY %G IW %V ID %u TZ %Z OF %z", " ")

// strftimeOf writes a format of to_char as strftime's; empty where there is a
// pattern that it does not know.
func strftimeOf(format string) string {
	var b strings.Builder
	known := false
	for i := 0; i < len(format); {
		n := 0
		// FM takes the padding off what follows. Names have none here.
		fill := strings.HasPrefix(format[i:], "FM") || strings.HasPrefix(format[i:], "fm")
		if fill {
			i += len("FM")
		}
		for k := 0; k < len(patterns); k += 2 {
			if strings.HasPrefix(format[i:], patterns[k]) || strings.HasPrefix(format[i:], strings.ToLower(patterns[k])) {
				to := patterns[k+1]
				if fill && strings.Contains("mdHIMSj", to[1:]) {
					to = "%-" + to[1:]
				}
				b.WriteString(to)
				n = len(patterns[k])
				break
			}
		}
		if fill && n == 0 {
			return ""
		}
		switch c := format[i]; {
		case n > 0:
			known = true
			i += n
			continue
		case c == '"':
			end := strings.IndexByte(format[i+1:], '"')
			if end < 0 {
				return ""
			}
			b.WriteString(strings.ReplaceAll(format[i+1:i+1+end], "%", "%%"))
			i += end + 2
			continue
		case 'a' <= c|0x20 && c|0x20 <= 'z' || c >= utf8.RuneSelf:
			return ""
		case c == '%':
			b.WriteByte('%')
		}
		b.WriteByte(format[i])
		i++
	}
	if !known {
		return "" // of a number
	}
	return b.String()
}

// schemaOfStar finds schema.table.* at the beginning of toks, which Rails and
// others write, and returns where the schema stands with its dot: DuckDB's
// grammar has table.* alone.
func schemaOfStar(toks []token) (start, end int) {
	if len(toks) < 5 || toks[0].Name() == "" || !toks[1].Is(".") || toks[2].Name() == "" || !toks[3].Is(".") || !toks[4].Is("*") {
		return 0, 0
	}
	return toks[0].Start, toks[1].End()
}

// ownDatabase finds the database before schema.table at i, as dbt and others
// write it, and returns where it stands with its dot. Pipeline and database may
// have one name: only what goes on with a table of that schema is meant.
func (ses *session) ownDatabase(toks []token, i int) (start, end int) {
	at := func(n int) token {
		if i+n < 0 || i+n >= len(toks) {
			return token{Kind: sqltext.Sign}
		}
		return toks[i+n]
	}
	if at(0).Name() != ses.database || !at(1).Is(".") || !at(3).Is(".") || at(-1).Is(".") {
		return 0, 0
	}
	schema, table := at(2).Name(), at(4).Name()
	known := schema == "pg_catalog" || schema == "information_schema"
	if !known && schema != "" {
		known = slices.ContainsFunc(ses.tables(), func(t sql.Table) bool { return t.Schema == schema && t.Name == table })
	}
	if !known {
		return 0, 0
	}
	return at(0).Start, at(1).End()
}
