// Package sqltext reads SQL as pieces of text, as DuckDB's own lexer does: where
// words, names, strings, numbers, parameters and operators stand, and what is
// space or a comment between them. What the pieces mean together is for DuckDB's
// parser; who only cuts a text into statements, or edits a part of it, asks here,
// so that no two doors disagree about where a string ends.
package sqltext

import (
	"strconv"
	"strings"
)

// Token is a piece of SQL text that means something.
type Token struct {
	Kind  Kind
	Text  string // as written
	Start int    // byte offset in the text
}

// Kind is what a token is.
type Kind byte

// The kinds.
const (
	Word      Kind = iota // identifier or keyword without quotes
	Quoted                // "identifier"
	String                // 'text', E'text', $$text$$
	Number                // 1, .5, 1e-3
	Parameter             // $1, ?, ?1, $name
	Sign                  // operators and punctuation
)

// End is the byte offset behind the token.
func (t Token) End() int { return t.Start + len(t.Text) }

// Is reports whether the token is this keyword or sign.
func (t Token) Is(s string) bool {
	return (t.Kind == Word || t.Kind == Sign) && strings.EqualFold(t.Text, s)
}

// Name is the identifier that a token names: folded to lower case unless it is
// quoted. Empty for other tokens.
func (t Token) Name() string {
	switch t.Kind {
	case Word:
		return strings.ToLower(t.Text)
	case Quoted:
		if len(t.Text) < 2 {
			return ""
		}
		return strings.ReplaceAll(t.Text[1:len(t.Text)-1], `""`, `"`)
	}
	return ""
}

// Place is the number of a parameter, of $2 and ?2; 0 for others, and one that has
// none, ? and $name.
func (t Token) Place() int {
	if t.Kind != Parameter {
		return 0
	}
	n, err := strconv.Atoi(t.Text[1 : 1+digits(t.Text[1:])])
	if err != nil {
		return 0
	}
	return n
}
