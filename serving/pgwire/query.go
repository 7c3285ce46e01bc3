package pgwire

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"anabranch/fault"
	"anabranch/internal/sqltext"
	"anabranch/serving/sql"
)

// query is the action of a statement that returns rows: of the catalog's, or
// of the engine's.
func (ses *session) query(st statement) (action, error) {
	st = ses.inDuckDB(withLists(st))
	if asksCatalog(st) {
		return ses.catalogQuery(st)
	}
	asked := ses.qualify(st)
	text := asked.text
	return action{
		rows: true,
		run: func(ctx context.Context, args []any) (result, error) {
			rows, err := ses.ask(ctx, text, args)
			if err != nil && text == asked.text {
				err = asked.placed(err)
			}
			return result{rows: rows, tag: "SELECT"}, err
		},
		describe: func(ctx context.Context, declared []uint32) ([]*pgType, []column, error) {
			d, err := ses.srv.engine.Describe(ctx, sql.Request{SQL: text, User: ses.limitedAs()})
			if err != nil {
				return nil, nil, asked.placed(err)
			}
			cast := castParameters(st.tokens, d.Params)
			if len(d.Columns) == 0 && len(declared) > 0 {
				if with, of := ses.withNullTests(ctx, text, d.Params); with != "" {
					text, d = with, of
				}
			}
			if len(d.Columns) == 0 && len(declared) > 0 {
				if text, d, err = ses.settled(ctx, text, d.Params, declared); err != nil {
					return nil, nil, err
				}
			}
			params := make([]*pgType, len(d.Params))
			for i, name := range d.Params {
				if name != "" {
					params[i] = typeOf(name)
				}
				if cast[i+1] != nil {
					params[i] = cast[i+1]
				}
			}
			return params, ses.columnsOf(d.Columns), nil
		},
	}, nil
}

// ask has the engine answer.
func (ses *session) ask(ctx context.Context, text string, args []any) (rows, error) {
	r := sql.Request{SQL: text, Args: args, Fresh: ses.fresh, User: ses.limitedAs()}
	if ses.limited > 0 {
		r.Limits.Time = ses.timeout()
	}
	pins := ses.tx.pins(ses)
	if pins {
		r.AsOf = ses.tx.pinned
	}
	a, err := ses.srv.engine.Query(ctx, r)
	if r.AsOf != nil && fault.CodeOf(err) == "receipt_invalid" {
		// The queries so far read other pipelines.
		if err := ses.pinOthers(ctx); err != nil {
			return nil, err
		}
		a, err = ses.srv.engine.Query(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	receipt := a.Receipt
	ses.receipt = &receipt
	if pins && ses.tx.pinned == nil && len(receipt.Pipelines) > 0 {
		pinned := receipt
		pinned.Pipelines = maps.Clone(receipt.Pipelines)
		ses.tx.pinned = &pinned
	}
	return &answerRows{a, ses.columnsOf(a.Columns)}, nil
}

// limitedAs is whose limits a session's queries count against: nobody's where
// anybody may say any name.
func (ses *session) limitedAs() string {
	if ses.srv.o.Users == nil {
		return ""
	}
	return ses.user
}

// pinOthers pins the pipelines that the transaction has not read yet where
// they stand.
func (ses *session) pinOthers(ctx context.Context) error {
	for _, t := range ses.tables() {
		if _, there := ses.tx.pinned.Pipelines[t.Schema]; there || t.Kind != sql.KindView {
			continue
		}
		a, err := ses.srv.engine.Query(ctx, sql.Request{SQL: "SELECT 1 FROM " + sqlName(t.Schema) + "." + sqlName(t.Name) + " LIMIT 0", Fresh: ses.fresh, User: ses.limitedAs()})
		if err != nil {
			return err
		}
		maps.Copy(ses.tx.pinned.Pipelines, a.Receipt.Pipelines)
		if ses.tx.pinned.AsOf.IsZero() {
			ses.tx.pinned.AsOf = a.Receipt.AsOf
		}
		if err := a.Close(); err != nil {
			return err
		}
	}
	return nil
}

type answerRows struct {
	answer *sql.Answer
	cols   []column
}

func (r *answerRows) columns() []column          { return r.cols }
func (r *answerRows) next() ([]sql.Datum, error) { return r.answer.Row() }
func (r *answerRows) rest()                      { r.answer.Rest() }
func (r *answerRows) close()                     { _ = r.answer.Close() }

func (ses *session) columnsOf(all []sql.Column) []column {
	out := make([]column, len(all))
	for i, c := range all {
		out[i] = column{name: cmp.Or(c.Called, c.Name), typ: typeOf(c.Type)}
	}
	return out
}

// path is where unqualified names are looked for: the pipelines that
// search_path names, or all of them.
func (ses *session) path() []string {
	set := ses.values["search_path"]
	if v, ok := ses.local["search_path"]; ok {
		set = v
	}
	var there, path []string
	for _, t := range ses.tables() {
		if !slices.Contains(there, t.Schema) {
			there = append(there, t.Schema)
		}
	}
	for _, t := range sqltext.Lex(set) {
		name := t.Name()
		if t.Kind == sqltext.String {
			name = t.Value()
		}
		if name != "" && slices.Contains(there, name) && !slices.Contains(path, name) {
			path = append(path, name)
		}
	}
	if len(path) == 0 {
		return there
	}
	return path
}

func (ses *session) tables() []sql.Table {
	all, err := ses.srv.engine.Tables(ses.srv.ctx)
	if err != nil {
		ses.srv.o.Logger.Warn("list the tables", "error", err)
	}
	return all
}

func quoteAll(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quoteName(n)
	}
	return out
}

// quoteName writes an identifier as PostgreSQL's quote_ident does.
func quoteName(n string) string {
	plain := n != ""
	for i, c := range n {
		if !(c == '_' || 'a' <= c && c <= 'z' || i > 0 && '0' <= c && c <= '9') {
			plain = false
		}
	}
	if plain {
		return n
	}
	return `"` + strings.ReplaceAll(n, `"`, `""`) + `"`
}
