package pgwire

import (
	"context"
	"encoding/json"
	"strings"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// action is what a statement does.
type action struct {
	run  func(ctx context.Context, args []any) (result, error)
	rows bool // it returns rows
	ends bool // it ends a transaction, and may do so to one that failed
	// describe finds the types of the parameters, of which some are declared, and
	// the columns; nil: there are none of either.
	describe func(ctx context.Context, declared []uint32) ([]*pgType, []column, error)
}

// command is an action without parameters and rows.
func command(tag string, do func() error) action {
	return action{run: func(context.Context, []any) (result, error) { return result{tag: tag}, do() }}
}

// plan decides what a statement does. Nothing is done yet.
func (ses *session) plan(st statement) (action, error) {
	nothing := func() error { return nil }
	first := strings.ToUpper(st.tokens[0].Text)
	switch first {
	case "SELECT", "WITH", "VALUES", "TABLE", "FROM", "(", "DESCRIBE", "DESC", "SUMMARIZE", "PIVOT", "UNPIVOT":
		if exportsSnapshot(st) {
			return ses.exportSnapshot(), nil
		}
		return ses.query(st)
	case "EXPLAIN":
		return ses.explain(st)
	case "SHOW":
		return ses.show(st)
	case "SET":
		return command("SET", func() error { return ses.setCommand(st) }), nil
	case "RESET":
		var name string
		for _, t := range st.tokens[1:] {
			name += strings.ToLower(t.Text)
		}
		if name == "sessionauthorization" {
			name = "session_authorization"
		}
		return command("RESET", func() error { return ses.reset(name) }), nil
	case "BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE":
		return ses.transact(first, st), nil
	case "DISCARD":
		return command("DISCARD ALL", func() error { return ses.discard(st) }), nil
	case "DEALLOCATE":
		return command("DEALLOCATE", func() error { return ses.deallocate(st) }), nil
	case "DECLARE":
		return ses.declare(st)
	case "FETCH", "MOVE":
		return ses.fetch(first, st)
	case "CLOSE":
		return command("CLOSE CURSOR", func() error { return ses.closeCursor(st) }), nil
	case "COPY":
		return ses.copyTo(st)
	case "LOCK":
		// A reader's lock keeps views from being dropped, which is nothing that
		// clients of this door can do.
		n := len(st.tokens)
		if st.tokens[n-1].Is("nowait") {
			n--
		}
		if n > 4 && st.tokens[n-4].Is("in") && st.tokens[n-3].Is("access") && st.tokens[n-2].Is("share") {
			return command("LOCK TABLE", nothing), nil
		}
	case "UNLISTEN":
		return command("UNLISTEN", nothing), nil
	case "LISTEN", "NOTIFY":
		return action{}, fault.WithCode(fault.New(fault.Invalid, "%s is not answered: watch a view over HTTP, GET /v1/views/VIEW/watch", first), "unsupported")
	case "PREPARE", "EXECUTE":
		return action{}, fault.WithCode(fault.New(fault.Invalid, "%s as a statement is not answered: prepare by the protocol, as drivers do", first), "unsupported")
	}
	// The engine knows best how to refuse.
	return ses.query(st)
}

// show answers SHOW of a parameter; of the rest the engine knows.
func (ses *session) show(st statement) (action, error) {
	words := st.tokens[1:]
	var name string
	for i, t := range words {
		if i > 0 && t.Text != "." && words[i-1].Text != "." {
			name += " "
		}
		if t.Text == "." {
			name += "."
			continue
		}
		name += t.Name()
	}
	switch strings.ToLower(name) {
	case "tables", "all tables", "databases", "schemas", "":
		return ses.query(st)
	case "all":
		return ses.literal("SHOW", func() ([]column, [][]any, error) {
			var rows [][]any
			for _, s := range ses.allSettings() {
				rows = append(rows, []any{s[0], s[1], ""})
			}
			return []column{textColumn("name"), textColumn("setting"), textColumn("description")}, rows, nil
		}), nil
	case "time zone":
		name = "timezone"
	case "transaction isolation level":
		name = "transaction_isolation"
	case "session authorization":
		name = "session_authorization"
	case "data_directory", "config_file", "hba_file", "ident_file":
		return action{}, fault.New(fault.Denied, "permission denied to examine %q", name)
	}
	name = strings.ToLower(name)
	if !ses.known(name) {
		if len(words) == 1 {
			return action{}, fault.WithCode(fault.New(fault.Invalid, "unrecognized configuration parameter %q", name), "setting")
		}
		return ses.query(st)
	}
	return ses.literal("SHOW", func() ([]column, [][]any, error) {
		if name == "receipt" {
			if ses.receipt == nil {
				return []column{textColumn(name)}, [][]any{{nil}}, nil
			}
			text, err := json.Marshal(ses.receipt)
			return []column{textColumn(name)}, [][]any{{string(text)}}, fault.Wrap(fault.Bug, err)
		}
		return []column{textColumn(shownName(name))}, [][]any{{ses.get(name)}}, nil
	}), nil
}

func textColumn(name string) column { return column{name: name, typ: typeOf("VARCHAR")} }

// literal is an action whose few rows are known here.
func (ses *session) literal(tag string, make func() ([]column, [][]any, error)) action {
	return action{
		rows: true,
		run: func(context.Context, []any) (result, error) {
			columns, all, err := make()
			return result{rows: &fewRows{columns, all}, tag: tag}, err
		},
		describe: func(context.Context, []uint32) ([]*pgType, []column, error) {
			columns, _, err := make()
			return nil, columns, err
		},
	}
}

type fewRows struct {
	cols []column
	all  [][]any
}

func (f *fewRows) columns() []column { return f.cols }
func (f *fewRows) close()            {}
func (f *fewRows) rest()             {}
func (f *fewRows) next() ([]sql.Datum, error) {
	if len(f.all) == 0 {
		return nil, nil
	}
	row := make([]sql.Datum, len(f.all[0]))
	for i, v := range f.all[0] {
		row[i] = sql.DatumOf(v)
	}
	f.all = f.all[1:]
	return row, nil
}

// discard answers DISCARD.
func (ses *session) discard(st statement) error {
	if len(st.tokens) < 2 || !st.tokens[1].Is("all") {
		return nil // plans, sequences and temporary tables there are none
	}
	if ses.tx.status != 'I' {
		return fault.WithCode(fault.New(fault.Conflict, "DISCARD ALL cannot run inside a transaction block"), "in_transaction")
	}
	for name := range ses.portals {
		ses.dropPortal(name)
	}
	clear(ses.statements)
	return ses.reset("all")
}

// deallocate answers DEALLOCATE [PREPARE] name or ALL.
func (ses *session) deallocate(st statement) error {
	toks := st.tokens[1:]
	if len(toks) > 1 && toks[0].Is("prepare") {
		toks = toks[1:]
	}
	if len(toks) != 1 {
		return fault.WithCode(fault.New(fault.Invalid, "want DEALLOCATE name or DEALLOCATE ALL"), "syntax")
	}
	if toks[0].Is("all") {
		clear(ses.statements)
		return nil
	}
	name := toks[0].Name()
	if _, ok := ses.statements[name]; !ok {
		return fault.WithCode(fault.New(fault.NotFound, "prepared statement %q does not exist", name), "no_statement")
	}
	delete(ses.statements, name)
	return nil
}
