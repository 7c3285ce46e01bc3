package sqltext

import (
	"strings"
	"unicode/utf8"
)

// Lex splits SQL into tokens. What is not closed ends with the text: the parser
// behind tells about it.
func Lex(s string) []Token {
	tokens, _ := Read(s)
	return tokens
}

// Read is Lex, and tells whether the text is closed: whether it does not end
// inside of a string, a quoted name or a block comment.
func Read(s string) (tokens []Token, closed bool) {
	for i := 0; ; {
		t, closed := Next(s, i)
		if t.Text == "" {
			return tokens, closed
		}
		tokens = append(tokens, t)
		if !closed {
			return tokens, false
		}
		i = t.End()
	}
}

// Next returns the first token from byte i on, with no text at the end, and
// whether that is closed.
func Next(s string, i int) (t Token, closed bool) {
	for i < len(s) {
		n := space(s[i:])
		if n > 0 {
			i += n
			continue
		}
		switch {
		case strings.HasPrefix(s[i:], "--"):
			i += line(s[i:])
		case strings.HasPrefix(s[i:], "/*"):
			if i, closed = block(s, i); !closed {
				return Token{Start: i}, false
			}
		default:
			kind, end, closed := next(s, i)
			return Token{kind, s[i:end], i}, closed
		}
	}
	return Token{Start: i}, true
}

// next returns what begins at byte i, and where it ends.
func next(s string, i int) (kind Kind, end int, closed bool) {
	c := s[i]
	switch {
	case c == '\'':
		end, closed = quotes(s, i+1, plain)
		return String, end, closed
	case c == '"':
		end, closed = quoted(s, i+1)
		return Quoted, end, closed
	case c == '$':
		return dollar(s, i)
	case c == '?':
		return Parameter, i + 1 + underscored(s[i+1:]), true
	case isDigit(c), c == '.' && i+1 < len(s) && isDigit(s[i+1]):
		return Number, i + number(s[i:]), true
	case isLetter(c):
		if of, ok := prefixes[c|0x20]; ok && i+1 < len(s) && s[i+1] == '\'' {
			end, closed = quotes(s, i+2, of)
			return String, end, closed
		}
		return Word, i + word(s[i:]), true
	}
	for _, op := range operators {
		if strings.HasPrefix(s[i:], op) {
			return Sign, i + len(op), true
		}
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	return Sign, i + n, true
}

// operators are those of more than one letter, the longer first.
var operators = []string{"!~~*", "!~~", "~~*", "!~*", "->>", "#>>", "::", "<=", ">=", "<>", "!=", "||", "->", "=>", ":=", "!~", "~~", "~*", "#>", "@>", "<@", "&&", "**", "<<", ">>"}

// dollar returns what begins with one: a parameter, or a text between two tags.
func dollar(s string, i int) (kind Kind, end int, closed bool) {
	if n := underscored(s[i+1:]); n > 0 {
		return Parameter, i + 1 + n, true
	}
	tag := i + 1
	for tag < len(s) && (isLetter(s[tag]) || tag > i+1 && isDigit(s[tag])) {
		tag++
	}
	switch {
	case tag < len(s) && s[tag] == '$':
		n := strings.Index(s[tag+1:], s[i:tag+1])
		if n < 0 {
			return String, len(s), false
		}
		return String, tag + 1 + n + tag + 1 - i, true
	case tag > i+1:
		return Parameter, tag, true
	case tag < len(s) && s[tag] == '"':
		end, closed = quoted(s, tag+1)
		return Parameter, end, closed
	}
	return Sign, i + 1, true
}

// number returns how long the number is that s begins with.
func number(s string) int {
	n := underscored(s)
	if n < len(s) && s[n] == '.' && !strings.HasPrefix(s[n:], "..") {
		n++
		n += underscored(s[n:])
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		exponent := n + 1
		if exponent < len(s) && (s[exponent] == '+' || s[exponent] == '-') {
			exponent++
		}
		if d := underscored(s[exponent:]); d > 0 {
			return exponent + d
		}
	}
	return n
}

// underscored returns how long the digits are that s begins with: 1_000.
func underscored(s string) int {
	n := digits(s)
	for n > 0 && n+1 < len(s) && s[n] == '_' && isDigit(s[n+1]) {
		n += 1 + digits(s[n+1:])
	}
	return n
}

func digits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// word returns how long the word is that s begins with. A unicode space ends it.
func word(s string) int {
	n := 1
	if s[0] >= utf8.RuneSelf {
		n = rune1(s)
	}
	for n < len(s) {
		switch c := s[n]; {
		case c >= utf8.RuneSelf:
			if space(s[n:]) > 0 {
				return n
			}
			n += rune1(s[n:])
		case isLetter(c) || isDigit(c) || c == '$':
			n++
		default:
			return n
		}
	}
	return n
}

func rune1(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' || c >= utf8.RuneSelf }
