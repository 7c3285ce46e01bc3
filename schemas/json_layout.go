package schemas

import (
	"bytes"
	"encoding/binary"

	"anabranch/event"
)

// jsonLayout is how the latest events of NDJSON bodies are written: which keys
// in which order, with which spaces. A producer writes all its events alike, so
// that most lines are read by comparing what stands between their values with
// what stood there before; a line that is written in another way is left to
// Decoder.object, which knows all of JSON.
type jsonLayout struct {
	steps   []layoutStep
	end     literal // behind the last value, with the line end
	lineEnd int     // bytes of that
	odd     int     // lines that were written in another way

	// Where each line is written in another way, trying and learning in vain cost
	// as much as reading: both are done less and less often then.
	vain    int // times in a row that not one line was as the layout says
	leave   int // lines that are not tried
	patient int // odd lines until the next is learned
	every   int // odd lines from one that is learned to the next
}

// begin has the lines of a new body tried, which another producer may have written.
func (l *jsonLayout) begin() {
	l.vain, l.leave, l.patient, l.every = 0, 0, min(l.patient, relearn), relearn
}

// promises reports whether the next line is worth trying.
func (l *jsonLayout) promises() bool {
	if l.leave > 0 {
		l.leave--
		return false
	}
	return len(l.end.text) > 0
}

// tried takes down how many lines were as the layout says.
func (l *jsonLayout) tried(lines int) {
	if lines > 0 {
		l.vain, l.every = 0, relearn
		return
	}
	l.leave = 1<<l.vain - 1
	l.vain = min(l.vain+1, mostVain)
}

// isOdd counts a line that is written in another way, and reports whether it is to be
// learned.
func (l *jsonLayout) isOdd() bool {
	l.odd++
	if l.patient--; l.patient > 0 {
		return false
	}
	l.patient = l.every
	l.every = min(2*l.every, mostLeft)
	return true
}

// layoutStep is one value of an event and what stands in front of it.
type layoutStep struct {
	front literal  // with the quote of a string
	field int      // -1: not a field of the schema
	token textKind // of the value, where it is not null; isTrue stands for false too
	spare bool     // it may be left out, as a null; not the first, whose front begins the object
}

const (
	// relearn is at how many lines that are written in another way one of them is
	// learned: it costs more than to read it.
	relearn = 16
	// mostLeft is how many lines are left alone at most, but for one, and how many
	// odd ones are not learned.
	mostLeft = 1 << mostVain
	mostVain = 9
)

// literal is a text that is compared in words of eight bytes.
type literal struct {
	head, tail         uint64 // its first bytes, and those from the ninth on
	headMask, tailMask uint64 // of what counts in them
	text               []byte
}

func newLiteral(text []byte) literal {
	l := literal{text: bytes.Clone(text), headMask: firstBytes(len(text)), tailMask: firstBytes(max(len(text)-8, 0))}
	padded := append(bytes.Clone(text), make([]byte, 16)...)
	l.head, l.tail = binary.LittleEndian.Uint64(padded), binary.LittleEndian.Uint64(padded[8:])
	return l
}

// firstBytes masks the first n bytes of a word.
func firstBytes(n int) uint64 {
	if n >= 8 {
		return ^uint64(0)
	}
	return 1<<(8*n) - 1
}

// at reports whether the literal stands at i, as far as two words show; behind has to
// be asked for one that is long.
func (l *literal) at(b *blockText, i int) bool {
	return (b.word(i)^l.head)&l.headMask|(b.word(i+8)^l.tail)&l.tailMask == 0
}

// behind reports whether what the literal has behind two words stands there.
func (l *literal) behind(b *blockText, i int) bool {
	return i+len(l.text) <= len(b) && bytes.Equal(b[i:i+len(l.text)], l.text)
}

func (l *literal) long() bool { return len(l.text) > 16 }

// learn takes the layout of a line, which is an event and has its end.
func (d *Decoder) learn(line []byte) {
	l := &d.layout
	l.vain, l.leave, l.steps = 0, 0, l.steps[:0]
	var none []byte
	from := 0 // of what stands in front of the next value
	i := skipSpace(line, skipSpace(line, 0)+1)
	for i < len(line) && line[i] == '"' {
		name, next, _ := scanString(line, i+1, &none)
		i = skipSpace(line, skipSpace(line, next)+1)
		s := layoutStep{field: -1, token: tokenOf(line[i]), spare: len(l.steps) > 0}
		if field, known := d.names[string(name)]; known {
			s.field, s.spare = field, len(l.steps) > 0 && d.s.fields[field].nullWhenAbsent()
			switch s.token {
			case null:
				s.token = d.s.fields[field].usualToken()
			case isFalse:
				s.token = isTrue
			}
			if s.token == quotedText {
				s.front = newLiteral(append(bytes.Clone(line[from:i]), '"'))
			}
		}
		if s.front.text == nil {
			s.front = newLiteral(line[from:i])
		}
		l.steps = append(l.steps, s)
		if from, _ = skipValue(line, i, 0, &none); from == i {
			l.steps = l.steps[:0] // not an event after all
			return
		}
		i = skipSpace(line, skipSpace(line, from)+1)
	}
	l.end, l.lineEnd = newLiteral(line[from:]), 1
	if bytes.HasSuffix(line, []byte("\r\n")) {
		l.lineEnd = 2
	}
	clear(d.block.spans)
	for i := range d.columns {
		d.columns[i].token = absent
	}
	for _, s := range l.steps {
		if s.field >= 0 {
			d.columns[s.field].token = s.token
		}
	}
}

func tokenOf(c byte) textKind {
	switch c {
	case '"':
		return quotedText
	case '{', '[':
		return nested
	case 't':
		return isTrue
	case 'f':
		return isFalse
	case 'n':
		return null
	}
	return number
}

// usualToken is how values of a field are mostly written.
func (f *field) usualToken() textKind {
	switch f.Type.Kind {
	case event.Bool:
		return isTrue
	case event.Int32, event.Int64, event.Float64, event.Decimal:
		return number
	}
	return quotedText
}

// nullWhenAbsent reports whether a field that does not stand there is null.
func (f *field) nullWhenAbsent() bool {
	return f.Nullable && (f.byDef == nil || f.byDef.null)
}
