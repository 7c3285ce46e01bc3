package pgwire

import (
	"context"
	"slices"
	"strings"

	"anabranch/fault"
	"anabranch/internal/sqltext"
)

// explain answers EXPLAIN. Alone it is the engine's, a table of where rows come
// from; with PostgreSQL's options, of which FORMAT means something, it is what
// programs send: pgAdmin (JSON) and DBeaver (XML) to draw a plan, sqlx to learn which
// columns may be null.
func (ses *session) explain(st statement) (action, error) {
	asked, format, err := explained(st)
	if err != nil {
		return action{}, err
	}
	text, from := "EXPLAIN ", origin{}
	switch {
	case len(asked) == 0:
	case asked[0].Is("execute"):
		query, err := ses.executed(asked)
		if err != nil {
			return action{}, err
		}
		text += query
	default:
		from = st.origin.edited([]edit{{0, asked[0].Start, text}})
		text += st.text[asked[0].Start:]
	}
	plan, err := ses.query(statement{text: text, tokens: sqltext.Lex(text), origin: from})
	if err != nil || format == "text" {
		return plan, err
	}
	columns := []column{{name: "QUERY PLAN", typ: typeOf("JSON")}}
	if format == "xml" {
		columns[0].typ = xmlType
	}
	return action{
		rows: true,
		run: func(ctx context.Context, args []any) (result, error) {
			r, err := plan.run(ctx, args)
			if err != nil {
				return result{}, err
			}
			defer r.rows.close()
			p, err := planOf(r.rows)
			if err != nil {
				return result{}, err
			}
			var document any
			if format == "xml" {
				document = p.xml()
			} else {
				document, err = p.json()
			}
			return result{rows: &fewRows{columns, [][]any{{document}}}, tag: "EXPLAIN"}, err
		},
		describe: func(ctx context.Context, declared []uint32) ([]*pgType, []column, error) {
			params, _, err := plan.describe(ctx, declared)
			return params, columns, err
		},
	}, nil
}

// explained returns what an EXPLAIN is of, and the format that it asks for.
func explained(st statement) (rest []token, format string, err error) {
	format, rest = "text", st.tokens[1:]
	analyze := false
	if len(rest) > 0 && rest[0].Is("(") && len(rest) > 1 && !rest[1].Is("select") && !rest[1].Is("with") && !rest[1].Is("(") {
		end := slices.IndexFunc(rest, func(t token) bool { return t.Is(")") })
		if end < 0 {
			end = len(rest) - 1
		}
		var option []string
		for _, t := range rest[1 : end+1] {
			if !t.Is(",") && !t.Is(")") {
				option = append(option, strings.ToLower(t.Value()))
				continue
			}
			switch on := len(option) < 2 || !slices.Contains([]string{"off", "false", "0"}, option[1]); {
			case len(option) == 2 && option[0] == "format":
				format = option[1]
			case len(option) > 0 && option[0] == "analyze":
				analyze = on
			}
			option = nil
		}
		rest = rest[end+1:]
	} else {
		for len(rest) > 0 && (rest[0].Is("analyze") || rest[0].Is("verbose")) {
			analyze = analyze || rest[0].Is("analyze")
			rest = rest[1:]
		}
	}
	switch {
	case analyze:
		return nil, "", fault.WithCode(fault.New(fault.Denied, "EXPLAIN ANALYZE would run the query, and is not answered: leave ANALYZE out"), "read_only")
	case format != "text" && format != "json" && format != "xml":
		return nil, "", fault.WithCode(fault.New(fault.Invalid, "EXPLAIN is written as TEXT, JSON or XML, not as %q", format), "unsupported")
	}
	return rest, format, nil
}

// executed returns the prepared statement that EXECUTE name (arguments) names,
// with its arguments where its parameters were.
func (ses *session) executed(toks []token) (string, error) {
	var name string
	if len(toks) > 1 {
		name = toks[1].Name()
	}
	p, ok := ses.statements[name]
	if !ok {
		return "", fault.WithCode(fault.New(fault.NotFound, "prepared statement %q does not exist", name), "no_statement")
	}
	given, _ := arguments(toks, 2)
	var edits []edit
	for _, t := range p.statement.tokens {
		if t.Kind != sqltext.Parameter {
			continue
		}
		words := "NULL"
		if n := t.Place(); n > 0 && n <= len(given) {
			words = ""
			for _, a := range given[n-1] {
				words += a.Text + " "
			}
		}
		edits = append(edits, edit{t.Start, t.End(), words})
	}
	return edited(p.statement.text, edits), nil
}
