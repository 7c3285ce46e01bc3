package sqltext

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// escaping is what means something else inside of a string in single quotes.
type escaping byte

const (
	plain   escaping = iota // ''
	escaped                 // '' and \
	bits                    // nothing: of b'01' and x'ff'
)

// prefixes are the letters that a string may have before its quote.
var prefixes = map[byte]escaping{'e': escaped, 'n': plain, 'b': bits, 'x': bits}

// quotes returns where a string ends whose first quote is before i. It goes on in
// further quotes behind an end of a line.
func quotes(s string, i int, of escaping) (end int, closed bool) {
	for {
		if i, closed = piece(s, i, of); !closed {
			return i, false
		}
		n := between(s[i:])
		if n == 0 {
			return i, true
		}
		i += n
	}
}

// piece returns where the quotes end that opened before i.
func piece(s string, i int, of escaping) (end int, closed bool) {
	for ; i < len(s); i++ {
		switch {
		case of == escaped && s[i] == '\\':
			i++
		case s[i] != '\'':
		case of != bits && i+1 < len(s) && s[i+1] == '\'':
			i++
		default:
			return i + 1, true
		}
	}
	return len(s), false
}

// between returns how much lies between two pieces of one string, the quote of the
// second included: space with an end of a line and comments of lines. 0: s does not
// begin so.
func between(s string) int {
	lines, i := false, 0
	for i < len(s) {
		n := space(s[i:])
		switch {
		case n > 0:
			lines = lines || s[i] == '\n' || s[i] == '\r'
			i += n
		case strings.HasPrefix(s[i:], "--"):
			i += line(s[i:])
		case s[i] == '\'' && lines:
			return i + 1
		default:
			return 0
		}
	}
	return 0
}

// quoted returns where a name in double quotes ends that began before i.
func quoted(s string, i int) (end int, closed bool) {
	for ; i < len(s); i++ {
		switch {
		case s[i] != '"':
		case i+1 < len(s) && s[i+1] == '"':
			i++
		default:
			return i + 1, true
		}
	}
	return len(s), false
}

// Value is what a string means; of other tokens, and one that is not closed, its
// text.
func (t Token) Value() string {
	s := t.Text
	if t.Kind != String || len(s) < 2 {
		return s
	}
	if s[0] == '$' {
		n := strings.IndexByte(s[1:], '$') + 2
		if len(s) < 2*n {
			return ""
		}
		return s[n : len(s)-n]
	}
	of, begin := plain, ""
	i := 1
	if s[0] != '\'' {
		of, i = prefixes[s[0]|0x20], 2
		if of == bits {
			begin = strings.ToLower(s[:1]) // as DuckDB has it
		}
	}
	var b strings.Builder
	b.WriteString(begin)
	for {
		end, closed := piece(s, i, of)
		if !closed {
			return s
		}
		b.WriteString(meant(s[i:end-1], of))
		n := between(s[end:])
		if n == 0 {
			return b.String()
		}
		i = end + n
	}
}

// meant is what stands in one pair of quotes.
func meant(s string, of escaping) string {
	if of != bits {
		s = strings.ReplaceAll(s, "''", "'")
	}
	if of != escaped || strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'x':
			i += coded(&b, c, s[i+1:], 16, 1, 2)
		case 'u':
			i += coded(&b, c, s[i+1:], 16, 4, 4)
		case 'U':
			i += coded(&b, c, s[i+1:], 16, 8, 8)
		case '0', '1', '2', '3', '4', '5', '6', '7':
			i += coded(&b, c, s[i:], 8, 1, 3) - 1
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// coded writes the character that digits stand for, so many of them, and returns
// how many; where there are too few it writes the letter before them.
func coded(b *strings.Builder, letter byte, s string, base, least, most int) int {
	n := 0
	for n < most && n < len(s) {
		if _, err := strconv.ParseUint(s[n:n+1], base, 8); err != nil {
			break
		}
		n++
	}
	code, err := strconv.ParseUint(s[:n], base, 32)
	switch {
	case n < least || err != nil:
		b.WriteByte(letter)
		return 0
	case least >= 4:
		b.WriteRune(rune(min(code, utf8.MaxRune+1)))
	default:
		b.WriteByte(byte(code))
	}
	return n
}
