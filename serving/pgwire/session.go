package pgwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"anabranch/fault"
	"anabranch/serving"
)

// session is one client's: what it has set, prepared and opened. One goroutine
// serves it.
type session struct {
	srv      *Server
	conn     *conn
	b        *pgproto3.Backend
	user     string
	database string
	pid      uint32
	secret   []byte

	settings
	tx         transaction
	statements map[string]*prepared
	portals    map[string]*portal
	held       int              // bytes of these that count, see hold
	receipt    *serving.Receipt // of the last answer
	parsed     []string         // statements since the last Sync
	skip       bool             // until Sync, after an error in the extended protocol

	mu      sync.Mutex                // guards running
	running []context.CancelCauseFunc // of what runs at this moment, the inner last
}

func newSession(s *Server, c *conn, b *pgproto3.Backend, given map[string]string) (*session, error) {
	ses := &session{srv: s, conn: c, b: b, user: given["user"], statements: map[string]*prepared{}, portals: map[string]*portal{}, tx: transaction{status: 'I'}}
	ses.database = given["database"]
	if ses.database == "" {
		ses.database = ses.user
	}
	if err := ses.begin(given); err != nil {
		return nil, err
	}
	return ses, nil
}

// close ends what the session has open.
func (ses *session) close() {
	for _, p := range ses.portals {
		p.close()
	}
	ses.portals = nil
	ses.srv.held.Add(-int64(ses.held))
	ses.srv.takeBack(ses.tx.exported)
}

// interrupt cancels what runs.
func (ses *session) interrupt(cause error) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	for _, cancel := range ses.running {
		cancel(cause)
	}
}

// serve answers until the client or the server leaves.
func (ses *session) serve() {
	for ses.srv.ctx.Err() == nil {
		m, err := ses.b.Receive()
		if err == io.EOF { // of the message: the end of a connection is another error
			err = protocolError("a message ends before its texts do")
		}
		if err == nil {
			err = ses.handle(m)
		}
		if err == nil {
			continue
		}
		var long *pgproto3.ExceededMaxBodyLenErr
		switch {
		case errors.Is(err, errTerminate) || over(err):
			return
		case ses.srv.ctx.Err() != nil:
		case errors.As(err, &long):
			ses.fatal(fault.WithCode(fault.New(fault.Invalid, "a message of %d bytes is longer than the limit of %d", long.ActualBodyLen, long.MaxExpectedBodyLen), "sql_too_long"))
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			ses.srv.o.Logger.Info("a client does not read what it asked for", "user", ses.user, "client", ses.conn.RemoteAddr())
			return
		default:
			ses.fatal(err)
			return
		}
	}
	ses.fatal(errStopping)
}

// fatal says why the connection ends; the client may be gone.
func (ses *session) fatal(err error) {
	if fault.KindOf(err) == fault.Unknown {
		err = protocolError("%v", err)
	}
	ses.conn.stall = time.Second
	if ses.conn.send(errorResponse(err, "FATAL")) == nil {
		_ = ses.conn.flush()
	}
}

var errTerminate = errors.New("the client says goodbye")

// handle answers one message. Its error ends the connection; what went wrong
// with a query is told and is none.
func (ses *session) handle(m pgproto3.FrontendMessage) error {
	switch m := m.(type) {
	case *pgproto3.Query:
		ses.skip = false
		return ses.simple(m.String)
	case *pgproto3.Sync:
		ses.skip, ses.parsed = false, nil
		if ses.tx.status == 'I' {
			ses.endPortals(false)
		}
		return ses.ready()
	case *pgproto3.Terminate:
		return errTerminate
	case *pgproto3.Flush:
		return ses.conn.flush()
	case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail:
		return nil // of a COPY that was refused
	}
	if ses.skip {
		return nil
	}
	var err error
	switch m := m.(type) {
	case *pgproto3.Parse:
		err = ses.parse(m)
	case *pgproto3.Bind:
		err = ses.bind(m)
	case *pgproto3.Describe:
		err = ses.describe(m)
	case *pgproto3.Execute:
		err = ses.execute(m)
	case *pgproto3.Close:
		err = ses.closeOne(m)
	case *pgproto3.FunctionCall:
		err = fault.WithCode(fault.New(fault.Invalid, "function calls of the protocol are not answered: write a SELECT"), "unsupported")
		if err := ses.tell(err); err != nil {
			return err
		}
		return ses.ready()
	default:
		return protocolError("unexpected message %T", m)
	}
	if err != nil {
		ses.skip = true
		return ses.tell(err)
	}
	return nil
}

// broken wraps what ends the connection, to tell it from what went wrong with
// a query.
type broken struct{ error }

func (b broken) Unwrap() error { return b.error }

// tell sends what went wrong. A transaction has failed with it.
func (ses *session) tell(err error) error {
	var b broken
	if errors.As(err, &b) {
		return b.error
	}
	if ses.tx.status == 'T' {
		ses.tx.status = 'E'
	}
	if k := fault.KindOf(err); k == fault.Bug || k == fault.Corrupt {
		ses.srv.o.Logger.Error("a query failed", "user", ses.user, "error", err)
	}
	return ses.conn.send(errorResponse(err, "ERROR"))
}

func (ses *session) send(m pgproto3.BackendMessage) error {
	if err := ses.conn.send(m); err != nil {
		return broken{err}
	}
	return nil
}

func (ses *session) notice(code, format string, args ...any) error {
	return ses.send(&pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: code, Message: fmt.Sprintf(format, args...)})
}

// ready says that the next query may come.
func (ses *session) ready() error {
	if ses.held > 0 {
		ses.count(0)
	}
	if err := ses.conn.send(&pgproto3.ReadyForQuery{TxStatus: ses.tx.status}); err != nil {
		return err
	}
	return ses.conn.flush()
}

// simple answers a string of statements; the first that fails ends it.
func (ses *session) simple(text string) error {
	ses.dropPortal("")
	delete(ses.statements, "")
	all := split(text)
	if len(all) == 0 {
		if err := ses.conn.send(&pgproto3.EmptyQueryResponse{}); err != nil {
			return err
		}
	}
	for _, st := range all {
		if err := ses.one(st); err != nil {
			if err := ses.tell(err); err != nil {
				return err
			}
			break
		}
	}
	if ses.tx.status == 'I' {
		ses.endPortals(false)
	}
	return ses.ready()
}

// one runs a statement of the simple protocol to its end.
func (ses *session) one(st statement) error {
	a, err := ses.plan(st)
	if err != nil {
		return err
	}
	p := &portal{ses: ses, prepared: &prepared{statement: st, action: a}}
	defer p.close()
	if err := p.open(); err != nil {
		return err
	}
	if f, ok := p.result.rows.(*partOf); ok && f.portal.binary {
		p.formats = []int16{1}
	}
	if p.result.rows != nil && p.result.copy == nil {
		if err := ses.send(p.rowDescription()); err != nil {
			return err
		}
	}
	return p.run(0)
}
