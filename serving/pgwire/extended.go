package pgwire

import (
	"context"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgproto3"

	"anabranch/fault"
	"anabranch/internal/sqltext"
)

// prepared is a statement of the extended protocol.
type prepared struct {
	statement statement
	empty     bool
	action    action
	declared  []uint32 // OIDs that the client declared, 0 for unknown

	described bool
	params    []uint32
	columns   []column // nil: it returns no rows
}

// maxStatements is how many prepared statements and how many portals a session
// may have.
const maxStatements = 1000

func (ses *session) parse(m *pgproto3.Parse) error {
	if _, there := ses.statements[m.Name]; there && m.Name != "" {
		return fault.WithCode(fault.New(fault.Invalid, "prepared statement %q already exists", m.Name), "statement_exists")
	}
	p, err := ses.prepare(m.Query, m.ParameterOIDs)
	if err != nil {
		return err
	}
	if len(ses.statements) >= maxStatements {
		return fault.WithCode(fault.New(fault.Throttled, "a session may have %d prepared statements: DEALLOCATE some", maxStatements), "busy")
	}
	if err := ses.hold(len(m.Name) + p.size()); err != nil {
		return err
	}
	ses.statements[m.Name] = p
	if len(ses.parsed) >= maxStatements { // some were closed, and there was no Sync
		ses.parsed = slices.DeleteFunc(ses.parsed, func(name string) bool { return ses.statements[name] == nil || name == m.Name })
	}
	ses.parsed = append(ses.parsed, m.Name)
	return ses.send(&pgproto3.ParseComplete{})
}

func (ses *session) prepare(text string, declared []uint32) (*prepared, error) {
	all := split(text)
	if len(all) > 1 {
		return nil, fault.WithCode(fault.New(fault.Invalid, "a prepared statement is one statement, here are %d", len(all)), "syntax")
	}
	p := &prepared{declared: append([]uint32(nil), declared...)}
	if len(all) == 0 {
		p.empty, p.described = true, true
		p.action = action{run: func(context.Context, []any) (result, error) { return result{}, nil }}
		return p, nil
	}
	p.statement = all[0]
	for _, t := range p.statement.tokens {
		if t.Kind != sqltext.Parameter {
			continue
		}
		n, err := strconv.Atoi(t.Text[1:])
		if err != nil || n < 1 || n > 65535 {
			return nil, fault.WithCode(fault.New(fault.Invalid, "parameter %s: want $1 to $65535", t.Text), "syntax")
		}
		for len(p.declared) < n {
			p.declared = append(p.declared, 0)
		}
	}
	ses.listsOfPartners(p.statement, p.declared)
	p.statement = withArrays(p.statement, p.declared)
	p.statement = p.statement.edited(patternsOfSubstring(p.statement, p.declared))
	var err error
	p.action, err = ses.plan(p.statement)
	return p, err
}

// describe finds the types of a statement's parameters and columns.
func (p *prepared) describe(ses *session) error {
	if p.described {
		return nil
	}
	p.params = append([]uint32(nil), p.declared...)
	if p.action.describe != nil {
		if ses.tx.status == 'E' {
			return fault.WithCode(fault.New(fault.Conflict, "this transaction has failed, everything until its ROLLBACK is left out"), "failed_transaction")
		}
		ctx, cancel := context.WithTimeout(ses.srv.ctx, ses.timeout())
		defer cancel()
		params, columns, err := p.action.describe(ctx, p.declared)
		if err != nil {
			return err
		}
		for i, t := range params {
			if i < len(p.params) && p.params[i] == 0 && t != nil {
				p.params[i] = t.oid
			}
		}
		p.columns = columns
	}
	for i := range p.params {
		if p.params[i] == 0 {
			p.params[i] = 25 // text fits everywhere
		}
	}
	p.described = true
	return nil
}

func (ses *session) bind(m *pgproto3.Bind) error {
	s, ok := ses.statements[m.PreparedStatement]
	if !ok {
		return fault.WithCode(fault.New(fault.NotFound, "prepared statement %q does not exist", m.PreparedStatement), "no_statement")
	}
	if _, there := ses.portals[m.DestinationPortal]; there && m.DestinationPortal != "" {
		return fault.WithCode(fault.New(fault.Invalid, "cursor %q already exists", m.DestinationPortal), "portal_exists")
	}
	if len(m.Parameters) != len(s.declared) {
		return fault.WithCode(fault.New(fault.Invalid, "the statement has %d parameters, the client sends %d", len(s.declared), len(m.Parameters)), "parameters")
	}
	if n := len(m.ParameterFormatCodes); n > 1 && n != len(m.Parameters) {
		return protocolError("%d formats for %d parameters", n, len(m.Parameters))
	}
	for _, list := range [][]int16{m.ParameterFormatCodes, m.ResultFormatCodes} {
		for _, f := range list {
			if f != 0 && f != 1 {
				return protocolError("format %d: there are 0, text, and 1, binary", f)
			}
		}
	}
	p := &portal{ses: ses, prepared: s, formats: append([]int16(nil), m.ResultFormatCodes...), args: make([]any, len(m.Parameters))}
	oids := s.declared
	for i, raw := range m.Parameters {
		if oids[i] == 0 && raw != nil {
			if err := s.describe(ses); err != nil {
				return err
			}
			oids = s.params
		}
		var format int16
		switch len(m.ParameterFormatCodes) {
		case 0:
		case 1:
			format = m.ParameterFormatCodes[0]
		default:
			format = m.ParameterFormatCodes[i]
		}
		var err error
		if p.args[i], err = decodeParam(oids[i], format, raw); err != nil {
			return fault.WithCode(fault.New(fault.Invalid, "$%d: %v", i+1, err), "parameter")
		}
	}
	ses.dropPortal(m.DestinationPortal)
	if len(ses.portals) >= maxStatements {
		return fault.WithCode(fault.New(fault.Throttled, "a session may have %d portals: close some", maxStatements), "busy")
	}
	if err := ses.hold(len(m.DestinationPortal) + p.size()); err != nil {
		return err
	}
	ses.portals[m.DestinationPortal] = p
	return ses.send(&pgproto3.BindComplete{})
}

func (ses *session) describe(m *pgproto3.Describe) error {
	if m.ObjectType == 'S' {
		s, ok := ses.statements[m.Name]
		if !ok {
			return fault.WithCode(fault.New(fault.NotFound, "prepared statement %q does not exist", m.Name), "no_statement")
		}
		if err := s.describe(ses); err != nil {
			// PostgreSQL finds such mistakes when it parses: clients that prepare
			// and describe at once take it that there is no statement then, and
			// use its name again.
			if slices.Contains(ses.parsed, m.Name) {
				delete(ses.statements, m.Name)
			}
			return err
		}
		if err := ses.send(&pgproto3.ParameterDescription{ParameterOIDs: s.params}); err != nil {
			return err
		}
		if s.columns == nil {
			return ses.send(&pgproto3.NoData{})
		}
		return ses.send(describeRows(s.columns, func(int) int16 { return 0 }))
	}
	p, ok := ses.portals[m.Name]
	if !ok {
		return fault.WithCode(fault.New(fault.NotFound, "portal %q does not exist", m.Name), "no_portal")
	}
	if !p.prepared.action.rows {
		return ses.send(&pgproto3.NoData{})
	}
	// What a query answers with is known surest from its answer.
	if err := p.open(); err != nil {
		return err
	}
	if p.result.rows == nil {
		return ses.send(&pgproto3.NoData{})
	}
	if n := len(p.formats); n > 1 && n != len(p.cols) {
		return protocolError("%d formats for %d columns", n, len(p.cols))
	}
	return ses.send(p.rowDescription())
}

func (ses *session) execute(m *pgproto3.Execute) error {
	p, ok := ses.portals[m.Portal]
	if !ok {
		return fault.WithCode(fault.New(fault.NotFound, "portal %q does not exist", m.Portal), "no_portal")
	}
	if p.prepared.empty {
		return ses.send(&pgproto3.EmptyQueryResponse{})
	}
	fresh := !p.opened
	if err := p.open(); err != nil {
		return err
	}
	if fresh && p.result.rows != nil && p.result.copy == nil && p.prepared.described {
		if err := p.asDescribed(); err != nil {
			return err
		}
	}
	return p.run(int(m.MaxRows))
}

// asDescribed checks that an answer has the columns that the client was told
// when it prepared the statement: views can change in between.
func (p *portal) asDescribed() error {
	told, got := p.prepared.columns, p.cols
	same := len(told) == len(got)
	for i := 0; same && i < len(got); i++ {
		// DuckDB's driver tells JSON from text only when it runs; on the wire
		// they are the same.
		same = told[i].typ.oid == got[i].typ.oid || told[i].typ.kind == kText && got[i].typ.kind == kJSON
	}
	if !same {
		return fault.WithCode(fault.New(fault.Conflict, "the columns of the statement have changed since it was prepared: prepare it again"), "plan_changed")
	}
	return nil
}

func (ses *session) closeOne(m *pgproto3.Close) error {
	if m.ObjectType == 'S' {
		delete(ses.statements, m.Name)
	} else {
		ses.dropPortal(m.Name)
	}
	return ses.send(&pgproto3.CloseComplete{})
}
