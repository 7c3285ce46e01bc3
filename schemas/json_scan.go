package schemas

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// textError is what is wrong with the text of an event, and where.
type textError struct {
	code, message string
	at            int
	field         string // empty when it is not about one
}

func malformed(at int, message string) *textError {
	return &textError{code: CodeMalformed, message: message, at: at}
}

func notUTF8(at int) *textError {
	return &textError{code: CodeBadUTF8, message: "a string is not UTF-8", at: at}
}

// skipSpace returns the place of the first byte from i on that is not JSON's
// white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// specials sets the high bit of the first byte of w that needs a look inside of a
// string (a quote, a backslash, a control byte or one that is not ASCII), and
// perhaps of bytes above it.
//
// As long as no byte is above 0x7f, which w itself tells, taking one off sets
// the high bit of a zero byte only. It borrows from bytes behind the first hit,
// so that the lowest set bit is right.
func specials(w uint64) uint64 {
	return (((w ^ lows*'"') - lows) | ((w ^ lows*'\\') - lows) | (w - lows*0x20) | w) & highs
}

// wordEnds is specials for what ends a number or a word: a comma, a closing brace, a
// byte up to a space or one that is not ASCII.
func wordEnds(w uint64) uint64 {
	return (((w ^ lows*',') - lows) | ((w ^ lows*'}') - lows) | (w - lows*0x21) | w) & highs
}

// special returns the place of the first byte from i on that needs a look
// inside of a string: a quote, a backslash, a control byte or one that is not
// ASCII. Eight bytes are looked at together.
func special(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if hit := specials(binary.LittleEndian.Uint64(b[i:])); hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == '"' || c == '\\' || c < 0x20 || c >= utf8.RuneSelf {
			return i
		}
	}
	return i
}

// scanString reads the string whose first byte behind the quote is i. It
// returns its text, which is a part of b or, when there were escapes, of
// scratch, and the place behind the closing quote.
func scanString(b []byte, i int, scratch *[]byte) (text []byte, next int, err *textError) {
	start, ascii := i, true
	for {
		i = special(b, i)
		switch {
		case i == len(b):
			return nil, i, malformed(i, "a string does not end")
		case b[i] == '"':
			text = b[start:i]
			if !ascii && !utf8.Valid(text) {
				return nil, i, notUTF8(start + validLen(text))
			}
			return text, i + 1, nil
		case b[i] == '\\':
			if !ascii && !utf8.Valid(b[start:i]) {
				return nil, i, notUTF8(start + validLen(b[start:i]))
			}
			return unescape(b, start, i, scratch)
		case b[i] < 0x20:
			return nil, i, malformed(i, "a control character in a string must be escaped")
		}
		ascii = false
		for i < len(b) && b[i] >= utf8.RuneSelf {
			i++
		}
	}
}

// validLen returns how many bytes of b are UTF-8.
func validLen(b []byte) int {
	n := 0
	for n < len(b) {
		r, size := utf8.DecodeRune(b[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}

// unescape reads on from the first backslash of a string, at i.
func unescape(b []byte, start, i int, scratch *[]byte) (text []byte, next int, err *textError) {
	out := *scratch
	begin := len(out)
	out = append(out, b[start:i]...)
	for {
		switch {
		case i == len(b):
			return nil, i, malformed(i, "a string does not end")
		case b[i] == '"':
			*scratch = out
			return out[begin:len(out):len(out)], i + 1, nil
		case b[i] < 0x20:
			return nil, i, malformed(i, "a control character in a string must be escaped")
		case b[i] == '\\':
			if out, i, err = appendEscape(out, b, i); err != nil {
				return nil, i, err
			}
		case b[i] < utf8.RuneSelf:
			end := special(b, i)
			out = append(out, b[i:end]...)
			i = end
		default:
			r, size := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && size == 1 {
				return nil, i, notUTF8(i)
			}
			out = append(out, b[i:i+size]...)
			i += size
		}
	}
}

// appendEscape appends what the escape at i stands for.
func appendEscape(out, b []byte, i int) ([]byte, int, *textError) {
	if i+1 == len(b) {
		return out, i, malformed(i, "a string does not end")
	}
	c := b[i+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return appendUnicode(out, b, i)
	default:
		return out, i, malformed(i, "an escape that JSON does not know")
	}
	return append(out, c), i + 2, nil
}

func appendUnicode(out, b []byte, i int) ([]byte, int, *textError) {
	r, ok := hex4(b, i)
	if !ok {
		return out, i, malformed(i, `\u needs four hexadecimal digits`)
	}
	next := i + 6
	switch {
	case r >= 0xd800 && r < 0xdc00:
		low, ok := hex4(b, next)
		if !ok || low < 0xdc00 || low > 0xdfff {
			return out, i, &textError{code: CodeBadUTF8, message: "half of a surrogate pair", at: i}
		}
		r, next = 0x10000+(r-0xd800)<<10+(low-0xdc00), next+6
	case r >= 0xdc00 && r < 0xe000:
		return out, i, &textError{code: CodeBadUTF8, message: "half of a surrogate pair", at: i}
	}
	return utf8.AppendRune(out, r), next, nil
}

// hex4 reads \uXXXX at i.
func hex4(b []byte, i int) (rune, bool) {
	if i+6 > len(b) || b[i] != '\\' || b[i+1] != 'u' {
		return 0, false
	}
	r := rune(0)
	for _, c := range b[i+2 : i+6] {
		switch {
		case isDigit(c):
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// scanNumber returns the place behind the number at i, or i when there is
// none.
func scanNumber(b []byte, i int) int {
	at := i
	if at < len(b) && b[at] == '-' {
		at++
	}
	whole := skipDigits(b, at)
	if whole == at || b[at] == '0' && whole > at+1 {
		return i
	}
	at = whole
	if at < len(b) && b[at] == '.' {
		end := skipDigits(b, at+1)
		if end == at+1 {
			return i
		}
		at = end
	}
	if at < len(b) && b[at]|0x20 == 'e' {
		at++
		if at < len(b) && (b[at] == '+' || b[at] == '-') {
			at++
		}
		end := skipDigits(b, at)
		if end == at {
			return i
		}
		at = end
	}
	return at
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}

func isJSONNumber(b []byte) bool { return len(b) > 0 && scanNumber(b, 0) == len(b) }

// maxDepth bounds how deep unknown values may nest.
const maxDepth = 500

// skipValue returns the place behind the value at i, checking it on the way.
func skipValue(b []byte, i, depth int, scratch *[]byte) (next int, err *textError) {
	if i == len(b) {
		return i, malformed(i, "a value is missing")
	}
	switch c := b[i]; {
	case c == '"':
		_, next, err := scanString(b, i+1, scratch)
		return next, err
	case c == '{' || c == '[':
		if depth == maxDepth {
			return i, malformed(i, "values nest too deep")
		}
		return skipNested(b, i, depth+1, scratch)
	case c == '-' || isDigit(c):
		if next = scanNumber(b, i); next > i {
			return next, nil
		}
		return i, malformed(i, "a number is not as JSON writes them")
	}
	for _, word := range []string{"true", "false", "null"} {
		if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
			return i + len(word), nil
		}
	}
	return i, malformed(i, "a value is missing")
}

func skipNested(b []byte, i, depth int, scratch *[]byte) (next int, err *textError) {
	closing := b[i] + 2 // } and ] stand two behind { and [
	object := b[i] == '{'
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == closing {
		return i + 1, nil
	}
	for {
		if object {
			if i == len(b) || b[i] != '"' {
				return i, malformed(i, "a key is missing")
			}
			if _, i, err = scanString(b, i+1, scratch); err != nil {
				return i, err
			}
			if i = skipSpace(b, i); i == len(b) || b[i] != ':' {
				return i, malformed(i, "a colon is missing behind a key")
			}
			i = skipSpace(b, i+1)
		}
		if i, err = skipValue(b, i, depth, scratch); err != nil {
			return i, err
		}
		i = skipSpace(b, i)
		switch {
		case i == len(b):
			return i, malformed(i, "an object or array does not end")
		case b[i] == closing:
			return i + 1, nil
		case b[i] != ',':
			return i, malformed(i, "a comma is missing")
		}
		i = skipSpace(b, i+1)
	}
}
