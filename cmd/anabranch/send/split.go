// Package send turns files of events into requests that a gateway can
// acknowledge one by one, so that progress is real and a repeat is cheap.
package send

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"

	"anabranch/fault"
)

// Format is how a file is written.
type Format string

// The formats.
const (
	CSV    Format = "csv"
	NDJSON Format = "ndjson"
	JSON   Format = "json"
)

// ContentType is the media type of f.
func (f Format) ContentType() string {
	switch f {
	case CSV:
		return "text/csv"
	case JSON:
		return "application/json"
	}
	return "application/x-ndjson"
}

// Chunk is one request's body: whole records, and where they stood.
type Chunk struct {
	Body      []byte
	FirstLine int // line of the file that the chunk's first record begins on
	// Header is how many lines the chunk's body has in front of that record
	// because a CSV header is repeated in every chunk.
	Header int
}

// key is the same for the same chunk of the same source: a gateway that sees
// it again puts the chunk's dead letters where they are, and not beside.
func (c Chunk) key(source string) string {
	sum := xxh3.Hash128(fmt.Appendf(nil, "%q %d %x", source, c.FirstLine, xxh3.Hash128(c.Body).Bytes())).Bytes()
	return hex.EncodeToString(sum[:])
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
	if s.format == JSON {
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
