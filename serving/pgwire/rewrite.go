package pgwire

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"anabranch/internal/sqltext"
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
		n := t.Name()
		switch {
		case strings.HasPrefix(n, "pg_") || n == "information_schema" || n == "_pg_expandarray":
			return true
		case t.Is("from"):
			next := st.tokens[min(i+1, len(st.tokens)-1)]
			reads = reads || !(slices.Contains(sessionFunctions, next.Name()) && i+2 < len(st.tokens) && st.tokens[i+2].Is("("))
		case i > 0 && st.tokens[i-1].Is("::") && regTypes[n], regTypes[n] && i+1 < len(st.tokens) && st.tokens[i+1].Is("("):
			return true
		case slices.Contains(sessionFunctions, n) && (t.Kind == sqltext.Word || t.Kind == sqltext.Quoted) && !(i > 0 && st.tokens[i-1].Is(".")):
			session = session || i+1 < len(st.tokens) && st.tokens[i+1].Is("(") || strings.HasPrefix(n, "current_") || n == "session_user" || n == "user"
		}
	}
	return session && !reads
}

// regprocs are the columns that hold functions, by name; 0 stands for none.
var regprocs = map[string]bool{"typinput": true, "typoutput": true, "typreceive": true, "typsend": true, "typmodin": true, "typmodout": true, "typanalyze": true, "typsubscript": true}

// rewriter holds the tokens while they are written anew.
type rewriter struct{ toks []token }

// rewrite returns the statement as DuckDB has it, whose origin knows where each of
// its words stood.
func rewrite(st statement) statement {
	r := &rewriter{toks: slices.Clone(st.tokens)}
	r.castsAsCalls()
	r.names()
	r.listsInFrom()
	r.functionsInFrom()
	r.seriesOfRows()
	r.inOrder()
	for i := 0; i < len(r.toks); i++ {
		switch t := r.toks[i]; {
		case t.Is("::"):
			i = r.cast(i)
		case t.Is("as") && r.castCall(i):
		case t.Is("~"), t.Is("!~"), t.Is("~*"), t.Is("!~*"):
			r.pattern(i)
		case t.Is("="):
			r.anyOf(i)
			r.functionOf(i)
		case (t.Name() == "aclexplode" || t.Name() == "pg_partition_ancestors") && r.at(i+1).Is("(") && !r.inFrom(i):
			r.toks[i] = plain(t.Name() + "_rows")
		case t.Is("substring"):
			r.substringOfPattern(i)
		case t.Is("select") && r.at(i+1).Is("from"): // in EXISTS (SELECT FROM ...)
			r.put(i+1, 0, token{Kind: sqltext.Number, Text: "1"})
		case t.Is("like"), t.Is("ilike"):
			if !r.likeAny(i) {
				r.escape(i)
			}
		case regprocs[t.Name()] && (r.at(i+1).Is("!=") || r.at(i+1).Is("<>") || r.at(i+1).Is("=")) && r.at(i+2).Text == "0":
			r.toks[i+2] = token{Kind: sqltext.String, Text: "'-'"} // the text of no function
		}
	}
	var b strings.Builder
	step := make([]stretch, 0, len(r.toks))
	for i, t := range r.toks {
		if i > 0 && !(t.Text == "." || t.Text == "(" && (r.toks[i-1].Kind == sqltext.Word || r.toks[i-1].Kind == sqltext.Quoted) || r.toks[i-1].Text == "." || t.Text == "::" || r.toks[i-1].Text == "::" || t.Text == "[" || t.Text == ",") {
			b.WriteByte(' ')
		}
		switch {
		case i == 0 || t.Start > 0:
			step = append(step, stretch{at: b.Len(), from: t.Start})
		case !step[len(step)-1].put: // a word of ours has no place: it is where the one before it is
			step = append(step, stretch{at: b.Len(), from: step[len(step)-1].from, put: true})
		}
		b.WriteString(t.Text)
	}
	from := st.origin
	from.steps = append(slices.Clip(from.steps), step)
	return statement{text: b.String(), tokens: r.toks, origin: from}
}

// functionOf compares a function's name with a column that holds functions,
// where its number is compared: such columns hold names here.
func (r *rewriter) functionOf(i int) {
	left, right := i-1, i+1
	if r.at(i + 2).Is(".") {
		right = i + 3
	}
	for _, sides := range [][2]int{{left, right}, {right, left}} {
		if number, function := r.at(sides[0]), r.at(sides[1]); number.Name() == "oid" && regprocs[function.Name()] {
			r.toks[sides[0]] = plain("proname")
		}
	}
}

// anyOf writes x = ANY(column) as a function: DuckDB makes a subquery of it,
// which may not stand in the condition of an outer join.
func (r *rewriter) anyOf(i int) {
	inner := 1
	if r.at(i + 4).Is(".") {
		inner = 3
	}
	if !r.at(i+1).Is("any") || !r.at(i+2).Is("(") || !r.at(i+3+inner).Is(")") || r.at(i+3).Name() == "" || r.at(i+2+inner).Name() == "" {
		return
	}
	from := r.operand(i)
	words := append([]token{plain("list_contains"), {Kind: sqltext.Sign, Text: "("}}, r.toks[i+3:i+3+inner]...)
	words = append(append(words, token{Kind: sqltext.Sign, Text: ","}), r.toks[from:i]...)
	r.put(from, i+4+inner-from, append(words, token{Kind: sqltext.Sign, Text: ")"})...)
}

func (r *rewriter) at(i int) token {
	if i < 0 || i >= len(r.toks) {
		return token{Kind: sqltext.Sign}
	}
	return r.toks[i]
}

// put writes words in the place of n tokens.
func (r *rewriter) put(i, n int, words ...token) {
	r.toks = slices.Replace(r.toks, i, i+n, words...)
}

func plain(text string) token { return token{Kind: sqltext.Word, Text: text} }

// names takes the catalog's name off, and COLLATE, and OPERATOR().
func (r *rewriter) names() {
	var out []token
	for i := 0; i < len(r.toks); i++ {
		t := r.toks[i]
		n := t.Name()
		dot := r.at(i + 1).Is(".")
		switch {
		case t.Is("operator") && r.at(i+1).Is("("):
			for i++; i < len(r.toks) && !r.toks[i].Is(")"); i++ {
				if r.toks[i].Kind == sqltext.Sign && !r.toks[i].Is("(") && !r.toks[i].Is(".") {
					out = append(out, r.toks[i])
				}
			}
		case t.Is("collate") && r.at(i-1).Is("as"):
			out = append(out, token{Kind: sqltext.Quoted, Text: `"collate"`})
		case t.Is("collate"):
			i++
			if r.at(i + 1).Is(".") {
				i += 2
			}
		case t.Kind == sqltext.Word && r.at(i-1).Is("as") && t.Text != strings.ToLower(t.Text): // as PostgreSQL folds names
			out = append(out, plain(strings.ToLower(t.Text)))
		case t.Is("at") && !r.at(i+1).Is("time"): // DuckDB has another use for the word
			out = append(out, token{Kind: sqltext.Quoted, Text: `"at"`})
		case n == "pg_catalog" && dot && (t.Kind == sqltext.Word || t.Kind == sqltext.Quoted):
			i++
		case n == "information_schema" && dot:
			i++
			if r.at(i+1).Name() != "_pg_expandarray" && !strings.HasPrefix(r.at(i+1).Name(), "_pg_") && !r.at(i-2).Is("::") {
				out = append(out, plain("info"), token{Kind: sqltext.Sign, Text: "."})
			}
		case renamed[n] != "" && r.at(i+1).Is("("):
			out = append(out, plain(renamed[n]))
		case n == "tableoid" && !r.at(i-1).Is("as") && !madeHere(r.toks, i):
			class := token{Kind: sqltext.Number, Text: strconv.FormatUint(uint64(r.class(i)), 10)}
			for len(out) > 1 && out[len(out)-1].Is(".") {
				out = out[:len(out)-2]
			}
			item := len(out) > 0 && (out[len(out)-1].Is("select") || out[len(out)-1].Is(",")) && (r.at(i+1).Is(",") || r.at(i+1).Is("from")) && r.inList(i)
			out = append(out, class)
			if item {
				out = append(out, plain("AS"), plain("tableoid"))
			}
		case bitsOf(t) >= 0: // numbers have bits too
			out = append(out, token{Kind: sqltext.Number, Text: strconv.FormatInt(bitsOf(t), 10)})
		case t.Kind == sqltext.String && (t.Text[0] == 'e' || t.Text[0] == 'E'):
			out = append(out, token{Kind: sqltext.String, Text: sqlText(t.Value())})
		case (n == "current_schema" || n == "current_catalog" || n == "current_user" || n == "session_user" || n == "current_role" || n == "user") && t.Kind == sqltext.Word && !r.at(i+1).Is("(") && !r.at(i-1).Is(".") && !r.at(i-1).Is("as") && !dot:
			out = append(out, t, token{Kind: sqltext.Sign, Text: "("}, token{Kind: sqltext.Sign, Text: ")"})
		default:
			out = append(out, t)
		}
	}
	r.toks = out
}

// bitsOf is the number that B'1010' stands for; -1 of what is no string of bits.
func bitsOf(t token) int64 {
	bits, ok := strings.CutPrefix(t.Value(), "b")
	if t.Kind != sqltext.String || !ok || t.Text[0]|0x20 != 'b' {
		return -1
	}
	n, err := strconv.ParseInt(bits, 2, 32)
	if err != nil {
		return -1
	}
	return n
}

// pattern makes the regular expression behind an operator match anywhere, as
// PostgreSQL's do.
func (r *rewriter) pattern(i int) {
	t := r.at(i + 1)
	fold := strings.HasSuffix(r.toks[i].Text, "*")
	if fold {
		r.toks[i].Text = strings.TrimSuffix(r.toks[i].Text, "*")
	}
	if t.Kind == sqltext.Parameter { // which is not known yet
		before := "'.*('"
		if fold {
			before = "'(?i).*('"
		}
		r.put(i+1, 1, token{Kind: sqltext.Sign, Text: "("}, token{Kind: sqltext.String, Text: before}, token{Kind: sqltext.Sign, Text: "||"}, t, token{Kind: sqltext.Sign, Text: "::"}, plain("varchar"), token{Kind: sqltext.Sign, Text: "||"}, token{Kind: sqltext.String, Text: "').*'"}, token{Kind: sqltext.Sign, Text: ")"})
	}
	if t.Kind != sqltext.String {
		return
	}
	p := t.Value()
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
	r.toks[i+1].Text = sqlText(p)
}

// substringOfPattern writes substring(text FROM 'pattern'), which is what the
// pattern's first group matches.
func (r *rewriter) substringOfPattern(i int) {
	args, end := arguments(r.toks, i+1)
	if !r.at(i+1).Is("(") || len(args) != 1 || end == len(r.toks) {
		return
	}
	list := args[0]
	n := len(list)
	if n < 3 || list[n-1].Kind != sqltext.String || !list[n-2].Is("from") {
		return
	}
	group := "0"
	if strings.Contains(list[n-1].Value(), "(") {
		group = "1"
	}
	words := append([]token{plain("nullif"), {Kind: sqltext.Sign, Text: "("}, plain("regexp_extract"), {Kind: sqltext.Sign, Text: "("}}, list[:n-2]...)
	words = append(words, token{Kind: sqltext.Sign, Text: ","}, list[n-1], token{Kind: sqltext.Sign, Text: ","}, token{Kind: sqltext.Number, Text: group}, token{Kind: sqltext.Sign, Text: ")"},
		token{Kind: sqltext.Sign, Text: ","}, token{Kind: sqltext.String, Text: "''"}, token{Kind: sqltext.Sign, Text: ")"})
	r.put(i, end+1-i, words...)
}

// effects does what functions in a statement do besides their value:
// set_config, and pg_cancel_backend of one's own sessions.
func (ses *session) effects(st statement, args []any) error {
	given := func(t token) (string, bool) {
		if t.Kind == sqltext.Parameter {
			if n := t.Place(); n > 0 && n <= len(args) {
				return fmt.Sprint(args[n-1]), true
			}
		}
		return t.Value(), t.Kind == sqltext.String || t.Kind == sqltext.Number
	}
	for i, t := range st.tokens {
		at := func(n int) token {
			if i+n < len(st.tokens) {
				return st.tokens[i+n]
			}
			return token{Kind: sqltext.Sign}
		}
		switch t.Name() {
		case "set_config":
			name, ok := given(at(2))
			value, ok2 := given(at(4))
			if ok && ok2 {
				if err := ses.change(strings.ToLower(name), value, at(6).Is("true")); err != nil {
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
