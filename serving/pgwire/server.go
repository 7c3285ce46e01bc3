// Package pgwire is the PostgreSQL door to queries: clients that speak
// PostgreSQL's protocol ask as if this were a PostgreSQL 15 that can be read.
//
// The engine of package sql decides what may be asked and answers it; here its
// answers are encoded. Questions about the catalog, which tools ask before all
// others, are answered by an imitation of PostgreSQL's, see [catalog].
package pgwire

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/sql"
	"anabranch/serving/users"
)

// Options of the door.
type Options struct {
	TLS      *tls.Config   // nil: no TLS
	MustTLS  bool          // refuse clients that do not ask for TLS
	Users    *users.Users  // nil: whoever connects may ask
	Timeout  time.Duration // of one query, and the longest a session may set; default 60 s
	Stall    time.Duration // how long a client may take to read 32 KiB; default 60 s
	Greeting time.Duration // how long a client may take to say who it is; default 10 s
	// MaxConns is how many clients may be connected; default 2,000.
	MaxConns int
	MaxSize  int // bytes of one message, default 1 MiB
	Version  string
	Logger   *slog.Logger
}

// Server is the door. It answers from New until Close.
type Server struct {
	engine  *sql.Engine
	catalog *catalog
	o       Options
	ctx     context.Context // until Close
	cancel  context.CancelCauseFunc
	wg      sync.WaitGroup
	held    atomic.Int64 // bytes that sessions hold, see session.hold

	mu           sync.Mutex // guards the fields below
	sessions     map[uint32]*session
	conns        map[net.Conn]struct{}
	listeners    []net.Listener
	lastPID      uint32
	snapshots    map[string]serving.Receipt // that transactions have exported
	lastSnapshot uint32
	closed       bool
}

// The causes of cancelled queries.
var (
	errStopping = fault.WithCode(fault.New(fault.Transient, "the server stops: connect again"), "stopping")
	errCancel   = fault.WithCode(fault.New(fault.Transient, "cancelled by the user's request"), "cancelled")
	errGone     = errors.New("the client is gone")
)

// New returns a door to engine.
func New(ctx context.Context, engine *sql.Engine, o Options) (*Server, error) {
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	o.Stall = cmp.Or(o.Stall, time.Minute)
	o.Greeting = cmp.Or(o.Greeting, 10*time.Second)
	o.MaxConns = cmp.Or(o.MaxConns, 2000)
	o.MaxSize = cmp.Or(o.MaxSize, 1<<20)
	o.Version = cmp.Or(o.Version, "dev")
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := newCatalog(ctx, engine, o)
	if err != nil {
		return nil, err
	}
	s := &Server{engine: engine, catalog: c, o: o, sessions: map[uint32]*session{}, conns: map[net.Conn]struct{}{}, snapshots: map[string]serving.Receipt{}}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s, nil
}

// Serve answers the clients of l until Close. It returns nil then.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		l.Close()
		return nil
	}
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	for {
		c, err := l.Accept()
		if err != nil {
			if s.ctx.Err() != nil {
				return nil
			}
			var n net.Error
			if errors.As(err, &n) && n.Timeout() || isTooManyFiles(err) {
				s.o.Logger.Warn("accept a client", "error", err)
				select {
				case <-time.After(50 * time.Millisecond):
				case <-s.ctx.Done():
				}
				continue
			}
			return fmt.Errorf("accept a client: %w", err)
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			c.Close()
			continue
		}
		s.conns[c] = struct{}{}
		full := len(s.conns) > s.o.MaxConns
		s.wg.Add(1)
		s.mu.Unlock()
		go func() {
			defer s.wg.Done()
			defer func() {
				c.Close()
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
			}()
			s.converse(c, full)
		}()
	}
}

// Close ends the door: queries that run fail, connections close. It returns
// once all has ended.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	s.cancel(errStopping)
	for _, l := range listeners {
		_ = l.Close()
	}
	s.mu.Lock()
	for c := range s.conns {
		// Ends what reads, and what writes to a client that does not read. A
		// session whose query was cancelled just now still says so.
		_ = c.SetReadDeadline(time.Unix(1, 0))
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	}
	s.mu.Unlock()
	s.wg.Wait()
	s.catalog.close()
}

// converse is the life of one connection.
func (s *Server) converse(raw net.Conn, full bool) {
	_ = raw.SetDeadline(time.Now().Add(s.o.Greeting))
	c := &conn{Conn: raw, stall: s.o.Stall}
	ses, err := s.greet(c, full)
	if err != nil {
		s.o.Logger.Debug("a client was not let in", "client", raw.RemoteAddr(), "error", err)
		var refused *fault.Error
		if errors.As(err, &refused) {
			_ = c.send(errorResponse(err, "FATAL"))
			_ = c.flush()
		}
		return
	}
	if ses == nil {
		return // it came to cancel a query
	}
	defer s.leave(ses)
	_ = raw.SetDeadline(time.Time{})
	if s.ctx.Err() == nil {
		ses.serve()
	}
}

// enter gives a session its key.
func (s *Server) enter(ses *session) error {
	ses.secret = make([]byte, 4)
	if _, err := rand.Read(ses.secret); err != nil {
		return fault.Wrap(fault.Bug, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		s.lastPID++
		if _, taken := s.sessions[s.lastPID]; !taken && s.lastPID > 0 && s.lastPID < 1<<31 {
			break
		}
		if s.lastPID >= 1<<31 {
			s.lastPID = 0
		}
	}
	ses.pid = s.lastPID
	s.sessions[ses.pid] = ses
	return nil
}

func (s *Server) leave(ses *session) {
	s.mu.Lock()
	delete(s.sessions, ses.pid)
	s.mu.Unlock()
	ses.close()
}

// cancelQuery cancels what the session with this key runs at this moment.
func (s *Server) cancelQuery(m *pgproto3.CancelRequest) {
	s.mu.Lock()
	ses := s.sessions[m.ProcessID]
	s.mu.Unlock()
	if ses != nil && subtle.ConstantTimeCompare(ses.secret, m.SecretKey) == 1 {
		ses.interrupt(errCancel)
	}
}

// cancelSession cancels what a user's session runs.
func (s *Server) cancelSession(pid uint32, user string) {
	s.mu.Lock()
	ses := s.sessions[pid]
	s.mu.Unlock()
	if ses != nil && ses.user == user {
		ses.interrupt(errCancel)
	}
}
