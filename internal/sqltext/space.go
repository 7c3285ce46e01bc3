package sqltext

import (
	"strings"
	"unicode/utf8"
)

// space returns how long the character of space is that s begins with; 0: none.
func space(s string) int {
	if s == "" {
		return 0
	}
	switch c := s[0]; {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
		return 1
	case c < utf8.RuneSelf:
		return 0
	}
	switch r, n := utf8.DecodeRuneInString(s); r {
	case '\u00a0', '\u202f', '\u205f', '\u3000', '\ufeff':
		return n
	default:
		if '\u2000' <= r && r <= '\u200f' {
			return n
		}
	}
	return 0
}

// line returns how long the comment is that s begins with, without the end of its
// line.
func line(s string) int {
	if n := strings.IndexAny(s, "\n\r"); n >= 0 {
		return n
	}
	return len(s)
}

// block returns where a block comment ends that begins at i; they nest.
func block(s string, i int) (end int, closed bool) {
	depth := 0
	for i+1 < len(s) {
		switch s[i : i+2] {
		case "/*":
			depth++
			i += 2
		case "*/":
			depth--
			i += 2
			if depth == 0 {
				return i, true
			}
		default:
			i++
		}
	}
	return len(s), false
}
