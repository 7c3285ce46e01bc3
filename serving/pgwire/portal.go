package pgwire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// column is a column of an answer.
type column struct {
	name  string
	typ   *pgType
	table uint32 // OID of the view it comes from, 0 for none
	place uint16 // its number there, from 1
}

// rows are read one after the other.
type rows interface {
	columns() []column
	next() ([]sql.Datum, error) // nil at the end; a row is valid until the following call
	rest()                      // before anything between two rows is waited for
	close()
}

// result is what came of a statement: rows, and the tag that ends it. Where
// rows are counted the tag is only its verb.
type result struct {
	rows rows
	tag  string
	copy *copyOut // the rows go out as a COPY
}

// portal is a statement with its parameters, on its way.
type portal struct {
	ses      *session
	prepared *prepared
	args     []any
	formats  []int16
	binary   bool // of DECLARE BINARY: what a FETCH of the simple protocol returns is binary
	hold     bool // outlives its transaction, when that commits
	depth    int  // of a cursor that this transaction declared: 1, and the savepoints before it

	ctx    context.Context // of the statement, over all its executions
	cancel context.CancelCauseFunc
	timer  *time.Timer
	unhook func() bool
	opened bool
	begun  bool // a cursor of which rows were read
	ended  bool
	result result
	cols   []column
	sent   int
}

// open begins the statement, unless it has begun.
func (p *portal) open() (err error) {
	if p.opened {
		return nil
	}
	if p.ses.tx.status == 'E' && !p.prepared.action.ends {
		return fault.WithCode(fault.New(fault.Conflict, "this transaction has failed, everything until its ROLLBACK is left out"), "failed_transaction")
	}
	p.opened = true
	p.ses.srv.o.Logger.Debug("statement", "user", p.ses.user, "application", p.ses.get("application_name"), "sql", p.prepared.statement.text, "arguments", p.args)
	ctx, cancel := context.WithCancelCause(context.Background())
	p.ctx, p.cancel = ctx, cancel
	p.unhook = context.AfterFunc(p.ses.srv.ctx, func() { cancel(errStopping) })
	limit := p.ses.timeout()
	p.timer = time.AfterFunc(limit, func() {
		cancel(fault.WithCode(fault.New(fault.Throttled, "the statement took longer than statement_timeout, %s: ask for less, or for more time", limit), "timeout"))
	})
	defer p.watched()()
	if p.result, err = p.prepared.action.run(ctx, p.args); err != nil {
		return p.cause(ctx, err)
	}
	if p.result.rows != nil {
		p.cols = p.result.rows.columns()
	}
	return nil
}

// watched cancels the portal when the client asks for it or leaves, until the
// returned function is called.
func (p *portal) watched() func() {
	ses := p.ses
	ses.mu.Lock()
	ses.running = append(ses.running, p.cancel)
	outermost := len(ses.running) == 1
	ses.mu.Unlock()
	stop := func() {}
	if outermost {
		stop = ses.conn.watch(func() { ses.interrupt(errGone) })
	}
	return func() {
		stop()
		ses.mu.Lock()
		ses.running = ses.running[:len(ses.running)-1]
		ses.mu.Unlock()
	}
}

// cause is why a query failed, in the words of what cancelled it.
func (p *portal) cause(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var b broken
	if errors.As(err, &b) {
		return err
	}
	if ctx == nil {
		return err
	}
	if why := context.Cause(ctx); why != nil {
		if errors.Is(why, errGone) {
			return broken{why}
		}
		return why
	}
	return err
}

// close ends the statement, wherever it is.
func (p *portal) close() {
	if p.result.rows != nil {
		p.cancel(errGone)
		p.result.rows.close()
		p.result.rows = nil
	}
	if p.opened {
		p.timer.Stop()
		p.unhook()
		p.cancel(errGone)
	}
	p.ended = true
}

func (p *portal) format(i int) int16 {
	switch len(p.formats) {
	case 0:
		return 0
	case 1:
		return p.formats[0]
	}
	return p.formats[i]
}

func (p *portal) rowDescription() *pgproto3.RowDescription {
	return describeRows(p.cols, p.format)
}

func describeRows(columns []column, format func(int) int16) *pgproto3.RowDescription {
	m := &pgproto3.RowDescription{Fields: make([]pgproto3.FieldDescription, len(columns))}
	for i, c := range columns {
		m.Fields[i] = pgproto3.FieldDescription{Name: []byte(c.name), DataTypeOID: c.typ.oid, DataTypeSize: c.typ.size, TypeModifier: c.typ.mod,
			TableOID: c.table, TableAttributeNumber: c.place, Format: format(i)}
	}
	return m
}

// run sends at most limit rows, 0 for all, and how it ended.
func (p *portal) run(limit int) (err error) {
	ses := p.ses
	if p.ended {
		return ses.send(&pgproto3.CommandComplete{CommandTag: []byte(p.tag(0))})
	}
	if p.result.rows == nil {
		p.ended = true
		return ses.send(&pgproto3.CommandComplete{CommandTag: []byte(p.result.tag)})
	}
	rows := p.result.rows
	ses.conn.rest = rows.rest
	defer func() {
		ses.conn.rest = nil
		rows.rest()
	}()
	if p.result.copy != nil {
		return p.runCopy()
	}
	defer p.watched()()
	if part, ok := p.result.rows.(*partOf); ok {
		defer part.portal.watched()()
	}
	if len(p.formats) > 1 && len(p.formats) != len(p.cols) {
		return protocolError("%d formats for %d columns", len(p.formats), len(p.cols))
	}
	in := ses.style()
	for n := 0; limit == 0 || n < limit; n++ {
		row, err := p.result.rows.next()
		if err != nil {
			return p.cause(p.ctx, err)
		}
		if row == nil {
			p.finish()
			return ses.send(&pgproto3.CommandComplete{CommandTag: []byte(p.tag(p.sent))})
		}
		ses.conn.buffer()
		ses.conn.out = p.appendRow(ses.conn.out, p.cols, row, in)
		p.sent++
		if err := ses.conn.spill(); err != nil {
			return broken{err}
		}
	}
	return ses.send(&pgproto3.PortalSuspended{})
}

func (p *portal) tag(n int) string {
	if p.result.tag == "SELECT" || p.result.tag == "FETCH" || p.result.tag == "COPY" {
		return fmt.Sprintf("%s %d", p.result.tag, n)
	}
	return p.result.tag
}

// finish ends a portal whose rows are all sent, and returns what they took.
func (p *portal) finish() {
	tag := p.result.tag
	p.close()
	p.result.tag = tag
}

// appendRow writes a DataRow.
func (p *portal) appendRow(dst []byte, columns []column, row []sql.Datum, in style) []byte {
	from := len(dst)
	dst = append(dst, 'D', 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(row)))
	for i := range row {
		dst = appendDatum(dst, columns[i].typ, &row[i], p.format(i), in)
	}
	binary.BigEndian.PutUint32(dst[from+1:], uint32(len(dst)-from-1))
	return dst
}

func (ses *session) dropPortal(name string) {
	if p := ses.portals[name]; p != nil {
		p.close()
		delete(ses.portals, name)
	}
}

// endPortals closes what ends with a transaction, which is rolled back or
// committed.
func (ses *session) endPortals(back bool) {
	for name, p := range ses.portals {
		if !p.hold || back && p.depth > 0 {
			ses.dropPortal(name)
		}
		p.depth = 0
	}
}

// backTo closes the cursors that were declared behind more than n savepoints of
// the transaction.
func (ses *session) backTo(n int) {
	for name, p := range ses.portals {
		if p.depth > n+1 {
			ses.dropPortal(name)
		}
	}
}

// released makes those cursors ones of what the savepoints stood in.
func (ses *session) released(n int) {
	for _, p := range ses.portals {
		p.depth = min(p.depth, n+1)
	}
}
