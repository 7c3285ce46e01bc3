package pgwire

import (
	"slices"
	"strings"

	"anabranch/internal/sqltext"
)

var regTypes = map[string]bool{"regclass": true, "regtype": true, "regproc": true, "regnamespace": true, "regrole": true, "regprocedure": true, "regoper": true, "regoperator": true}

// castTypes are the types that are called otherwise.
var castTypes = map[string]string{"oid": "uinteger", "xid": "uinteger", "name": "varchar", "cstring": "varchar", "int2vector": "smallint[]", "oidvector": "uinteger[]",
	"regoper": "varchar", "regoperator": "varchar", "aclitem": "varchar", "char": "varchar", "inet": "varchar", "pg_node_tree": "varchar", "sql_identifier": "varchar", "information_schema": ""}

// castsAsCalls writes regclass('name') as a cast, which it is in PostgreSQL: so
// QGIS asks for numbers.
func (r *rewriter) castsAsCalls() {
	for i := 0; i < len(r.toks); i++ {
		t := r.toks[i]
		if regTypes[t.Name()] && !r.at(i-1).Is("::") && !r.at(i-1).Is(".") && r.at(i+1).Is("(") && r.at(i+2).Kind == sqltext.String && r.at(i+3).Is(")") {
			r.put(i, 4, r.toks[i+2], token{Kind: sqltext.Sign, Text: "::"}, t)
		}
	}
}

// cast writes the cast at i anew, where it must be, and returns where to go on.
func (r *rewriter) cast(i int) int {
	typ := r.at(i + 1)
	n := typ.Name()
	if n == "" {
		return i
	}
	from := r.operand(i)
	switch {
	case n == "bit" && r.at(i+2).Is("(") && r.at(i+4).Is(")"):
		r.put(i+1, 4, plain("integer")) // see bitsOf
		return i + 1
	case regTypes[n] && r.at(i+2).Is("["):
		if names, err := parseArray(r.toks[from].Value()); i == from+1 && r.toks[from].Kind == sqltext.String && err == nil {
			return r.regList(from, i+4-from, n, names)
		}
		r.put(i+1, 1, plain("uinteger")) // lists of them stay numbers
		return i + 3
	case regTypes[n] && n != "regoper" && n != "regoperator":
		return r.regCast(from, i, n)
	case r.at(i+2).Is("[") && r.at(i+3).Is("]"):
		if i == from+1 && r.toks[from].Kind == sqltext.String {
			if list, ok := arrayLiteral(r.toks[from].Value()); ok {
				r.put(from, 1, token{Kind: sqltext.String, Text: list})
			}
		}
		if to, ok := castTypes[n]; ok {
			r.put(i+1, 1, plain(to))
		}
		return i + 3
	}
	if to, ok := castTypes[n]; ok {
		r.put(i+1, 1, plain(to))
	}
	return i + 1
}

// regList puts the numbers of things in the place of '{names}'::regtype[],
// which has n tokens from from on.
func (r *rewriter) regList(from, n int, reg string, names []any) int {
	words := []token{{Kind: sqltext.Sign, Text: "["}}
	for i, name := range names {
		if i > 0 {
			words = append(words, token{Kind: sqltext.Sign, Text: ","})
		}
		text, _ := name.(string)
		words = append(words, plain("to_"+reg), token{Kind: sqltext.Sign, Text: "("}, token{Kind: sqltext.String, Text: sqlText(text)}, token{Kind: sqltext.Sign, Text: ")"})
	}
	r.put(from, n, append(words, token{Kind: sqltext.Sign, Text: "]"})...)
	return from + len(words)
}

// regCast writes operand::regclass and its kin: what is a name becomes a
// number, what is a number becomes a name.
func (r *rewriter) regCast(from, i int, n string) int {
	operand := slices.Clone(r.toks[from:i])
	for len(operand) > 3 && operand[0].Is("(") && operand[1].Kind == sqltext.Word && operand[2].Is("(") {
		operand = operand[1 : len(operand)-1]
	}
	last := operand[len(operand)-1]
	name := len(operand) == 1 && (last.Kind == sqltext.String || last.Kind == sqltext.Parameter) || len(operand) > 2 && operand[0].Kind == sqltext.Word && last.Is(")") // a literal, or what a function makes
	if len(operand) > 2 && operand[len(operand)-2].Is("::") && slices.Contains([]string{"text", "varchar", "cstring"}, last.Name()) {
		name = true
	}
	name = name || slices.ContainsFunc(operand, func(t token) bool { return t.Is("||") })
	toText := r.at(i+2).Is("::") && slices.Contains([]string{"text", "varchar", "name"}, r.at(i+3).Name())
	toOID := r.at(i+2).Is("::") && slices.Contains([]string{"oid", "int", "int4", "int8", "integer", "bigint"}, r.at(i+3).Name())
	call := func(f string, inner []token, more ...token) []token {
		out := append([]token{plain(f), {Kind: sqltext.Sign, Text: "("}}, inner...)
		out = append(out, more...)
		return append(out, token{Kind: sqltext.Sign, Text: ")"})
	}
	end := i + 2
	if toText || toOID {
		end = i + 4
	}
	null := []token{{Kind: sqltext.Sign, Text: ","}, plain("NULL")}
	var out []token
	switch {
	case n == "regproc", n == "regprocedure":
		out = call("to_regproc", operand)
	case n == "regrole" && !name:
		out = call("pg_get_userbyid", operand)
	case name:
		out = call("to_"+n, operand)
		if toText {
			out = map[string]func() []token{
				"regclass":     func() []token { return call("regclass_name", out) },
				"regtype":      func() []token { return call("format_type", out, null...) },
				"regnamespace": func() []token { return call("regnamespace_name", out) },
				"regrole":      func() []token { return call("pg_get_userbyid", out) },
			}[n]()
		}
	case toOID, r.compared(i+2, 1), r.compared(from-1, -1):
		out = operand
	case n == "regtype":
		out = call("format_type", operand, null...)
	default:
		out = call(n+"_name", operand)
	}
	r.put(from, end-from, out...)
	return from + len(out) - 1
}

// compared reports whether the sign at i compares what stands beside it with
// another thing's number, such as 'trigger'::regtype, and not with a name; by is
// the direction in which that stands.
func (r *rewriter) compared(i, by int) bool {
	if op := r.at(i); !op.Is("=") && !op.Is("<>") && !op.Is("!=") {
		return false
	}
	other := r.at(i + by)
	if by < 0 {
		return other.Name() != "" && regTypes[other.Name()] && r.at(i-2).Is("::") || other.Is(")") && strings.HasPrefix(r.toks[r.operand(i)].Name(), "to_reg")
	}
	return other.Kind == sqltext.String && r.at(i+2).Is("::") && regTypes[r.at(i+3).Name()]
}

// castCall writes CAST(x AS regclass) as a cast with ::, and the types of other
// CASTs anew. i is at AS.
func (r *rewriter) castCall(i int) bool {
	n := r.at(i + 1).Name()
	if !r.at(i + 2).Is(")") {
		return false
	}
	open, depth := i-1, 0
	for ; open >= 0; open-- {
		if r.toks[open].Is(")") {
			depth++
		}
		if r.toks[open].Is("(") {
			if depth == 0 {
				break
			}
			depth--
		}
	}
	if open < 1 || !r.toks[open-1].Is("cast") {
		return false
	}
	if regTypes[n] {
		inner := slices.Clone(r.toks[open+1 : i])
		if len(inner) > 1 {
			inner = append(append([]token{{Kind: sqltext.Sign, Text: "("}}, inner...), token{Kind: sqltext.Sign, Text: ")"})
		}
		words := append(inner, token{Kind: sqltext.Sign, Text: "::"}, plain(n))
		r.put(open-1, i+3-(open-1), words...)
		r.cast(open - 1 + len(inner))
		return true
	}
	if to, ok := castTypes[n]; ok {
		r.put(i+1, 1, plain(to))
	}
	return true
}

// operand returns where the operand of a postfix at i begins.
func (r *rewriter) operand(i int) int {
	j := i - 1
	for {
		switch t := r.at(j); {
		case t.Is(")"), t.Is("]"):
			depth := 0
			for ; j >= 0; j-- {
				if r.toks[j].Is(")") || r.toks[j].Is("]") {
					depth++
				}
				if r.toks[j].Is("(") || r.toks[j].Is("[") {
					if depth--; depth == 0 {
						break
					}
				}
			}
			if k := r.at(j - 1); k.Kind == sqltext.Word && !keyword[strings.ToLower(k.Text)] || k.Kind == sqltext.Quoted {
				j--
				if r.at(j - 1).Is(".") {
					j -= 2
				}
			} else if t.Is("]") {
				j--
			}
		}
		for r.at(j - 1).Is(".") {
			j -= 2
		}
		if r.at(j-1).Is("::") && j >= 2 { // a::text::regclass
			j -= 2
			continue
		}
		return max(j, 0)
	}
}

// keyword are those before a parenthesis that is no call.
var keyword = map[string]bool{"select": true, "where": true, "and": true, "or": true, "in": true, "on": true, "not": true, "then": true, "else": true, "when": true, "from": true, "by": true, "any": false, "as": true, "case": true}
