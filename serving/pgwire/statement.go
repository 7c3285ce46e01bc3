package pgwire

import (
	"slices"

	"anabranch/internal/sqltext"
)

// token is a piece of a statement.
type token = sqltext.Token

// A statement is one of the statements of a query string.
type statement struct {
	text   string
	tokens []token // their start is in text
	origin origin
}

// split cuts a query string at its semicolons. Empty statements are left out.
func split(s string) []statement {
	var out []statement
	for _, tokens := range sqltext.Split(s) {
		first := tokens[0].Start
		st := statement{text: s[first:tokens[len(tokens)-1].End()], tokens: tokens, origin: origin{sent: s, base: first}}
		for i := range tokens {
			tokens[i].Start -= first
		}
		out = append(out, st)
	}
	return out
}

// begins reports whether the statement begins with these keywords.
func (s statement) begins(words ...string) bool {
	if len(s.tokens) < len(words) {
		return false
	}
	for i, w := range words {
		if !s.tokens[i].Is(w) {
			return false
		}
	}
	return true
}

// arguments returns what stands between the commas of the call whose
// parenthesis opens at i, and where it closes.
func arguments(toks []token, i int) (list [][]token, end int) {
	from, depth := i+1, 0
	for end = i; end < len(toks); end++ {
		switch t := toks[end]; {
		case t.Is("("), t.Is("["):
			depth++
		case t.Is(")"), t.Is("]"):
			depth--
		}
		if depth == 0 || depth == 1 && toks[end].Is(",") {
			list = append(list, slices.Clone(toks[from:end]))
			from = end + 1
		}
		if depth == 0 {
			break
		}
	}
	return list, end
}
