package pgwire

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// conn is a client's connection. While a query runs, somebody has to notice
// that the client is gone: so it reads ahead, and hands out later what came.
type conn struct {
	net.Conn
	stall time.Duration // how long a client may take to read what is sent

	ahead []byte // read and not handed out
	err   error  // what ended the reading ahead

	watching sync.WaitGroup

	out  []byte // to be sent; nil while the connection is idle
	rest func() // before the client is waited for; nil: nothing to do
}

// maxAhead is how much of a client's pipelined messages waits here while a
// query runs. Beyond that its disconnect is noticed when the query ends.
const maxAhead = 64 << 10

// flushAt is how much gathers before it is sent.
const flushAt = 32 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, flushAt+flushAt/2); return &b }}

// Read hands out what was read ahead, and then reads on.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		if len(c.ahead) == 0 {
			c.ahead = nil
		}
		return n, nil
	}
	if c.err != nil {
		return 0, c.err
	}
	return c.Conn.Read(p)
}

// watch reads ahead until the returned function is called, and calls gone when
// the connection ends before that. Nobody else may read meanwhile.
func (c *conn) watch(gone func()) (stop func()) {
	if c.err != nil {
		gone()
		return func() {}
	}
	c.watching.Go(func() {
		buf := make([]byte, 512)
		for len(c.ahead) < maxAhead {
			n, err := c.Conn.Read(buf)
			c.ahead = append(c.ahead, buf[:n]...)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if err != nil {
				c.err = err
				gone()
				return
			}
		}
	})
	return func() {
		_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
		c.watching.Wait()
		_ = c.Conn.SetReadDeadline(time.Time{})
	}
}

// send appends a message to what is to be sent.
func (c *conn) send(m pgproto3.BackendMessage) error {
	c.buffer()
	var err error
	c.out, err = m.Encode(c.out)
	if err != nil {
		return err
	}
	return c.spill()
}

func (c *conn) buffer() {
	if c.out == nil {
		c.out = (*buffers.Get().(*[]byte))[:0]
	}
}

// spill sends when enough has gathered.
func (c *conn) spill() error {
	if len(c.out) < flushAt {
		return nil
	}
	return c.write()
}

func (c *conn) write() error {
	if len(c.out) == 0 {
		return nil
	}
	if c.rest != nil {
		c.rest()
	}
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
		return err
	}
	n, err := c.Conn.Write(c.out)
	if err == nil && n < len(c.out) {
		err = io.ErrShortWrite
	}
	c.out = c.out[:0]
	return err
}

// flush sends everything and gives the buffer back.
func (c *conn) flush() error {
	err := c.write()
	if c.out != nil {
		if cap(c.out) <= 4*flushAt {
			b := c.out[:0]
			buffers.Put(&b)
		}
		c.out = nil
	}
	return err
}
