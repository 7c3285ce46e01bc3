package pgwire

import (
	"slices"
	"strings"

	"anabranch/internal/sqltext"
)

// likeAny writes x LIKE ANY (list) as a function of the list: DuckDB has ANY for
// other operators only.
func (r *rewriter) likeAny(i int) bool {
	if !r.at(i+1).Is("any") || !r.at(i+2).Is("(") {
		return false
	}
	args, end := arguments(r.toks, i+2)
	if len(args) != 1 || end == len(r.toks) || len(args[0]) == 0 || args[0][0].Is("select") {
		return false
	}
	from := r.operand(i)
	x := slices.Clone(r.toks[from:i])
	call := token{Kind: sqltext.Sign, Text: "("}
	words := slices.Concat([]token{plain("list_bool_or"), call, plain("list_transform"), call}, args[0], []token{{Kind: sqltext.Sign, Text: ","}, plain("lambda"), plain("p_"), {Kind: sqltext.Sign, Text: ":"}}, x,
		[]token{r.toks[i], plain("p_"), plain("ESCAPE"), {Kind: sqltext.String, Text: `'\'`}, {Kind: sqltext.Sign, Text: ")"}, {Kind: sqltext.Sign, Text: ")"}})
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
		if depth == 0 && (t.Kind == sqltext.Word || t.Kind == sqltext.Sign) && behindPattern[strings.ToLower(t.Text)] {
			break
		}
		switch {
		case t.Is("("), t.Is("["):
			depth++
		case t.Is(")"), t.Is("]"):
			depth--
		}
	}
	if r.at(i+1).Is("any") || r.at(i+1).Is("all") {
		return
	}
	if t := r.at(i + 1); end == i+2 && t.Kind == sqltext.String && !strings.Contains(t.Value(), `\`) || r.at(end).Is("escape") {
		return
	}
	r.put(end, 0, plain("ESCAPE"), token{Kind: sqltext.String, Text: `'\'`})
}
