package pgwire

import (
	"slices"
	"strings"

	"anabranch/internal/sqltext"
)

// beforeRow are the words that may stand before a row (a, b); behind others the
// parenthesis is that of a call.
var beforeRow = map[string]bool{"where": true, "and": true, "or": true, "not": true, "on": true, "when": true, "having": true, "select": true, "then": true, "else": true, "qualify": true}

// maxRow is how many tokens a row's own side may have.
const maxRow = 128

// rowWithParameters finds, at the beginning of toks[i:], the comparison of a row
// with one that has parameters in it, and returns where it stands and the same
// value by value: (a, b) IN (($1, $2)) as ((a = $1 AND b = $2)). PostgreSQL gives
// each parameter the type of its partner; DuckDB makes a structure of texts. budget is how many tokens
// may still be looked at for that, so that no text takes long.
func rowWithParameters(text string, toks []token, i int, budget *int) (start, end int, words string) {
	if *budget < 0 || !toks[i].Is("(") || i > 0 && (toks[i-1].Kind == sqltext.Quoted || toks[i-1].Kind == sqltext.Word && !beforeRow[strings.ToLower(toks[i-1].Text)]) {
		return 0, 0, ""
	}
	window := toks[:min(i+maxRow, len(toks))]
	left, at := arguments(window, i)
	if at++; at > len(window) {
		return 0, 0, ""
	}
	not := at < len(toks) && toks[at].Is("not")
	if not {
		at++
	}
	if len(left) < 2 || !values(left, len(left)) || at+1 >= len(toks) || !toks[at+1].Is("(") {
		return 0, 0, ""
	}
	op := toks[at]
	right, last := arguments(toks, at+1)
	*budget -= last - at
	if last == len(toks) {
		return 0, 0, ""
	}
	switch {
	case op.Is("in"):
		var any []string
		bound := false
		for _, item := range right {
			if len(item) == 0 || !item[0].Is("(") {
				return 0, 0, ""
			}
			row, closes := arguments(item, 0)
			if closes != len(item)-1 || !values(row, len(left)) {
				return 0, 0, ""
			}
			bound = bound || slices.ContainsFunc(row, isParameter)
			any = append(any, rowCompared(text, "=", left, row))
		}
		if !bound {
			return 0, 0, ""
		}
		words = "(" + strings.Join(any, " OR ") + ")"
		if not {
			words = "(NOT " + words + ")"
		}
	case !not && slices.Contains([]string{"=", "<>", "!=", "<", "<=", ">", ">="}, op.Text):
		if !values(right, len(left)) || !slices.ContainsFunc(right, isParameter) {
			return 0, 0, ""
		}
		words = rowCompared(text, op.Text, left, right)
	}
	return toks[i].Start, toks[last].End(), words
}

func isParameter(value []token) bool { return len(value) == 1 && value[0].Kind == sqltext.Parameter }

// values reports whether a parenthesis holds n values, and no query.
func values(row [][]token, n int) bool {
	return len(row) == n && !slices.ContainsFunc(row, func(v []token) bool {
		return len(v) == 0 || v[0].Is("select") || v[0].Is("with") || v[0].Is("values") || v[0].Is("from") || v[0].Is("table")
	})
}

// rowCompared writes left op right value by value.
func rowCompared(text, op string, left, right [][]token) string {
	one := func(op string, k int) string {
		of := func(v []token) string { return text[v[0].Start:v[len(v)-1].End()] }
		return "(" + of(left[k]) + ") " + op + " " + of(right[k])
	}
	var b strings.Builder
	b.WriteByte('(')
	for k := range left {
		switch {
		case op == "=" && k > 0:
			b.WriteString(" AND ")
		case op == "<>" && k > 0, op == "!=" && k > 0:
			b.WriteString(" OR ")
		case k > 0: // the first value in which they differ decides
			b.WriteString(" OR (" + one("=", k-1) + " AND (")
		}
		by := op
		if k < len(left)-1 && (op[0] == '<' || op[0] == '>') && op != "<>" {
			by = op[:1]
		}
		b.WriteString(one(by, k))
	}
	if (op[0] == '<' || op[0] == '>') && op != "<>" {
		b.WriteString(strings.Repeat("))", len(left)-1))
	}
	b.WriteByte(')')
	return b.String()
}
