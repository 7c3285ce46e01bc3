package httpapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"anabranch/fault"
)

// Within has the body of a request come whole within a time: who begins one and
// does not end it holds a connection, and what is behind it, no longer than that.
func Within(w http.ResponseWriter, r *http.Request, most time.Duration) {
	r.Body = &timedBody{ReadCloser: r.Body, conn: http.NewResponseController(w), most: most}
}

type timedBody struct {
	io.ReadCloser
	conn  *http.ResponseController
	most  time.Duration
	begun bool
}

func (b *timedBody) Read(p []byte) (int, error) {
	if !b.begun {
		b.begun = true
		_ = b.conn.SetReadDeadline(time.Now().Add(b.most)) // what has no deadlines has no connection either
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, fault.WithCode(fault.New(fault.Invalid, "the request has not come whole within %s: send it at once", b.most), "body_unread")
	case err != nil: // all that comes now is the end of the connection, which may take its time
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}
