package schemas

import (
	"bytes"
	"io"
)

// source is the window of a body that is being decoded. Bytes stay at their
// place during one call of Decoder.Next.
type source struct {
	r        io.Reader
	buf      []byte
	from, to int   // what is there and not decoded
	line     int   // of buf[from], 1-based
	before   int   // bytes of the line that buf[0] is in and that have been passed before it
	err      error // what the reader ended with
}

const window = 256 << 10

func (s *source) reset(r io.Reader) {
	s.r, s.from, s.to, s.line, s.before, s.err = r, 0, 0, 1, 0, nil
}

// ended reports whether everything that there will be is in the window.
func (s *source) ended() bool { return s.err == io.EOF }

// slide moves what is not decoded to the front, which ends the life of what
// has been.
func (s *source) slide() {
	s.before = s.column(s.from) - 1
	s.to = copy(s.buf, s.buf[s.from:s.to])
	s.from = 0
}

// fill reads until the window is full, growing it when it already is.
func (s *source) fill() {
	if s.to == len(s.buf) {
		size := max(window, 2*len(s.buf))
		grown := make([]byte, size, size+blockBytes+blockSlack)
		copy(grown, s.buf[:s.to])
		s.buf = grown
	}
	for idle := 0; s.to < len(s.buf) && s.err == nil; {
		n, err := s.r.Read(s.buf[s.to:])
		s.to += n
		if s.err = err; n > 0 || err != nil {
			idle = 0
		} else if idle++; idle == 100 {
			s.err = io.ErrNoProgress
		}
	}
}

// column returns which byte of its line buf[at] is, 1-based.
func (s *source) column(at int) int {
	if start := bytes.LastIndexByte(s.buf[:at], '\n') + 1; start > 0 {
		return at - start + 1
	}
	return s.before + at + 1
}

// rest is what is there and not decoded.
func (s *source) rest() []byte { return s.buf[s.from:s.to] }

// block is what is not decoded as the text of a block; it may go on behind that.
func (s *source) block() *blockText {
	return (*blockText)(s.buf[s.from : s.from+blockBytes+blockSlack])
}

// pass takes n bytes as decoded, counting lines.
func (s *source) pass(n int) {
	s.line += bytes.Count(s.buf[s.from:s.from+n], newline)
	s.from += n
}

var newline = []byte{'\n'}
