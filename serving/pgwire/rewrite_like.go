package pgwire

import (
	"slices"
	"strings"
)

// likeAny writes x LIKE ANY (list) as a function of the list: DuckDB has ANY for
// other operators only.
func (r *rewriter) likeAny(i int) bool {
	if !r.at(i+1).is("any") || !r.at(i+2).is("(") {
		return false
	}
	args, end := arguments(r.toks, i+2)
	if len(args) != 1 || end == len(r.toks) || len(args[0]) == 0 || args[0][0].is("select") {
		return false
	}
	from := r.operand(i)
	x := slices.Clone(r.toks[from:i])
	call := token{kind: sign, text: "("}
	words := slices.Concat([]token{plain("list_bool_or"), call, plain("list_transform"), call}, args[0], []token{{kind: sign, text: ","}, plain("lambda"), plain("p_"), {kind: sign, text: ":"}}, x,
		[]token{r.toks[i], plain("p_"), plain("ESCAPE"), {kind: str, text: `'\'`}, {kind: sign, text: ")"}, {kind: sign, text: ")"}})
	r.put(from, end+1-from, words...)
	return true
}

// behindPattern are the words and signs that may follow LIKE's right side.
var behindPattern = map[string]bool{")": true, "]": true, ",": true, ";": true, "and": true, "or": true, "then": true, "else": true, "end": true, "when": true, "as": true, "from": true, "where": true, "group": true,
	"having": true, "window": true, "order": true, "limit": true, "offset": true, "fetch": true, "union": true, "intersect": true, "except": true, "is": true, "escape": true, "=": true, "<>": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true}

// escape gives LIKE the character that PostgreSQL has without being told, and
// DuckDB does not: names that clients look for come as 'by\_shop'.
func (r *rewriter) escape(i int) {
	end, depth := i+1, 0
	for ; end < len(r.toks); end++ {
		t := r.toks[end]
		if depth == 0 && (t.kind == word || t.kind == sign) && behindPattern[strings.ToLower(t.text)] {
			break
		}
		switch {
		case t.is("("), t.is("["):
			depth++
		case t.is(")"), t.is("]"):
			depth--
		}
	}
	if r.at(i+1).is("any") || r.at(i+1).is("all") {
		return
	}
	if t := r.at(i + 1); end == i+2 && t.kind == str && !strings.Contains(t.value(), `\`) || r.at(end).is("escape") {
		return
	}
	r.put(end, 0, plain("ESCAPE"), token{kind: str, text: `'\'`})
}
