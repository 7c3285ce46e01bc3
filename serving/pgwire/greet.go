package pgwire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgproto3"

	"anabranch/fault"
)

// greet leads a connection through TLS and the password. It returns no session
// for a client that came to cancel the query of another one.
func (s *Server) greet(c *conn, full bool) (*session, error) {
	secure := false
	for range 4 {
		m, err := c.startup()
		if err != nil {
			return nil, err
		}
		switch m := m.(type) {
		case *pgproto3.CancelRequest:
			s.cancelQuery(m)
			return nil, nil
		case *pgproto3.GSSEncRequest:
			if _, err := c.Conn.Write([]byte{'N'}); err != nil {
				return nil, err
			}
		case *pgproto3.SSLRequest:
			if s.o.TLS == nil || secure {
				if _, err := c.Conn.Write([]byte{'N'}); err != nil {
					return nil, err
				}
				continue
			}
			if _, err := c.Conn.Write([]byte{'S'}); err != nil {
				return nil, err
			}
			t := tls.Server(c.Conn, s.o.TLS)
			if err := t.HandshakeContext(s.ctx); err != nil {
				return nil, err
			}
			c.Conn, secure = t, true
		case *pgproto3.StartupMessage:
			switch {
			case full:
				return nil, fault.WithCode(fault.New(fault.Throttled, "%d clients are connected, which is the limit: try again later", s.o.MaxConns), "connections")
			case s.o.MustTLS && !secure:
				return nil, fault.WithCode(fault.New(fault.Denied, "connections without TLS are not let in: connect with sslmode=require or stricter"), "no_tls")
			}
			b := pgproto3.NewBackend(c, c)
			b.SetMaxBodyLen(64 << 10)
			return s.admit(c, b, m)
		}
	}
	return nil, fault.WithCode(fault.New(fault.Invalid, "the connection asks and asks and does not start"), "protocol")
}

// admit checks the password and begins the session.
func (s *Server) admit(c *conn, b *pgproto3.Backend, m *pgproto3.StartupMessage) (*session, error) {
	given := m.Parameters
	user := given["user"]
	if user == "" {
		return nil, fault.WithCode(fault.New(fault.Denied, "the client names no user"), "no_user")
	}
	var unknown []string
	for name := range given {
		if strings.HasPrefix(name, "_pq_.") {
			unknown = append(unknown, name)
		}
	}
	if m.ProtocolVersion > pgproto3.ProtocolVersion30 || len(unknown) > 0 {
		if err := c.send(&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: 0, UnrecognizedOptions: unknown}); err != nil {
			return nil, err
		}
	}
	if s.o.Users != nil {
		if err := s.password(c, b, user); err != nil {
			return nil, err
		}
	}
	b.SetMaxBodyLen(s.o.MaxSize)
	ses, err := newSession(s, c, b, given)
	if err != nil {
		return nil, err
	}
	if err := s.enter(ses); err != nil {
		return nil, err
	}
	if err := ses.welcome(); err != nil {
		s.leave(ses)
		return nil, err
	}
	return ses, nil
}

// password has the client prove its password by SCRAM-SHA-256.
func (s *Server) password(c *conn, b *pgproto3.Backend, user string) error {
	wrong := fault.WithCode(fault.New(fault.Denied, "wrong user or password for %q", user), "password")
	talk, err := s.o.Users.Conversation(user)
	if err != nil {
		return err
	}
	say := func(m pgproto3.BackendMessage) error {
		if err := c.send(m); err != nil {
			return err
		}
		return c.flush()
	}
	if err := say(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}); err != nil {
		return err
	}
	if err := b.SetAuthType(pgproto3.AuthTypeSASL); err != nil {
		return err
	}
	m, err := b.Receive()
	if err != nil {
		return err
	}
	first, ok := m.(*pgproto3.SASLInitialResponse)
	if !ok || first.AuthMechanism != "SCRAM-SHA-256" {
		return fault.WithCode(fault.New(fault.Denied, "want SCRAM-SHA-256"), "password")
	}
	// What a client says that is over the protocol's head is a wrong password.
	answer, err := talk.Step(string(first.Data))
	if err != nil {
		return wrong
	}
	if err := say(&pgproto3.AuthenticationSASLContinue{Data: []byte(answer)}); err != nil {
		return err
	}
	if err := b.SetAuthType(pgproto3.AuthTypeSASLContinue); err != nil {
		return err
	}
	if m, err = b.Receive(); err != nil {
		return err
	}
	second, ok := m.(*pgproto3.SASLResponse)
	if !ok {
		return wrong
	}
	answer, err = talk.Step(string(second.Data))
	if err != nil || !talk.Valid() {
		return wrong
	}
	return c.send(&pgproto3.AuthenticationSASLFinal{Data: []byte(answer)})
}

// welcome tells the client that it is in, and how it is served.
func (ses *session) welcome() error {
	send := ses.conn.send
	if err := send(&pgproto3.AuthenticationOk{}); err != nil {
		return err
	}
	for _, name := range reported {
		if err := send(&pgproto3.ParameterStatus{Name: name, Value: ses.get(name)}); err != nil {
			return err
		}
	}
	if err := send(&pgproto3.BackendKeyData{ProcessID: ses.pid, SecretKey: ses.secret}); err != nil {
		return err
	}
	return ses.ready()
}

func isTooManyFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// protocolError is for messages that cannot be.
func protocolError(format string, args ...any) error {
	return fault.WithCode(fault.New(fault.Invalid, "%s", fmt.Sprintf(format, args...)), "protocol")
}

// over reports whether an error means that the client ended the connection.
func over(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}
