package schemas

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"anabranch/fault"
)

// Chunk is a piece of a file: whole records, and where they stood.
type Chunk struct {
	Body      []byte
	FirstLine int // line of the file that the chunk's first record begins on
	// Header is how many lines the chunk's body has in front of that record
	// because a CSV header is repeated in every chunk.
	Header int
}

// maxRecord bounds one record, and with it the memory of a broken file whose
// quote never closes.
const maxRecord = 8 << 20

// Splitter cuts a file at the borders of its records.
type Splitter struct {
	in     *bufio.Reader
	format Format
	size   int
	header []byte
	lines  int // of header
	line   int // next line of the file, 1-based
	rest   []byte
	done   bool
}

// NewSplitter returns a splitter of in whose chunks hold about size bytes.
func NewSplitter(in io.Reader, format Format, size int) *Splitter {
	return &Splitter{in: bufio.NewReaderSize(in, 1<<20), format: format, size: size, line: 1}
}

// Next returns the next chunk, or io.EOF.
func (s *Splitter) Next() (Chunk, error) {
	if s.done {
		return Chunk{}, io.EOF
	}
	if s.format == JSONArray {
		s.done = true
		body, err := io.ReadAll(s.in)
		if err == nil && len(bytes.TrimSpace(body)) == 0 {
			err = io.EOF
		}
		return Chunk{Body: body, FirstLine: 1}, err
	}
	if s.format == CSV && s.header == nil {
		header, err := s.record()
		if err != nil {
			return Chunk{}, err
		}
		s.header = bytes.Clone(header)
		s.lines = bytes.Count(header, []byte("\n"))
	}
	c := Chunk{Body: bytes.Clone(s.header), FirstLine: s.line, Header: s.lines}
	empty := len(c.Body)
	for len(c.Body) == empty || len(c.Body) < s.size {
		record, err := s.record()
		c.Body = append(c.Body, record...)
		if errors.Is(err, io.EOF) {
			s.done = true
			break
		}
		if err != nil {
			return Chunk{}, err
		}
	}
	if len(c.Body) == empty {
		return Chunk{}, io.EOF
	}
	return c, nil
}

// record reads one record with its line end. A CSV record goes on while a
// quote is open, as RFC 4180 has it.
func (s *Splitter) record() ([]byte, error) {
	s.rest = s.rest[:0]
	start, quoted := s.line, false
	for {
		part, err := s.in.ReadSlice('\n')
		s.rest = append(s.rest, part...)
		quoted = quoted != (bytes.Count(part, []byte{'"'})%2 == 1)
		if len(s.rest) > maxRecord {
			return nil, fault.New(fault.Invalid, "the record that begins on line %d is over %d MiB: is a quote left open?", start, maxRecord>>20)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(s.rest) > 0:
			return s.rest, nil
		case err != nil:
			if !errors.Is(err, io.EOF) {
				err = fmt.Errorf("read line %d: %w", s.line, err)
			}
			return nil, err
		}
		s.line++
		if s.format != CSV || !quoted {
			return s.rest, nil
		}
	}
}

// Plain takes off gzip or zstd, which it knows by the first bytes.
func Plain(in io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(in, 256<<10)
	magic, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(b)
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b)
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(b), nil
}
