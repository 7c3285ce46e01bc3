package schemas

import (
	"bytes"
	"math/bits"
	"unicode/utf8"
)

// scanBlock reads the first n lines of a block, one step of the layout after the
// other, and returns how many of them are written as the layout says. What a number, true or
// false is has only been found, not looked at: that is left to who takes it.
//
// A step goes through all lines before the next one does: what it needs stays in
// registers, and the processor works on several lines at once, since none waits
// for another.
func (d *Decoder) scanBlock(b []byte, n int) int {
	l, k := &d.layout, &d.block
	for i := range l.steps {
		s := &l.steps[i]
		var absent uint64
		n, absent = s.pass(b, k.at[:n])
		switch {
		case s.field < 0:
			n = d.scanUnknown(b, n, absent)
		case s.token == quotedText:
			n = k.scanTexts(b, s.field, n, absent)
		default:
			n = k.scanWords(b, s.field, n, absent)
		}
	}
	for row, at := range k.at[:n] {
		if !l.end.at(b, at) || at+len(l.end.text) != k.starts[row+1] {
			return row
		}
	}
	return n
}

// pass goes to the values of a step, in lines that have been read up to at, and
// returns in how many lines it could. In those of them that absent has a bit for,
// the value is left out.
func (s *layoutStep) pass(b []byte, at []int) (n int, absent uint64) {
	head, tail, mask, last, length := s.front.head, s.front.tail, s.front.mask, s.front.last, len(s.front.text)
	long := length > 16
	for row, i := range at {
		if i+length+slack <= len(b) && ((word(b, i)^head)|(word(b, i+last)^tail))&mask == 0 && (!long || s.front.inside(b, i)) {
			at[row] = i + length
		} else if s.spare {
			absent |= 1 << row
		} else {
			return row, absent
		}
	}
	return len(at), absent
}

// inside reports whether a literal that is longer than two words stands at i.
func (l *literal) inside(b []byte, i int) bool { return bytes.Equal(b[i:i+len(l.text)], l.text) }

// scanTexts reads a string, or null, of each line.
func (k *jsonBlock) scanTexts(b []byte, field, n int, absent uint64) int {
	spans := k.spans[field*blockLines:][:n]
	for row, i := range k.at[:n] {
		switch {
		case absent>>row&1 != 0:
			spans[row] = span{}
		case b[i] == '"':
			to := k.quote(i + 1)
			if to >= k.starts[row+1] || k.oddLines>>row&1 != 0 && !isPlain(b[i+1:to]) {
				return row
			}
			spans[row], k.at[row] = span{int32(i + 1), int32(to)}, to+1
		case isNull(b, i):
			spans[row], k.at[row] = span{}, i+len("null")
		default:
			return row
		}
	}
	return n
}

// isPlain reports whether a string that has no quote says what it says without
// escapes, and is UTF-8.
func isPlain(text []byte) bool {
	for i := 0; ; i++ {
		if i = special(text, i); i == len(text) {
			return utf8.Valid(text)
		}
		if text[i] < utf8.RuneSelf {
			return false
		}
	}
}

// scanWords reads a number, true, false or null of each line: up to what ends it.
func (k *jsonBlock) scanWords(b []byte, field, n int, absent uint64) int {
	spans := k.spans[field*blockLines:][:n]
	for row, i := range k.at[:n] {
		if absent>>row&1 != 0 {
			spans[row] = span{}
			continue
		}
		to := i
		hit := wordEnds(word(b, to))
		for hit == 0 {
			to += 8
			hit = wordEnds(word(b, to))
		}
		to += bits.TrailingZeros64(hit) / 8
		spans[row], k.at[row] = span{int32(i), int32(to)}, to
		if b[i] == 'n' {
			if to != i+len("null") || !isNull(b, i) {
				return row
			}
			spans[row] = span{}
		}
	}
	return n
}

// scanUnknown passes over a value of each line that the schema does not name.
func (d *Decoder) scanUnknown(b []byte, n int, absent uint64) int {
	for row, i := range d.block.at[:n] {
		if absent>>row&1 != 0 {
			continue
		}
		d.scratch = d.scratch[:0]
		line := b[:d.block.starts[row+1]-1] // inside of an object its end would pass for white space
		next, err := skipValue(line, i, 0, &d.scratch)
		if err != nil {
			return row
		}
		d.block.at[row] = next
	}
	return n
}

func isNull(b []byte, i int) bool { return string(b[i:i+4]) == "null" }
