package schemas

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// csvParser splits the records of a CSV body (RFC 4180: comma, double quotes,
// any line end).
type csvParser struct {
	columns []int  // field of each column, -1 for one that the schema does not have
	header  []byte // as received
}

// oneCSV decodes the next record.
func (d *Decoder) oneCSV() step {
	b := d.in.rest()
	if d.skip {
		n := bytes.IndexByte(b, '\n') + 1
		if n > 0 {
			d.skip = false
		} else {
			n = len(b)
		}
		d.in.pass(n)
		switch {
		case n == 0 && d.in.ended():
			return end
		case d.skip && !d.in.ended():
			return more
		}
		return done
	}
	if len(b) == 0 {
		if d.in.ended() {
			return end
		}
		return more
	}
	if n := lineEnd(b); n > 0 { // an empty line
		if n == 1 && b[0] == '\r' && len(b) == 1 && !d.in.ended() {
			return more
		}
		d.in.pass(n)
		return done
	}
	if !d.begun {
		return d.header(b)
	}
	n, next, err := d.record(b)
	switch {
	case next == 0 && len(b) > MaxEvent:
		d.tooLong(len(b))
		d.in.pass(len(b))
		d.skip = true
		return done
	case next == 0 && !d.in.ended():
		return more
	case next == 0:
		d.badAt(len(b), len(b), "", CodeMalformed, "a quoted field does not end")
		d.in.pass(len(b))
		return end
	case n > MaxEvent:
		d.tooLong(n)
	default:
		d.parsed(n, err)
	}
	d.in.pass(next)
	return done
}

// record splits the record at the beginning of b into cells. It returns its
// length without and with its line end; next is 0 when it does not end inside
// of b. When err is set, the record ends at its line end.
func (d *Decoder) record(b []byte) (n, next int, err *textError) {
	clear(d.cells)
	p := &d.csv
	d.scratch = d.scratch[:0]
	i, column := 0, 0
	for ; ; column++ {
		start := i
		c := cellSpan{at: int32(i), from: int32(i), token: plainText}
		if i < len(b) && b[i] == '"' {
			before := len(d.scratch)
			if _, i = d.quoted(b, i+1); i < 0 {
				return 0, 0, nil
			}
			c.from, c.to = int32(start+1), int32(i-1)
			if len(d.scratch) > before {
				c.from, c.to, c.unescaped = int32(before), int32(len(d.scratch)), true
			}
		} else {
			for i < len(b) && b[i] != ',' && b[i] != '\n' && b[i] != '"' && b[i] != '\r' {
				i++
			}
			c.to = int32(i)
		}
		over := i == len(b)
		end := 0
		if !over && b[i] != ',' {
			if end = lineEnd(b[i:]); end == 0 {
				return p.broken(b, i)
			}
		}
		if (over || end == 1 && b[i] == '\r' && i+1 == len(b)) && !d.in.ended() {
			return 0, 0, nil // the rest of the field, or \n behind \r, may follow
		}
		if column < len(p.columns) && p.columns[column] >= 0 {
			d.cells[p.columns[column]] = c
			if err == nil && !utf8.Valid(c.raw(b, d.scratch)) {
				err = notUTF8(start)
				err.field = d.s.fields[p.columns[column]].Name
			}
		}
		if over || end > 0 {
			n, next = i, i+end
			break
		}
		i++
	}
	if column++; err == nil && column != len(p.columns) {
		err = malformed(n, fmt.Sprintf("a record of %d fields, the header has %d", column, len(p.columns)))
	}
	return n, next, err
}

// broken passes over the line of a record with a quote out of place.
func (p *csvParser) broken(b []byte, i int) (n, next int, err *textError) {
	err = malformed(i, "a quote out of place: quote the whole field, and double the quotes inside")
	if b[i] != '"' {
		err.message = "text behind a quoted field"
		if b[i] == '\r' {
			err.message = "a carriage return out of place"
		}
	}
	next = bytes.IndexByte(b[i:], '\n')
	if next < 0 {
		return len(b), len(b), err
	}
	return i + next, i + next + 1, err
}

// quoted reads a quoted field from behind its quote; next is -1 when it does
// not end.
func (d *Decoder) quoted(b []byte, i int) (raw []byte, next int) {
	begin, plain := len(d.scratch), true
	for start := i; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return nil, -1
		}
		i += n + 1
		if i == len(b) || b[i] != '"' {
			if plain {
				return b[start : i-1], i
			}
			d.scratch = append(d.scratch, b[start:i-1]...)
			return d.scratch[begin:len(d.scratch):len(d.scratch)], i
		}
		d.scratch = append(d.scratch, b[start:i]...)
		plain = false
		i++
		start = i
	}
}

// lineEnd returns the length of the line end at the beginning of b, or 0.
func lineEnd(b []byte) int {
	switch {
	case len(b) > 0 && b[0] == '\n', len(b) == 1 && b[0] == '\r':
		return 1
	case len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return 2
	}
	return 0
}

// header reads the names of the columns.
func (d *Decoder) header(b []byte) step {
	names, next := d.headerNames(b)
	if next == 0 {
		if !d.in.ended() && len(b) <= MaxEvent {
			return more
		}
		return d.giveUp(0, "the CSV header does not end")
	}
	d.begun = true
	d.csv.columns = d.csv.columns[:0]
	found := make([]bool, len(d.s.fields))
	for _, name := range names {
		field, known := d.names[name]
		if !known { // blanks around a name are a slip of the pen
			field, known = d.names[strings.TrimSpace(name)]
		}
		if !known {
			field = -1
		} else if found[field] {
			return d.giveUp(0, fmt.Sprintf("the CSV header names field %q twice", d.s.fields[field].Name))
		} else {
			found[field] = true
		}
		d.csv.columns = append(d.csv.columns, field)
	}
	for i := range d.s.fields {
		f := &d.s.fields[i]
		if found[i] || f.Nullable || f.byDef != nil {
			continue
		}
		n := len(d.in.rest())
		d.badAt(n, 0, f.Name, CodeMissingField, "the CSV header does not name it ("+strings.Join(names, ", ")+"); the rest of the body was not read")
		d.in.pass(n)
		return end
	}
	d.csv.header = append(d.csv.header[:0], bytes.TrimRight(b[:next], "\r\n")...)
	d.in.pass(next)
	return done
}

// Header returns the header line of a CSV body, without its line end, once its
// first record was read; valid until the next body.
func (d *Decoder) Header() []byte { return d.csv.header }

// headerNames splits the first record; next is 0 when it does not end.
func (d *Decoder) headerNames(b []byte) (names []string, next int) {
	d.scratch = d.scratch[:0]
	for i := 0; ; i++ {
		start := i
		var raw []byte
		if i < len(b) && b[i] == '"' {
			if raw, i = d.quoted(b, i+1); i < 0 {
				return nil, 0
			}
		} else {
			for i < len(b) && b[i] != ',' && lineEnd(b[i:]) == 0 {
				i++
			}
			raw = b[start:i]
		}
		names = append(names, string(raw))
		if i < len(b) && b[i] == ',' {
			continue
		}
		if i == len(b) && !d.in.ended() || i < len(b) && lineEnd(b[i:]) == 0 {
			return nil, 0
		}
		end := lineEnd(b[i:])
		if end == 1 && b[i] == '\r' && !d.in.ended() {
			return nil, 0
		}
		return names, i + end
	}
}
