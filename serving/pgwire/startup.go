package pgwire

import (
	"encoding/binary"
	"io"

	"github.com/jackc/pgx/v5/pgproto3"

	"anabranch/fault"
)

// What stands where a client's first message has its protocol's version, when it
// comes for something else.
const (
	askCancel = 1234<<16 | 5678 + iota
	askTLS
	askGSS
)

// maxStartup is how many bytes a client's first message may have, as PostgreSQL's.
const maxStartup = 10_000

// startup reads a message of those that come before all others. Not a byte behind
// it is read: after a request for TLS all that follows belongs to TLS. A version of
// the protocol that is newer than ours but of its kind is told as it is asked for,
// and is answered by the one there is.
func (c *conn) startup() (pgproto3.FrontendMessage, error) {
	var head [8]byte
	if _, err := io.ReadFull(c, head[:4]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 8 || size > maxStartup {
		return nil, protocolError("a startup message of %d bytes: want 8 to %d, of a client that speaks PostgreSQL's protocol", size, maxStartup)
	}
	if _, err := io.ReadFull(c, head[4:]); err != nil {
		return nil, err
	}
	code := binary.BigEndian.Uint32(head[4:])
	body := make([]byte, size-4)
	copy(body, head[4:])
	if _, err := io.ReadFull(c, body[4:]); err != nil {
		return nil, err
	}
	var m interface {
		pgproto3.FrontendMessage
		Decode(data []byte) error
	}
	switch {
	case code == askCancel:
		m = &pgproto3.CancelRequest{}
	case code == askTLS:
		m = &pgproto3.SSLRequest{}
	case code == askGSS:
		m = &pgproto3.GSSEncRequest{}
	case code>>16 == 3:
		start := &pgproto3.StartupMessage{}
		if len(body) == 5 && body[4] == 0 { // it says nothing, which Decode does not know
			start.ProtocolVersion = code
			return start, nil
		}
		binary.BigEndian.PutUint32(body, pgproto3.ProtocolVersion30)
		if err := start.Decode(body); err != nil {
			return nil, protocolError("the startup message is not a list of names and values that ends: %v", err)
		}
		start.ProtocolVersion = code
		return start, nil
	default:
		return nil, fault.WithCode(fault.New(fault.Invalid, "protocol %d.%d is not spoken here: connect with a client of PostgreSQL 7.4 or later, which speak 3.0", code>>16, code&0xffff), "unsupported")
	}
	if err := m.Decode(body); err != nil {
		return nil, protocolError("the startup message is invalid: %v", err)
	}
	return m, nil
}
