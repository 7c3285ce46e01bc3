package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// whole is how many bytes an answer may have that is sent whole: with its
// length, and with the status of an error wherever that occurs. A longer one
// goes out while it is made.
const whole = 256 << 10

// stalls is how long a client may take to read what is sent.
const stalls = 30 * time.Second

// rowsHeader tells how many rows an answer has: in the header of one that is
// sent whole, in the trailer of another. An answer that broke off has neither.
const rowsHeader = "Anabranch-Rows"

// parts is how much gathers before it is sent, once something is.
const parts = 64 << 10

// sender sends an answer. Until it is longer than whole nothing of it is.
type sender struct {
	w    http.ResponseWriter
	ctx  context.Context // of the answer
	held []byte
	sent bool   // the client has heard of it
	rest func() // before the client is waited for; nil: nothing to do
}

func (s *sender) Write(p []byte) (int, error) {
	s.held = append(s.held, p...)
	if len(s.held) < parts || !s.sent && len(s.held) <= whole {
		return len(p), nil
	}
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	if !s.sent {
		s.sent = true
		s.w.Header().Set("Trailer", rowsHeader)
	}
	until := time.Now().Add(stalls)
	if end, ok := s.ctx.Deadline(); ok && end.Before(until) {
		until = end
	}
	return len(p), s.flush(until)
}

// flush sends what is held.
func (s *sender) flush(until time.Time) error {
	if s.rest != nil {
		s.rest()
	}
	_ = http.NewResponseController(s.w).SetWriteDeadline(until) // in vain where w is no connection
	_, err := s.w.Write(s.held)
	if s.held = s.held[:0]; cap(s.held) > 2*parts {
		s.held = nil
	}
	return err
}

// finish sends what is held, and tells how many rows there were.
func (s *sender) finish(rows int64) error {
	h := s.w.Header()
	h.Set(rowsHeader, strconv.FormatInt(rows, 10))
	if !s.sent {
		s.sent = true
		h.Set("Content-Length", strconv.Itoa(len(s.held)))
	}
	return s.flush(time.Now().Add(stalls))
}

// fail tells of an error instead of the answer, while nothing of that is sent.
func (s *sender) fail(err error) {
	_ = http.NewResponseController(s.w).SetWriteDeadline(time.Now().Add(stalls))
	s.w.Header().Del("Anabranch-Receipt")
	WriteProblem(s.w, err)
}

// breakOff ends an answer of which a part is sent, so that nobody takes that for
// all of it: it ends as no whole answer does, with the reason where text can
// say it, and then the connection ends before the body does.
func (s *sender) breakOff(f format, reason error) {
	end := []byte(brokenArrow)
	if !f.columnar() {
		p := problemOf(reason)
		p.Title = "the answer broke off"
		text, _ := json.Marshal(p)
		switch f {
		case asCSV:
			end = append([]byte(`"the answer broke off: `), text...) // the quotation is never closed
		case asNDJSON:
			end = append([]byte(`{"broken":`), text...) // nor is the object
		default:
			end = append([]byte("\n{\"broken\":"), text...)
		}
	}
	if f != asParquet { // which is unreadable without its end
		s.held = append(s.held, end...)
		if s.flush(time.Now().Add(stalls)) == nil {
			_ = http.NewResponseController(s.w).Flush()
		}
	}
	panic(http.ErrAbortHandler)
}

// brokenArrow begins a message of 64 bytes, which does not come: a stream of
// Arrow may also end without the mark of its end.
const brokenArrow = "\xff\xff\xff\xff\x40\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00"
