package pgwire

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Between PostgreSQL's SQL and DuckDB's lie a few words, in what tools ask of
// the catalog: the schema's name everywhere, operators and collations with it,
// casts to the types that are names of things, and regular expressions, which
// DuckDB matches whole. They are written anew on the tokens.

// renamed are the functions that DuckDB has under another name.
var renamed = map[string]string{"json_build_object": "json_object", "jsonb_build_object": "json_object", "json_build_array": "json_array", "jsonb_build_array": "json_array",
	"json_agg": "json_group_array", "jsonb_agg": "json_group_array", "json_object_agg": "json_group_object", "jsonb_object_agg": "json_group_object", "array_to_json": "to_json",
	"format": "pg_format", "array_length": "array_upper"}

// sessionFunctions tell of the session, or of names.
var sessionFunctions = []string{"version", "current_schema", "current_schemas", "current_database", "current_catalog", "current_user", "session_user", "user", "current_role",
	"current_setting", "set_config", "format_type", "obj_description", "col_description", "quote_ident", "quote_literal", "has_table_privilege", "has_schema_privilege", "has_database_privilege",
	"to_regclass", "to_regtype", "to_regnamespace", "inet_server_addr", "inet_server_port", "inet_client_addr", "inet_client_port", "txid_current", "getdatabaseencoding"}

// asksCatalog reports whether a statement is about the catalog: whether it
// names something of it, or reads no table and asks about the session.
func asksCatalog(st statement) bool {
	reads, session := false, false
	for i, t := range st.tokens {
		n := t.name()
		switch {
		case strings.HasPrefix(n, "pg_") || n == "information_schema" || n == "_pg_expandarray":
			return true
		case t.is("from"):
			next := st.tokens[min(i+1, len(st.tokens)-1)]
			reads = reads || !(slices.Contains(sessionFunctions, next.name()) && i+2 < len(st.tokens) && st.tokens[i+2].is("("))
		case i > 0 && st.tokens[i-1].is("::") && regTypes[n]:
			return true
		case slices.Contains(sessionFunctions, n) && (t.kind == word || t.kind == quoted) && !(i > 0 && st.tokens[i-1].is(".")):
			session = session || i+1 < len(st.tokens) && st.tokens[i+1].is("(") || strings.HasPrefix(n, "current_") || n == "session_user" || n == "user"
		}
	}
	return session && !reads
}

// regprocs are the columns that hold functions, by name; 0 stands for none.
var regprocs = map[string]bool{"typinput": true, "typoutput": true, "typreceive": true, "typsend": true, "typmodin": true, "typmodout": true, "typanalyze": true, "typsubscript": true}

// rewriter holds the tokens while they are written anew.
type rewriter struct{ toks []token }

func rewrite(st statement) string {
	r := &rewriter{toks: slices.Clone(st.tokens)}
	r.names()
	r.listsInFrom()
	r.functionsInFrom()
	r.seriesOfRows()
	r.inOrder()
	for i := 0; i < len(r.toks); i++ {
		switch t := r.toks[i]; {
		case t.is("::"):
			i = r.cast(i)
		case t.is("as") && r.castCall(i):
		case t.is("~"), t.is("!~"), t.is("~*"), t.is("!~*"):
			r.pattern(i)
		case t.is("="):
			r.anyOf(i)
			r.functionOf(i)
		case (t.name() == "aclexplode" || t.name() == "pg_partition_ancestors") && r.at(i+1).is("(") && !r.inFrom(i):
			r.toks[i] = plain(t.name() + "_rows")
		case t.is("substring"):
			r.substringOfPattern(i)
		case t.is("select") && r.at(i+1).is("from"): // in EXISTS (SELECT FROM ...)
			r.put(i+1, 0, token{kind: number, text: "1"})
		case t.is("like"), t.is("ilike"):
			if !r.likeAny(i) {
				r.escape(i)
			}
		case regprocs[t.name()] && (r.at(i+1).is("!=") || r.at(i+1).is("<>") || r.at(i+1).is("=")) && r.at(i+2).text == "0":
			r.toks[i+2] = token{kind: str, text: "'-'"} // the text of no function
		}
	}
	var b strings.Builder
	for i, t := range r.toks {
		if i > 0 && !(t.text == "." || t.text == "(" && (r.toks[i-1].kind == word || r.toks[i-1].kind == quoted) || r.toks[i-1].text == "." || t.text == "::" || r.toks[i-1].text == "::" || t.text == "[" || t.text == ",") {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
	}
	return b.String()
}

// functionOf compares a function's name with a column that holds functions,
// where its number is compared: such columns hold names here.
func (r *rewriter) functionOf(i int) {
	left, right := i-1, i+1
	if r.at(i + 2).is(".") {
		right = i + 3
	}
	for _, sides := range [][2]int{{left, right}, {right, left}} {
		if number, function := r.at(sides[0]), r.at(sides[1]); number.name() == "oid" && regprocs[function.name()] {
			r.toks[sides[0]] = plain("proname")
		}
	}
}

// anyOf writes x = ANY(column) as a function: DuckDB makes a subquery of it,
// which may not stand in the condition of an outer join.
func (r *rewriter) anyOf(i int) {
	inner := 1
	if r.at(i + 4).is(".") {
		inner = 3
	}
	if !r.at(i+1).is("any") || !r.at(i+2).is("(") || !r.at(i+3+inner).is(")") || r.at(i+3).name() == "" || r.at(i+2+inner).name() == "" {
		return
	}
	from := r.operand(i)
	words := append([]token{plain("list_contains"), {kind: sign, text: "("}}, r.toks[i+3:i+3+inner]...)
	words = append(append(words, token{kind: sign, text: ","}), r.toks[from:i]...)
	r.put(from, i+4+inner-from, append(words, token{kind: sign, text: ")"})...)
}

func (r *rewriter) at(i int) token {
	if i < 0 || i >= len(r.toks) {
		return token{kind: sign}
	}
	return r.toks[i]
}

// put writes words in the place of n tokens.
func (r *rewriter) put(i, n int, words ...token) {
	r.toks = slices.Replace(r.toks, i, i+n, words...)
}

func plain(text string) token { return token{kind: word, text: text} }

// names takes the catalog's name off, and COLLATE, and OPERATOR().
func (r *rewriter) names() {
	var out []token
	for i := 0; i < len(r.toks); i++ {
		t := r.toks[i]
		n := t.name()
		dot := r.at(i + 1).is(".")
		switch {
		case t.is("operator") && r.at(i+1).is("("):
			for i++; i < len(r.toks) && !r.toks[i].is(")"); i++ {
				if r.toks[i].kind == sign && !r.toks[i].is("(") && !r.toks[i].is(".") {
					out = append(out, r.toks[i])
				}
			}
		case t.is("collate") && r.at(i-1).is("as"):
			out = append(out, token{kind: quoted, text: `"collate"`})
		case t.is("collate"):
			i++
			if r.at(i + 1).is(".") {
				i += 2
			}
		case t.kind == word && r.at(i-1).is("as") && t.text != strings.ToLower(t.text): // as PostgreSQL folds names
			out = append(out, plain(strings.ToLower(t.text)))
		case t.is("at") && !r.at(i+1).is("time"): // DuckDB has another use for the word
			out = append(out, token{kind: quoted, text: `"at"`})
		case n == "pg_catalog" && dot && (t.kind == word || t.kind == quoted):
			i++
		case n == "information_schema" && dot:
			i++
			if r.at(i+1).name() != "_pg_expandarray" && !strings.HasPrefix(r.at(i+1).name(), "_pg_") && !r.at(i-2).is("::") {
				out = append(out, plain("info"), token{kind: sign, text: "."})
			}
		case renamed[n] != "" && r.at(i+1).is("("):
			out = append(out, plain(renamed[n]))
		case n == "tableoid" && !r.at(i-1).is("as") && !madeHere(r.toks, i):
			class := token{kind: number, text: strconv.FormatUint(uint64(r.class(i)), 10)}
			for len(out) > 1 && out[len(out)-1].is(".") {
				out = out[:len(out)-2]
			}
			item := len(out) > 0 && (out[len(out)-1].is("select") || out[len(out)-1].is(",")) && (r.at(i+1).is(",") || r.at(i+1).is("from")) && r.inList(i)
			out = append(out, class)
			if item {
				out = append(out, plain("AS"), plain("tableoid"))
			}
		case t.is("b") && r.at(i+1).kind == str && bitsOf(r.at(i+1)) >= 0:
			i++ // numbers have bits too
			out = append(out, token{kind: number, text: strconv.FormatInt(bitsOf(r.toks[i]), 10)})
		case t.kind == str && (t.text[0] == 'e' || t.text[0] == 'E'):
			out = append(out, token{kind: str, text: sqlText(t.value())})
		case (n == "current_schema" || n == "current_catalog" || n == "current_user" || n == "session_user" || n == "current_role" || n == "user") && t.kind == word && !r.at(i+1).is("(") && !r.at(i-1).is(".") && !r.at(i-1).is("as") && !dot:
			out = append(out, t, token{kind: sign, text: "("}, token{kind: sign, text: ")"})
		default:
			out = append(out, t)
		}
	}
	r.toks = out
}

// bitsOf is what the text behind B stands for, -1 where that is no string of bits.
func bitsOf(t token) int64 {
	n, err := strconv.ParseInt(t.value(), 2, 32)
	if err != nil {
		return -1
	}
	return n
}

// pattern makes the regular expression behind an operator match anywhere, as
// PostgreSQL's do.
func (r *rewriter) pattern(i int) {
	t := r.at(i + 1)
	fold := strings.HasSuffix(r.toks[i].text, "*")
	if fold {
		r.toks[i].text = strings.TrimSuffix(r.toks[i].text, "*")
	}
	if t.kind == param { // which is not known yet
		before := "'.*('"
		if fold {
			before = "'(?i).*('"
		}
		r.put(i+1, 1, token{kind: sign, text: "("}, token{kind: str, text: before}, token{kind: sign, text: "||"}, t, token{kind: sign, text: "::"}, plain("varchar"), token{kind: sign, text: "||"}, token{kind: str, text: "').*'"}, token{kind: sign, text: ")"})
	}
	if t.kind != str {
		return
	}
	p := t.value()
	if !strings.HasPrefix(p, "^") {
		p = ".*(" + p
	} else {
		p = "(" + p[1:]
	}
	if strings.HasSuffix(p, "$") {
		p = p[:len(p)-1] + ")"
	} else {
		p += ").*"
	}
	if fold {
		p = "(?i)" + p
	}
	r.toks[i+1].text = sqlText(p)
}

// substringOfPattern writes substring(text FROM 'pattern'), which is what the
// pattern's first group matches.
func (r *rewriter) substringOfPattern(i int) {
	args, end := arguments(r.toks, i+1)
	if !r.at(i+1).is("(") || len(args) != 1 || end == len(r.toks) {
		return
	}
	list := args[0]
	n := len(list)
	if n < 3 || list[n-1].kind != str || !list[n-2].is("from") {
		return
	}
	group := "0"
	if strings.Contains(list[n-1].value(), "(") {
		group = "1"
	}
	words := append([]token{plain("nullif"), {kind: sign, text: "("}, plain("regexp_extract"), {kind: sign, text: "("}}, list[:n-2]...)
	words = append(words, token{kind: sign, text: ","}, list[n-1], token{kind: sign, text: ","}, token{kind: number, text: group}, token{kind: sign, text: ")"},
		token{kind: sign, text: ","}, token{kind: str, text: "''"}, token{kind: sign, text: ")"})
	r.put(i, end+1-i, words...)
}

// effects does what functions in a statement do besides their value:
// set_config, and pg_cancel_backend of one's own sessions.
func (ses *session) effects(st statement, args []any) error {
	given := func(t token) (string, bool) {
		if t.kind == param {
			if n := number1(t.text[1:]); n > 0 && n <= len(args) {
				return fmt.Sprint(args[n-1]), true
			}
		}
		return t.value(), t.kind == str || t.kind == number
	}
	for i, t := range st.tokens {
		at := func(n int) token {
			if i+n < len(st.tokens) {
				return st.tokens[i+n]
			}
			return token{kind: sign}
		}
		switch t.name() {
		case "set_config":
			name, ok := given(at(2))
			value, ok2 := given(at(4))
			if ok && ok2 {
				if err := ses.change(strings.ToLower(name), value, at(6).is("true")); err != nil {
					return err
				}
			}
		case "pg_cancel_backend", "pg_terminate_backend":
			text, _ := given(at(2))
			if n, err := strconv.ParseUint(text, 10, 31); err == nil {
				ses.srv.cancelSession(uint32(n), ses.user)
			}
		}
	}
	return nil
}
