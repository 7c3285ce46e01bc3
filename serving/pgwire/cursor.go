package pgwire

import (
	"context"
	"strconv"
	"strings"

	"anabranch/fault"
	"anabranch/internal/sqltext"
	"anabranch/serving/sql"
)

// declare answers DECLARE name ... CURSOR ... FOR query: a portal by name.
func (ses *session) declare(st statement) (action, error) {
	bad := fault.WithCode(fault.New(fault.Invalid, "want DECLARE name CURSOR FOR SELECT ..."), "syntax")
	toks := st.tokens
	if len(toks) < 5 {
		return action{}, bad
	}
	name, at, hold, binary := toks[1].Name(), 2, false, false
	for at < len(toks) && !toks[at].Is("for") {
		if toks[at].Is("with") && toks[min(at+1, len(toks)-1)].Is("hold") {
			hold = true
		}
		binary = binary || toks[at].Is("binary")
		at++
	}
	if name == "" || at+1 >= len(toks) {
		return action{}, bad
	}
	from := toks[at+1].Start
	inner := statement{text: st.text[from:], tokens: sqltext.Lex(st.text[from:]), origin: st.origin.cut(from)}
	a, err := ses.plan(inner)
	if err != nil {
		return a, err
	}
	if !a.rows {
		return action{}, bad
	}
	return action{
		describe: func(ctx context.Context, declared []uint32) ([]*pgType, []column, error) {
			params, _, err := a.describe(ctx, declared)
			return params, nil, err
		},
		run: func(ctx context.Context, args []any) (result, error) {
			if ses.tx.status == 'I' && !hold {
				return result{}, fault.WithCode(fault.New(fault.Invalid, "DECLARE CURSOR can only be used in transaction blocks"), "no_transaction")
			}
			if _, there := ses.portals[name]; there {
				return result{}, fault.WithCode(fault.New(fault.Invalid, "cursor %q already exists", name), "portal_exists")
			}
			if len(ses.portals) >= maxStatements {
				return result{}, fault.WithCode(fault.New(fault.Throttled, "a session may have %d cursors: close some", maxStatements), "busy")
			}
			// A mistake is one of DECLARE, not of the first FETCH.
			if _, _, err := a.describe(ctx, oidsOf(args)); err != nil {
				return result{}, err
			}
			p := &portal{ses: ses, prepared: &prepared{statement: inner, action: a}, args: args, hold: hold}
			if ses.tx.status != 'I' {
				p.depth = 1 + len(ses.tx.savepoints)
			}
			p.binary = binary
			if err := ses.hold(len(name) + p.size()); err != nil {
				return result{}, err
			}
			ses.portals[name] = p
			return result{tag: "DECLARE CURSOR"}, nil
		},
	}, nil
}

// fetch answers FETCH and MOVE, forward only.
func (ses *session) fetch(verb string, st statement) (action, error) {
	n, toks := 1, st.tokens[1:] // n < 0: all
	for len(toks) > 0 {
		t := toks[0]
		switch {
		case t.Is("next"), t.Is("forward"):
		case t.Is("all"):
			n = -1
		case t.Kind == sqltext.Number:
			var err error
			if n, err = strconv.Atoi(t.Text); err != nil {
				return action{}, fault.WithCode(fault.New(fault.Invalid, "%s %s: want a number of rows", verb, t.Text), "unsupported")
			}
		case t.Is("from"), t.Is("in"):
			toks = toks[1:]
			if len(toks) == 1 {
				return ses.fetchFrom(verb, n, toks[0].Name())
			}
			return action{}, fault.WithCode(fault.New(fault.Invalid, "want %s n FROM cursor", verb), "syntax")
		default:
			if len(toks) == 1 && t.Name() != "" {
				return ses.fetchFrom(verb, n, t.Name())
			}
			return action{}, fault.WithCode(fault.New(fault.Invalid, "%s %s: cursors are read forward only", verb, strings.ToUpper(t.Text)), "unsupported")
		}
		toks = toks[1:]
	}
	return action{}, fault.WithCode(fault.New(fault.Invalid, "want %s n FROM cursor", verb), "syntax")
}

func (ses *session) fetchFrom(verb string, n int, name string) (action, error) {
	find := func() (*portal, error) {
		p, ok := ses.portals[name]
		if !ok {
			return nil, fault.WithCode(fault.New(fault.NotFound, "cursor %q does not exist", name), "no_portal")
		}
		return p, p.open()
	}
	a := action{rows: verb == "FETCH"}
	a.run = func(context.Context, []any) (result, error) {
		p, err := find()
		if err != nil {
			return result{}, err
		}
		if n == 0 && verb == "FETCH" && p.begun {
			return result{}, fault.WithCode(fault.New(fault.Invalid, "FETCH 0: cursors are read forward only, no row is read again"), "unsupported")
		}
		part := &partOf{portal: p, left: n, all: n < 0}
		if verb == "FETCH" {
			return result{rows: part, tag: verb}, nil
		}
		defer part.rest()
		moved := 0
		for {
			row, err := part.next()
			if err != nil {
				return result{}, err
			}
			if row == nil {
				return result{tag: "MOVE " + strconv.Itoa(moved)}, nil
			}
			moved++
		}
	}
	a.describe = func(context.Context, []uint32) ([]*pgType, []column, error) {
		p, err := find()
		if err != nil || verb == "MOVE" {
			return nil, nil, err
		}
		return nil, p.cols, nil
	}
	return a, nil
}

// partOf is the next rows of a cursor.
type partOf struct {
	portal *portal
	left   int
	all    bool
}

func (f *partOf) columns() []column { return f.portal.cols }
func (f *partOf) close()            {}
func (f *partOf) rest() {
	if rows := f.portal.result.rows; rows != nil {
		rows.rest()
	}
}
func (f *partOf) next() ([]sql.Datum, error) {
	p := f.portal
	if p.result.rows == nil || !f.all && f.left == 0 {
		return nil, nil
	}
	f.left--
	p.begun = true
	row, err := p.result.rows.next()
	if err == nil && row == nil {
		p.finish()
	}
	return row, p.cause(p.ctx, err)
}

// closeCursor answers CLOSE.
func (ses *session) closeCursor(st statement) error {
	if len(st.tokens) != 2 {
		return fault.WithCode(fault.New(fault.Invalid, "want CLOSE cursor or CLOSE ALL"), "syntax")
	}
	if st.tokens[1].Is("all") {
		for name := range ses.portals {
			ses.dropPortal(name)
		}
		return nil
	}
	name := st.tokens[1].Name()
	if _, ok := ses.portals[name]; !ok {
		return fault.WithCode(fault.New(fault.NotFound, "cursor %q does not exist", name), "no_portal")
	}
	ses.dropPortal(name)
	return nil
}
