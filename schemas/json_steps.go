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
// for another. Whether a value lies in its own line is asked at the end only:
// places do not fall, so that a line that was left does not end where it should.
func (d *Decoder) scanBlock(b *blockText, n int) int {
	l, k := &d.layout, &d.block
	for i := range l.steps {
		s := &l.steps[i]
		switch {
		case s.field < 0:
			n = d.scanUnknown(b, s, n)
		case s.token == quotedText:
			n = k.scanTexts(b, s, n)
		default:
			n = k.scanWords(b, s, n)
		}
	}
	for row, at := range k.at[:n] {
		if at+len(l.end.text) != k.starts[row+1] || !l.end.at(b, at) || l.end.long() && !l.end.behind(b, at) {
			n = row
			break
		}
	}
	d.scratch = d.scratch[:0]
	for odd := k.oddLines & (1<<n - 1); odd != 0; odd &= odd - 1 {
		if row := bits.TrailingZeros64(odd); !d.unescape(b, row) {
			return row
		}
	}
	return n
}

// unescape has the strings of a line that have escapes unescaped; it returns false where
// one is not as JSON writes strings.
func (d *Decoder) unescape(b *blockText, row int) bool {
	for i := range d.layout.steps {
		s := &d.layout.steps[i]
		if s.field < 0 || s.token != quotedText {
			continue
		}
		at := &d.block.spans[s.field*blockLines+row]
		before := len(d.scratch)
		if !d.unescapeOne(b, int(at.from), int(at.to)) {
			return false
		}
		if len(d.scratch) > before {
			*at = span{int32(len(d.scratch)), int32(before)}
		}
	}
	return true
}

// unescapeOne is unescape for what stands between the quotes of one string; what it
// says goes to scratch if there is an escape.
func (d *Decoder) unescapeOne(b *blockText, from, to int) bool {
	k, begin, copied, ascii := &d.block, len(d.scratch), from, true
	for i := k.odd.next(from, to); i < to; i = k.odd.next(i, to) {
		switch {
		case b[i] == '\\':
			d.scratch = append(d.scratch, b[copied:i]...)
			var err *textError
			if d.scratch, i, err = appendEscape(d.scratch, b[:to], i); err != nil {
				return false
			}
			copied = i
		case b[i] < 0x20:
			return false
		default:
			for ascii = false; i < to && b[i] >= utf8.RuneSelf; {
				i++
			}
		}
	}
	text := b[from:to]
	if copied > from {
		d.scratch = append(d.scratch, b[copied:to]...)
		text = d.scratch[begin:] // what an escape stands for is whole, and makes nothing else whole
	}
	return ascii || utf8.Valid(text)
}

// scanTexts reads a string, or null, of each line.
func (k *jsonBlock) scanTexts(b *blockText, s *layoutStep, n int) int {
	front, at, long := s.front, k.at[:n], s.front.long()
	spans := k.spans[s.field*blockLines:][:len(at)]
	for row, i := range at {
		from := i + len(front.text)
		quotes := k.quotes.from(from)
		if quotes == 0 || !front.at(b, i) || long && !front.behind(b, i) {
			if spans[row], at[row] = k.unusual(b, s, row); at[row] < 0 {
				return row
			}
			continue
		}
		to := from + bits.TrailingZeros64(quotes)
		spans[row], at[row] = span{int32(from), int32(to)}, to+1
	}
	return n
}

// scanWords reads a number, true, false or null of each line: up to what ends it.
func (k *jsonBlock) scanWords(b *blockText, s *layoutStep, n int) int {
	front, at, long := s.front, k.at[:n], s.front.long()
	spans := k.spans[s.field*blockLines:][:len(at)]
	for row, i := range at {
		from := i + len(front.text)
		w := b.word(from)
		ends := wordEnds(w)
		if ends == 0 || byte(w) == 'n' || !front.at(b, i) || long && !front.behind(b, i) {
			if spans[row], at[row] = k.unusual(b, s, row); at[row] < 0 {
				return row
			}
			continue
		}
		to := from + bits.TrailingZeros64(ends)/8
		spans[row], at[row] = span{int32(from), int32(to)}, to
	}
	return n
}

// unusual reads the value of a step in one line, also when it is long, null or left
// out, and returns where behind it to read on, or -1 where the line is not as the
// layout says.
func (k *jsonBlock) unusual(b *blockText, s *layoutStep, row int) (value span, next int) {
	i, end := k.at[row], k.starts[row+1]
	front := s.front.text
	if s.token == quotedText {
		front = front[:len(front)-1] // a null has no quote
	}
	switch {
	case i+len(front) < end && bytes.Equal(b[i:i+len(front)], front):
		i += len(front)
	case s.spare:
		return span{}, i
	default:
		return span{}, -1
	}
	switch to := i; {
	case string(b[i:i+4]) == "null":
		return span{}, i + len("null")
	case s.token != quotedText:
		for ; to < end; to += 8 {
			if ends := wordEnds(b.word(to)); ends != 0 {
				to += bits.TrailingZeros64(ends) / 8
				break
			}
		}
		return span{int32(i), int32(to)}, to
	case b[i] == '"':
		to = k.quotes.next(i+1, end)
		return span{int32(i + 1), int32(to)}, to + 1
	}
	return span{}, -1
}

// scanUnknown passes over a value of each line that the schema does not name.
func (d *Decoder) scanUnknown(b *blockText, s *layoutStep, n int) int {
	front := s.front.text
	for row, i := range d.block.at[:n] {
		line := b[:d.block.starts[row+1]-1] // inside of an object its end would pass for white space
		if i+len(front) > len(line) || !bytes.Equal(line[i:i+len(front)], front) {
			if s.spare {
				continue
			}
			return row
		}
		d.scratch = d.scratch[:0]
		next, err := skipValue(line, i+len(front), 0, &d.scratch)
		if err != nil {
			return row
		}
		d.block.at[row] = next
	}
	return n
}
